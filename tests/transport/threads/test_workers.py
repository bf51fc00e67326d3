"""Plain functions run in threads: so many at once, the others queued, and none holds up what it need not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import pytest

from statecast import AddMessage, Agent, App, Limits, Run, UntypedCommand, create_app
from statecast.testing import TestClient
from tests.transport.followers import posted
from tests.transport.held_agent import note, said, until

pytestmark = pytest.mark.anyio

BLOCK = {"type": "block"}
QUICK = {"type": "quick"}


class Gate:
    """What blocked functions wait for; opened at the end of a test in any case."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.began = 0
        self.returned = 0

    def pass_through(self) -> None:
        self.began += 1
        self.open.wait(60)
        self.returned += 1


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


def blocking(gate: Gate, **settings: Any) -> Agent:
    agent = Agent(**settings)

    @agent.on("block")
    def block(run: Run, command: UntypedCommand) -> None:
        gate.pass_through()
        note(run, "done")

    @agent.on("quick")
    async def quick(run: Run, command: UntypedCommand) -> None:
        note(run, "quick")

    @agent.on(AddMessage)
    def answer(run: Run, command: AddMessage) -> None:
        run.state["answered"] = True

    return agent


async def status_of(client: TestClient, thread_id: str) -> str:
    return (await client.get(f"/status/{thread_id}")).json()["status"]


async def begin(client: TestClient, tasks: Any, thread_id: str, *commands: Any) -> None:
    """Begin a run whose answer nobody reads before its end."""

    async def run() -> None:
        await client.run(*commands, thread_id=thread_id)

    tasks.start_soon(run)
    await until(lambda: app_of(client).hub.loaded(thread_id))


def app_of(client: TestClient) -> App:
    assert isinstance(client.app, App)
    return client.app


async def test_runs_that_find_no_thread_are_queued_until_there_is_one(gate: Gate) -> None:
    app = create_app(blocking(gate), limits=Limits(threads=2))
    async with TestClient(app) as client, anyio.create_task_group() as tasks:
        for thread_id in ("a", "b", "c"):
            await begin(client, tasks, thread_id, BLOCK)
        await until(lambda: gate.began == 2)
        assert [await status_of(client, thread_id) for thread_id in "abc"] == ["running", "running", "queued"]
        assert (await client.run(QUICK, thread_id="d")).state == {"notes": ["quick"]}
        gate.open.set()
        await until(lambda: gate.returned == 3)


async def test_a_run_whose_later_handler_finds_no_thread_is_queued_meanwhile(gate: Gate) -> None:
    app = create_app(blocking(gate), limits=Limits(threads=1))
    async with TestClient(app) as client, anyio.create_task_group() as tasks:
        await begin(client, tasks, "a", BLOCK)
        await until(lambda: gate.began == 1)
        async with client.stream("POST", "/assistant", json=posted(QUICK, BLOCK)) as response:
            await response.read_until(b"quick")
            while await status_of(client, "t") != "queued":
                await anyio.lowlevel.checkpoint()
            gate.open.set()
            assert b"done" in await response.read()
        assert await status_of(client, "t") == "completed"


async def test_a_run_that_is_cancelled_while_it_is_queued_keeps_its_message(gate: Gate) -> None:
    app = create_app(blocking(gate), limits=Limits(threads=1))
    async with TestClient(app) as client, anyio.create_task_group() as tasks:
        await begin(client, tasks, "a", BLOCK)
        await begin(client, tasks, "b", said("hello"))
        assert await status_of(client, "b") == "queued"
        assert (await client.post("/cancel", json={"threadId": "b"})).json()["cancelled"] is True
        while await status_of(client, "b") != "cancelled":
            await anyio.lowlevel.checkpoint()
        state = (await client.get("/threads/b/state")).json()["state"]
        gate.open.set()
    assert [message["role"] for message in state["messages"]] == ["user"]
    assert "answered" not in state


async def test_a_cancelled_run_waits_for_a_function_that_looks_whether_it_is(gate: Gate) -> None:
    agent = Agent()

    @agent.on("block")
    def block(run: Run, command: UntypedCommand) -> None:
        note(run, "working")
        while not run.cancelled:
            gate.open.wait(0.001)
        note(run, "said goodbye")

    async with TestClient(agent) as client, client.stream("POST", "/assistant", json=posted(BLOCK)) as response:
        await response.read_until(b"working")
        await client.post("/cancel", json={"threadId": "t"})
        assert b"said goodbye" in await response.read()
        assert await status_of(client, "t") == "cancelled"


async def test_a_function_that_does_not_return_is_left_behind(gate: Gate) -> None:
    app = create_app(blocking(gate, cancel_seconds=0.01), limits=Limits(threads=1))
    async with TestClient(app) as client, anyio.create_task_group() as tasks:
        await begin(client, tasks, "a", BLOCK)
        await until(lambda: gate.began == 1)
        await client.post("/cancel", json={"threadId": "a"})
        while await status_of(client, "a") != "cancelled":
            await anyio.lowlevel.checkpoint()
        await begin(client, tasks, "b", BLOCK)
        assert await status_of(client, "b") == "queued"  # its place is not free before it returns
        gate.open.set()
        await until(lambda: gate.returned == 2)


async def test_the_time_of_a_run_holds_for_functions_too(gate: Gate) -> None:
    app = create_app(blocking(gate, cancel_seconds=0.01), limits=Limits(run_seconds=0.05))
    async with TestClient(app) as client:
        assert (await client.run(BLOCK, thread_id="t")).code == "run_timeout"
        assert gate.returned == 0
        assert (await client.run(QUICK, thread_id="t")).error is None


async def test_what_a_function_waits_for_on_the_event_loop_ends_when_its_run_is_cancelled() -> None:
    agent = Agent(commands=["go"])

    @agent.on("block")
    def block(run: Run, command: UntypedCommand) -> None:
        note(run, "waiting")
        anyio.from_thread.run(run.wait_for, "go")

    async with TestClient(agent) as client, anyio.create_task_group() as tasks:
        await begin(client, tasks, "t", BLOCK)
        while await status_of(client, "t") != "waiting":
            await anyio.lowlevel.checkpoint()
        await client.post("/cancel", json={"threadId": "t"})
        with anyio.fail_after(5):
            while await status_of(client, "t") != "cancelled":
                await anyio.lowlevel.checkpoint()


async def test_what_is_queued_for_a_thread_runs_when_the_server_is_back(gate: Gate, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/threads.db"
    app = create_app(blocking(gate, cancel_seconds=0), store=store, limits=Limits(threads=1))
    async with TestClient(app) as client, anyio.create_task_group() as tasks:
        await begin(client, tasks, "a", BLOCK)
        await begin(client, tasks, "b", said("hello"))
        await until(lambda: gate.began == 1)
        await app.hub.aclose()
    gate.open.set()

    async with TestClient(create_app(blocking(gate), store=store)) as client:
        while await status_of(client, "b") != "completed":
            await anyio.lowlevel.checkpoint()
        assert await status_of(client, "a") == "interrupted"
        assert (await client.get("/threads/b/state")).json()["state"]["answered"] is True
