"""Where the threads are that a command shows: on a server, or in a store that no server has open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol, cast
from urllib.parse import quote

import msgspec

from statecast.client.connection import Connection
from statecast.protocol import RunEntry, RunState
from statecast.stores import Key, Store, StoreUnavailable, Summary, store_of
from statecast.threads.exports import exported
from statecast.threads.log.restore import restore
from statecast_agents import Json, StatecastError

__all__ = ["Listed", "Server", "Source", "Thread", "at_server", "in_store"]

#: Threads that are read at once.
PAGE: Final = 100


class UnknownThread(StatecastError):
    """There is no such thread."""

    code = "unknown_thread"


class Listed(msgspec.Struct, frozen=True, rename="camel"):
    """A thread in a list."""

    remote_id: str
    last_message_at: str
    status: str
    title: str | None = None


class Thread(msgspec.Struct, frozen=True, rename="camel"):
    """A thread as it is now."""

    thread_id: str
    revision: int
    state: Any
    run: RunState | None


class Source(Protocol):
    """Has threads."""

    def threads(self) -> AsyncIterator[Listed]:
        """Yield the threads, the latest first."""

    async def thread(self, thread_id: str) -> Thread:
        """Return a thread."""

    async def export(self, thread_id: str) -> dict[str, Json]:
        """Return a thread as one document."""


class Server:
    """The threads of a server.

    Args:
        connection: To the server.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def threads(self) -> AsyncIterator[Listed]:
        """Yield the threads, the latest first."""
        after = ""
        while True:
            answer = await self.connection.request("GET", f"/threads?limit={PAGE}{after}")
            for thread in msgspec.convert(answer["threads"], list[Listed]):
                yield thread
            if "nextCursor" not in answer:
                return
            after = f"&after={quote(answer['nextCursor'], safe='')}"

    async def thread(self, thread_id: str) -> Thread:
        """Return a thread."""
        return msgspec.convert(await self.connection.request("GET", f"{path_of(thread_id)}/state"), Thread)

    async def cancel(self, thread_id: str, *, queued: bool) -> bool:
        """Cancel a thread's run; return whether there was one."""
        body = {"threadId": thread_id, "queued": queued}
        return bool((await self.connection.request("POST", "/cancel", body))["cancelled"])

    async def export(self, thread_id: str) -> dict[str, Json]:
        """Return a thread as one document."""
        return await self.connection.request("GET", f"{path_of(thread_id)}/export")

    async def import_(self, document: dict[str, Json]) -> str:
        """Make a thread of a document; return its id."""
        return str((await self.connection.request("POST", "/threads/import", document))["threadId"])


class Stored:
    """The threads of a store that belong to nobody in particular, or to one owner.

    Args:
        store: The store, opened.
        owner: The owner's id; None: nobody.
    """

    def __init__(self, store: Store, owner: str | None) -> None:
        self._store = store
        self._owner = owner

    async def threads(self) -> AsyncIterator[Listed]:
        """Yield the threads, the latest first."""
        before: tuple[float, str] | None = None
        while True:
            found = await self._store.summaries(self._owner, before=before, limit=PAGE)
            for summary in found:
                yield _listed(summary)
            if len(found) < PAGE:
                return
            before = found[-1].last, found[-1].key.thread_id

    async def thread(self, thread_id: str) -> Thread:
        """Return a thread."""
        saved = await self._store.load(Key(self._owner, thread_id))
        if saved is None:
            raise self._unknown(thread_id)
        restored = restore(saved)
        runs = [entry.run for entry in restored.entries if isinstance(entry, RunEntry)]
        revision = restored.entries[-1].revision if restored.entries else saved.revision
        return Thread(thread_id, revision, restored.document.plain(), runs[-1] if runs else restored.run)

    async def export(self, thread_id: str) -> dict[str, Json]:
        """Return a thread as one document."""
        document = await exported(self._store, Key(self._owner, thread_id))
        if document is None:
            raise self._unknown(thread_id)
        return cast("dict[str, Json]", msgspec.json.decode(document))

    def _unknown(self, thread_id: str) -> UnknownThread:
        return UnknownThread(f'expected the id of a thread in the store, got "{thread_id}"')


@asynccontextmanager
async def at_server(url: str) -> AsyncIterator[Server]:
    """Yield the threads of the server at a URL."""
    connection = Connection(url, headers={}, patience=0, timeout=30, silence=45, on_trouble=None, http=None)
    try:
        yield Server(connection)
    finally:
        await connection.aclose()


@asynccontextmanager
async def in_store(url: str, owner: str | None) -> AsyncIterator[Stored]:
    """Yield the threads of a store.

    Raises:
        StoreUnavailable: It cannot be opened; a server has it open, for one.
        ValueError: The URL names no store, no file, or a store that is gone with its process.
    """
    if url == "memory":
        raise ValueError("expected the URL of a store that outlives its server, got memory")
    _check_file(url)
    store = store_of(url)
    try:
        await store.open()
    except StoreUnavailable as error:
        raise StoreUnavailable(f"{error}; if a server has it open, ask that one with --url") from error
    try:
        yield Stored(store, owner)
    finally:
        await store.aclose()


def path_of(thread_id: str) -> str:
    """Return the path of a thread's endpoints."""
    return f"/threads/{quote(thread_id, safe='')}"


def _check_file(url: str) -> None:
    """Check that a store in a file is there: to look at it must not make it."""
    file = Path(url.removeprefix("sqlite:///").partition("?")[0])
    if url.startswith("sqlite:///") and not file.is_file():
        raise ValueError(f'expected the file of a store, got "{file}", which is not a file')


def _listed(summary: Summary) -> Listed:
    last = datetime.fromtimestamp(summary.last, UTC).isoformat(timespec="milliseconds")
    status = "archived" if summary.archived else "regular"
    return Listed(summary.key.thread_id, last.replace("+00:00", "Z"), status, summary.title)
