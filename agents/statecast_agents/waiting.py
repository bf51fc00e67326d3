"""Waiting for commands within a run: the user's answer, a frontend tool's result, a word on the way.

A run that waits lets the client's response end, because a client sends nothing more before it does. The next command
that the run wants is handed to it here, by the engine, in place of starting another run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import anyio

from .commands import AnyCommand, Command

__all__ = ["Listening", "Waiting"]

Wanted = Callable[[AnyCommand], bool]


def wanting(kinds: tuple[type[Command] | str, ...], predicate: Callable[[Any], bool] | None) -> Wanted:
    """Return what tells whether a command is of one of `kinds`, and fits."""
    types = tuple(kind for kind in kinds if isinstance(kind, type))
    names: Final = frozenset(kind for kind in kinds if isinstance(kind, str))

    def wanted(command: AnyCommand) -> bool:
        return (isinstance(command, types) or command.type in names) and (predicate is None or predicate(command))

    return wanted


class Listening:
    """Commands of some kinds, received while the run goes on: `async for command in listening`, or `taken()`."""

    def __init__(self, wanted: Wanted, waiting: Waiting) -> None:
        self._wanted = wanted
        self._waiting = waiting
        self._commands: deque[AnyCommand] = deque()
        self._event = anyio.Event()

    def taken(self) -> list[Any]:
        """Return what has come since the last call, without waiting."""
        commands = list(self._commands)
        self._commands.clear()
        return commands

    async def receive(self) -> Any:
        """Return the next one; the run counts as waiting until it comes."""
        while not self._commands:
            self._event = anyio.Event()
            with self._waiting.idle():
                await self._event.wait()
        return self._commands.popleft()

    def __aiter__(self) -> Listening:
        return self

    async def __anext__(self) -> Any:
        return await self.receive()

    def close(self) -> None:
        """Listen no longer."""
        self._waiting.listeners.remove(self)

    def offer(self, command: AnyCommand) -> bool:
        """Take a command if it is wanted."""
        if not self._wanted(command):
            return False
        self._commands.append(command)
        self._event.set()
        return True


class Waiting:
    """What a run listens for, and whether anything can still happen in it without a client.

    Args:
        changed: Called with whether the run waits, when that changes.
    """

    __slots__ = (
        "_busy",
        "_changed",
        "_waits",
        "listeners",
    )

    def __init__(self, changed: Callable[[bool], None]) -> None:
        self.listeners: list[Listening] = []
        self._changed = changed
        self._busy = 0
        self._waits = False

    def listen(self, wanted: Wanted) -> Listening:
        """Begin to listen."""
        listening = Listening(wanted, self)
        self.listeners.append(listening)
        return listening

    def wants(self, command: AnyCommand) -> bool:
        """Whether some listener would take a command."""
        return any(listening._wanted(command) for listening in self.listeners)

    def deliver(self, command: AnyCommand) -> bool:
        """Hand a command to the first listener that takes it; it is busy from here on."""
        for listening in self.listeners:
            if listening.offer(command):
                self._tell(waits=False)
                return True
        return False

    def busy(self) -> _Busy:
        """Mark the time in which something may happen: `with waiting.busy(): …`."""
        return _Busy(self, 1)

    def idle(self) -> _Busy:
        """Mark the time in which nothing happens, within a busy one."""
        return _Busy(self, -1)

    def change(self, by: int) -> None:
        """Count what is busy."""
        self._busy += by
        self._tell(waits=self._busy == 0 and bool(self.listeners))

    def _tell(self, *, waits: bool) -> None:
        if waits != self._waits:
            self._waits = waits
            self._changed(waits)


class _Busy:
    def __init__(self, waiting: Waiting, by: int) -> None:
        self._waiting = waiting
        self._by = by

    def __enter__(self) -> None:
        self._waiting.change(self._by)

    def __exit__(self, *exc: object) -> None:
        self._waiting.change(-self._by)
