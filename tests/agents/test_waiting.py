"""A run waits when nothing can happen in it without its client, and goes on with what it wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup

from statecast_agents import AddMessage, AddToolResult, Agent, Command, Document, NewMessage, Run, UntypedCommand

pytestmark = pytest.mark.anyio


class Go(Command, frozen=True, kw_only=True):
    to: str = ""


class Stop(Command, frozen=True, kw_only=True):
    """Stop."""


GO = UntypedCommand("go", {"to": "north"})
OTHER = UntypedCommand("other", {})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def under_way(
    *handlers: Callable[[Run], Awaitable[object]],
) -> AsyncIterator[tuple[Run, list[bool]]]:
    """Yield a run whose handlers work side by side, and what was told of its waiting; it ends when they have."""
    told: list[bool] = []
    run = Run(id="run", thread_id="t", document=Document({"seen": []}), waits=told.append)
    async with anyio.create_task_group() as run.tasks:
        for handler in handlers:
            run.start_soon(_call, handler, run)
        await anyio.wait_all_tasks_blocked()
        yield run, told


async def _call(handler: Callable[[Run], Awaitable[object]], run: Run) -> None:
    await handler(run)


def see(run: Run, *what: object) -> None:
    run.state["seen"].extend(what)


def waiting_for(*kinds: Any, **settings: Any) -> Callable[[Run], Awaitable[None]]:
    async def handler(run: Run) -> None:
        see(run, (await run.wait_for(*kinds, **settings)).type)

    return handler


async def test_a_run_waits_until_it_gets_what_it_wants() -> None:
    async with under_way(waiting_for("go")) as (run, told):
        assert (told, run.waiting.waits) == ([True], True)
        assert run.waiting.deliver(GO)
        assert told == [True, False]
    assert run.state["seen"] == ["go"]
    assert (told, run.waiting.listeners) == ([True, False], [])


@pytest.mark.parametrize(
    ("kinds", "command", "wanted"),
    [
        (("go",), GO, True),
        (("go",), OTHER, False),
        (("other", "go"), GO, True),
        ((Go,), Go(), True),
        ((Go,), Stop(), False),
        ((Stop, Go), Go(), True),
        ((Go,), GO, False),  # its name alone does not make it one
        (("go",), Go(), True),
        ((Command,), Stop(), True),
        ((AddMessage,), AddMessage(message=NewMessage(role="user", parts=[])), True),
        ((), GO, False),
    ],
)
async def test_what_is_wanted(kinds: Any, command: Any, wanted: bool) -> None:
    async with under_way(waiting_for(*kinds)) as (run, _):
        assert (run.waiting.wanted([command]) == [command]) is wanted
        assert run.waiting.deliver(command) is wanted
        assert isinstance(run.tasks, TaskGroup)
        run.tasks.cancel_scope.cancel()


async def test_a_predicate_chooses() -> None:
    async with under_way(waiting_for(Go, where=lambda command: command.to == "north")) as (run, told):
        assert not run.waiting.deliver(Go(to="south"))
        assert told == [True]
        assert run.waiting.deliver(Go(to="north"))


async def test_of_several_commands_one_that_waits_for_one_takes_the_first() -> None:
    first, second = Go(to="1"), Go(to="1")
    async with under_way(waiting_for(Go)) as (run, _):
        (wanted,) = run.waiting.wanted([OTHER, first, second])
        assert wanted is first
        assert run.waiting.deliver(first)
        assert run.waiting.wanted([second]) == []
        assert not run.waiting.deliver(second)


async def test_of_several_waiters_each_gets_one_in_their_order() -> None:
    got: list[tuple[str, str]] = []

    def named(name: str) -> Callable[[Run], Awaitable[None]]:
        async def handler(run: Run) -> None:
            got.append((name, (await run.wait_for(Go)).to))

        return handler

    commands = [Go(to="1"), Go(to="2"), Go(to="3")]
    async with under_way(named("a"), named("b")) as (run, told):
        assert run.waiting.wanted(commands) == commands[:2]
        assert [run.waiting.deliver(command) for command in commands] == [True, True, False]
    assert got == [("a", "1"), ("b", "2")]
    assert told == [True, False]


async def test_who_listens_takes_what_the_waiters_leave() -> None:
    async def both(run: Run) -> None:
        listening = run.listen("go")
        see(run, (await run.wait_for(Stop)).type, len(listening.drain()), len(listening.drain()))

    async with under_way(both) as (run, told):
        assert run.waiting.wanted([GO, Stop(), GO]) == [GO, Stop(), GO]
        assert [run.waiting.deliver(command) for command in (GO, GO)] == [True, True]
        assert told == [True]  # what nobody waits for wakes nobody
        run.waiting.deliver(Stop())
    assert run.state["seen"] == ["stop", 2, 0]


async def test_a_run_that_works_elsewhere_does_not_wait() -> None:
    done = anyio.Event()

    async def work(run: Run) -> None:
        await done.wait()

    async with under_way(waiting_for("go"), work) as (run, told):
        assert told == []
        done.set()
        await anyio.wait_all_tasks_blocked()
        assert told == [True]
        run.waiting.deliver(GO)
    assert told == [True, False]


async def test_a_run_that_ends_has_not_waited() -> None:
    async def work(run: Run) -> None:
        run.listen("go")

    async with under_way(work) as (_, told):
        pass
    assert told == []


@pytest.mark.parametrize("answers", [[0, 1], [1, 0]])
async def test_one_handler_may_wait_for_several_at_once(answers: list[int]) -> None:
    async def both(run: Run) -> None:
        see(run, *[command.to for command in await asyncio.gather(*map(wait, [run, run], "01"))])

    async def wait(run: Run, to: str) -> Go:
        return await run.wait_for(Go, where=lambda command: command.to == to)

    async with under_way(both) as (run, _):
        for answer in answers:
            assert run.waiting.waits
            run.waiting.deliver(Go(to=str(answer)))
            await anyio.wait_all_tasks_blocked()
        assert not run.waiting.waits
    assert run.state["seen"] == ["0", "1"]


async def test_one_task_that_waits_twice_does_not_stand_for_another_that_works() -> None:
    done = anyio.Event()

    async def both(run: Run) -> None:
        await asyncio.gather(run.wait_for("go"), run.wait_for("other"))

    async def work(run: Run) -> None:
        await done.wait()

    async with under_way(both, work) as (run, told):
        assert told == []
        done.set()
        await anyio.wait_all_tasks_blocked()
        assert run.waiting.waits
        run.waiting.deliver(GO)
        run.waiting.deliver(OTHER)


async def test_a_wait_that_is_cancelled_leaves_nothing_behind() -> None:
    async def impatient(run: Run) -> None:
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            await run.wait_for("go")
        see(run, "gave up")
        await run.wait_for("other")

    scopes: list[anyio.CancelScope] = []
    async with under_way(impatient) as (run, told):
        scopes[0].cancel()
        await anyio.wait_all_tasks_blocked()
        assert told == [True, False, True]
        assert not run.waiting.deliver(GO)
        assert run.waiting.deliver(OTHER)
    assert run.state["seen"] == ["gave up"]


async def test_what_came_before_it_was_asked_for_needs_no_waiting() -> None:
    async def later(run: Run) -> None:
        listening = run.listen("go")
        ready.append(listening)
        await asked.wait()
        see(run, (await listening.receive()).type, *[command.type for command in listening.drain()])

    ready: list[Any] = []
    asked = anyio.Event()
    async with under_way(later) as (run, told):
        for _ in range(3):
            run.waiting.deliver(GO)
        asked.set()
    assert run.state["seen"] == ["go"] * 3
    assert told == []


async def test_who_iterates_gets_each_in_order() -> None:
    async def loop(run: Run) -> None:
        async for command in run.listen(Go, Stop):
            if isinstance(command, Stop):
                break
            see(run, command.to)

    async with under_way(loop) as (run, _):
        for to in "abc":
            run.waiting.deliver(Go(to=to))
        run.waiting.deliver(Stop())
    assert run.state["seen"] == ["a", "b", "c"]


async def test_two_tasks_may_receive_from_one_listening() -> None:
    async def share(run: Run) -> None:
        listening = run.listen(Go)
        see(run, *sorted(command.to for command in await asyncio.gather(listening.receive(), listening.receive())))

    async with under_way(share) as (run, _):
        for to in "ab":
            run.waiting.deliver(Go(to=to))
            await anyio.wait_all_tasks_blocked()
    assert run.state["seen"] == ["a", "b"]


async def test_who_closed_gets_nothing_more() -> None:
    async def once(run: Run) -> None:
        listening = run.listen("go")
        await listening.receive()
        listening.close()
        await done.wait()

    done = anyio.Event()
    async with under_way(once) as (run, _):
        run.waiting.deliver(GO)
        await anyio.wait_all_tasks_blocked()
        assert not run.waiting.deliver(GO)
        done.set()


async def test_waiting_needs_a_run_that_is_under_way() -> None:
    run = Run(id="run", thread_id="t", document=Document({}))

    with pytest.raises(RuntimeError, match="an active run"):
        await run.wait_for("go")


# What could never come


class Steer(Command, frozen=True, kw_only=True):
    """Base of commands that are never sent themselves."""


class Left(Steer, frozen=True, kw_only=True):
    """To the left."""


def of(agent: Agent) -> Run:
    """Return a run of an agent."""
    return Run(id="run", thread_id="t", document=Document({}), known=agent.commands)


@pytest.mark.parametrize(
    ("kind", "name"), [("went", '"went"'), (Stop, "Stop"), (Steer, "Steer"), (UntypedCommand, "UntypedCommand")]
)
async def test_what_the_agent_does_not_understand_is_not_waited_for(kind: Any, name: str) -> None:
    run = of(Agent(commands=[Go]))
    known = r'out of "add-message", "add-tool-result", "answer", "go", '
    async with anyio.create_task_group() as run.tasks:
        with pytest.raises(ValueError, match=rf"{known}got {name}; declare it: Agent\(commands=\[{name}\]\)"):
            await run.wait_for(Go, kind)
        with pytest.raises(ValueError, match=known):
            run.listen(kind)
    assert run.waiting.listeners == []


async def test_what_the_agent_understands_is_listened_for() -> None:
    agent = Agent(commands=[Go, "other", Left])

    @agent.on("stop")
    def stop(run: Run, command: UntypedCommand) -> None:
        """Stop."""

    run = of(agent)
    for kind in (Go, "go", "other", "stop", Left, Steer, AddMessage, AddToolResult, UntypedCommand, Command):
        run.listen(kind).close()  # type: ignore[arg-type]  # an untyped one is no Command
