"""A shared store that tells whenever it does not answer, whichever call it was.

An engine that failed over may have lost its latest writes, and the calls on the old connections are the only ones to
notice. Those are as likely the reads of a follower as the writes of an owner.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, cast

from statecast.stores import SharedStore, StoreUnavailable

__all__ = ["watched"]


def watched(store: SharedStore, unavailable: Callable[[], None]) -> SharedStore:
    """Return a store that calls `unavailable` before a call of it raises `StoreUnavailable`."""
    return cast("SharedStore", _Watched(store, unavailable))


class _Watched:
    """Passes everything on. Each call is wrapped once, when it is first looked up."""

    def __init__(self, store: SharedStore, unavailable: Callable[[], None]) -> None:
        self._store = store
        self._unavailable = unavailable

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if inspect.iscoroutinefunction(found):
            found = self._watch(found)
            setattr(self, name, found)
        return found

    def _watch(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def watched_call(*args: Any, **options: Any) -> Any:
            try:
                return await call(*args, **options)
            except StoreUnavailable:
                self._unavailable()
                raise

        return watched_call
