"""Code of an agent's that runs where there is no run yet: what it raises is its failure, and nobody else's."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any

import pydantic
import pytest

from statecast import AddMessage, Agent, Command, Run, UntypedCommand, create_app
from statecast.testing import TestClient
from tests.transport.followers import posted, until_status
from tests.transport.held_agent import HOLD, NOTE, held, said
from tests.transport.threads.test_agent_errors import RAISED

pytestmark = pytest.mark.anyio

# A dataclass-like check may refuse with ValueError and TypeError: those are the client's.
KINDS = {name: RAISED[name] for name in ("SystemExit", "KeyboardInterrupt", "GeneratorExit", "CancelledError", "group")}


def with_first_state(raised: Callable[[], BaseException]) -> Agent:
    def initial() -> Any:
        raise raised()

    return Agent(initial=initial)


def with_commands(raised: Callable[[], BaseException]) -> Agent:
    class Paint(Command, frozen=True, kw_only=True):
        """Paint."""

        def __post_init__(self) -> None:
            raise raised()

    return Agent(commands=[Paint])


def with_state(raised: Callable[[], BaseException]) -> Agent:
    class State(pydantic.BaseModel):
        title: str = ""

        @pydantic.field_validator("title")
        @classmethod
        def check(cls, title: str) -> str:
            if title:  # its own default is looked at where the agent is made
                raise raised()
            return title

    return Agent(state=State)


MAKES: dict[str, tuple[Callable[[Callable[[], BaseException]], Agent], dict[str, Any]]] = {
    "first state": (with_first_state, {"commands": [said("hi")]}),
    "command": (with_commands, {"commands": [{"type": "paint"}]}),
    "state": (with_state, {"commands": [said("hi")], "state": {"title": "x"}}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", MAKES)
async def test_what_is_raised_before_there_is_a_run_is_refused(
    where: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    make, body = MAKES[where]
    agent = make(KINDS[kind])
    agent.name = "odd"
    async with TestClient(create_app([held()[0], agent])) as client:
        async with client.stream("POST", "/assistant", json=posted(HOLD, threadId="other")) as other:
            await other.read_until(b"held")
            failed = await client.post("/assistant?agent=odd", json={"threadId": "t", **body})
            assert (failed.status, failed.json()["error"]["code"]) == (500, "agent_failed")
            assert (await client.get("/status/other")).json()["status"] == "running"
            await client.post("/cancel", json={"threadId": "other"})
            await other.read()
        assert (await client.get("/status/t")).status == 404
    assert any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_predicate_raises_is_no_matter_of_who_posts(kind: str) -> None:
    agent = Agent(commands=["go"], initial={"seen": []})

    def where(command: Any) -> bool:
        raise KINDS[kind]()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        await run.wait_for("go", where=where)

    @agent.on("go")
    async def go(run: Run, command: UntypedCommand) -> None:
        run.state["seen"].append("go")

    async with TestClient(agent) as client:
        await client.run({"type": "work"}, thread_id="t")
        async with client.stream("POST", "/assistant", json=posted({"type": "go"})) as response:
            assert response.status == 200
            await client.post("/cancel", json={"threadId": "t"})
            await response.read()
        assert (await client.get("/threads/t/state")).json()["state"] == {"seen": ["go"]}


# Context variables

user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")
mark: contextvars.ContextVar[str] = contextvars.ContextVar("mark", default="clean")


def telling() -> Agent:
    agent = Agent(initial={"seen": [], "messages": []})

    @agent.on(AddMessage)
    async def tell(run: Run, command: AddMessage) -> None:
        run.state["seen"].append([command.message.text, user.get(), mark.get()])
        mark.set(f"left by {command.message.text}")
        await asyncio.sleep(0.01)

    @agent.on("plain")
    def plain(run: Run, command: UntypedCommand) -> None:
        run.state["seen"].append(["plain", user.get(), mark.get()])
        mark.set("left by plain")

    return agent


class Named:
    """Middleware that says in a context variable whose a request is."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        for name, value in scope.get("headers", ()):
            if name == b"x-user":
                user.set(value.decode())
        await self._app(scope, receive, send)


async def test_a_run_has_the_context_variables_of_its_own_request() -> None:
    app = create_app(telling())
    async with TestClient(Named(app)) as client:
        async with app.router.lifespan_context(app), asyncio.TaskGroup() as tasks:
            for name in ("ada", "ben", "cleo"):
                body = {"threadId": "t", "commands": [said(name), {"type": "plain"}]}
                tasks.create_task(client.post("/assistant", json=body, headers={"x-user": name}))
            await asyncio.sleep(0)
        seen = (await client.get("/threads/t/state")).json()["state"]["seen"]

    assert sorted(seen) == sorted(
        [word, name, state]
        for name in ("ada", "ben", "cleo")
        for word, state in ((name, "clean"), ("plain", f"left by {name}"))
    )


async def test_a_run_that_is_taken_up_again_has_nobodys_context_variables(tmp_path: Any) -> None:
    store = f"sqlite:///{tmp_path}/threads.db"
    agent, _ = held()
    app = create_app(agent, store=store)
    async with TestClient(app) as client, client.stream("POST", "/assistant", json=posted(HOLD)) as first:
        await first.read_until(b"held")
        async with client.stream("POST", "/assistant", json=posted(NOTE)) as second:
            await anext(second)
            await app.hub.aclose()

    seen: list[str] = []
    agent = Agent(commands=["hold"])

    @agent.on("note")
    async def note(run: Run, command: UntypedCommand) -> None:
        seen.append(user.get())

    user.set("whoever comes first")
    async with TestClient(create_app(agent, store=store)) as client:
        await until_status(client, "completed")
    assert seen == ["nobody"]
