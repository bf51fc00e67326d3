"""AG-UI, 1.0 and before: server-sent events, one JSON object each, from `RUN_STARTED` to how the run ended.

The client builds its messages from the stream, in strict order: everything is begun before it grows, and ended. Changes
of messages that no event can express are sent as a snapshot of all messages; changes of the state beside them are held
until `release`. Source: docs/protocol/ag-ui-events.md, "POST /ag-ui".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, assert_never

import msgspec

from statecast.protocol.entries import Entry
from statecast.protocol.event_stream import EVENT_STREAM, HEARTBEAT, typed_event
from statecast.protocol.json_compare import same_json
from statecast.protocol.messages.encoder import MessageEncoder
from statecast.protocol.messages.full_projection import FullProjection
from statecast.protocol.messages.part_events import (
    ApprovalAnswered,
    ApprovalAsked,
    Event,
    InMessage,
    Rewritten,
    RunTurned,
    StateChanged,
    StateReplaced,
)
from statecast.protocol.messages.state_messages import id_of, items_in, parts_of
from statecast.protocol.messages.wire import ThreadView
from statecast.protocol.state_deltas import StateDeltas
from statecast_agents import Json, chunks

from .client_view import ClientView
from .message_format import EMITTED, agree, content_of, places, render, result_id, used
from .request import RunInput

__all__ = ["VERSION", "AgUiEncoder"]

VERSION: Final = "1.0"  #: what we speak to a client that says which version it speaks

#: What the tool answers by which an agent asks for an approval, see `Run.approval`.
_APPROVAL: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"approved": {"type": "boolean"}, "reason": {"type": "string"}},
    "required": ["approved"],
}

#: Who speaks in an answer.
_ANSWER: Final = ("assistant", "reasoning", "tool")

_encode: Final = msgspec.json.Encoder().encode


class AgUiEncoder(MessageEncoder):
    """Write a projection as AG-UI events.

    Args:
        projection: Of the stream.
        run_input: What the client posted.
        follows: Whether the stream follows a run; if not, it only says what there is.
        known_users: The user messages that some AG-UI client knows; those that this stream sends are added.
    """

    name = "ag-ui"
    headers = EVENT_STREAM
    heartbeat = HEARTBEAT
    projection: FullProjection

    def __init__(
        self,
        projection: FullProjection,
        run_input: RunInput,
        *,
        follows: bool = True,
        thread: ThreadView | None = None,
        known_users: set[str] | None = None,
    ) -> None:
        super().__init__(projection)
        self._input = run_input
        self._follows = follows
        self._pending = None if thread is None else thread.pending
        self._asks = not follows and thread is not None and thread.waits
        self._posted = {message.get("id") for message in run_input.messages}
        self._run = {"threadId": run_input.conversation.thread_id, "runId": run_input.run_id}
        self._over = False
        self._texts: dict[int, tuple[str, str]] = {}  #: what is open: how its events begin, and its message
        self._args: dict[int, str] = {}  #: calls whose arguments are open
        self._emitted: list[Json] = []  #: what kinds the parts outside the state are
        self._unanswered: dict[str, Json] = {}  #: the calls among them
        self._tally: set[str] = set()  #: calls that began in the stream and got no result in it
        self._steps: list[str] = []
        self._state = StateDeltas(run_input.state)
        self._compared = False  #: whether the client's messages have been looked at
        self._due = False  #: whether the client is to get all messages
        self._ids: list[str | None] = []  #: of the thread's messages that it has, or makes of the stream
        self._version = -1  #: of the list of messages, as it was then
        self.view = ClientView(run_input.messages, f"{run_input.run_id}.none", known_users)  #: what the client has

    # The stream

    def begin(self) -> bytes:
        """Return `RUN_STARTED`, with the client's id of the run."""
        version = {"protocolVersion": VERSION} if self._input.modern else {}
        if self.projection.listed:
            self._compare()
        return typed_event("RUN_STARTED", **self._run, **version)

    @property
    def cut(self) -> bool:
        """Whether to cut the connection because the run's end is unknown: clients treat a clean end as a success."""
        return not self._over

    def snapshot(self, state: bytes, revision: int, rest: Sequence[Entry] = ()) -> bytes:
        """Return the snapshots for a client that joins or fell behind."""
        joins = not self.projection.begun
        events = self.projection.snapshot(state, rest)
        if not joins:
            self._due = True
        if not joins or not self.projection.listed:
            return self.written(events)
        self._compared = True
        self._track_messages()
        frames = self._snapshots(self._before_the_answer()) + self.written(events)
        self._due = (
            self.projection.client_copy is not None
        )  # it may have parts of an answer that is not the thread's any more
        return frames

    def finish(self) -> bytes:
        """Return the held state changes, the ends of open messages, and how the run ended."""
        self._over = True
        frames = [self.release(), self.closed()]
        frames += [self._end_text(number) for number in list(self._texts)]
        frames += [self._end_args(number) for number in list(self._args)]
        frames += [typed_event("STEP_FINISHED", stepName=name) for name in reversed(self._steps)]
        if self._due and self.projection.listed:
            frames.append(self._snapshots(render(self.projection.everything(), self._input.results)))
        elif self._follows and not self.projection.begun:
            frames.append(self._snapshots_while_queued())
        usage = used(self.report) if self._input.modern else {}
        error = self.error if self._follows else None
        if error is not None:
            frames.append(typed_event("RUN_ERROR", message=error.message, code=error.code, **usage))
        else:
            frames.append(typed_event("RUN_FINISHED", **self._run, **self._outcome(), **usage))
        return b"".join(frames)

    def written(self, events: Sequence[Event]) -> bytes:
        """Return events, and a messages snapshot where events alone would leave the client with other messages."""
        due = self._due
        frames = super().written(events)
        if not self.projection.listed:
            return frames
        if not self._compared:
            self._compare()
        elif self._track_messages() or any(isinstance(event, Rewritten) for event in events):
            due = True
        return frames + (self._snapshots(render(self.projection.everything(), self._input.results)) if due else b"")

    # The state

    @property
    def held(self) -> bool:
        """Whether changes of the state are held back."""
        return self._state.held

    def release(self) -> bytes:
        """Return the held state changes as one event."""
        patch = self._state.release() if self._state.held else []
        if not patch:
            return b""
        if patch[-1]["path"] == "":
            return typed_event("STATE_SNAPSHOT", snapshot=patch[-1]["value"])
        return typed_event("STATE_DELTA", delta=patch)

    def _replace(self, state: Json) -> bytes:
        known = self._state.state
        if not self._state.held and (same_json(state, known) or (state is None and known == {})):
            return b""
        self._state.replace(state)
        return typed_event("STATE_SNAPSHOT", snapshot=state)

    # All messages

    def _compare(self) -> None:
        """Compare the client's messages with the thread's. Its new messages come with the next entry."""
        self._compared = True
        self._due = not agree(self.projection.everything(), self._input.messages)
        self._track_messages()

    def _track_messages(self) -> bool:
        """Record which messages there are; return whether some came, went or changed as no event can say."""
        projection, before = self.projection, self._ids
        altered, projection.altered = projection.altered, False
        if projection.version == self._version:
            return altered
        first, self._version = self._version < 0, projection.version
        self._ids = projection.ids()
        fresh = range(len(before), len(self._ids))
        streamed = all(projection.shows(index) or self._ids[index] in self._posted for index in fresh)
        return not first and (altered or self._ids[: len(before)] != before or not streamed)

    def _snapshots_while_queued(self) -> bytes:
        """Return what a client has missed whose turn does not come before another has answered."""
        items, posted = self.projection.everything(), self._input.messages
        if not self.projection.lists or agree(items, posted):
            return b""
        rendered = render(items)
        ids = {message["id"] for message in rendered}
        last = [dict(one) for one in posted[-1:] if one.get("role") == "user" and one.get("id") not in ids]
        return self._snapshots([*rendered, *last])

    def _before_the_answer(self) -> list[dict[str, Any]]:
        """Return the messages of a client that joins, without those that the stream sends."""
        items = self.projection.everything()
        size = next((index for index in range(len(items)) if self.projection.shows(index)), len(items))
        rendered = render(items[:size], self._input.results)
        if self.projection.client_copy is None:
            # It forgets what it reasoned only for other reasoning. Best is what the stream begins with.
            begins = render(items[: size + 1])[len(rendered) :][:1] if self.view.reasons else []
            return [*rendered, *({**one, "content": ""} for one in begins if one["role"] == "reasoning")]
        ids = {message["id"] for message in rendered}  # its last answer may be another than the thread's
        posted = self._input.messages
        last = next((at for at in range(len(posted), 0, -1) if posted[at - 1].get("role") == "user"), 0)
        known = [one for one in posted[last:] if one.get("role") in _ANSWER and one.get("id") not in ids]
        return [*rendered, *map(dict, known)]

    def _snapshots(self, messages: Sequence[dict[str, Any]]) -> bytes:
        """Return a messages snapshot."""
        self._due = False
        return b"".join(
            typed_event("MESSAGES_SNAPSHOT", messages=snapshot) for snapshot in self.view.snapshots(messages)
        )

    # Events

    def write(self, event: Event) -> bytes:
        """Return an event, several, or nothing."""
        match event:
            case InMessage() | RunTurned() | Rewritten() | chunks.MessageFinished():
                return b""  # the parts in it say so, or the end of the stream
            case ApprovalAsked() | ApprovalAnswered():
                return b""  # what is open at the end of the stream is an interrupt
            case StateReplaced():
                return self._replace(event.state)
            case StateChanged():
                self._state.hold(event.operations)
                return b""
            case chunks.PartStarted():
                return self._start(event.part, event.init)
            case chunks.TextDelta():
                return self._grow(event)
            case chunks.ArgsFinished():
                return self._end_args(event.part)
            case chunks.ToolResult():
                return self._write_result(event)
            case chunks.PartFinished():
                return self._end_text(event.part)
            case chunks.StepStarted():
                return self._start_step(event.message_id)
            case chunks.StepFinished():
                return typed_event("STEP_FINISHED", stepName=self._steps.pop()) if self._steps else b""
            case chunks.Data():
                return b"".join(_custom("data", data) for data in event.data)
            case chunks.Annotations():
                return _custom("annotations", event.annotations)
            case chunks.Failure():
                fields = {"message": event.text, "code": event.code, "severity": event.severity}
                return _custom("error", {name: value for name, value in fields.items() if value is not msgspec.UNSET})
            case _:
                assert_never(event)

    def _start(self, number: int, part: chunks.Part) -> bytes:
        match part:
            case chunks.TextPart():
                return self._start_text(number, "TEXT", self._place(number, "text"))
            case chunks.ReasoningPart():
                return self._start_text(number, "REASONING", self._place(number, "reasoning"))
            case chunks.ToolCallPart():
                return self._start_args(number, part)
            case chunks.DataPart():
                self._place(number, "data")
                return _custom(part.name, part.data)
            case chunks.SourcePart() | chunks.FilePart():
                self._place(number, "other")
                fields = msgspec.to_builtins(part)
                return _custom(fields.pop("type"), fields)
            case _:
                assert_never(part)

    def _place(self, number: int, kind: str) -> str:
        """Return the message that a part is in: of the state, or of those that the run emits outside of it."""
        place = self.projection.place(number)
        if place is not None:
            id, parts, index = place
            return places(id, parts[: index + 1])[index] or id
        self._emitted.append({"type": kind})
        id = self.projection.run_id or EMITTED
        return places(id, self._emitted)[-1] or id

    def _start_text(self, number: int, kind: str, message: str) -> bytes:
        self.view.begin(message, reasoning=kind == "REASONING")
        self._texts[number] = kind, message
        if kind == "TEXT":
            return typed_event("TEXT_MESSAGE_START", messageId=message, role="assistant")
        begin = typed_event("REASONING_START", messageId=message)
        return begin + typed_event("REASONING_MESSAGE_START", messageId=message, role="reasoning")

    def _end_text(self, number: int) -> bytes:
        kind, message = self._texts.pop(number, ("", ""))
        if kind == "TEXT":
            return typed_event("TEXT_MESSAGE_END", messageId=message)
        if kind == "REASONING":
            end = typed_event("REASONING_MESSAGE_END", messageId=message)
            return end + typed_event("REASONING_END", messageId=message)
        return b""

    def _grow(self, chunk: chunks.TextDelta) -> bytes:
        fields: dict[str, str]
        if chunk.part in self._texts:
            kind, message = self._texts[chunk.part]
            fields = {"type": f"{kind}_MESSAGE_CONTENT", "messageId": message}
        elif chunk.part in self._args:
            fields = {"type": "TOOL_CALL_ARGS", "toolCallId": self._args[chunk.part]}
        else:
            return b""
        return self.grows(b'data: %b,"delta":' % _encode(fields)[:-1], chunk.text, b"}\n\n")

    def _start_args(self, number: int, part: chunks.ToolCallPart) -> bytes:
        message, call = self._place(number, "tool-call"), part.tool_call_id
        place = self.projection.place(number)
        if place is None:
            self._unanswered[call] = {"toolName": part.tool_name}
        elif message in self._posted:
            message = f"{place[0]}.{place[2]}"  # clients look for calls to answer in messages that are new
        self.view.begin(message)
        self._tally.add(call)
        self._args[number] = call
        return typed_event("TOOL_CALL_START", toolCallId=call, toolCallName=part.tool_name, parentMessageId=message)

    def _end_args(self, number: int) -> bytes:
        call = self._args.pop(number, None)
        return b"" if call is None else typed_event("TOOL_CALL_END", toolCallId=call)

    def _write_result(self, chunk: chunks.ToolResult) -> bytes:
        call = self.projection.call_id(chunk.part)
        if call is None:
            return b""
        self._unanswered.pop(call, None)
        self._tally.discard(call)
        if self._input.results.get(call) in self.view or result_id(call) in self.view:
            self._due = True  # it has another result, which no event can change
            return self._end_args(chunk.part)
        self.view.begin(result_id(call))
        # An event of a result has no field for its failure; a role that is missing leaves it open to the older clients.
        more: dict[str, Any] = {"metadata": {"isError": True}} if chunk.is_error else {"role": "tool"}
        fields = {"messageId": result_id(call), "toolCallId": call, "content": content_of(chunk.result)}
        return self._end_args(chunk.part) + typed_event("TOOL_CALL_RESULT", **fields, **more)

    def _start_step(self, name: str) -> bytes:
        while name in self._steps:
            name += "+"
        self._steps.append(name)
        return typed_event("STEP_STARTED", stepName=name)

    # How it ended

    def _outcome(self) -> dict[str, Any]:
        """Return why the run ended, for a client that knows of outcomes; a run that simply ended says nothing."""
        if not self._input.modern:
            return {}
        run = None if self.turned is None else self.turned.run
        if self._follows and run is not None and run.status in ("cancelled", "interrupted"):
            return {"outcome": {"type": "cancelled"}}
        calls = {**self._open_in_state(), **self._unanswered}
        if self._follows and (run is None or run.status == "waiting"):  # without a run, the one in front waits
            questions = self._questions()
            asked = {question.get("toolCallId") for question in questions}
            asks = [
                _interrupt(id, call)
                for id, call in calls.items()
                if _tool(call) not in self._input.tools and id not in asked and not (run is not None and run.asks)
            ]
            if run is not None and not calls and not questions:
                asks = [{"id": run.id, "reason": "input_required"}]
            if asks or questions:
                return {"outcome": {"type": "interrupt", "interrupts": [*questions, *asks]}}
        if self._asks and (questions := self._questions()):
            return {"outcome": {"type": "interrupt", "interrupts": questions}}
        if self._tally == calls.keys():
            return {}  # it knows them; and assistant-ui takes any outcome for one that leaves nothing open
        return {"outcome": {"type": "success", "pendingToolCallIds": list(calls)}}

    def _questions(self) -> list[dict[str, Json]]:
        """Return the interrupts of the open questions in the state."""
        questions = items_in(self._state.state, self._pending)
        return [_question(asked) for asked in questions if isinstance(asked, dict) and id_of(asked) is not None]

    def _open_in_state(self) -> dict[str, Json]:
        """Return the calls in the answer to the user's last message that have no result."""
        parts = [part for message in self.projection.answer() for part in parts_of(message)]
        calls = [part for part in parts if part.get("type") == "tool-call" and "result" not in part]
        return {str(part.get("toolCallId")): part for part in calls}


def _tool(call: Mapping[str, Json]) -> str:
    return str(call.get("toolName") or "")


def _interrupt(id: str, call: Mapping[str, Json]) -> dict[str, Json]:
    """Return the interrupt of a call: an approval, or the request for its result."""
    if _tool(call) != "approval":
        return {"id": id, "reason": "input_required", "toolCallId": id}
    args = call.get("args")
    question = args.get("question") if isinstance(args, dict) else None
    fields = {"message": question} if isinstance(question, str) else {}
    return {"id": id, "reason": "tool_call", "toolCallId": id, "responseSchema": _APPROVAL, **fields}


def _question(asked: Mapping[str, Json]) -> dict[str, Json]:
    """Return the interrupt of a question that the state holds."""
    kind, call, prompt = asked.get("kind"), asked.get("callId"), asked.get("prompt")
    options = [id_of(option) for option in asked.get("options") or ()]
    schema: Json = asked.get("schema", True)
    reason = "input_required"
    if kind == "approval":
        reason = "confirmation" if call is None else "tool_call"
        more = {"optionId": {"enum": options}} if options else {}
        schema = {**_APPROVAL, "properties": {**_APPROVAL["properties"], **more}}
    elif kind in ("choice", "text"):
        schema = {"enum": options} if kind == "choice" else {"type": "string"}
    fields: dict[str, Json] = {"id": asked["id"], "reason": reason, "toolCallId": call, "message": prompt}
    if schema is not True:
        fields["responseSchema"] = schema
    return {name: value for name, value in fields.items() if value is not None}


def _custom(name: str, value: Json) -> bytes:
    return typed_event("CUSTOM", name=name, value=value)
