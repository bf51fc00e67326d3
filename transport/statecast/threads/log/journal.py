"""Journal: every change reaches the store before it reaches a reader.

Changes of one thread are written in order, all that become ready in one turn of the event loop together. Where the
store cannot take them at once, a task writes them. A store that several processes share is far away: threads are
spread over lanes then, and each lane has a batch on its way.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, cast
from zlib import crc32

from statecast.stores import Appended, Change, ChangeRefused, Deleted, Key, SharedChange, Store, StoreUnavailable
from statecast.threads.observer import Observers

from .lane import Lane, SharedWriter
from .turn import Turn

__all__ = ["Journal"]

#: Lanes to a store that is shared: more than a round trip may be under way, and one slow commit holds up an eighth.
LANES: Final = 8

_log: Final = logging.getLogger("statecast")


class Journal:
    """Writes changes to a store, and makes entries visible in their logs when they are stored.

    Args:
        store: Where to.
        on_refused: Called with each thread whose changes the store refuses for good.
        writer: Writes to the store in its place; None: no other process has the store.
        observer: Learns of commits.
    """

    def __init__(
        self,
        store: Store,
        on_refused: Callable[[Key], None] = lambda key: None,
        writer: SharedWriter | None = None,
        *,
        observer: Observers | None = None,
    ) -> None:
        self.store = store
        self.writer = writer
        self.observer = observer or Observers()
        self.refused: set[Key] = set()  #: threads of which a change was refused; nothing of theirs is written any more
        self._on_refused = on_refused
        self.failing: StoreUnavailable | None = None  #: why the store did not take what waits
        self.instant = store.instant
        self.turn = Turn(self.write_entries)  #: at its end, states are flushed, entries written, and readers read
        self._lanes = [Lane(self) for _ in range(1 if writer is None else LANES)]
        self._reported = False
        self.over = False  #: whether nothing is written any more

    def lane_of(self, key: Key) -> Lane:
        """Return the lane of a thread. Whoever it is moved to, it has the same one."""
        lanes = self._lanes
        return lanes[0] if len(lanes) == 1 else lanes[crc32(key.thread_id.encode()) % len(lanes)]

    def add(self, *changes: SharedChange) -> None:
        """Add changes."""
        if self.refused:
            changes = tuple(change for change in changes if self._takes(change))
        if self.instant:
            try:
                self.store.commit_nowait(cast("Sequence[Change]", changes))
            except Exception as error:  # whatever it is, it is not the fault of whoever made another change
                self.set_aside(changes, error)
        elif len(self._lanes) == 1:
            self._lanes[0].add(changes)
        else:
            for change in changes:
                self.lane_of(change.key).add((change,))

    def write_entries(self) -> None:
        """Write what waits, and show it, if the store takes it at once; else the tasks write it.

        It may be called at any time, on the event loop, and raises nothing.
        """
        if not self.over:
            for lane in self._lanes:
                lane.write()

    def withdraw(self, changes: Sequence[SharedChange]) -> None:
        """Withdraw changes that the store refused, after `wait_stored` has raised."""
        gone = set(map(id, changes))
        for lane in self._lanes:
            lane.withdraw(gone)
        self.emptied()

    def drop(self, keys: Collection[Key]) -> None:
        """Forget what waits of threads that other processes have claimed. O(keys + what waits)."""
        dropped: dict[Lane, set[Key]] = {}
        for key in keys:
            dropped.setdefault(self.lane_of(key), set()).add(key)
        for lane, gone in dropped.items():
            lane.drop(gone)
        self.emptied()

    def emptied(self) -> None:
        """Let the next request try the store again once nothing waits: nothing else would try it."""
        if self.all_stored:
            self.failing = None  # the next request is the next try

    @property
    def all_stored(self) -> bool:
        """Whether everything added so far is stored."""
        return all(lane.is_empty for lane in self._lanes)

    def has(self, key: Key) -> bool:
        """Return whether something of a thread is not stored yet."""
        return self.lane_of(key).has(key)

    def unstored(self) -> Mapping[Key, int]:
        """Return how many bytes of entries wait, by thread."""
        sizes: dict[Key, int] = {}
        for lane in self._lanes:
            for change in lane.unstored:
                if type(change) is Appended:
                    sizes[change.key] = sizes.get(change.key, 0) + len(change.data)
        return sizes

    async def wait_stored(self, key: Key | None = None) -> None:
        """Wait until everything added so far is stored, of a thread or of all.

        Raises:
            StoreUnavailable: The store did not take it; it is tried again, unless it is withdrawn, or it is too late.
        """
        lanes = self._lanes if key is None else (self.lane_of(key),)
        if all(lane.is_empty for lane in lanes):
            return
        if self.over:
            raise StoreUnavailable("the server has stopped")
        for lane in lanes:
            lane.write()
        waiting = [lane.wait() for lane in lanes if not lane.is_empty]
        if len(waiting) == 1:
            await waiting[0]
        elif waiting:
            await asyncio.gather(*waiting)

    async def run(self) -> None:
        """Write changes until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for lane in self._lanes:
                    tasks.create_task(lane.run())
        finally:
            self.over = True
            for lane in self._lanes:
                lane.release(StoreUnavailable("the server has stopped"))

    def failed(self, error: StoreUnavailable, fault: Exception | None = None) -> None:
        """Record that the store took nothing; `fault` is an error that the store itself knows nothing of."""
        if not self._reported:
            _log.error("the store does not work; nothing is sent or accepted until it does: %s", error, exc_info=fault)
        self._reported = True
        self.failing = error

    def worked(self) -> None:
        """Record that the store took what it was given."""
        self.failing = None
        if self._reported:
            self._reported = False
            _log.warning("the store works again")

    def set_aside(self, changes: Sequence[SharedChange], reason: Exception) -> None:
        """Set aside changes that the store refuses for good, and take nothing more of their threads."""
        for key in dict.fromkeys(change.key for change in changes):
            kinds = ", ".join(dict.fromkeys(type(change).__name__ for change in changes if change.key == key))
            _log.error(
                "the store refuses what happened on the thread %r (%s), which is lost; nothing more of the thread is "
                "written until it is deleted, or the server starts again: %s",
                key.thread_id,
                kinds,
                reason,
                exc_info=None if isinstance(reason, ChangeRefused) else reason,
            )
            self.refused.add(key)
            self._on_refused(key)

    def _takes(self, change: SharedChange) -> bool:
        """Return whether a change is written: none of a thread that was refused one, unless it deletes the thread."""
        if isinstance(change, Deleted):
            self.refused.discard(change.key)
        return change.key not in self.refused
