"""Handlers of every kind: which are awaited, which need a thread, and which are refused where they are registered."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import pytest

from statecast_agents import Agent, Document, Run, UntypedCommand

GO = UntypedCommand("go", {})


def plain(run: Run, command: Any = None) -> None:
    run.state["did"].append("plain")


async def coroutine(run: Run, command: Any = None) -> None:
    run.state["did"].append("coroutine")


def generator(run: Run, command: Any = None) -> Iterator[int]:
    yield 1


async def async_generator(run: Run, command: Any = None) -> AsyncIterator[int]:
    yield 1


class Callables:
    """Objects and methods."""

    def plain(self, run: Run, command: Any = None) -> None:
        plain(run)

    async def coroutine(self, run: Run, command: Any = None) -> None:
        await coroutine(run)

    def generator(self, run: Run, command: Any = None) -> Iterator[int]:
        yield 1

    async def async_generator(self, run: Run, command: Any = None) -> AsyncIterator[int]:
        yield 1


def kinds(name: str) -> dict[str, Callable[..., Any]]:
    """Return a function in everything that it may be hidden in."""
    function: Callable[..., Any] = globals()[name]
    caller: Callable[..., Any] = type("Caller", (), {"__call__": getattr(Callables, name)})()
    return {
        "function": function,
        "method": getattr(Callables(), name),
        "object": caller,
        "partial": functools.partial(function),
        "partial of a partial": functools.partial(functools.partial(function)),
        "partial of a method": functools.partial(getattr(Callables(), name)),
        "partial of an object": functools.partial(caller),
    }


HIDDEN = list(kinds("plain"))


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("name", ["generator", "async_generator"])
@pytest.mark.parametrize("batch", [False, True])
def test_a_handler_with_a_yield_is_refused(name: str, hidden: str, batch: bool) -> None:
    agent = Agent()
    register = agent.batch if batch else agent.on("go")
    with pytest.raises(TypeError, match=r"expected a handler that returns, got .*`yield`.* `run.messages`"):
        register(kinds(name)[hidden])
    register(plain)  # nothing is left of it


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("name", ["plain", "coroutine"])
@pytest.mark.parametrize("batch", [False, True])
def test_every_other_kind_is_called_and_only_plain_ones_need_a_thread(name: str, hidden: str, batch: bool) -> None:
    agent, run = Agent(), Run(id="r", thread_id="t", document=Document({"did": []}), commands=[GO])
    (agent.batch if batch else agent.on("go"))(kinds(name)[hidden])

    anyio.run(agent.perform, run)

    assert run.state["did"] == [name]
    assert agent.needs_thread([GO]) is (name == "plain")


def test_a_handler_that_gives_a_generator_all_the_same_fails_its_run() -> None:
    agent, run = Agent(), Run(id="r", thread_id="t", document=Document({}), commands=[GO])
    agent.on("go")(lambda run, command: generator(run))

    with pytest.raises(TypeError, match="expected a handler that returns"):
        anyio.run(agent.perform, run)


def test_commands_without_a_handler_need_no_thread() -> None:
    agent = Agent(commands=["other"])
    agent.on("go")(plain)

    assert not agent.needs_thread([UntypedCommand("other", {})])
    assert agent.needs_thread([UntypedCommand("other", {}), GO])


def test_the_first_handler_decides_whether_a_run_needs_a_thread_at_once() -> None:
    agent = Agent()
    agent.on("go")(coroutine)
    agent.on("block")(plain)

    assert not agent.needs_thread([GO, UntypedCommand("block", {})])


def test_a_listening_may_be_closed_twice() -> None:
    run = Run(id="r", thread_id="t", document=Document({}))
    first, second = run.listen("go"), run.listen("go")
    first.close()
    first.close()

    assert run.waiting.listeners == [second]
