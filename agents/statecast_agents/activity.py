"""Activities: the things that a run does at once. Each one works, or waits for the client.

The handlers of a run are one activity, and so is each task of `run.start_soon`. An agent adds others with
`run.activity()`, for example one for each of several concurrent tools.

Rule: an activity that started others is assumed to wait for them, so only the others count. When the last of them has
ended, it counts again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

__all__ = ["Activities", "Activity"]


def _ignore() -> None:
    pass


class Activities:
    """The activities of one run. They may begin, wait and end in any thread.

    Args:
        changed: Called when the number of those at work may have changed.
    """

    __slots__ = ("_changed", "_lock", "busy")

    def __init__(self, changed: Callable[[], None]) -> None:
        self.busy = 0  #: how many are at work
        self._changed = changed
        self._lock = threading.Lock()

    def current(self) -> Activity | None:
        """Return the activity that the caller belongs to, also in a task or a thread that the agent started itself."""
        activity = _current.get()
        return activity if activity is not None and activity.activities is self else None

    def update(
        self, activity: Activity | None, *, receivers: int = 0, inner: int = 0, lasts: bool | None = None
    ) -> None:
        """Record a change of an activity, and count those at work again.

        Args:
            activity: The activity; None: code that belongs to none, and never counts as at work.
            receivers: How many more commands it waits for.
            inner: How many more activities it has begun that have not ended.
            lasts: Whether it begins, or ends.
        """
        if activity is not None:
            with self._lock:
                before = activity.at_work
                activity.receivers += receivers
                activity.inner += inner
                activity.lasts = activity.lasts if lasts is None else lasts
                activity.at_work = activity.lasts and not activity.receivers and not activity.inner
                self.busy += activity.at_work - before
        self._changed()

    def end(self) -> None:
        """Report no changes any more, and let go of who was called."""
        self._changed = _ignore


class Activity:
    """Something that a run does: all of a `with` block, with the tasks and threads that are started there.

    Args:
        run: The run, a `Run`.
        within: The activity that it is begun in; None: it counts on its own.
    """

    __slots__ = ("_before", "_within", "activities", "at_work", "inner", "lasts", "receivers", "run")

    def __init__(self, run: Any, within: Activity | None = None) -> None:  # the module of `Run` imports this one
        self.run = run
        self.activities: Activities = run.waiting.activities
        self.receivers = 0  #: how many commands it waits for at once
        self.inner = 0  #: how many activities it began that have not ended
        self.lasts = False
        self.at_work = False  #: whether it waits neither for the client nor for activities that it began
        self._within = within
        self._before: Activity | None = None

    def begin(self) -> Activity:
        """Count it as at work from now on, though its block is entered a turn later."""
        if not self.lasts:
            self.activities.update(self, lasts=True)
            if self._within is not None:
                self.activities.update(self._within, inner=1)
        return self

    def __enter__(self) -> None:
        self.begin()
        self._before = _current.get()
        _current.set(self)

    def __exit__(self, *exc: object) -> None:
        _current.set(self._before)  # not by a token, which a generator that is closed in another context cannot reset
        if self._within is not None:
            self.activities.update(self._within, inner=-1)
        self.activities.update(self, lasts=False)


def current_activity() -> Activity | None:
    """Return the activity that the caller belongs to, of whichever run; None outside of runs."""
    return _current.get()


_current: Final[ContextVar[Activity | None]] = ContextVar("statecast_activity", default=None)
