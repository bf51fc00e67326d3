"""What an agent may do that it should not: each deed is an agent's code at its worst, by the name of what it does."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

import anyio

from statecast import AgentError, Run

Deed = Callable[[Run], Coroutine[Any, Any, None]]
SyncDeed = Callable[[Run], None]

LATE: Final = (0.0, 0.02, 0.3, 1.5)  #: seconds after its run at which something that was left behind writes
WRITES: Final = 20  #: how often it does
STUBBORN: Final = 0.8  #: seconds for which a run ignores that it was cancelled
BLOCKED: Final = 1.0  #: seconds for which a thread of the server is held

_left: Final[set[asyncio.Task[None]]] = set()  #: tasks that outlive their run; the loop alone would forget them


class Unprintable(Exception):
    """An error that cannot even be shown."""

    def __str__(self) -> str:
        raise RuntimeError("an error without a text")

    __repr__ = __str__


# What is raised


async def exits(run: Run) -> None:
    raise SystemExit(3)


async def interrupts(run: Run) -> None:
    raise KeyboardInterrupt


async def closes(run: Run) -> None:
    raise GeneratorExit


async def leaks_a_cancellation(run: Run) -> None:
    raise asyncio.CancelledError


async def raises_a_group(run: Run) -> None:
    raise BaseExceptionGroup("several", [SystemExit(1), ValueError("one"), KeyboardInterrupt()])


async def raises_what_has_no_text(run: Run) -> None:
    raise Unprintable


async def raises_half_a_character(run: Run) -> None:
    raise AgentError("half a character: \ud800", code="half\udfff")


async def exits_in_a_task(run: Run) -> None:
    async def leave() -> None:
        await asyncio.sleep(0)
        raise SystemExit(4)

    await asyncio.gather(asyncio.create_task(leave()))


async def exits_in_its_group(run: Run) -> None:
    async def leave() -> None:
        raise SystemExit(5)

    async with anyio.create_task_group() as group:
        group.start_soon(leave)
        await anyio.sleep(BLOCKED)


async def exits_in_cleanup(run: Run) -> None:
    try:
        await anyio.sleep(BLOCKED)
    finally:
        raise SystemExit(6)


# What is left behind


def _write(run: Run, nodes: list[Any], number: int) -> None:
    """Write by all ways that there are; each may refuse."""
    for write in (
        lambda: run.state.update(late=number),
        lambda: nodes[0].append(number),
        lambda: run.append_text(["text"], "late "),
        lambda: run.parts.append_text("late "),
        lambda: run.messages.assistant().append_text("late"),
        lambda: setattr(run, "state", {"wiped": number}),
        lambda: run.flush(),
    ):
        with contextlib.suppress(Exception):
            write()


async def leaves_a_task(run: Run) -> None:
    nodes = [run.state["list"]]

    async def later() -> None:
        for number in range(WRITES):
            await asyncio.sleep(random.choice(LATE) / 10)
            _write(run, nodes, number)

    task = asyncio.create_task(later())
    _left.add(task)
    task.add_done_callback(_left.discard)


async def leaves_a_thread(run: Run) -> None:
    nodes = [run.state["list"]]

    def later() -> None:
        for number in range(WRITES):
            time.sleep(random.choice(LATE) / 10)
            _write(run, nodes, number)

    threading.Thread(target=later, daemon=True).start()


async def leaves_a_callback(run: Run) -> None:
    nodes = [run.state["list"]]
    for seconds in LATE:
        asyncio.get_running_loop().call_later(seconds, _write, run, nodes, 0)


async def writes_from_a_thread(run: Run) -> None:
    def work() -> None:
        for number in range(WRITES):
            run.state["list"].append(number)
            time.sleep(0.02)

    await asyncio.to_thread(work)


# What does not end


async def waits_for_ever(run: Run) -> None:
    await asyncio.Event().wait()


async def asks(run: Run) -> None:
    await run.wait_for("reply")


async def ignores_that_it_was_cancelled(run: Run) -> None:
    until = time.monotonic() + STUBBORN + BLOCKED
    while time.monotonic() < until:
        try:
            await asyncio.sleep(STUBBORN)
        except asyncio.CancelledError:
            until = min(until, time.monotonic() + STUBBORN)


async def cleans_up_with_awaits(run: Run) -> None:
    try:
        await asyncio.sleep(BLOCKED)
    finally:
        await asyncio.sleep(0.1)
        run.state["cleaned"] = True


async def holds_the_loop(run: Run) -> None:
    time.sleep(0.1)  # noqa: ASYNC251  # that is the deed


# What is too much


async def grows(run: Run) -> None:
    for _ in range(40):
        run.append_text(["text"], "x" * 100_000)
        await asyncio.sleep(0)


async def assigns_what_is_no_json(run: Run) -> None:
    for value in (float("nan"), b"bytes", {1: 2}, "\ud800", object(), {"__proto__": 1}):
        with contextlib.suppress(Exception):
            run.state["bad"] = value
    run.state["bad"] = float("inf")


async def changes_a_lot(run: Run) -> None:
    for number in range(2_000):
        run.state["list"].append({"number": number, "text": "y" * 50})
        if number % 100 == 0:
            await asyncio.sleep(0)
    run.state["list"] = run.state["list"][-10:]


async def answers(run: Run) -> None:
    message = run.messages.assistant()
    for word in ("so ", "it ", "goes "):
        message.append_text(word)
        await asyncio.sleep(0.01)


def blocks(run: Run) -> None:
    time.sleep(BLOCKED)
    run.state["list"].append("blocked")


def exits_synchronously(run: Run) -> None:
    raise SystemExit(7)


def interrupts_synchronously(run: Run) -> None:
    raise KeyboardInterrupt


DEEDS: Final[dict[str, Deed]] = {
    deed.__name__: deed
    for deed in (
        exits,
        interrupts,
        closes,
        leaks_a_cancellation,
        raises_a_group,
        raises_what_has_no_text,
        raises_half_a_character,
        exits_in_a_task,
        exits_in_its_group,
        exits_in_cleanup,
        leaves_a_task,
        leaves_a_thread,
        leaves_a_callback,
        writes_from_a_thread,
        waits_for_ever,
        asks,
        ignores_that_it_was_cancelled,
        cleans_up_with_awaits,
        holds_the_loop,
        grows,
        assigns_what_is_no_json,
        changes_a_lot,
        answers,
    )
}

SYNC_DEEDS: Final[dict[str, SyncDeed]] = {
    deed.__name__: deed for deed in (blocks, exits_synchronously, interrupts_synchronously)
}
