"""Waiting for commands within a run: the user's answer, a frontend tool's result, a word on the way.

A run that waits lets the client's response end, because a client sends nothing more before it does. The next command
that the run wants is handed to it here, by the engine, in place of starting another run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, Final

import anyio

from .commands import AnyCommand, Command, CommandSet

__all__ = ["Listening", "Waiting"]

Kinds = Sequence[type[Command] | str]
Wanted = Callable[[AnyCommand], bool]


def _wanting(kinds: Kinds, predicate: Callable[[Any], bool] | None) -> Wanted:
    """Return what tells whether a command is of one of `kinds`, and fits."""
    types = tuple(kind for kind in kinds if isinstance(kind, type))
    names: Final = frozenset(kind for kind in kinds if isinstance(kind, str))

    def wanted(command: AnyCommand) -> bool:
        return (isinstance(command, types) or command.type in names) and (predicate is None or predicate(command))

    return wanted


class Listening:
    """Commands of some kinds, received while the run goes on: `async for command in listening`, or `taken()`."""

    def __init__(self, wanted: Wanted, waiting: Waiting, *, once: bool = False) -> None:
        self.once = once  #: whether it is for one command only, so that the next is for someone else
        self._wanted = wanted
        self._waiting = waiting
        self._commands: deque[AnyCommand] = deque()
        self._receivers: deque[tuple[anyio.Event, Activity | None]] = deque()

    def taken(self) -> list[Any]:
        """Return what has come since the last call, without waiting."""
        return [self._take() for _ in range(len(self._commands))]

    async def receive(self) -> Any:
        """Return the next one; the run counts as waiting until it comes, unless it works elsewhere."""
        while not self._commands:
            receiver = anyio.Event(), self._waiting.current()
            self._receivers.append(receiver)
            self._waiting.rest(receiver[1])
            try:
                await receiver[0].wait()
            finally:
                if receiver in self._receivers:
                    self._receivers.remove(receiver)
                    self._waiting.resume(receiver[1])
        return self._take()

    def _take(self) -> AnyCommand:
        command = self._commands.popleft()
        self._waiting.taken(command)
        return command

    def __aiter__(self) -> Listening:
        return self

    async def __anext__(self) -> Any:
        return await self.receive()

    def close(self) -> None:
        """Listen no longer. Closing it again does nothing."""
        if self in self._waiting.listeners:
            self._waiting.listeners.remove(self)
            if self._commands:
                self._waiting.closed.append(self)

    def clear(self) -> None:
        """Forget what has come: it is for somebody else."""
        self._commands.clear()

    def wants(self, command: AnyCommand) -> bool:
        """Whether it would take a command."""
        return not (self.once and self._commands) and self._wanted(command)

    def offer(self, command: AnyCommand) -> bool:
        """Take a command if it is wanted; who receives it is at work from here on."""
        if not self.wants(command):
            return False
        self._commands.append(command)
        if self._receivers:
            event, activity = self._receivers.popleft()
            event.set()
            self._waiting.resume(activity)
        return True

    @property
    def received(self) -> bool:
        """Whether someone waits for the next one."""
        return bool(self._receivers)


class Waiting:
    """What a run listens for, and whether anything can still happen in it without a client.

    Args:
        changed: Called with whether the run waits, when that changes.
        known: The commands that can come; None: any.
        taken: Called with each command that the agent has taken, from any thread.
    """

    __slots__ = (
        "_busy",
        "_changed",
        "_known",
        "closed",
        "listeners",
        "taken",
        "waits",
    )

    def __init__(
        self,
        changed: Callable[[bool], None],
        known: CommandSet | None = None,
        taken: Callable[[AnyCommand], None] = lambda command: None,
    ) -> None:
        self.listeners: list[Listening] = []
        self.closed: list[Listening] = []  #: those that were closed before all that had come was taken
        self.taken = taken
        self._changed = changed
        self._known = known
        self._busy = 0
        self.waits = False  #: whether nothing can happen without a client

    @property
    def asks(self) -> bool:
        """Whether a part of the run waits for a client, be it beside parts that work."""
        return self.waits or any(listening.once and listening.received for listening in self.listeners)

    def listen(self, kinds: Kinds, where: Callable[[Any], bool] | None = None, *, once: bool = False) -> Listening:
        """Begin to listen.

        Raises:
            ValueError: A command of one of these kinds would be refused, so that it could never come.
        """
        for kind in kinds:
            if self._known is not None and not self._known.knows(kind):
                name = f'"{kind}"' if isinstance(kind, str) else kind.__name__
                known = ", ".join(f'"{known}"' for known in self._known.names)
                message = f"expected a command that the agent understands, out of {known}, got {name}"
                raise ValueError(f"{message}; declare it: Agent(commands=[{name}])")
        listening = Listening(_wanting(kinds, where), self, once=once)
        self.listeners.append(listening)
        return listening

    def wanted(self, commands: Sequence[AnyCommand]) -> list[AnyCommand]:
        """Return which commands of a batch listeners would take; of several, one that waits for one takes the first."""
        listeners = list(self.listeners)
        found = []
        for command in commands:
            taker = next((listening for listening in listeners if listening.wants(command)), None)
            if taker is not None:
                found.append(command)
                if taker.once:
                    listeners.remove(taker)
        return found

    def deliver(self, command: AnyCommand) -> bool:
        """Hand a command to the first listener that takes it."""
        return any(listening.offer(command) for listening in self.listeners)

    def end(self) -> None:
        """Hand nothing more out: what was not taken is for somebody else."""
        for listening in (*self.listeners, *self.closed):
            listening.clear()

    def busy(self) -> Activity:
        """Mark a part of the run that may do something: `with waiting.busy(): …`."""
        return Activity(self)

    def current(self) -> Activity | None:
        """Return the part of the run that this is called in, be it from a task that the agent has made itself."""
        activity = _current.get()
        return activity if activity is not None and activity.waiting is self else None

    def rest(self, activity: Activity | None) -> None:
        """Note that a part of the run waits for a command; it may do so several times at once."""
        if activity is not None:
            activity.receivers += 1
        self._count(-1 if activity is not None and activity.receivers == 1 else 0)

    def resume(self, activity: Activity | None) -> None:
        """Note that it does so once less."""
        if activity is not None:
            activity.receivers -= 1
        self._count(1 if activity is not None and activity.receivers == 0 and activity.lasts else 0)

    def _count(self, by: int) -> None:
        self._busy += by
        waits = self._busy == 0 and any(listening.received for listening in self.listeners)
        if waits != self.waits:
            self.waits = waits
            self._changed(waits)


class Activity:
    """A part of a run that works, or waits: its handlers, or one of the tasks beside them."""

    __slots__ = ("_token", "lasts", "receivers", "waiting")

    def __init__(self, waiting: Waiting) -> None:
        self.waiting = waiting
        self.receivers = 0  #: how often it waits for a command
        self.lasts = False

    def begin(self) -> Activity:
        """Count it from now on, though it is entered a turn later."""
        if not self.lasts:
            self.lasts = True
            self.waiting._count(1)
        return self

    def __enter__(self) -> None:
        self.begin()
        self._token = _current.set(self)

    def __exit__(self, *exc: object) -> None:
        self.lasts = False
        _current.reset(self._token)
        self.waiting._count(0 if self.receivers else -1)


_current: Final[ContextVar[Activity | None]] = ContextVar("statecast_activity", default=None)
