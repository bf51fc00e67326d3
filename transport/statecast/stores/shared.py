"""The contract of a store that several processes share: threads are claimed, and every write names its claim's token.

Ordering, durability and time come from the engine behind the store. A lease says which process may try to write to a
thread; only the token decides what counts: a write under an older token is *fenced*, it is not written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, Protocol, TypeGuard

import msgspec

from .base import Change, Durability, Store
from .errors import Fenced
from .key import Key
from .log import Kind
from .wake import Wake

__all__ = [
    "Claimed",
    "Durability",
    "Fenced",
    "Held",
    "Place",
    "Post",
    "PostTaken",
    "SharedChange",
    "SharedStore",
    "Tail",
    "is_shared",
]


class Claimed(msgspec.Struct, frozen=True):
    """A process has claimed a thread.

    The token is greater than that of every earlier claim of a thread of this key, even if one was deleted meanwhile.
    """

    token: int
    epoch: str | None  #: of the log; None: there is no such thread
    revision: int  #: of the last entry, or of the snapshot if there is none after it; 0 without a thread


class Held(msgspec.Struct, frozen=True):
    """Another process holds a thread."""

    process: str


class Place(msgspec.Struct, frozen=True):
    """How far a process knows a thread."""

    epoch: str
    revision: int  #: of the last entry that it knows
    version: int  #: of the inbox, see `Tail`


class Tail(msgspec.Struct, frozen=True, kw_only=True):
    """What is new on a thread since a place."""

    key: Key
    epoch: str
    version: int  #: changes with the inbox and with the agent; opaque
    agent: str
    entries: Sequence[tuple[int, Kind, bytes]]  #: those after the place, in order, the first of them if they are many
    inbox: Sequence[tuple[str, bytes]]  #: run id and data of all batches, in the order accepted; if the version is new
    more: bool = False  #: whether there are entries after these
    truncated: bool = False  #: whether the log does not reach back to the place, or is another epoch's: load the thread
    ahead: bool = False  #: whether the place is of this epoch, and after the last entry: the engine has lost some
    gone: bool = False  #: whether there is no such thread any more


class Post(msgspec.Struct, frozen=True):
    """A call to the process that holds a thread. Only the engine reads `data`."""

    key: Key
    id: str
    process: str  #: which waits for the reply
    data: bytes


class PostTaken(msgspec.Struct, frozen=True, tag=True):
    """A call was answered, and is there no longer."""

    key: Key
    id: str
    process: str  #: whose call it was
    reply: bytes


SharedChange = Change | PostTaken


class SharedStore(Store, Protocol):
    """Stores threads for several processes at once.

    `Store` holds for it too, with these differences. `commit` writes without regard to claims, and is all or none for
    each thread only: where it raises `ChangeRefused`, changes of other threads may be written. `append_nowait` writes
    nothing. `unfinished` returns the threads with a batch, an open run or a post that no process holds.
    Like that of every store, the time of `idle_for` runs while a process has the store open.
    """

    shared: ClassVar[bool]

    async def identity(self) -> str:
        """Return what changes whenever the engine may have lost its latest writes, as by a failover or a restore.

        Raises:
            StoreUnavailable: It cannot be reached.
        """

    def wake(self) -> Wake:
        """Return the store's own way to send hints; a new one at each call."""

    async def claim(self, key: Key, process: str, seconds: float) -> Claimed | Held:
        """Claim a thread for a process for some seconds of the engine's clock; the thread need not exist.

        It succeeds if no process holds the thread, or this one does, and is a new claim in both cases.

        Raises:
            StoreUnavailable: It was not claimed, or the reply was lost: then nobody can claim it for these seconds.
        """

    async def renew(self, tokens: Mapping[Key, int], seconds: float) -> Collection[Key]:
        """Renew claims for some seconds from now, and return those threads whose token is another by now.

        A claim whose time is over is renewed as well, as long as nobody has claimed the thread meanwhile.

        Raises:
            StoreUnavailable: Some may not have been renewed.
        """

    async def release(self, tokens: Mapping[Key, int]) -> None:
        """Give up claims, so that others can claim at once. Those that are lost already are left as they are.

        Raises:
            StoreUnavailable: Some may be held until their time is over.
        """

    async def write(self, changes: Sequence[SharedChange], tokens: Mapping[Key, int]) -> Mapping[Key, Exception]:
        """Write changes durably, all or none of each thread, in order.

        Changes of a thread in `tokens` are written only if that is the thread's token. Of the other threads only
        summaries and records may be changed, which is unconditional. A `Moved` is written if the token of its `key` is
        right, and nobody holds the thread that it becomes.

        Returns:
            The threads of which nothing was written, and why: `Fenced` or `ChangeRefused`.

        Raises:
            StoreUnavailable: Some may have been written, of each thread all or nothing. Writing the same again under
                the same tokens is safe: what was written before is not written twice.
        """

    async def tails(self, places: Mapping[Key, Place]) -> list[Tail]:
        """Return what is new on threads since the places, of those where anything is.

        Raises:
            StoreUnavailable: Nothing can be read now.
        """

    async def post(self, post: Post) -> None:
        """Store a call to the process that holds a thread, or claims it next. The thread need not exist.

        Raises:
            StoreUnavailable: It may have been stored. Storing it again is safe.
        """

    async def posts(self, keys: Collection[Key]) -> list[Post]:
        """Return the calls of threads that were not taken yet, in the order in which they came.

        Raises:
            StoreUnavailable: Nothing can be read now.
        """

    async def replies(self, process: str) -> Mapping[str, bytes]:
        """Return the replies to a process's calls, by the calls' ids, and delete them.

        Replies that nobody asks for are deleted within minutes.

        Raises:
            StoreUnavailable: Nothing can be read now; some may be lost.
        """


def is_shared(store: Store) -> TypeGuard[SharedStore]:
    """Return whether several processes may use a store at once."""
    return store.shared
