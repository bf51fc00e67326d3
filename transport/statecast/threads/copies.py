"""Copies: new threads made of what another thread was at a revision.

A copy has the state, the agent, the title, what clients have written into the history, and the agent's memory. It has
no run: calls that were open stay open, as after a restart, and whoever answers them begins a run. Files are shared with
the thread that it was made of, and deleted with the last of them.
"""

from __future__ import annotations

import contextlib
import time
from functools import partial
from typing import Final

import msgspec

from statecast.history.client_message import ClientMessage
from statecast.stores import MEMORY, Change, Key, RecordWritten, SummaryChanged
from statecast_agents import Document, Json, new_id
from statecast_agents.memory_versions import Record, Version, decode, encode

from .admission import Admission
from .earlier import asked_then, memory_then, written_then
from .errors import UnknownThread
from .making import Making
from .offload import offload
from .past import Past
from .records.cascade import DELETED, MESSAGE, NAMED, RELATED
from .records.directory import Directory
from .thread import Thread

__all__ = ["Copies"]

#: Threads that learn of a copy of one of them: further ones may lose the files that they share when others go.
MOST_RELATED: Final = 64

_message: Final = msgspec.json.Decoder(ClientMessage).decode


class Copies:
    """Makes copies of threads.

    Args:
        directory: Summaries and records.
        admission: Takes new threads.
        past: Reads what threads were.
        making: Makes new threads.
    """

    def __init__(self, directory: Directory, admission: Admission, past: Past, making: Making) -> None:
        self._directory = directory
        self._admission = admission
        self._past = past
        self._making = making

    async def fork(self, source: Thread, revision: int, to: str | None = None) -> Thread:
        """Make a new thread of what a thread was at a revision, and return it once it is stored.

        Args:
            source: The thread.
            revision: The revision.
            to: The id of the new one; None: any.

        Raises:
            RequestError: `thread_exists`; `unknown_revision`, `revision_gone`; `store_unavailable`.
        """
        key = Key(source.owner, to or new_id("thr"))
        return await self._making.make(key, partial(self._fork, source, revision, key))

    async def _fork(self, source: Thread, revision: int, key: Key) -> Thread:
        point = await self._past.point(source, revision)
        now = source.snapshot()[1]
        before, then = await offload(len(now) + len(point.state), _decoded, now, point.state)
        memory = await self._memory(source, before, then)
        changes: list[Change] = [RecordWritten(key, MEMORY, str(number), encode(version)) for number, version in memory]
        changes += await self._written(source, key, before, then)
        changes += await self._title(source.key, key)
        changes += await self._relate(source.key, key)
        thread = await self._admission.create(key, source.agent, Document.adopting(then), memory, changes)
        asked = asked_then(point, then, source.agent)
        if asked is not None:
            thread.record(asked)
        return thread

    async def _memory(self, source: Thread, now: Json, then: Json) -> list[Record]:
        """Return the versions of a thread's memory that an earlier state goes with."""

        def read(data: bytes) -> Version:
            return decode(data)

        found = await self._directory.read(source.key, MEMORY, read)
        records = sorted(Record(int(number), version) for number, version in found)
        return memory_then(records, source.agent.messages, now, then)

    async def _written(self, source: Thread, key: Key, now: Json, then: Json) -> list[RecordWritten]:
        """Return the records of another thread with what clients have written into the history of this one."""
        found = await self._directory.records(source.key, MESSAGE)
        if not found:
            return []
        data = dict(found)
        written = [self._directory.decoded(source.key, _message, data[id]) for id in data]
        path = source.agent.messages
        size = sum(map(len, data.values()))
        stays = set(await offload(size, written_then, written, path, now, then))
        changes = [RecordWritten(key, MESSAGE, id, data[id]) for id in data if id in stays]
        for id, name in await self._directory.records(source.key, NAMED):
            if name.decode() in stays:
                changes.append(RecordWritten(key, NAMED, id, name))
        for id, mark in await self._directory.records(source.key, DELETED):
            changes.append(RecordWritten(key, DELETED, id, mark))
        return changes

    async def _title(self, source: Key, key: Key) -> list[SummaryChanged]:
        summary = await self._directory.find(source)
        if summary is None or summary.title is None:
            return []
        now = time.time()
        return [SummaryChanged(key=key, at=now, last=now, title=summary.title)]

    async def _relate(self, source: Key, key: Key) -> list[RecordWritten]:
        """Have the threads that share files with a copy know of it, and return the records by which it knows them."""
        known = [id for id, _ in await self._directory.records(source, RELATED)]
        related = [source.thread_id, *known][:MOST_RELATED]
        for id in related:
            one = Key(source.owner, id)
            with contextlib.suppress(UnknownThread):  # one that is gone needs no files
                await self._directory.record(one, RecordWritten(one, RELATED, key.thread_id, b"{}"))
        return [RecordWritten(key, RELATED, id, b"{}") for id in related]


def _decoded(*texts: bytes) -> list[Json]:
    return [msgspec.json.decode(text) for text in texts]
