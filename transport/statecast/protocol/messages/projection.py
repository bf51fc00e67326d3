"""Projection: a thread's log as growing assistant messages, for protocols that have no shared state.

The agent keeps its messages in the state, or emits parts outside it. A projection reads the entries of one stream and
returns events, which the protocol's encoder writes.
Source: docs/protocol/message-protocols.md, "Projections".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec

from statecast.protocol.entries import ChunkEntry, Entry, OperationsEntry, RunEntry
from statecast.protocol.json_compare import same_json
from statecast_agents import Document, Json, chunks, operations
from statecast_agents.metadata import Report

from .client_copy import ClientCopy
from .part_events import Event, PartEvents, RunTurned, StateChanged, StateReplaced
from .sent import GROWING, NESTED, Part, SentParts
from .state_messages import id_of, items_in, list_in, role_of, without

__all__ = ["Projection"]


class Projection:
    """Read the entries of one stream as events.

    Args:
        path: Where in the state the messages are; None: the agent keeps them in a form of its own.
        run_id: The run whose stream it is; what others do is not shown. None: no run's.
        base: The thread's state where the stream starts, whose messages the client has; only read. UNSET: the stream
            starts with a snapshot, and shows everything that follows the user's last message.
        claim: The state beside the messages that the client has; UNSET: none, so it is told.
        begun: Whether the run is under way at `base`.
        client_copy: What the client has of the answer, if the stream continues it. None: it begins another message.
        after: Which message of the user is answered; None: the last one.
    """

    def __init__(
        self,
        path: Sequence[str] | None,
        *,
        run_id: str | None = None,
        base: Json | msgspec.UnsetType = msgspec.UNSET,
        claim: Json | msgspec.UnsetType = msgspec.UNSET,
        begun: bool = False,
        client_copy: ClientCopy | None = None,
        after: int | None = None,
    ) -> None:
        self.client_copy = client_copy
        self.cut_off = False  #: whether what is open is closed because its run was stopped, or the stream was
        #: the `grew_at` of entries that only make the part longer that grew last; `b""`: no entry does. Who passes on
        #: the `delta` of such an entry, instead of asking `read`, adds it to `strings`.
        self.grows_at = b""
        self.strings = bytearray()
        self._path = None if path is None else tuple(path)
        self._run_id = run_id
        self._claim = claim
        self._after = after
        self._growth = PartEvents()
        self._messages: (
            list[SentParts | None] | None
        ) = []  #: as in the state, None for a message that the stream does not show; or there is no list
        self._hidden: set[str] = set()  #: ids of messages that the client has, so that the stream does not show them
        self._sent: dict[str, SentParts] = {}  #: by the ids that the messages have in the state
        self._gone: list[SentParts] = []  #: messages that are not in a list that is set anew, at least under their ids
        self._numbers: dict[int, int | None] = {}  #: of parts that were emitted outside the state
        self._growing: Part | None = None  #: the part that grew last
        #: a part that is to be looked at, and which of its fields were set
        self._due: tuple[SentParts, int, set[str]] | None = None
        #: The state, until the stream's own run begins: what other runs do until then belongs to what came before, and
        #: the first frame shows what the run begins with.
        self._before: Document | None = None
        self._begun = False
        self._turned = (
            False  #: whether its own run has ended or waits; until then, the end of the stream cuts parts off
        )
        if base is not msgspec.UNSET and begun:
            self._begin(base, client_copy or ClientCopy(), goes_on=True)
        elif base is not msgspec.UNSET:
            self._before = Document.adopting(base)

    @property
    def open_calls(self) -> bool:
        """Return whether the message has a tool call without a result."""
        return any(part.result is None for part in self._growth.calls.values())

    def call_id(self, number: int) -> str | None:
        """Return the id of a tool call by its part's number, including calls that the client had before the stream."""
        return next((id for id, part in self._growth.calls.items() if part.number == number), None)

    def has_result(self, call_id: str) -> bool:
        """Return whether a tool call has a result."""
        part = self._growth.calls.get(call_id)
        return part is not None and part.result is not None

    def denied(self, call_id: str) -> bool:
        """Return whether the user was asked about a tool call, and has not approved it."""
        part = self._growth.calls.get(call_id)
        approval = None if part is None else part.approval
        return approval is not None and (approval.get("approved") is False or "resolution" in approval)

    def data_id(self, number: int) -> str:
        """Return the id of a data part within the client's message, by the part's number."""
        return self._growth.data_ids.get(number, str(number))

    def read(self, entry: Entry) -> list[Event]:
        """Return the events of an entry."""
        if not isinstance(entry, OperationsEntry):
            self._read_other(entry)
        elif self._begun:
            self._operate(entry)
        elif self._before is not None:
            for operation in operations.decode(entry.operations):
                self._before.apply(operation)
            self._before.flush()  # nobody wants to know
        return self._take_events()

    def snapshot(self, state: bytes, rest: Iterable[Entry]) -> list[Event]:
        """Return the events that lead from what the client has to a snapshot: at the start, or after falling behind."""
        self.grows_at = b""
        rest = list(rest)
        value = msgspec.json.decode(state)
        begins = self._run_id is None or any(isinstance(e, RunEntry) and e.run.id == self._run_id for e in rest)
        if self._begun:
            self._relist(list_in(value, self._path))
            if self._path != ():
                self._growth.events.append(StateReplaced(without(value, self._path)))
        elif begins:
            self._begin(value, self.client_copy)
            if self.client_copy is not None:  # of what was emitted outside the state it has all
                rest = [entry for entry in rest if isinstance(entry, RunEntry)]
        else:
            self._before = Document.adopting(value)
        for entry in rest:
            self._read_other(entry)
        return self._take_events()

    def close(self) -> list[Event]:
        """Return the events that finish the open parts, at the end of the stream."""
        self.grows_at = b""
        self.cut_off = not self._turned
        self._growth.close(calls=True)
        return self._take_events()

    @property
    def emitted(self) -> Collection[int]:
        """The numbers of the parts that the agent emitted outside the state."""
        return {number for number in self._numbers.values() if number is not None}

    @property
    def report(self) -> Report:
        """What the messages' metadata say of the answer's model calls."""
        return sum((message.report for message in self._messages or () if message is not None), Report())

    def messages(self) -> list[dict[str, Json]]:
        """Return the assistant messages that the stream shows, complete."""
        return [message.whole() for message in self._messages or () if message is not None]

    def _take_events(self) -> list[Event]:
        events, self._growth.events = self._growth.events, []
        return events

    def _begin(
        self, state: Json, client_copy: ClientCopy | None, *, hide_all: bool = False, goes_on: bool = False
    ) -> None:
        """Begin to show the answer, without what the client has of it.

        With `hide_all`, all present messages belong to earlier answers; with `goes_on`, an earlier stream of the same
        run has shown the beginning, and not told how it ended.
        """
        self._begun = True
        self._before = None
        beside = without(state, self._path)
        is_known = beside in (None, {}) if self._claim is msgspec.UNSET else same_json(self._claim, beside)
        if not is_known:
            self._growth.events.append(StateReplaced(beside))
        items = items_in(state, self._path)
        users = [index for index, item in enumerate(items) if role_of(item) == "user"]
        last = users[-1] if users else -1
        after = last if self._after is None or self._after not in users else self._after
        until = next((index for index in users if index > after), len(items))
        self._hidden = {_id(item, index) for index, item in enumerate(items) if hide_all or not after < index < until}
        self._growth.client_copy = client_copy
        self._relist(list_in(state, self._path))
        self._growth.client_copy = None
        for message in self._messages or () if client_copy is not None and not goes_on else ():
            if message is not None:
                message.skip_steps()

    # Entries

    def _read_other(self, entry: Entry) -> None:
        if isinstance(entry, RunEntry):
            if entry.run.id == self._run_id:
                if not self._begun:
                    before = None if self._before is None else self._before.plain()
                    self._begin(before, self.client_copy, hide_all=self.client_copy is None)
                self._turned = entry.run.ended or entry.run.status == "waiting"
                if self._turned:
                    self.cut_off = entry.run.status in ("cancelled", "interrupted")
                    self._growth.close(calls=True)
                    self.grows_at = b""
                self._growth.events.append(RunTurned(entry.run))
        elif isinstance(entry, ChunkEntry) and self._begun and entry.run_id == self._run_id:
            self._pass_on(entry)

    def _operate(self, entry: OperationsEntry) -> None:
        changed = operations.decode(entry.operations)
        self.grows_at, self._growing = b"", None
        beside: list[operations.Operation] = []
        path = self._path
        for operation in changed:
            place = operation.path
            if path is None or place[: len(path)] != path[: len(place)]:
                beside.append(operation)
            elif len(place) > len(path):
                self._change(operation, place[len(path) :])
            elif isinstance(operation, operations.Set):
                self._catch_up()
                self._relist(list_in(operation.value, path[len(place) :]))
                if len(place) < len(path):
                    beside.append(operations.Set(place, without(operation.value, path[len(place) :])))
        self._catch_up()
        if beside:
            self._growth.events.append(StateChanged(beside))
        if entry.grew_at is not None and self._growing is not None:
            self.grows_at, self.strings = entry.grew_at, self._growing.strings

    def _change(self, operation: operations.Operation, path: Sequence[str]) -> None:
        """Apply an operation within the list of messages."""
        if self._messages is None:
            return
        index = int(path[0])
        if len(path) == 1:
            self._catch_up()
            if isinstance(operation, operations.Set):
                self._place(index, operation.value)
            return
        message = self._messages[index] if index < len(self._messages) else None
        if path[1] == "id" and isinstance(operation, operations.Set):
            self._rename(message, index, operation.value)
        if message is None:
            return
        listed = path[1] == "parts" and isinstance(message.value.get("parts"), list)
        number = int(path[2]) if listed and len(path) > 2 else None
        if isinstance(operation, operations.AppendText):
            self._catch_up()
            part = None if number is None else message.parts.get(number)
            if part is not None and len(path) == 4 and GROWING.get(part.kind) == path[3]:
                self._growing = part if self._growth.grow(part, operation.value) else None
                return
            inner: operations.Operation = operations.AppendText(tuple(path[1:]), operation.value)
        else:
            inner = operations.Set(tuple(path[1:]), operation.value)
        if number is not None and len(path) > 4 and path[3] == NESTED:
            message.apply(inner)  # no event says so before the call has a result
            return
        if number is None or len(path) < 4:
            self._catch_up()
            message.apply(inner)
            if path[1] == "parts":
                self._growth.look(message, number)
            return
        if self._due is None or self._due[:2] != (message, number):
            self._catch_up()
            self._due = message, number, set()
        self._due[2].add(path[3])
        message.apply(inner)

    def _catch_up(self) -> None:
        """Emit the part whose fields were set, all at once: a result and its error flag are one change."""
        if self._due is not None:
            message, number, fields = self._due
            self._due = None
            self._growth.look(message, number, fields)

    def _pass_on(self, entry: ChunkEntry) -> None:
        """Pass on a chunk that the agent emitted outside the state, with the stream's part numbers."""
        chunk, growth = entry.chunk, self._growth
        self.grows_at = b""
        if isinstance(chunk, _IN_MESSAGE):
            growth.within(growth.current or entry.run_id)
        if isinstance(chunk, chunks.PartStarted):
            self._numbers[chunk.part] = growth.emitted(entry.run_id, chunk)
        if isinstance(chunk, _WITHIN_PART):
            number = self._numbers.get(chunk.part)
            if number is not None:
                if isinstance(chunk, chunks.ToolResult):
                    growth.record_result(number, chunk)
                growth.events.append(msgspec.structs.replace(chunk, part=number))
        else:
            growth.events.append(chunk)

    # Messages

    def _relist(self, items: list[Json] | None) -> None:
        before = len(self._messages or ())
        for index in range(len(items or ()), before):  # one that comes here later without an id is another one
            self._hidden.discard(_nameless(index))
            self._sent.pop(_nameless(index), None)
        ids = {_id(item, index) for index, item in enumerate(items or ())}
        self._gone = [
            message
            for index, message in enumerate(self._messages or ())
            if message is not None and _id(message.value, index) not in ids
        ]
        self._messages = None if items is None else []
        for index, item in enumerate(items or ()):
            self._place(index, item)
        self._gone = []

    def _rename(self, message: SentParts | None, index: int, id: Json) -> None:
        """Record that a message of the list gets another id. The stream goes on under the id that it began with."""
        if not isinstance(id, str):
            return
        if message is None:
            self._hidden.add(id)
        else:
            self._sent.pop(_id(message.value, index), None)
            self._sent[id] = message

    def _renamed(self, index: int, id: str, value: dict[str, Json]) -> SentParts | None:
        """Return the message that is this one under another id, if it has left the list; None if there is none."""
        assert self._messages is not None, "it is in the list"
        before = self._gone if index == len(self._messages) else [self._messages[index]]
        for message in before:
            if message is not None and message.continues_as(value):
                self._rename(message, index, id)
                self._gone = [other for other in self._gone if other is not message]
                return message
        return None

    def _place(self, index: int, value: Json) -> None:
        """Put a message into the list, and emit what is new in it."""
        assert self._messages is not None, "it is in the list"
        message: SentParts | None = None
        id = _id(value, index)
        if isinstance(value, dict) and role_of(value) == "assistant" and id not in self._hidden:
            message = self._sent.get(id) or self._renamed(index, id, value)
            if message is None:
                message = self._sent[id] = SentParts(id, value)
                if self._growth.client_copy is None:
                    self._growth.within(id)
                self._growth.known((id,))
            message.set(value)
        if index < len(self._messages):
            self._messages[index] = message
        else:
            self._messages.append(message)
        if message is not None:
            self._growth.look(message)


_WITHIN_PART: Final = (
    chunks.PartStarted,
    chunks.TextDelta,
    chunks.ArgsFinished,
    chunks.ToolResult,
    chunks.PartFinished,
)
_IN_MESSAGE: Final = (chunks.PartStarted, chunks.Annotations, chunks.Data)


def _id(message: Json, index: int) -> str:
    id = id_of(message)
    return _nameless(index) if id is None else id


def _nameless(index: int) -> str:
    return f"message-{index}"
