"""Exports: a thread as one JSON document, with its history and its runs.

Source: docs/protocol/thread-requests.md, "GET /threads/{id}/export".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec

from statecast.protocol import Cursor, RunEntry, RunState
from statecast.protocol.thread_events.encoder import EventsEncoder
from statecast.stores import Key, Store, read_entry
from statecast_agents import Agent

from .errors import RevisionGone
from .limits import Limits
from .past import Past
from .records.cascade import DELETED, MESSAGE
from .records.directory import Directory
from .records.run_history import RunHistory
from .registry import Registry
from .thread import Thread

__all__ = ["VERSION", "Exports", "exported"]

#: The version of the documents.
VERSION: Final = 1

#: Frames that leave in one piece.
PIECE: Final = 256


class Exports:
    """Writes threads as documents. It only reads, so the threads may be those of a store that no server has open.

    Args:
        registry: The threads.
        directory: Summaries and records.
        past: What threads were.
        runs: What their runs have been.
    """

    def __init__(self, registry: Registry, directory: Directory, past: Past, runs: RunHistory) -> None:
        self._registry = registry
        self._directory = directory
        self._past = past
        self._runs = runs

    async def begin(self, thread: Thread) -> AsyncIterator[bytes]:
        """Return the document of a thread, a piece at a time: its history may be many times as large as the state.

        Raises:
            RequestError: `store_unavailable`; `thread_damaged`. Reading the pieces raises them, too.
        """
        revision, state = await self._registry.snapshot(thread)
        summary = await self._directory.find(thread.key)
        head = {
            "statecast": VERSION,
            "threadId": thread.id,
            "agent": thread.agent.name,
            "title": None if summary is None else summary.title,
            "revision": revision,
            "state": msgspec.Raw(state),
            "run": thread.last_run,
            "messages": [msgspec.Raw(data) for _, data in await self._directory.records(thread.key, MESSAGE)],
            "deleted": [id for id, _ in await self._directory.records(thread.key, DELETED)],
            "runs": await self._runs.runs(thread),
        }
        return self._pieces(thread, revision, msgspec.json.encode(head))

    async def _pieces(self, thread: Thread, end: int, head: bytes) -> AsyncIterator[bytes]:
        yield head[:-1] + b',"history":['
        comma = b""
        async for frames in self._history(thread, end):
            yield comma + b",".join(frames)
            comma = b","
        yield b"]}"

    async def _history(self, thread: Thread, end: int) -> AsyncIterator[list[bytes]]:
        """Yield the frames up to a revision, several at a time. What was removed before the first is left out.

        Raises:
            RequestError: `store_unavailable`; `thread_damaged`; `revision_gone`, if parts are removed faster than they
                are read. The document breaks off, so that nobody takes a part of it for the whole.
        """
        encoder = EventsEncoder(thread.epoch, _framed)
        try:
            stretch = await self._past.first(thread)
        except RevisionGone:  # nothing stays long enough to be read
            return
        at = stretch.revision
        run = msgspec.json.decode(stretch.run, type=RunState | None)
        yield [encoder.snapshot(stretch.state, at, [] if run is None else [RunEntry(at, run)])]
        while at < end:
            entries = [entry for entry in stretch.entries if at < entry[0] <= end]
            for start in range(0, len(entries), PIECE):
                yield [encoder.encode(read_entry(*entry)) for entry in entries[start : start + PIECE]]
            if not entries:
                return
            at = entries[-1][0]
            stretch = await self._past.stretch(thread, at)


async def exported(store: Store, key: Key) -> bytes | None:
    """Return a thread of a store that no server has open as a document; None if there is none.

    Raises:
        RequestError: `store_unavailable`; `thread_damaged`.
    """
    saved = await store.load(key)
    if saved is None:
        return None
    registry = Registry(store, {saved.agent: Agent(saved.agent)}, Limits(), _restore_nothing)
    directory = Directory(registry, _open)
    thread = await registry.find(key)
    assert thread is not None, "it was there, and nobody else has the store"
    runs = RunHistory(directory, registry, debug=False)
    pieces = await Exports(registry, directory, Past(registry), runs).begin(thread)
    return b"".join([piece async for piece in pieces])


def _restore_nothing(thread: Thread, inbox: Sequence[tuple[str, bytes]]) -> None:
    """Leave the runs of a thread where they are."""


async def _open() -> None:
    """Do nothing: the store is open."""


def _framed(cursor: Cursor, frame: bytes) -> bytes:
    return frame
