"""An event loop in which time is a number, and chance is a seed.

Nothing is waited for: when nobody has anything to do, the clock jumps to the next timer. Each callback belongs to a
process, which whatever it schedules inherits. A process does what it has to do in order, as a real event loop does;
which process is next is drawn from the seed. A process may be paused, which holds its callbacks back, and a killed one
is paused until the end of the story.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from random import Random
from typing import Any, Final, TypeVarTuple

__all__ = ["Process", "SimulatedLoop", "Stuck"]

#: Turns of all processes in one story. More of them go in a circle.
MOST_TURNS: Final = 30_000

_Args = TypeVarTuple("_Args")


class Stuck(Exception):
    """Nothing is left that could happen, or things happen without an end."""


class Process:
    """What a callback belongs to.

    Args:
        name: For whoever reads a trace.
        loop: Its event loop.
        rate: How fast its own clock goes.
    """

    def __init__(self, name: str, loop: SimulatedLoop, *, rate: float = 1.0) -> None:
        self.name = name
        self.paused = False
        self.dead = False  #: whether it was killed
        self.ready: deque[asyncio.Handle] = deque()
        self._loop = loop
        self._rate = rate

    def clock(self) -> float:
        """Return the time of its own clock, which begins anywhere."""
        return 1_000.0 + self._loop.time() * self._rate

    def pause(self) -> None:
        """Hold back what it has to do."""
        self.paused = True

    def resume(self) -> None:
        """Let it do what it has to do, if it lives."""
        self.paused = self.dead

    def kill(self) -> None:
        """Pause it for good."""
        self.dead = self.paused = True


class _Timer:
    __slots__ = ("handle", "process")

    def __init__(self, handle: asyncio.TimerHandle, process: Process) -> None:
        self.handle = handle
        self.process = process


class SimulatedLoop(asyncio.BaseEventLoop):
    """An event loop for one story.

    Args:
        random: Decides which process is next.
    """

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.world = Process("world", self)  #: whatever belongs to no other process
        self.failures: list[str] = []  #: what nobody has caught
        self.turns = 0
        self._random = random
        self._now = 0.0
        self._current = self.world
        self._due: list[Process] = []  #: those with something to do, paused ones included
        self._timers: list[tuple[float, int, _Timer]] = []
        self._made = 0
        self.set_exception_handler(_note)

    def time(self) -> float:
        """Return how many seconds of the story have passed."""
        return self._now

    @contextmanager
    def inside(self, process: Process) -> Iterator[None]:
        """Let what is scheduled meanwhile belong to a process."""
        before, self._current = self._current, process
        try:
            yield
        finally:
            self._current = before

    def start(self, process: Process, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Start a task in a process."""
        with self.inside(process):
            return self.create_task(work, name=name, context=Context())

    def call_in(self, process: Process, delay: float, callback: Callable[[*_Args], object], *args: *_Args) -> None:
        """Call something in a process, as what comes over a network."""
        with self.inside(process):
            self.call_at(self._now + delay, callback, *args)

    def call_soon(
        self, callback: Callable[[*_Args], object], *args: *_Args, context: Context | None = None
    ) -> asyncio.Handle:
        """Call something after what its process has to do already."""
        handle = asyncio.Handle(callback, args, self, context)
        self._add(self._current, handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_at(
        self, when: float, callback: Callable[[*_Args], object], *args: *_Args, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call something at a time, or later if its process is paused."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._made += 1
        heapq.heappush(self._timers, (when, self._made, _Timer(handle, self._current)))
        return handle

    def _add(self, process: Process, handle: asyncio.Handle) -> None:
        if not process.ready:
            self._due.append(process)
        process.ready.append(handle)

    def _run_once(self) -> None:
        """Let one process have a turn: all that it has to do now."""
        self.turns += 1
        if self.turns > MOST_TURNS:
            raise Stuck(f"it goes on and on: {self.turns} turns in {self._now:.3f} seconds")
        due = [process for process in self._due if not process.paused]
        while not due:
            self._jump()
            due = [process for process in self._due if not process.paused]
        process = due[0] if len(due) == 1 else due[int(self._random.random() * len(due))]
        self._current = process
        ready = process.ready
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()
        if not ready:
            self._due.remove(process)
        self._current = self.world

    def _jump(self) -> None:
        """Go to the next timer, and have ready what is due then."""
        timers = self._timers
        while timers and timers[0][2].handle.cancelled():
            heapq.heappop(timers)
        if not timers:
            raise Stuck(f"nothing is left to happen after {self._now:.3f} seconds")
        self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            timer = heapq.heappop(timers)[2]
            if not timer.handle.cancelled():
                self._add(timer.process, timer.handle)


def _note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    assert isinstance(loop, SimulatedLoop)
    loop.failures.append(f"{context.get('message')}: {context.get('exception')!r}")
