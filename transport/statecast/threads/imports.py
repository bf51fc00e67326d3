"""Imports: new threads made of documents that `Exports` wrote, or anybody else.

A thread of a document has its state, its history, its runs, its title, and what clients have written into its history
of messages. It has nothing of what the agent kept for itself, and no files.
Source: docs/protocol/thread-requests.md, "POST /threads/import".
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, Literal

import msgspec

from statecast.history.client_message import ClientMessage
from statecast.protocol.errors import InvalidRequest, StateLimitExceeded
from statecast.protocol.messages.state_messages import items_in
from statecast.stores import Change, Key, RecordWritten, SummaryChanged
from statecast_agents import Agent, new_id

from .admission import Admission
from .claims import adopt
from .errors import NotAdopted
from .imported import NewIds, runs_of, stretch_of, without_questions
from .limits import Limits
from .log.segments import pack_within, with_segment
from .log.stretch import Stretch
from .making import Making
from .offload import offload
from .recording import RUN, RunRecord
from .records.cascade import DELETED, MESSAGE, NAMED, named_mark
from .records.client_messages import check_names
from .thread import Thread

__all__ = ["Imported", "Imports"]

_message: Final = msgspec.json.Decoder(ClientMessage).decode
_encode: Final = msgspec.json.Encoder().encode


class Imported(msgspec.Struct, rename="camel"):
    """A document of which a thread is made; what else it has is ignored."""

    statecast: Literal[1]  #: the version of the document
    state: msgspec.Raw
    thread_id: str | None = None
    agent: str | None = None
    title: str | None = None
    messages: list[msgspec.Raw] = []  #: what pages have written into its history
    deleted: list[str] = []  #: the ids of messages that pages have deleted
    runs: list[RunRecord] = []  #: the newest first
    history: list[msgspec.Raw] = []  #: the frames of its events, which lead to the state


class Imports:
    """Makes threads of documents.

    Args:
        admission: Takes new threads.
        making: Makes them.
        limits: What a state and a history may have.
        start: Opens the store, if it is not open yet.
    """

    def __init__(
        self, admission: Admission, making: Making, limits: Limits, start: Callable[[], Awaitable[None]]
    ) -> None:
        self._admission = admission
        self._making = making
        self._limits = limits
        self._start = start

    async def make(self, agent: Agent, given: Imported, *, owner: str | None = None) -> Thread:
        """Make a new thread of a document, and return it once it is stored.

        Args:
            agent: Its agent, which must adopt states.
            given: The document.
            owner: Whose it is to be.

        Raises:
            RequestError: `thread_exists`; `not_adopted`; `state_too_large`, `invalid_state` and others, as for a
                posted state; `invalid_request`; `store_unavailable`. Nothing was made.
        """
        await self._start()
        key = Key(owner, given.thread_id or new_id("thr"))
        return await self._making.make(key, partial(self._make, key, agent, given))

    async def _make(self, key: Key, agent: Agent, given: Imported) -> Thread:
        if not agent.adopt:
            raise NotAdopted(f'the agent "{agent.name}" accepts no states from clients: it has Agent(adopt=False)')
        limit = self._limits.state
        size = sum(len(bytes(message)) for message in given.messages)
        if size > limit:
            raise StateLimitExceeded(f"expected messages of at most {limit} bytes, got more", limit=limit)
        now = time.time()
        changes: list[Change] = await offload(size, _written, key, given, now)
        if given.title is not None:
            changes.append(SummaryChanged(key=key, at=now, last=now, title=given.title))
        ids = NewIds()
        changes += [RecordWritten(key, RUN, run.id, _encode(run)) for run in runs_of(given.runs, ids, now)]
        state = await offload(len(bytes(given.state)), _unasked, given.state, agent)
        document, _ = await adopt(state, agent, limit=limit)
        if not given.history:
            return await self._admission.create(key, agent, document, [], changes)
        size = sum(len(bytes(frame)) for frame in given.history)
        read = partial(stretch_of, given.history, document.encode(), agent.pending, ids, now)
        stretch = await offload(size, read)
        changes += await offload(size, self._kept, key, stretch)
        return await self._admission.create(key, agent, document, [], changes, end=stretch.final)

    def _kept(self, key: Key, stretch: Stretch) -> list[Change]:
        """Return the records of a history, as much of its end as the limits allow."""
        most, most_bytes = self._limits.history_entries, self._limits.history_bytes
        if not most or not most_bytes or not stretch.entries:
            return []
        stretch, data = pack_within(stretch, most=most, most_bytes=most_bytes)
        return [*with_segment(key, [], stretch, data, most=most, most_bytes=most_bytes)]


def _unasked(state: msgspec.Raw, agent: Agent) -> msgspec.Raw:
    """Return a state without questions, which nobody has asked here; what is none is for `adopt` to refuse."""
    try:
        decoded = msgspec.json.decode(state)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return state
    if not items_in(decoded, agent.pending):
        return state
    return msgspec.Raw(_encode(without_questions(decoded, agent.pending)))


def _written(key: Key, given: Imported, now: float) -> list[Change]:
    """Return the records of what clients have written into the history of messages."""
    changes: list[Change] = []
    gone = frozenset(given.deleted)
    for message in _read(given.messages, now):
        changes.append(RecordWritten(key, MESSAGE, message.id, _encode(message)))
        if message.external_id is not None:
            mark = named_mark(message.external_id, message.format)
            changes.append(RecordWritten(key, NAMED, mark, message.id.encode()))
        if message.id in gone:
            changes.append(RecordWritten(key, DELETED, message.id, b"{}"))
    return changes


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
