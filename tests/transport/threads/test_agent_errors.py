"""Whatever an agent raises, and wherever, is its own failed run: others go on, and the log says why."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from statecast import AddMessage, Agent, AgentError, Run, UntypedCommand, create_app
from statecast.testing import TestClient
from statecast.threads import Thread
from statecast.threads.rules import Posted
from tests.transport.followers import posted
from tests.transport.held_agent import HOLD, held, note

pytestmark = pytest.mark.anyio

WORK = {"type": "work"}
HIDDEN = "The agent failed. The reason is in the server's log."


class Unreadable(AgentError):
    """An error that cannot be read."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def nested(depth: int) -> BaseExceptionGroup[BaseException]:
    """Return a group within groups."""
    group: BaseException = SystemExit(1)
    for _ in range(depth):
        group = BaseExceptionGroup("outer", [group])
    assert isinstance(group, BaseExceptionGroup)
    return group


RAISED: dict[str, Callable[[], BaseException]] = {
    "SystemExit": lambda: SystemExit(2),
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "CancelledError": asyncio.CancelledError,
    "StopIteration": StopIteration,
    "StopAsyncIteration": StopAsyncIteration,
    "BaseException": lambda: BaseException("bare"),
    "group": lambda: BaseExceptionGroup("group", [SystemExit(1), ValueError("x")]),
    "groups within groups": lambda: nested(5_000),
    "unreadable": lambda: Unreadable("x"),
    "MemoryError": MemoryError,
    "RecursionError": RecursionError,
}


async def in_a_handler(run: Run, raised: BaseException) -> None:
    raise raised


async def in_a_task_beside(run: Run, raised: BaseException) -> None:
    run.start_soon(in_a_handler, run, raised)
    await anyio.sleep_forever()


async def in_a_task_beside_that_outlives_the_handler(run: Run, raised: BaseException) -> None:
    async def late() -> None:
        await anyio.lowlevel.checkpoint()
        raise raised

    run.start_soon(late)


async def in_a_task_of_its_own(run: Run, raised: BaseException) -> None:
    await asyncio.create_task(in_a_handler(run, raised))


async def in_a_task_group(run: Run, raised: BaseException) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(in_a_handler(run, raised))
        await anyio.sleep_forever()


async def in_a_thread(run: Run, raised: BaseException) -> None:
    def work() -> None:
        raise raised

    await asyncio.to_thread(work)


PLACES = (
    in_a_handler,
    in_a_task_beside,
    in_a_task_beside_that_outlives_the_handler,
    in_a_task_of_its_own,
    in_a_task_group,
    in_a_thread,
)


#: What asyncio itself makes something else of: it takes these for a cancellation, or cannot hand them on.
ODD = {
    in_a_task_group: ("CancelledError", "GeneratorExit", "StopIteration", "groups within groups"),
    in_a_thread: ("StopIteration", "groups within groups"),
}


@pytest.mark.parametrize(
    ("place", "kind"),
    [(place, kind) for place in PLACES for kind in RAISED if kind not in ODD.get(place, ())],
    ids=lambda value: getattr(value, "__name__", value),
)
async def test_whatever_is_raised_fails_its_own_run(
    place: Callable[[Run, BaseException], Any], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    agent, release = held()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        note(run, "tried")
        await place(run, RAISED[kind]())

    async with TestClient(agent) as client:
        async with client.stream("POST", "/assistant", json=posted(HOLD, threadId="other")) as other:
            await other.read_until(b"held")
            with anyio.fail_after(10):
                failed = await client.run(WORK, thread_id="t")
            assert (await client.get("/status/other")).json()["status"] == "running"
            release.set()
            assert b"went on" in await other.read()
        status = (await client.get("/status/t")).json()["status"]

    assert (failed.error, status) == ({"code": "agent_failed", "message": HIDDEN}, "failed")
    assert failed.state["notes"] == ["tried"]
    (record,) = (record for record in caplog.records if record.name == "statecast")
    assert record.exc_info is not None
    assert "server stopped" not in caplog.text


@pytest.mark.parametrize("kind", RAISED)
async def test_whatever_a_plain_function_raises_fails_its_own_run(kind: str) -> None:
    agent = Agent()

    @agent.on("work")
    def work(run: Run, command: UntypedCommand) -> None:
        raise RAISED[kind]()

    async with TestClient(agent) as client:
        with anyio.fail_after(10):
            assert (await client.run(WORK)).error == {"code": "agent_failed", "message": HIDDEN}
            assert (await client.run({"type": "add-message", "message": {"role": "user", "parts": []}})).error is None


@pytest.mark.parametrize("kind", ["SystemExit", "KeyboardInterrupt"])
async def test_a_task_that_nobody_awaits_harms_nobody(kind: str) -> None:
    agent, ended = Agent(), asyncio.Event()
    raised: list[BaseException | None] = []

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        task = asyncio.create_task(in_a_handler(run, RAISED[kind]()))
        task.add_done_callback(lambda task: raised.append(task.exception()))
        task.add_done_callback(lambda task: ended.set())

    async with TestClient(agent) as client:
        assert (await client.run(WORK)).error is None
        with anyio.fail_after(10):
            await ended.wait()
        assert (await client.run(WORK)).error is None
    assert all(kind in str(error) for error in raised)


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("kind", RAISED)
async def test_debug_shows_whatever_was_raised(kind: str, debug: bool) -> None:
    agent = Agent()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        raise RAISED[kind]()

    async with TestClient(create_app(agent, debug=debug)) as client:
        error = (await client.run(WORK)).error or {}
    assert error["code"] == "agent_failed"
    assert ("Traceback" in error["message"] or "RecursionError" in error["message"]) is debug


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize(
    ("error", "sent"),
    [
        (AgentError("cannot read caf\udce9.txt"), ("agent_failed", r"cannot read caf\udce9.txt")),
        (AgentError("x", code=object()), ("agent_failed", "x")),  # type: ignore[arg-type]  # as untyped code may
        (AgentError("x", code="\udce9"), ("agent_failed", "x")),
        (AgentError("x", code=""), ("agent_failed", "x")),
        (AgentError("x", code="c" * 200), ("agent_failed", "x")),
        (AgentError("x" * 20_000, code="long"), ("long", "x" * 10_000)),
        (AgentError(None, code="odd"), ("odd", "None")),  # type: ignore[arg-type]  # likewise
    ],
    ids=lambda value: None,
)
async def test_an_agents_own_error_is_sent_as_far_as_it_can_be(
    error: AgentError, sent: tuple[str, str], store: str, tmp_path: Path
) -> None:
    agent = Agent()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        raise error

    kept = "memory" if store == "memory" else f"sqlite:///{tmp_path}/threads.db"
    async with TestClient(create_app(agent, store=kept)) as client:
        failed = await client.run(WORK, thread_id="t")
        state = (await client.get("/threads/t/state")).json()

    assert failed.error == {"code": sent[0], "message": sent[1]}
    assert state["run"]["status"] == "failed"


@pytest.mark.parametrize("path", ["/assistant?protocol=assistant-transport", "/assistant?protocol=data-stream"])
async def test_every_stream_ends_when_its_agent_exits(path: str) -> None:
    agent = Agent()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        note(run, "tried")
        await anyio.lowlevel.checkpoint()
        raise SystemExit(1)

    async with TestClient(agent) as client, client.stream("POST", path, json=posted(WORK)) as response:
        assert HIDDEN.encode() in await response.read()


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)


def test_only_a_run_that_ends_with_the_event_loop_is_said_to_be_interrupted() -> None:
    agent = Agent()
    app = create_app(agent)

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        note(run, "working")
        await anyio.sleep_forever()

    async def main() -> Thread:
        accepted = await app.hub.submit(Posted(agent=agent, commands=[b'{"type":"work"}'], thread_id="t"))
        while accepted.thread.document.root is None:
            await anyio.lowlevel.checkpoint()
        return accepted.thread

    run = asyncio.run(main()).last_run
    assert run is not None
    assert (run.status, run.error and run.error.code) == ("interrupted", "run_interrupted")


MESSAGE = {"id": "m1", "role": "user", "parts": [{"type": "text", "text": "hi"}]}
SAID = {"role": "user", "content": "hi"}
PROTOCOLS: dict[str, dict[str, Any]] = {
    "/assistant?protocol=assistant-transport": {"commands": [{"type": "add-message", "message": MESSAGE}]},
    "/assistant?protocol=data-stream": {"commands": [{"type": "add-message", "message": MESSAGE}]},
    "/chat": {"id": "t", "messages": [MESSAGE]},
    "/ag-ui": {"runId": "r", "messages": [{"id": "m1", **SAID}], "tools": [], "context": [], "state": {}},
    "/text": {"messages": [SAID]},
    "/sse": {"messages": [SAID]},
    "/json": {"messages": [SAID]},
    "/v1/chat/completions": {"model": "agent", "messages": [SAID], "stream": True},
}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("path", PROTOCOLS)
async def test_in_every_protocol_an_agent_that_exits_ends_its_answer(path: str, late: bool) -> None:
    agent = Agent("agent")
    ended: list[str] = []

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text("Half an ans")
        ended.append(run.id)
        if late:
            await anyio.sleep(0.01)
        raise SystemExit(1)

    async with TestClient(agent) as client:
        with anyio.fail_after(10):
            async with client.stream("POST", path, json={"threadId": "t", **PROTOCOLS[path]}) as response:
                with contextlib.suppress(EOFError):  # some can only cut the connection
                    await response.read()
        assert ended
        assert b"SystemExit" not in response.content
        assert (await client.get("/health")).json()["runs"] == 0
