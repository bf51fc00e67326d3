"""`JointWriter`: joins the entries of all lanes into few writes.

A write to a shared store costs a round trip, and as much of this process's time as about five entries. So few writes
are under way at once, and what becomes ready meanwhile joins the next one: the more there is to write, the larger the
writes.

Rule: a batch with anything but entries, or one that the store did not confirm, is written by itself, so that it delays
no other lane.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from statecast.stores import Appended, Key, SharedChange, StoreUnavailable
from statecast.threads.log.lane import SharedWriter

__all__ = ["JointWriter"]

#: Writes under way at once, not counting those of batches that are written by themselves.
AT_ONCE: Final = 2

_Batch = tuple[Sequence[SharedChange], "asyncio.Future[Mapping[Key, Exception]]"]


class JointWriter:
    """Writes the batches of lanes. A lane writes one batch at a time, and no two lanes write to one thread.

    Args:
        writer: Writes the joined batches.
    """

    def __init__(self, writer: SharedWriter) -> None:
        self._writer = writer
        self._waiting: list[_Batch] = []
        self._begins = False  #: whether a task is about to take what waits
        self._tasks: dict[asyncio.Task[None], list[_Batch]] = {}
        self._unconfirmed: set[Key] = set()  #: threads whose last batch was not confirmed

    async def write(self, changes: Sequence[SharedChange]) -> Mapping[Key, Exception]:
        """Write changes, and return the threads whose changes the store refuses for good, and why.

        Raises:
            StoreUnavailable: Some may have been written; the same changes are to be written again.
        """
        if not changes or not all(self._may_join(change) for change in changes):
            refused = await self._writer.write(changes)
            self._unconfirmed.difference_update(change.key for change in changes)
            return refused
        done: asyncio.Future[Mapping[Key, Exception]] = asyncio.get_running_loop().create_future()
        self._waiting.append((changes, done))
        self._begin()
        try:
            return await done
        finally:
            if done.cancelled():
                await self._cancel()

    def _may_join(self, change: SharedChange) -> bool:
        return type(change) is Appended and change.key not in self._unconfirmed

    def _begin(self) -> None:
        """Have a task take what waits after this turn of the event loop, unless enough writes are under way."""
        if self._waiting and not self._begins and len(self._tasks) < AT_ONCE:
            self._begins = True
            batches: list[_Batch] = []
            task = asyncio.get_running_loop().create_task(self._write_waiting(batches))
            self._tasks[task] = batches
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        self._begin()

    async def _write_waiting(self, batches: list[_Batch]) -> None:
        self._begins = False
        batches += [batch for batch in self._waiting if not batch[1].done()]
        self._waiting = []
        if batches:
            await self._write(batches)

    async def _write(self, batches: Sequence[_Batch]) -> None:
        """Write batches together, and resolve what their lanes wait for. Raises nothing."""
        try:
            refused = await self._writer.write([change for changes, _ in batches for change in changes])
        except StoreUnavailable as error:
            for changes, done in batches:
                self._unconfirmed.update(change.key for change in changes)
                _fail(done, error)
        except Exception as error:
            if len(batches) == 1:
                _fail(batches[0][1], error)
            else:  # one batch is at fault: written by itself, it fails by itself
                for batch in batches:
                    await self._write([batch])
        else:
            for changes, done in batches:
                if not done.done():
                    done.set_result(_of(changes, refused))

    async def _cancel(self) -> None:
        """Cancel the writes that no lane waits for any more."""
        tasks = [
            task for task, batches in self._tasks.items() if batches and all(done.cancelled() for _, done in batches)
        ]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def _fail(done: asyncio.Future[Mapping[Key, Exception]], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)


def _of(changes: Sequence[SharedChange], refused: Mapping[Key, Exception]) -> Mapping[Key, Exception]:
    """Return what was refused of some changes."""
    return {change.key: refused[change.key] for change in changes if change.key in refused} if refused else refused
