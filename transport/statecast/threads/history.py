"""Histories: a thread's messages as a tree, which clients write message by message.

What clients write is stored as records of the thread. As long as no agent has run on it, the newest branch is also in
the thread's state, so that clients of every protocol have it; afterwards the state is the agent's, and a history joins
both. Source: docs/protocol/thread-requests.md, "Histories".
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from statecast.history.client_message import ClientMessage
from statecast.history.formats import read_message
from statecast.history.matching import Alias, match, same_message
from statecast.history.tree import HistoryMessage, joined, moved_up, state_messages, without
from statecast.protocol.errors import StateLimitExceeded
from statecast.protocol.messages.state_messages import items_in
from statecast.stores import Key, RecordErased, RecordWritten, Summary
from statecast_agents import About, Agent, Feedback, Json, new_id

from .errors import AgentFailed, AgentsMessage, FieldTooLarge, UnknownMessage
from .hub import Hub
from .offload import offload
from .records.aliases import Aliases
from .records.cascade import DELETED, MESSAGE, NAMED, named_mark
from .records.client_messages import MAX_ID, can_follow, check_names, check_written, has_only
from .records.directory import MAX_FIELD
from .runs.hook_calls import HookFailed

__all__ = ["EACH", "LEASE", "History"]

#: Kinds of records.
FEEDBACK: Final = "feedback"
LEASE: Final = "lease"  #: of a message that its client still makes

#: Bytes, about, of a message in a history, where nobody has counted them.
EACH: Final = 1_024

_log: Final = logging.getLogger("statecast")

_decode: Final = msgspec.json.Decoder(ClientMessage).decode
_encode: Final = msgspec.json.Encoder().encode


class History:
    """Reads and writes the histories of threads.

    Args:
        hub: The threads.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._aliases = Aliases(hub.directory)

    async def read(self, summary: Summary, *, format: str | None = None) -> list[HistoryMessage]:
        """Return the messages of a thread, each after its parent, in the form of a published client.

        Args:
            summary: The thread's.
            format: Only messages of that form; None: all, and the state's as `aui/v0`.

        Raises:
            RequestError: `store_unavailable`.
        """
        key = summary.key
        written = await self._written(key)
        was_idle = self._is_idle(key)
        _, in_state, _, size = await self._state(key)
        deleted = {id for id, _ in await self._hub.directory.records(key, DELETED)}
        aliases = await self._aliases.read(key, format) if written and in_state else {}

        def placed() -> tuple[list[HistoryMessage], Mapping[str, Alias]]:
            matching = match(written, in_state, format=format, aliases=aliases)
            return without(joined(matching, format=format, began=summary.created), deleted), matching.found

        messages, found = await offload(size + EACH * (len(written) + len(in_state)), placed)
        if found and was_idle and self._is_idle(key):  # what an answer says by now is all that it says
            ids = {message.get("id") for message in in_state if isinstance(message, dict)}
            await self._aliases.write(key, format, found, gone=aliases.keys() - ids)
        return messages

    async def write(
        self,
        key: Key,
        *,
        parent_id: str | None,
        format: str,
        content: dict[str, Json],
        id: str | None = None,
        external_id: str | None = None,
    ) -> str:
        """Add a message to a thread's history, or replace it, and return its id.

        Args:
            key: The thread; it has a summary.
            parent_id: The message before it.
            format: The form of `content`.
            content: The message.
            id: Its id, if it has one.
            external_id: Its id elsewhere, if it has one: then it is replaced if the thread has it already, and
                stays where it is if no `parent_id` is given.

        Raises:
            RequestError: `state_too_large`; `invalid_request`; `store_unavailable`.
        """
        async with self._hub.directory.alone(key.owner, f"history {key.thread_id}"):  # what is counted is what is there
            return await self._write(key, parent_id, format, content, id, external_id)

    async def _write(
        self,
        key: Key,
        parent_id: str | None,
        format: str,
        content: dict[str, Json],
        id: str | None,
        external_id: str | None,
    ) -> str:
        check_names(id=id, parent_id=parent_id, external_id=external_id, format=format)
        now = time.time()
        records = dict(await self._hub.directory.records(key, MESSAGE))
        if external_id is not None:
            id = await self.named(key, external_id, format)
        id = id or await self._find_in_state(key, parent_id, format, content, records) or new_id("msg")
        before = self._hub.directory.decoded(key, _decode, records[id]) if id in records else None
        message = ClientMessage(id, parent_id, format, content, now, now, external_id)
        if before is not None:
            message = msgspec.structs.replace(message, created=before.created)
            if external_id is None:
                message = msgspec.structs.replace(message, external_id=before.external_id)
            elif parent_id is None:
                message = msgspec.structs.replace(message, parent_id=before.parent_id)
        record = _encode(message)
        await self._check_room(key, message, record, records)
        await self._hub.directory.write(key, MESSAGE, id, record, message=before is None)
        changes: list[RecordWritten | RecordErased] = [] if before is None else [RecordErased(key, DELETED, id)]
        if before is not None and before.content != content:  # it may be another message by now
            changes += await self._aliases.deletions(key, id)
        if external_id is not None:
            changes.append(RecordWritten(key, NAMED, named_mark(external_id, format), id.encode()))
        await self._hub.directory.change(key, *changes)
        if before is not None or not await self._extend(key, message, records, len(record)):
            await self._update_state(key)
        return id

    async def _check_room(self, key: Key, message: ClientMessage, record: bytes, records: dict[str, bytes]) -> None:
        """Check that a history with one more message, or with one replaced, is at most as large as a state may be.

        So is what its newest branch makes of the thread's state, as long as that is the clients'.

        Raises:
            RequestError: `state_too_large`.
        """
        limit = self._hub.limits.state
        before = records.get(message.id, b"")
        if len(record) > len(before) and sum(map(len, records.values())) - len(before) + len(record) > limit:
            text = (
                f"expected what clients write into a history to have at most {limit} bytes, got more; delete some of it"
            )
            raise StateLimitExceeded(text, limit=limit)
        thread = await self._hub.known(key.thread_id, owner=key.owner)
        read = await offload(len(record), read_message, message.content, message.format, message.id)
        if read is None or (thread is not None and not has_only(thread, records)):
            return
        if (
            thread is not None
            and message.id not in records
            and can_follow(thread, message.parent_id, read, limit=limit)
        ):
            return
        written = {id: _decode(data) for id, data in records.items()} | {message.id: message}
        agent = next(iter(self._hub.agents.values())) if thread is None else thread.agent
        size = sum(map(len, records.values())) + len(record)
        messages = await offload(size, state_messages, list(written.values()))
        await offload(size, partial(check_written, agent, messages, limit=limit))

    async def named(self, key: Key, external_id: str, format: str) -> str | None:
        """Return the id of the message that has an id from elsewhere; None if there is none.

        The agent's messages keep their own ids: by these, a page that copies what it shows knows them.

        Raises:
            RequestError: `store_unavailable`.
        """
        known = dict(await self._hub.directory.records(key, NAMED)).get(named_mark(external_id, format))
        if known is not None:
            return self._hub.directory.decoded(key, bytes.decode, known)
        in_state = (await self._state(key))[1]
        is_agents = any(isinstance(message, dict) and message.get("id") == external_id for message in in_state)
        return external_id if is_agents and 0 < len(external_id) <= MAX_ID else None

    async def update(self, summary: Summary, id: str, content: dict[str, Json]) -> None:
        """Replace a message of a history.

        Raises:
            RequestError: `unknown_message`; `store_unavailable`.
        """
        found = next((message for message in await self.read(summary) if message.id == id), None)
        if found is None:
            raise UnknownMessage(id)
        await self.write(summary.key, parent_id=found.parent_id, format=found.format, content=content, id=id)

    async def delete(self, summary: Summary, ids: Sequence[str]) -> None:
        """Delete messages that clients have written from a history; their children move to their parents.

        Those that are gone already are left out, so that a request can be repeated, unless it names no other.

        Raises:
            RequestError: `unknown_message`; `agents_message` for one that is the agent's; `store_unavailable`.
        """
        key = summary.key
        written = {message.id: message for message in await self._written(key)}
        existing = {message.id for message in await self.read(summary)}
        known = [id for id in dict.fromkeys(ids) if id in existing]
        if not known:
            raise UnknownMessage(ids[0] if ids else "")
        for id in known:
            if id not in written:
                text = f'the message "{id}" is in the agent\'s state; send it a command, or edit the one before it'
                raise AgentsMessage(text)
        changes: list[RecordWritten | RecordErased] = [
            RecordErased(key, kind, id) for id in known for kind in (FEEDBACK, LEASE)
        ]
        if await self._has_only_written(key, gone=known):
            gone = {id: written.pop(id) for id in known}
            marks = [
                named_mark(message.external_id, message.format) for message in gone.values() if message.external_id
            ]
            changes += [RecordErased(key, MESSAGE, id) for id in known]
            changes += [RecordErased(key, NAMED, mark) for mark in marks]
            changes += [
                RecordWritten(key, MESSAGE, child.id, _encode(child)) for child in moved_up(written.values(), gone)
            ]
        else:
            changes += [RecordWritten(key, DELETED, id, b"{}") for id in known]
        await self._hub.directory.change(key, *changes)
        await self._update_state(key, gone=known)

    async def about(
        self, summary: Summary, messages: Sequence[Json] | None = None, *, user: Any = None
    ) -> tuple[Agent, About]:
        """Return a thread's agent, and what its hooks receive.

        Args:
            summary: The thread's.
            messages: What the client says they are, as in a state; None: as the server has them.
            user: Who asks.

        Raises:
            RequestError: `store_unavailable`.
        """
        agent, in_state, state, _ = await self._state(summary.key)
        if messages is None:
            messages = in_state or state_messages(await self._written(summary.key))
        return agent, About(thread_id=summary.key.thread_id, messages=messages, state=state, user=user)

    async def feedback(self, summary: Summary, id: str, type: Any, comment: str | None, *, user: Any = None) -> str:
        """Store a user's feedback on a message, call the agent's hook, and return the feedback's id.

        Raises:
            RequestError: `unknown_message`; `field_too_large`; `agent_failed`, after it was stored;
                `store_unavailable`.
        """
        found = next((message for message in await self.read(summary) if message.id == id), None)
        if found is None:
            raise UnknownMessage(id)
        agent, in_state, _, _ = await self._state(summary.key)
        same = (message for message in in_state if isinstance(message, dict) and message.get("id") == id)
        size = len(_encode(found.content))
        message = next(same, None) or await offload(size, read_message, found.content, found.format, id)
        record = {"id": f"fb_{id}"[:MAX_ID], "type": type, "comment": comment, "at": time.time()}
        data, limit = _encode(record), self._hub.limits.state
        others = sum(
            len(data) for other, data in await self._hub.directory.records(summary.key, FEEDBACK) if other != id
        )
        if len(data) > MAX_FIELD or others + len(data) > limit:
            limit = min(limit, MAX_FIELD)
            text = (
                f"expected feedback of at most {limit} bytes, and of a thread's messages in all no more than of a state"
            )
            raise FieldTooLarge(text, limit=limit)
        await self._hub.directory.write(summary.key, FEEDBACK, id, data)
        report = Feedback(
            thread_id=summary.key.thread_id, message_id=id, type=type, comment=comment, message=message, user=user
        )

        async def tell(in_thread: Any) -> AsyncGenerator[None, None]:
            await agent.hooks.feedback(report, in_thread)
            yield

        try:
            if agent.hooks.has("feedback"):
                await anext(self._hub.ask(agent, summary.key, "feedback", tell))
        except HookFailed:
            text = "the feedback is kept, but the agent failed to take it; the reason is in the server's log"
            raise AgentFailed(text) from None
        return str(record["id"])

    async def feedbacks(self, key: Key) -> dict[str, dict[str, Json]]:
        """Return the users' feedback on messages, by the message's id.

        Raises:
            RequestError: `store_unavailable`.
        """
        return dict(await self._hub.directory.read(key, FEEDBACK, msgspec.json.decode))

    def _is_idle(self, key: Key) -> bool:
        """Return whether no run is under way on a thread, and none waits."""
        thread = self._hub.loaded(key.thread_id, owner=key.owner)
        return thread is None or (thread.active is None and not thread.inbox)

    async def _written(self, key: Key) -> list[ClientMessage]:
        return [message for _, message in await self._hub.directory.read(key, MESSAGE, _decode)]

    async def _find_in_state(
        self, key: Key, parent_id: str | None, format: str, content: dict[str, Json], known: Collection[str]
    ) -> str | None:
        """Return the id of the message in the state that a client writes down as well; None if there is none."""
        thread = await self._hub.known(key.thread_id, owner=key.owner)
        if thread is None or has_only(thread, known):
            return None
        _, in_state, _, size = await self._state(key)

        def found() -> str | None:
            message = read_message(content, format, "")
            return None if message is None else same_message(message, parent_id, in_state, known=known)

        return await offload(size + len(_encode(content)), found)

    async def _extend(self, key: Key, message: ClientMessage, known: Collection[str], size: int) -> bool:
        """Append a message to the thread's messages if that suffices; return whether it does."""
        thread = await self._hub.known(key.thread_id, owner=key.owner)
        read = await offload(size, read_message, message.content, message.format, message.id)
        if thread is None or read is None or not has_only(thread, known):
            return False
        return await self._hub.extend(thread, message.parent_id, read)

    async def _state(self, key: Key) -> tuple[Agent, Sequence[Json], Json, int]:
        """Return a thread's agent, its messages, its state, and the bytes of that; the first agent, if it has none."""
        thread = await self._hub.known(key.thread_id, owner=key.owner)
        if thread is None:
            return next(iter(self._hub.agents.values())), [], None, 0
        _, encoded = await self._hub.registry.snapshot(thread)
        state = await offload(len(encoded), msgspec.json.decode, encoded)
        path = thread.agent.messages
        return thread.agent, [] if path is None else items_in(state, path), state, len(encoded)

    async def _has_only_written(self, key: Key, gone: Sequence[str]) -> bool:
        """Return whether a thread has no messages but those that clients have written, or that are `gone` by now.

        Else an agent has run on it, or a client has brought them along as a state.
        """
        thread = await self._hub.known(key.thread_id, owner=key.owner)
        if thread is None:
            return True
        return has_only(thread, {id for id, _ in await self._hub.directory.records(key, MESSAGE)}.union(gone))

    async def _update_state(self, key: Key, gone: Sequence[str] = ()) -> None:
        """Make the newest branch the thread's messages, as long as it has no others."""
        if await self._has_only_written(key, gone):
            written = await self._written(key)  # read now: others write as well
            size = sum(len(_encode(message)) for message in written)
            messages = await offload(size, state_messages, written)
            agent = next(iter(self._hub.agents.values()))
            await self._hub.write(key.thread_id, messages, agent, owner=key.owner)
