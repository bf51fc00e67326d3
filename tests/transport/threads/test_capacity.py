"""How many runs there may be, in all and of one owner; those that wait for their user count apart."""

from __future__ import annotations

import pytest

from statecast import Agent, App, Limits, Run, UntypedCommand, create_app
from statecast.protocol.errors import RequestError
from statecast.testing import TestClient
from statecast.threads.runs.capacity import Capacity
from tests.transport.followers import status_of, until_status
from tests.transport.held_agent import note

LIMITS = Limits(runs=4, runs_per_owner=2, waiting=3, waiting_per_owner=2)


def refusal(room: Capacity, owner: str | None) -> str | None:
    try:
        room.check(owner)
    except RequestError as refused:
        return refused.code
    return None


@pytest.mark.parametrize(
    ("working", "waiting", "code"),
    [
        ([], [], None),
        (["me"], [], None),
        (["me", "me"], [], "too_many_runs"),
        (["me", "you", "you"], [], None),
        (["you"] * 4, [], "server_full"),
        ([None] * 4, [], "server_full"),
        (["me"], ["me", "me"], None),
        (["me"], ["me", "me", "me"], "too_many_runs"),  # one of those that wait is beyond their bound
        ([], ["me", "me", "me"], None),
        (["you"] * 3, ["you"] * 3, None),
        (["you"] * 3, ["you"] * 4, "server_full"),
    ],
)
def test_whether_there_is_room(working: list[str | None], waiting: list[str | None], code: str | None) -> None:
    room = Capacity(LIMITS)
    for owner in [*working, *waiting]:
        room.enter(owner)
    for owner in waiting:
        room.wait(owner, True)

    assert refusal(room, "me") == code
    assert refusal(room, None) == (code if code == "server_full" else None)

    for owner in waiting:
        room.wait(owner, False)
    for owner in [*working, *waiting]:
        room.leave(owner)
    assert vars(room) == vars(Capacity(LIMITS)) | {"_limits": LIMITS}


def asking() -> Agent:
    agent = Agent(commands=["go"])

    @agent.on("ask")
    async def ask(run: Run, command: UntypedCommand) -> None:
        await run.wait_for("go")
        note(run, "went on")

    @agent.on("hello")
    async def hello(run: Run, command: UntypedCommand) -> None:
        note(run, "hello")

    return agent


@pytest.mark.anyio
async def test_runs_that_wait_take_no_room_from_others() -> None:
    app = create_app(asking(), limits=Limits(runs=1, waiting=2))
    async with TestClient(app) as client:
        for thread_id in "ab":
            await client.run({"type": "ask"}, thread_id=thread_id)
        assert (await client.run({"type": "hello"}, thread_id="c")).error is None
        await client.run({"type": "ask"}, thread_id="c")
        assert (await client.run({"type": "hello"}, thread_id="d")).code == "server_full"
        assert (await client.run({"type": "go"}, thread_id="a")).error is None
        assert (await client.run({"type": "hello"}, thread_id="d")).error is None


@pytest.mark.anyio
@pytest.mark.parametrize("end", ["answer", "cancel"])
async def test_a_run_that_waited_leaves_no_trace_in_the_counts(end: str) -> None:
    app = create_app(asking())
    async with TestClient(app) as client:
        await client.run({"type": "ask"}, thread_id="t")
        assert await status_of(client) == "waiting"
        if end == "answer":
            await client.run({"type": "go"}, thread_id="t")
        else:
            await client.post("/cancel", json={"threadId": "t"})
            await until_status(client, "cancelled")
        assert counts(app) == counts(create_app(asking()))


def counts(app: App) -> dict[str, object]:
    return {name: value for name, value in vars(app.hub._runs.room).items() if name != "_limits"}
