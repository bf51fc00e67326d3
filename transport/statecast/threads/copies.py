"""Copies: new threads made of what another thread was at a revision.

A copy has the state, the agent, the title, what clients have written into the history, and the agent's memory. It has
no run: calls that were open stay open, as after a restart, and whoever answers them begins a run. Files are shared with
the thread that it was made of, and deleted with the last of them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from statecast.history.client_message import ClientMessage
from statecast.protocol.errors import InvalidRequest, StateLimitExceeded
from statecast.stores import MEMORY, Change, Key, RecordWritten, SummaryChanged
from statecast_agents import Agent, Document, Json
from statecast_agents.memory_versions import Record, Version, decode, encode

from .admission import Admission
from .claims import adopt
from .earlier import asked_then, memory_then, written_then
from .errors import NotAdopted, UnknownThread
from .offload import offload
from .past import Past
from .records.cascade import DELETED, MESSAGE, NAMED, RELATED, named_mark
from .records.client_messages import check_names
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
    """

    def __init__(self, directory: Directory, admission: Admission, past: Past) -> None:
        self._directory = directory
        self._admission = admission
        self._past = past

    async def fork(self, source: Thread, revision: int, key: Key) -> Thread:
        """Make a new thread of what a thread was at a revision, and return it once it is stored.

        Args:
            source: The thread.
            revision: The revision.
            key: The new thread's.

        Raises:
            HeldElsewhere: Another process has a thread of that id.
            RequestError: `thread_exists`; `unknown_revision`, `revision_gone`; `store_unavailable`.
        """
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

    async def written(self, thread: Thread) -> list[bytes]:
        """Return what clients have written into a thread's history, each message as JSON."""
        return [data for _, data in await self._directory.records(thread.key, MESSAGE)]

    async def deleted(self, thread: Thread) -> list[str]:
        """Return the ids of messages that clients have deleted from a thread's history; its state still has them."""
        return [id for id, _ in await self._directory.records(thread.key, DELETED)]

    async def restore(
        self,
        key: Key,
        agent: Agent,
        state: msgspec.Raw,
        messages: Sequence[msgspec.Raw],
        deleted: Collection[str],
        *,
        title: str | None,
        limit: int,
    ) -> Thread:
        """Make a new thread of a state and of messages that clients have written, and return it once it is stored.

        Args:
            key: The thread's.
            agent: Its agent, which must adopt states.
            state: The state, as JSON. Its questions are left out: nobody has asked them here.
            messages: The messages, each as `written` returns it.
            deleted: The ids of those that are deleted.
            title: Its title; None: it has none.
            limit: Bytes that the state may have, and the messages together.

        Raises:
            HeldElsewhere: Another process has a thread of that id.
            RequestError: `thread_exists`; `not_adopted`; `state_too_large`, `invalid_state` and others, as for a
                posted state; `invalid_request`; `store_unavailable`.
        """
        if not agent.adopt:
            raise NotAdopted(f'the agent "{agent.name}" accepts no states from clients: it has Agent(adopt=False)')
        size = sum(len(bytes(message)) for message in messages)
        if size > limit:
            raise StateLimitExceeded(f"expected messages of at most {limit} bytes, got more", limit=limit)
        document, _ = await adopt(state, agent, limit=limit)
        now, gone = time.time(), frozenset(deleted)
        changes: list[Change] = []
        for message in await offload(size, _read, messages, now):
            changes.append(RecordWritten(key, MESSAGE, message.id, msgspec.json.encode(message)))
            if message.external_id is not None:
                mark = named_mark(message.external_id, message.format)
                changes.append(RecordWritten(key, NAMED, mark, message.id.encode()))
            if message.id in gone:
                changes.append(RecordWritten(key, DELETED, message.id, b"{}"))
        if title is not None:
            changes.append(SummaryChanged(key=key, at=now, last=now, title=title))
        return await self._admission.create(key, agent, document, [], changes)

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


def _read(messages: Sequence[msgspec.Raw], now: float) -> list[ClientMessage]:
    """Return messages of a document; none is of the future, or it would come after whatever is written next.

    Raises:
        RequestError: `invalid_request`.
    """
    found: dict[str, ClientMessage] = {}
    for message in messages:
        try:
            read = _message(bytes(message))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequest(f"expected messages as an export has them: {error}") from None
        check_names(id=read.id, parent_id=read.parent_id, external_id=read.external_id, format=read.format)
        if read.id in found:
            raise InvalidRequest(f'expected messages with an id each, got two with the id "{read.id}"')
        if min(read.created, read.updated) < 0:
            raise InvalidRequest(f'expected times since 1970, got earlier ones in the message "{read.id}"')
        found[read.id] = msgspec.structs.replace(read, created=min(read.created, now), updated=min(read.updated, now))
    return list(found.values())


def _decoded(*texts: bytes) -> list[Json]:
    return [msgspec.json.decode(text) for text in texts]
