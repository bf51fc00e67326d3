"""The activities of a run: what it does at once, and which run code works for."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator

import anyio
import pytest
from anyio import to_thread

from statecast_agents import AddMessage, Agent, Document, NewMessage, Run, UntypedCommand, current_run
from statecast_agents.errors import NoRun
from statecast_agents.functions import is_async

pytestmark = pytest.mark.anyio

GO = UntypedCommand("go", {})
STOP = UntypedCommand("stop", {})
HELLO = AddMessage(message=NewMessage(role="user", parts=[]))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Told:
    """A run, and what was told of its waiting."""

    def __init__(self) -> None:
        self.waits: list[bool] = []
        self.run = Run(id="run", thread_id="t", document=Document({}), commands=[HELLO], waits=self._tell)
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()

    def _tell(self, waits: bool) -> None:
        self.waits.append(waits)
        self._loop.call_soon_threadsafe(self._changed.set)

    async def until_it_waits(self) -> None:
        while not self.run.waiting.waits:
            self._changed.clear()
            await self._changed.wait()


async def perform(agent: Agent, told: Told) -> AsyncIterator[None]:
    """Perform a run while the body of a loop works, once."""
    async with anyio.create_task_group() as told.run.tasks:
        told.run.tasks.start_soon(agent.perform, told.run)
        await anyio.wait_all_tasks_blocked()
        yield


async def wait(run: Run) -> None:
    await run.wait_for("go")


@pytest.mark.parametrize("answered_first", [True, False])
async def test_a_tool_that_waits_lets_another_one_work(answered_first: bool) -> None:
    agent, told, done = Agent(), Told(), anyio.Event()

    async def ask(run: Run) -> None:
        with run.activity():
            await run.wait_for("go")

    async def work(run: Run) -> None:
        with run.activity():
            await done.wait()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        await asyncio.gather(ask(run), work(run))

    async for _ in perform(agent, told):
        assert not told.run.waiting.waits
        if answered_first:
            told.run.waiting.deliver(GO)
            await anyio.wait_all_tasks_blocked()
            assert not told.run.waiting.waits
        done.set()
        await anyio.wait_all_tasks_blocked()
        assert told.run.waiting.waits is not answered_first
        told.run.waiting.deliver(GO)


async def test_a_run_waits_when_the_last_of_its_tools_does() -> None:
    agent, told = Agent(), Told()

    async def ask(run: Run, kind: str) -> None:
        with run.activity():
            await run.wait_for(kind)

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        await asyncio.gather(ask(run, "go"), ask(run, "stop"))

    async for _ in perform(agent, told):
        assert told.run.waiting.waits
        told.run.waiting.deliver(STOP)
        await anyio.wait_all_tasks_blocked()
        assert told.waits[-2:] == [False, True]
        told.run.waiting.deliver(GO)


async def test_the_work_of_a_handler_goes_on_beside_a_task_of_its_own_that_waits() -> None:
    agent, told, done = Agent(), Told(), anyio.Event()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        steering = asyncio.create_task(wait(run))
        with run.activity():
            await done.wait()
        await steering

    async for _ in perform(agent, told):
        assert not told.run.waiting.waits
        done.set()
        await anyio.wait_all_tasks_blocked()
        assert told.run.waiting.waits
        told.run.waiting.deliver(GO)


async def test_a_sub_agents_tools_count_within_the_tool_that_called_it() -> None:
    agent, told, done = Agent(), Told(), anyio.Event()

    async def ask(run: Run) -> None:
        with run.activity():
            await run.wait_for("go")

    async def sub_agent(run: Run) -> None:
        with run.activity():
            await asyncio.gather(ask(run), ask(run))

    async def work(run: Run) -> None:
        with run.activity():
            await done.wait()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        await asyncio.gather(sub_agent(run), work(run))

    async for _ in perform(agent, told):
        assert not told.run.waiting.waits
        done.set()
        await anyio.wait_all_tasks_blocked()
        assert told.run.waiting.waits
        told.run.waiting.deliver(GO)
        await anyio.wait_all_tasks_blocked()
        assert told.waits[-2:] == [False, True]
        told.run.waiting.deliver(GO)


async def test_a_tool_in_a_thread_is_an_activity() -> None:
    agent, told = Agent(), Told()
    begun, done = threading.Event(), threading.Event()

    def work() -> None:
        with current_run().activity():
            begun.set()
            done.wait()

    async def ask(run: Run) -> None:
        with run.activity():
            await run.wait_for("go")

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        await asyncio.gather(ask(run), asyncio.to_thread(work))

    async for _ in perform(agent, told):
        await to_thread.run_sync(begun.wait)
        assert not told.run.waiting.waits
        done.set()
        await told.until_it_waits()
        told.run.waiting.deliver(GO)


async def test_a_tool_that_fails_is_no_longer_at_work() -> None:
    agent, told = Agent(), Told()

    async def fail(run: Run) -> None:
        with run.activity():
            raise ValueError

    async def ask(run: Run) -> None:
        with run.activity():
            await run.wait_for("go")

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        await asyncio.gather(ask(run), fail(run), return_exceptions=True)

    async for _ in perform(agent, told):
        assert told.run.waiting.waits
        told.run.waiting.deliver(GO)
    assert told.run.waiting.activities.busy == 0


async def test_an_activity_ends_in_a_generator_that_is_closed_elsewhere() -> None:
    told = Told()

    async def tool() -> AsyncIterator[int]:
        with told.run.activity():
            yield 1

    pieces = tool()
    assert await contextvars.copy_context().run(asyncio.ensure_future, anext(pieces)) == 1
    assert told.run.waiting.activities.busy == 1
    await pieces.aclose()  # type: ignore[attr-defined]  # it is a generator
    assert told.run.waiting.activities.busy == 0


# The current run


def seen_in_a_thread() -> Run:
    return current_run()


async def seen() -> Run:
    return current_run()


async def test_a_tool_finds_its_run_wherever_it_works() -> None:
    agent, told = Agent(), Told()
    found: list[Run] = []

    async def beside(run: Run) -> None:
        found.append(current_run())

    async def keep() -> None:
        found.append(current_run())

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        found.append(current_run())
        found.append(await asyncio.create_task(seen()))
        found.append(await asyncio.to_thread(seen_in_a_thread))
        found.append(await run.in_thread(seen_in_a_thread))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keep)
        with run.activity():
            found.append(current_run())
        run.start_soon(beside, run)

    async for _ in perform(agent, told):
        pass
    assert found == [told.run] * 7


async def test_a_plain_handler_finds_its_run() -> None:
    agent, told = Agent(), Told()
    found: list[Run] = []

    @agent.on(AddMessage)
    def answer(run: Run, command: AddMessage) -> None:
        found.append(current_run())

    assert not is_async(answer)
    async for _ in perform(agent, told):
        pass
    assert found == [told.run]


async def test_a_task_that_is_started_from_outside_a_run_finds_it() -> None:
    told = Told()
    found: list[Run] = []

    async def beside() -> None:
        found.append(current_run())

    async with anyio.create_task_group() as told.run.tasks:
        told.run.start_soon(beside)
    assert found == [told.run]


async def test_runs_at_the_same_time_do_not_mix() -> None:
    agent, first, second = Agent(commands=["go"]), Told(), Told()
    found: dict[str, Run] = {}

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        await run.wait_for("go")
        found[str(len(found))] = current_run()

    async for _ in perform(agent, first):
        async for _ in perform(agent, second):
            second.run.waiting.deliver(GO)
        first.run.waiting.deliver(GO)
    assert found == {"0": second.run, "1": first.run}


async def test_outside_of_runs_there_is_none() -> None:
    agent, told = Agent(), Told()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        """Do nothing."""

    async for _ in perform(agent, told):
        pass
    with pytest.raises(NoRun, match=r"got no run here: call it in a handler, .*asyncio\.to_thread"):
        current_run()


async def test_a_thread_that_copies_no_context_works_for_no_run() -> None:
    told = Told()
    raised: list[BaseException] = []

    def tool() -> None:
        try:
            current_run()
        except NoRun as error:
            raised.append(error)

    with told.run.activity():
        thread = threading.Thread(target=tool)
        thread.start()
        thread.join()
        context = contextvars.copy_context()
    assert len(raised) == 1
    assert context.run(current_run) is told.run
