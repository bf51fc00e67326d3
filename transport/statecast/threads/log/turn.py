"""The end of a turn of the event loop: one callback flushes what has changed, writes entries, and lets readers read.

Rule: nobody reads while a state is being flushed or an entry is being written. Whoever does that may hold a lock, or be
an agent's own code; it only says that there is something to read, which costs no more than a flag.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Final, Protocol

__all__ = ["Turn"]

#: Readers that read in one turn of the event loop, and as many of logs that have more. The rest follow in the next
#: turns, so that a run which thousands follow holds up neither the runs of other threads nor their readers: 64 sends
#: take about a millisecond.
SLICE: Final = 64


class _State(Protocol):
    def flush(self) -> None: ...


class _Log(Protocol):
    unread: bool

    def step(self, most: int) -> int: ...


class Turn:
    """What is due at the end of a turn, for all threads whose entries go to one store.

    Args:
        write_entries: Called once in each turn, after the flushes. Raises nothing.
    """

    __slots__ = ("_context", "_crowded", "_due", "_logs", "_states", "_write_entries")

    def __init__(self, write_entries: Callable[[], None]) -> None:
        self._write_entries = write_entries
        self._states: list[_State] = []
        self._logs: deque[_Log] = deque()
        self._crowded: deque[_Log] = deque()  #: those of which a slice of readers has read, and more are still to
        self._due = False
        self._context = Context()  #: nobody's: the callback serves threads of different requests

    def end_soon(self) -> None:
        """Schedule the callback, unless it is scheduled."""
        if not self._due:
            asyncio.get_running_loop().call_soon(self._end, context=self._context)
            self._due = True

    def flush_soon(self, state: _State) -> None:
        """Flush a state, which has changed, at the end of the turn. Call it on the event loop's thread."""
        if not self._due:
            self.end_soon()
        self._states.append(state)

    def read_soon(self, log: _Log) -> None:
        """Let the readers of a log read at the end of the turn. Call it once until the log steps."""
        if not self._due:
            self.end_soon()
        self._logs.append(log)

    def _end(self) -> None:
        try:
            self._flush()
            self._write_entries()
        finally:
            self._due = False  # what reading adds, as a snapshot that flushes does, is due in the next turn
        self._read()
        if (self._states or self._logs or self._crowded) and not self._due:
            self.end_soon()

    def _flush(self) -> None:
        states, self._states = self._states, []
        for state in states:
            try:
                state.flush()
            except Exception as error:  # the others are other threads
                context = {"message": "a state could not be flushed", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)

    def _read(self) -> None:
        """Step the logs that have more readers than a slice, by turns, then those where something is new."""
        for logs in (self._crowded, self._logs):
            left = SLICE
            while logs and left > 0:
                log = logs.popleft()
                left -= log.step(left)
                if log.unread:
                    self._crowded.append(log)
