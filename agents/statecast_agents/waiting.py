"""Wait for commands within a run: a user's answer, a frontend tool's result, a message mid-run.

The client's response ends while the run waits, because a client sends nothing more before that. The engine then
delivers the next command for which the run listens, rather than starting another run.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import anyio

from .activity import Activities, Activity
from .commands import AnyCommand, Command, CommandSet

__all__ = ["Listener", "Waiting"]

Kinds = Sequence[type[Command] | str]
Wanted = Callable[[AnyCommand], bool]


def _wanting(kinds: Kinds, predicate: Callable[[Any], bool] | None) -> Wanted:
    """Return a function that tells whether a command is of one of `kinds` and satisfies the predicate."""
    types = tuple(kind for kind in kinds if isinstance(kind, type))
    names: Final = frozenset(kind for kind in kinds if isinstance(kind, str))

    def wanted(command: AnyCommand) -> bool:
        return (isinstance(command, types) or command.type in names) and (predicate is None or predicate(command))

    return wanted


class Listener:
    """Receive commands of some kinds during the run: `async for command in listener`, or `drain()`."""

    def __init__(self, wanted: Wanted, waiting: Waiting, *, once: bool = False) -> None:
        self.once = once  #: whether it takes one command only, and leaves the next to other listeners
        self._wanted = wanted
        self._waiting = waiting
        self._commands: deque[AnyCommand] = deque()
        self._receivers: deque[tuple[anyio.Event, Activity | None]] = deque()

    def drain(self) -> list[Any]:
        """Return the commands that have arrived since the last call, without waiting."""
        return [self._take() for _ in range(len(self._commands))]

    async def receive(self) -> Any:
        """Return the next command. Meanwhile the run counts as waiting, unless another of its activities works."""
        while not self._commands:
            receiver = anyio.Event(), self._waiting.activities.current()
            self._receivers.append(receiver)
            self._waiting.activities.update(receiver[1], receivers=1)
            try:
                await receiver[0].wait()
            finally:
                if receiver in self._receivers:
                    self._receivers.remove(receiver)
                    self._waiting.activities.update(receiver[1], receivers=-1)
        return self._take()

    def _take(self) -> AnyCommand:
        command = self._commands.popleft()
        self._waiting.taken(command)
        return command

    def __aiter__(self) -> Listener:
        return self

    async def __anext__(self) -> Any:
        return await self.receive()

    def close(self) -> None:
        """Stop listening. Closing it again does nothing."""
        if self in self._waiting.listeners:
            self._waiting.listeners.remove(self)
            if self._commands:
                self._waiting.closed.append(self)

    def clear(self) -> None:
        """Discard the commands that have arrived; the engine handles them otherwise."""
        self._commands.clear()

    def wants(self, command: AnyCommand) -> bool:
        """Return whether the listener would accept a command."""
        return not (self.once and self._commands) and self._wanted(command)

    def offer(self, command: AnyCommand) -> bool:
        """Accept a command if the listener wants it, and return whether it did. Its receiver then counts as working."""
        if not self.wants(command):
            return False
        self._commands.append(command)
        if self._receivers:
            event, activity = self._receivers.popleft()
            event.set()
            self._waiting.activities.update(activity, receivers=-1)
        return True

    @property
    def has_receiver(self) -> bool:
        """Whether an activity of the run waits for its next command."""
        return bool(self._receivers)


class Waiting:
    """The listeners of a run, and whether the run can go on without a client.

    Args:
        changed: Called with whether the run waits, when that changes, from any thread.
        known: The commands that can come; None: any.
        taken: Called with each command that the agent receives, from any thread.
    """

    __slots__ = (
        "_changed",
        "_known",
        "_lock",
        "activities",
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
        self.listeners: list[Listener] = []
        self.closed: list[Listener] = []  #: those that were closed with commands that had not been received
        self.taken = taken
        self._changed = changed
        self._known = known
        self._lock = threading.Lock()
        self.activities = Activities(self._settle)  #: what the run does at once
        self.waits = False  #: whether the run cannot go on without a client

    @property
    def asks(self) -> bool:
        """Whether an activity of the run waits for a client, even if others are at work."""
        return self.waits or any(listener.once and listener.has_receiver for listener in self.listeners)

    def listen(self, kinds: Kinds, where: Callable[[Any], bool] | None = None, *, once: bool = False) -> Listener:
        """Return a new listener.

        Raises:
            ValueError: The agent does not understand commands of one of these kinds, so none could arrive.
        """
        for kind in kinds:
            if self._known is not None and not self._known.knows(kind):
                name = f'"{kind}"' if isinstance(kind, str) else kind.__name__
                known = ", ".join(f'"{known}"' for known in self._known.names)
                message = f"expected a command that the agent understands, out of {known}, got {name}"
                raise ValueError(f"{message}; declare it: Agent(commands=[{name}])")
        listener = Listener(_wanting(kinds, where), self, once=once)
        self.listeners.append(listener)
        return listener

    def wanted(self, commands: Sequence[AnyCommand]) -> list[AnyCommand]:
        """Return the commands of a batch that listeners would take; a listener with `once` takes one."""
        listeners = list(self.listeners)
        found = []
        for command in commands:
            taker = next((listener for listener in listeners if listener.wants(command)), None)
            if taker is not None:
                found.append(command)
                if taker.once:
                    listeners.remove(taker)
        return found

    def deliver(self, command: AnyCommand) -> bool:
        """Deliver a command to the first listener that takes it, and return whether one did."""
        return any(listener.offer(command) for listener in self.listeners)

    def end(self) -> None:
        """Discard what listeners have not received, which the engine handles otherwise, and report nothing more."""
        self.activities.end()
        for listener in (*self.listeners, *self.closed):
            listener.clear()

    def _settle(self) -> None:
        """Find out whether the run waits, from whichever thread an activity changed in."""
        if not self.listeners and not self.waits:
            return
        with self._lock:
            waits = self.activities.busy == 0 and any(listener.has_receiver for listener in self.listeners)
            if waits == self.waits:
                return
            self.waits = waits
        self._changed(waits)
