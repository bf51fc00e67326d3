"""`WriterStore`: a store that another process has open, the writer; to its users, one that processes share.

Replies are decoded as the types in `calls.RESULTS`, which are those of the methods here.
"""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar

from statecast.stores.base import Change
from statecast.stores.key import Key
from statecast.stores.log import SavedThread
from statecast.stores.records import File, Summary
from statecast.stores.shared import Claimed, Durability, Held, Place, Post, SharedChange, Tail
from statecast.stores.wake import Wake

from .calls import error_of, packed
from .link import Link
from .wake import WriterWake

__all__ = ["WriterStore"]


class WriterStore:
    """Stores threads through the writer.

    Args:
        place: Returns the path of the writer's socket, once it listens; raises StoreUnavailable.
        patience: Seconds that a call waits for a writer that was lost.
    """

    instant: ClassVar[bool] = False
    shared: ClassVar[bool] = True

    def __init__(self, place: Callable[[], Awaitable[str]], *, patience: float = 2.0) -> None:
        self._wakes: list[WriterWake] = []
        self._link = Link(place, patience=patience, on_hint=self._hint, on_connected=self._begin)

    async def open(self) -> None:
        """Connect to the writer."""
        await self._link.open()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._link.aclose()

    async def probe(self) -> None:
        """Check that the writer can write."""
        await self._link.call("probe")

    async def identity(self) -> str:
        """Return what changes whenever the file may have lost its latest writes."""
        return await self._call("identity")

    async def durability(self) -> Durability:
        """Return what a confirmed write survives."""
        return await self._call("durability")

    def wake(self) -> Wake:
        """Return hints that come through the writer."""
        return WriterWake(self._link, self._wakes)

    def commit_nowait(self, changes: Sequence[Change]) -> None:
        """Refuse: this store is not instant."""
        raise TypeError("a store in another process has to be waited for: use commit()")

    def append_nowait(self, changes: Sequence[Change]) -> bool:
        """Write nothing."""
        return False

    async def commit(self, changes: Sequence[Change]) -> None:
        """Write changes without regard to claims."""
        await self._call("commit", packed(changes, {}))

    async def write(self, changes: Sequence[SharedChange], tokens: Mapping[Key, int]) -> Mapping[Key, Exception]:
        """Write changes under tokens."""
        problems = await self._call("write", packed(changes, tokens))
        return {key: error_of(problem) for key, problem in problems}

    async def claim(self, key: Key, process: str, seconds: float) -> Claimed | Held:
        """Claim a thread."""
        claimed = await self._call("claim", key, process, seconds)
        return Held(claimed) if isinstance(claimed, str) else Claimed(*claimed)

    async def renew(self, tokens: Mapping[Key, int], seconds: float) -> Collection[Key]:
        """Renew claims."""
        lost: list[Key] = await self._call("renew", list(tokens.items()), seconds)
        return lost

    async def release(self, tokens: Mapping[Key, int]) -> None:
        """Give up claims."""
        await self._call("release", list(tokens.items()))

    async def tails(self, places: Mapping[Key, Place]) -> list[Tail]:
        """Return what is new on threads."""
        return await self._call("tails", list(places.items()))

    async def post(self, post: Post) -> None:
        """Store a call to the process that holds a thread."""
        await self._call("post", post)

    async def posts(self, keys: Collection[Key]) -> list[Post]:
        """Return the calls of threads."""
        return await self._call("posts", list(keys))

    async def replies(self, process: str) -> Mapping[str, bytes]:
        """Return the replies to a process's calls, and delete them."""
        return await self._call("replies", process)

    async def load(self, key: Key) -> SavedThread | None:
        """Return a thread."""
        return await self._call("load", key)

    async def unfinished(self) -> list[Key]:
        """Return the threads with work left that no process holds."""
        return await self._call("unfinished")

    async def idle_for(self, seconds: float, *, lasting: bool) -> list[Key]:
        """Return the threads not written to for so many seconds."""
        return await self._call("idle_for", seconds, lasting)

    async def summary(self, key: Key) -> Summary | None:
        """Return the summary of a thread."""
        return await self._call("summary", key)

    async def summaries(
        self, owner: str | None, *, archived: bool | None = None, before: tuple[float, str] | None = None, limit: int
    ) -> list[Summary]:
        """Return the summaries of an owner's threads, the latest first."""
        return await self._call("summaries", owner, archived, before, limit)

    async def summary_named(self, owner: str | None, external_id: str) -> Summary | None:
        """Return the oldest summary of an owner's thread with this external id."""
        return await self._call("summary_named", owner, external_id)

    async def is_owned(self, thread_id: str) -> bool:
        """Return whether a thread with this id and an owner has a summary."""
        return await self._call("is_owned", thread_id)

    async def records(self, key: Key, kind: str) -> list[tuple[str, bytes]]:
        """Return a thread's records of a kind."""
        return await self._call("records", key, kind)

    async def secret(self, name: str, fresh: bytes) -> bytes:
        """Return a secret; the first one offered is it."""
        return await self._call("secret", name, fresh)

    async def write_file(self, name: str, type: str, owner: str | None, pieces: AsyncIterator[bytes]) -> int:
        """Write a file: each piece as it comes."""
        number: int = await self._call("begin_file", name, type, owner)
        try:
            async for piece in pieces:
                await self._call("add_piece", number, piece)
        except BaseException:
            self._link.tell("drop_file", number)
            raise
        return await self._call("finish_file", number)

    async def file(self, name: str) -> File | None:
        """Return a file without its bytes."""
        return await self._call("file", name)

    async def read_file(self, name: str, start: int, end: int) -> bytes:
        """Return a part of a file."""
        return await self._call("read_file", name, start, end)

    async def delete_file(self, name: str) -> None:
        """Delete a file."""
        await self._call("delete_file", name)

    async def _call(self, method: str, *arguments: Any) -> Any:
        return await self._link.call(method, *arguments)

    def _hint(self, topics: Collection[str]) -> None:
        for wake in self._wakes:
            wake.hint(topics)

    def _begin(self) -> None:
        for wake in self._wakes:
            wake.begin()
