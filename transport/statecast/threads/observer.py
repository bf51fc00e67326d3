"""Observers: what learns of what the engine does, for logs, metrics and traces.

Rule: an observer changes nothing of the engine. Its methods are called on the event loop, in the middle of the work, so
they wait for nothing. What one raises is logged, and concerns nobody else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import Context
from typing import Any, Final

import msgspec

from statecast.protocol import RunState
from statecast.stores import StoreUnavailable
from statecast_agents import Json
from statecast_agents.chunks import Usage

__all__ = ["Answered", "ObservedCall", "ObservedRun", "Observer", "Observers"]

_UNOBSERVED: Final = nullcontext()

_log: Final = logging.getLogger("statecast")


class ObservedCall(msgspec.Struct, frozen=True):
    """A tool call that a run made."""

    id: str
    name: str
    failed: bool | None  #: None: it has no result


class Answered(msgspec.Struct, frozen=True):
    """What a run has answered."""

    usage: Usage | None = None  #: tokens of its model calls, as far as the agent has told
    calls: Sequence[ObservedCall] = ()
    messages: Sequence[Json] = ()  #: those that it added or continued, to be read only
    steps: int = 0  #: model calls that the agent has told of
    cost: float | None = None  #: of them, if the agent has told


class ObservedRun(msgspec.Struct, kw_only=True, eq=False):
    """What observers know of a run. Times are the engine's monotonic clock's."""

    id: str
    thread_id: str
    agent: str
    state: RunState
    #: headers that name the trace which the run belongs to. They are stored with its batch: what an observer adds in
    #: `run_accepted` is here again in the process that runs it after a crash
    trace: dict[str, str]
    context: Context  #: of its request; the agent runs in it
    tries: int  #: which try it is, if an earlier process accepted it; else 0
    commands: Callable[[], bytes]  #: returns its commands as JSON
    accepted: float
    begun: float | None = None  #: None until its turn has come
    answered: float | None = None  #: when its agent had made its first entry
    ended: float | None = None
    failure: BaseException | None = None  #: what its agent raised
    entries: int = 0  #: of the log, from its first to its last; set when it has ended
    operations: int = 0  #: batches of operations that it appended; set when it has ended
    bytes: int = 0  #: of them, as JSON; likewise
    #: returns what it has answered; call it in `run_ended`, before the thread goes on
    answer: Callable[[], Answered] = lambda: Answered()

    @property
    def queued_seconds(self) -> float:
        """The seconds from its acceptance until it began; until it ended, if it never began."""
        until = self.ended if self.begun is None else self.begun
        return 0.0 if until is None else until - self.accepted

    @property
    def seconds(self) -> float:
        """The seconds that a run which has ended was under way."""
        return 0.0 if self.begun is None or self.ended is None else self.ended - self.begun


class Observer:
    """Learns of what the engine does. Override what is of interest; every method does nothing."""

    def run_accepted(self, run: ObservedRun) -> None:
        """Observe a run that was queued. It is not stored yet."""

    def run_begun(self, run: ObservedRun) -> None:
        """Observe a run whose turn has come."""

    def run_ended(self, run: ObservedRun) -> None:
        """Observe the end of a run, also of one that never began."""

    def run_left(self, run: ObservedRun) -> None:
        """Observe that a queued run does not begin here: the store refused it, or another process will run it."""

    def committed(self, changes: int, seconds: float, failure: str | None) -> None:
        """Observe a batch of changes that the store has written, or why it has not: `refused` or `unavailable`."""

    def thread_fenced(self) -> None:
        """Observe that another process has claimed a thread which this one wrote to."""

    def thread_taken_over(self) -> None:
        """Observe that this process has claimed an unfinished thread."""

    def called_elsewhere(self) -> None:
        """Observe a request that goes to the process which holds its thread."""

    def woke_late(self, seconds: float) -> None:
        """Observe by how much a timer of the event loop was late; about once a second."""


class Observers(Observer):
    """Several observers as one.

    Args:
        observers: The first of them.
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, *observers: Observer, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._observers: list[Observer] = []
        self.times_commits = False  #: whether the duration of commits is of interest
        for observer in observers:
            self.add(observer)

    def add(self, observer: Observer) -> None:
        """Add an observer."""
        self._observers.append(observer)
        self.times_commits = self.times_commits or type(observer).committed is not Observer.committed

    def run_accepted(self, run: ObservedRun) -> None:
        self._tell("run_accepted", run)

    def run_begun(self, run: ObservedRun) -> None:
        self._tell("run_begun", run)

    def run_ended(self, run: ObservedRun) -> None:
        self._tell("run_ended", run)

    def run_left(self, run: ObservedRun) -> None:
        self._tell("run_left", run)

    def committed(self, changes: int, seconds: float, failure: str | None) -> None:
        self._tell("committed", changes, seconds, failure)

    def thread_fenced(self) -> None:
        self._tell("thread_fenced")

    def thread_taken_over(self) -> None:
        self._tell("thread_taken_over")

    def called_elsewhere(self) -> None:
        self._tell("called_elsewhere")

    def woke_late(self, seconds: float) -> None:
        self._tell("woke_late", seconds)

    def committing(self, changes: int) -> AbstractContextManager[None]:
        """Observe a commit of so many changes, which happens in the context."""
        return self._committing(changes) if self.times_commits else _UNOBSERVED

    @contextmanager
    def _committing(self, changes: int) -> Iterator[None]:
        started = self.clock()
        failure: str | None = None
        try:
            yield
        except Exception as error:
            failure = "unavailable" if isinstance(error, StoreUnavailable) else "refused"
            raise
        finally:
            self.committed(changes, self.clock() - started, failure)

    def _tell(self, event: str, *facts: Any) -> None:
        for observer in self._observers:
            try:
                getattr(observer, event)(*facts)
            except Exception:  # whatever it is, what it observes goes on
                _log.exception("%s failed to observe %s", type(observer).__name__, event)
