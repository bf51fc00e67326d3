"""The contract of a store: the engine's changes go in, all of a batch or nothing, and threads and records come out.

`LogStore` is the first half, `RecordStore` the second; a `Store` is both, and commits changes of both in one batch.
The engine decides what to write; a store only writes it. Every store passes the same conformance tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Protocol

import msgspec

from .key import Key
from .log import Altered, Appended, Created, LogStore
from .records import RecordChange, RecordStore

__all__ = ["Change", "Deleted", "Durability", "Moved", "Other", "Store"]

#: What a write that was confirmed survives: the end of the store's process, of the power, or of a whole machine.
Durability = Literal["process", "disk", "replica"]


class Moved(msgspec.Struct, frozen=True, tag=True):
    """A thread, its summary and its records belong to another owner now, who has no thread with its id."""

    key: Key
    owner: str | None


class Deleted(msgspec.Struct, frozen=True, tag=True):
    """A thread was deleted, with its summary and its records, if it exists."""

    key: Key


#: All changes but those that stores write in a form of their own: a thread's first state, and its entries.
Other = Altered | RecordChange | Moved | Deleted

Change = Created | Appended | Other


class Store(LogStore, RecordStore, Protocol):
    """Stores threads, and the records beside them.

    An `instant` store has them in memory only: the engine calls `commit_nowait` for every change, and nothing waits.
    For all others it offers `append_nowait` all changes since the last batch; where that returns False, it calls
    `commit` with them. It does so with one batch at a time.
    """

    instant: ClassVar[bool]
    shared: ClassVar[bool]  #: whether several processes may use it at once: then it is a `SharedStore`

    async def open(self) -> None:
        """Open the store.

        Raises:
            StoreUnavailable: It cannot be reached, or another process has it open.
        """

    async def aclose(self) -> None:
        """Close the store. It may be opened again."""

    async def probe(self) -> None:
        """Check that changes can be written, by writing something that nobody reads.

        Raises:
            StoreUnavailable: They cannot.
        """

    async def durability(self) -> Durability | None:
        """Return what a confirmed write survives, as configured and as far as the store confirms it; None: nothing.

        Raises:
            StoreUnavailable: It cannot be reached.
        """

    def commit_nowait(self, changes: Sequence[Change]) -> None:
        """Write changes without waiting, all or none; instant stores only.

        Raises:
            ChangeRefused: None was written, and one of them never will be.
        """

    def append_nowait(self, changes: Sequence[Change]) -> bool:
        """Write changes, all or none, if that waits for nothing; return whether they are written, as after `commit`.

        It raises nothing: if the changes cannot be written, `commit` says why.
        """

    async def commit(self, changes: Sequence[Change]) -> None:
        """Write changes durably, all or none.

        Raises:
            StoreUnavailable: None was written; the engine tries again.
            ChangeRefused: None was written, and one of them never will be; the engine finds out which thread's.
        """

    async def idle_for(self, seconds: float, *, lasting: bool) -> list[Key]:
        """Return the threads that were not written to for so many seconds, either all lasting ones or all others.

        A write to the summary of a lasting thread counts too, and a thread may have only a summary. Only seconds in
        which the store was open count, so that a clock that jumps makes no thread idle: see `Clock`.

        Raises:
            StoreUnavailable: Nothing can be read now.
        """
