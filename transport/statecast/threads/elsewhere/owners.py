"""Owners: their streams here end when another process says so.

What it says is in the store: a mark of the owner, which the app reads. The other process hints at the owner's topic. As
hints may be lost, the marks are also read from time to time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeAlias

import msgspec

from statecast.stores import StoreUnavailable
from statecast.threads.ownership.registry import SharedRegistry
from statecast.threads.thread import Thread

__all__ = ["Owners", "ReadMark"]

#: Seconds between two looks without a hint.
LOOK: Final = 30.0

_log: Final = logging.getLogger("statecast")

#: In place of a mark: this process has just ended the owner's streams.
ENDED: Final = object()

#: Returns the mark of an owner, as the store has it: another one than before ends the owner's streams.
ReadMark: TypeAlias = Callable[[str], Awaitable[object]]


class Owners:
    """The owners who have streams here.

    Args:
        registry: The threads.
        end: Ends the streams here of an owner.
    """

    def __init__(self, registry: SharedRegistry, end: Callable[[str], None]) -> None:
        self.read_mark: ReadMark | None = None  #: None: owners have no marks
        self._registry = registry
        self._end = end
        self._marks: dict[str, object] = {}  #: of the owners who are followed; UNSET: not read yet
        self._due: dict[str, None] = {}
        self._any_due = asyncio.Event()

    def follow(self, thread: Thread) -> None:
        """Follow the owner of a thread, as long as a thread of theirs has readers."""
        owner = thread.owner
        if self.read_mark is not None and owner is not None and owner not in self._marks:
            self._marks[owner] = msgspec.UNSET
            self._registry.hints.follow(_topic(owner), partial(self._hinted, owner))
            self._look_soon(owner)

    def changed(self, owner: str) -> None:
        """Tell the other processes that the mark of an owner is another by now; the streams here have ended."""
        if owner in self._marks:
            self._marks[owner] = ENDED
            self._look_soon(owner)
        self._registry.hints.send([_topic(owner)])

    async def run(self) -> None:
        """Read marks, until cancelled."""
        self._any_due = asyncio.Event()
        self._registry.hints.on_lost(self._look_at_all)
        try:
            while True:
                try:
                    async with asyncio.timeout(LOOK):
                        await self._any_due.wait()
                except TimeoutError:
                    self._look_at_all()
                self._any_due.clear()
                while self._due:
                    owner, _ = self._due.popitem()
                    await self._look(owner)
        finally:
            self._marks.clear()
            self._due.clear()

    async def _look(self, owner: str) -> None:
        before = self._marks.get(owner)
        if self.read_mark is None or owner not in self._marks:
            return
        try:
            mark = await self.read_mark(owner)
        except StoreUnavailable:
            return  # whoever looks next time finds it
        except Exception:  # one owner is not to end all looks
            _log.exception("what the store has of an owner could not be read")
            return
        if owner not in self._marks or self._marks[owner] is not before:
            return  # this process has ended the streams meanwhile
        self._marks[owner] = mark
        if before is not msgspec.UNSET and before is not ENDED and before != mark:
            self._end(owner)

    def _look_at_all(self) -> None:
        """Look at all owners, and follow those no longer who have no streams here."""
        streaming = {thread.owner for thread in self._registry if thread.readers}
        for owner in list(self._marks):
            if owner in streaming:
                self._look_soon(owner)
            else:
                del self._marks[owner]
                self._registry.hints.unfollow(_topic(owner))

    def _hinted(self, owner: str) -> None:
        if self._marks.get(owner) is msgspec.UNSET:
            self._end(owner)  # whether the mark is another by now cannot be told
        self._look_soon(owner)

    def _look_soon(self, owner: str) -> None:
        self._due[owner] = None
        self._any_due.set()


def _topic(owner: str) -> str:
    return f"o:{owner}"
