"""The two commands: what they ask of a server, and their exit statuses."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import sys
from collections.abc import Coroutine, Sequence
from typing import Any, Final

import msgspec

from statecast.client import Change, Client, ClientError, ConnectionLost, Refused, Snapshot, Thread
from statecast_agents import Json, StatecastError

from .answer import AnswerPrinter, open_lines
from .output import OUT, STATUS_STYLES, report, write
from .screen import Screen
from .state_rows import StateRows

__all__ = ["run", "send", "watch"]

OK: Final = 0
FAILED: Final = 1
REFUSED: Final = 2  #: or there is no server
WAITING: Final = 3
INTERRUPTED: Final = 130  #: by Ctrl-C, as shells count it

PATIENCE: Final = 60.0  #: seconds without the server until `send` gives up


def run(command: Coroutine[Any, Any, int]) -> int:
    """Run a command, and return its exit status. What goes wrong is one line."""
    try:
        return asyncio.run(command)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    except BrokenPipeError:  # who read the output has seen enough; what is left must not fail when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except ConnectionLost as lost:
        report(f"statecast: {lost}; to start a server: statecast serve my_agent.py, or statecast demo")
    except (StatecastError, ImportError, ValueError) as error:
        report(f"statecast: {error}")
    return REFUSED


async def send(url: str, thread_id: str | None, agent: str | None, commands: Sequence[str | dict[str, Json]]) -> int:
    """Send commands, show the answer as it grows, and then how the run ended.

    Raises:
        ClientError: There is no server, or it refused.
    """
    async with Client(url, patience=0) as once:
        thread = once.thread(thread_id)
        before = await _look(thread)
    async with Client(url, patience=PATIENCE, on_trouble=_report_trouble) as client:
        thread = client.thread(thread.id, agent=agent)
        answer = AnswerPrinter(None if before is None else before.state)
        last: Change | None = None
        try:
            async for change in thread.follow(until=await thread.send(*commands)):
                answer.show(change)
                last = change
        finally:
            answer.end()
    assert last is not None, "a stream ends behind a change"
    assert last.run is not None, "what was followed is a run"
    for line in open_lines(last):
        report(line)
    if last.run.error is not None:
        report(f"statecast: {last.run.error.message}")
    status = last.run.status
    report(f"{status}, thread {thread.id}", style=STATUS_STYLES.get(status, ""))
    return {"completed": OK, "waiting": WAITING}.get(status, FAILED)


async def watch(url: str, thread_id: str, *, once: bool = False, lines: bool = False) -> int:
    """Show a thread's state as it changes: in place on a terminal, else as a line of JSON for each change.

    Args:
        url: The server.
        thread_id: The thread; one that is still to be made is waited for, except where it is to be shown only once.
        once: Whether to show it only once.
        lines: Whether lines are wanted on a terminal, too.

    Raises:
        ClientError: There is no server, or it refused.
    """
    # A pipe gets lines, whatever the environment says of colors: rich takes it for a terminal where that forces them.
    terminal = sys.stdout.isatty() and OUT.is_interactive and not lines
    async with Client(url, patience=0) as first:
        now = await (first.thread(thread_id).state() if once else _look(first.thread(thread_id)))
    if once:
        assert now is not None, "or it was refused"
        if terminal:
            OUT.print(StateRows(now.state, (), OUT).text(), soft_wrap=True)
        else:
            write(_line(thread_id, now))
    elif terminal:
        await Screen(url, thread_id).show()
    else:
        _end_with_the_reader()
        async with Client(url, on_trouble=_report_trouble) as client:
            async for change in client.thread(thread_id).follow(wait=True):
                write(_line(thread_id, change))
    return OK


def _end_with_the_reader() -> None:
    """End this task when nobody reads a pipe any more, rather than at the next change."""
    task = asyncio.current_task()
    assert task is not None, "called in a coroutine"
    if stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode):
        with contextlib.suppress(NotImplementedError):  # not everywhere
            asyncio.get_running_loop().add_reader(sys.stdout.fileno(), task.cancel)


async def _look(thread: Thread) -> Snapshot | None:
    """Return a thread as it is; None for one that is still to be made."""
    try:
        return await thread.state()
    except Refused as refused:
        if refused.code == "unknown_thread":
            return None
        raise


def _line(thread_id: str, known: Snapshot) -> str:
    """Return what is known of a thread as a line of JSON."""
    fields = {"threadId": thread_id, **{name: getattr(known, name) for name in known.__struct_fields__}}
    return msgspec.json.encode(fields).decode() + "\n"


def _report_trouble(trouble: ClientError | None) -> None:
    waits = isinstance(trouble, Refused) and trouble.code == "unknown_thread"
    said = "connected" if trouble is None else "waiting for the thread" if waits else f"{trouble}; trying again"
    report(f"statecast: {said}")
