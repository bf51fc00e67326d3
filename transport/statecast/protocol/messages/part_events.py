"""Part events: the assistant's messages as a stream shows them, part by part.

`PartEvents` numbers the parts, opens and closes them, and turns changes of a message into events: chunks, as an agent
emits them itself, and the message that they belong to. At most one text grows at a time; one that continues after
something else began continues as a new part. A tool call begins once in a stream, whatever becomes of it in the state.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from statecast.protocol.entries import RunState
from statecast_agents import Json, chunks, operations
from statecast_agents.arguments import state_arguments

from .client_copy import ClientCopy
from .sent import GROWING, Part, SentParts

__all__ = [
    "ApprovalAnswered",
    "ApprovalAsked",
    "Event",
    "InMessage",
    "PartEvents",
    "Rewritten",
    "RunTurned",
    "StateChanged",
    "StateReplaced",
]

#: Characters of arguments in one event. They are JSON in JSON, longer than in the state: a character takes up to 6, and
#: clients refuse frames of more than 16 Mi.
PIECE: Final = 2 * 2**20


class InMessage(msgspec.Struct, frozen=True):
    """The following events belong to this message of the assistant."""

    id: str
    begins: bool  #: whether the client sees it for the first time


class Rewritten(msgspec.Struct, frozen=True):
    """A message changed in a way that appending cannot express; this is the whole message."""

    message: dict[str, Json]


class StateReplaced(msgspec.Struct, frozen=True):
    """A snapshot of the state without its messages."""

    state: Json


class StateChanged(msgspec.Struct, frozen=True):
    """Operations on the state outside the messages."""

    operations: Sequence[operations.Operation]


class RunTurned(msgspec.Struct, frozen=True):
    """The status of the stream's run changed."""

    run: RunState


class ApprovalAsked(msgspec.Struct, frozen=True):
    """The user is asked about a tool call."""

    part: int  #: of the call
    call_id: str
    approval: Mapping[str, Json]  #: as assistant-ui has it: `id`, `prompt`, `display`, `options`


class ApprovalAnswered(msgspec.Struct, frozen=True):
    """The user has answered, or left the question for something else."""

    part: int  #: of the call
    call_id: str
    approval: Mapping[str, Json]  #: with `approved`, `optionId`, `text` and `reason`, or `resolution`

    @property
    def approved(self) -> bool:
        """Whether the user has approved."""
        return self.approval.get("approved") is True


Event = (
    InMessage | Rewritten | StateReplaced | StateChanged | RunTurned | ApprovalAsked | ApprovalAnswered | chunks.Chunk
)

_encode: Final = msgspec.json.Encoder().encode

#: The fields of an approval that come with its answer.
ANSWER: Final = frozenset({"approved", "isAutomatic", "optionId", "reason", "resolution", "text"})

#: How a result's other fields are named in the state.
_MORE: Final = {"artifact": "artifact", "model_content": "modelContent"}


class PartEvents:
    """The parts that one stream has sent, and the events that are still to be written."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.client_copy: ClientCopy | None = None  #: what the client has of what is looked at now; None: nothing
        self.calls: dict[str, Part] = {}  #: the tool calls that the client has, by their id
        self.data_ids: dict[int, str] = {}  #: by the numbers of data parts, what names them in the client's message
        self._names: set[str] = set()  #: of those
        self._count = 0
        self._open: Part | None = None
        self._growing: dict[int, tuple[Part, dict[str, Any]]] = {}  #: calls whose arguments still grow
        self._current: str | None = None
        self._begun: set[str] = set()  #: messages that the client has seen

    @property
    def current(self) -> str | None:
        """The id of the message that changed last."""
        return self._current

    def known(self, ids: Iterable[str]) -> None:
        """Record messages that the client already has."""
        self._begun.update(ids)

    def within(self, id: str) -> None:
        """Continue in a message."""
        if self._current != id:
            self.close()
            self._current = id
            self.events.append(InMessage(id, id not in self._begun))
            self._begun.add(id)

    def number(self) -> int:
        """Return the number of a new part."""
        self._count += 1
        return self._count - 1

    def emitted(self, run_id: str, chunk: chunks.PartStarted) -> int | None:
        """Return the number of a part that begins outside the state; None for a call that was started before."""
        number = self._count
        if isinstance(chunk.init, chunks.ToolCallPart):
            id = chunk.init.tool_call_id
            if id in self.calls:
                return None
            self.calls[id] = part = Part(run_id, number, {"type": "tool-call", "toolCallId": id})
            part.args_open = False
        elif isinstance(chunk.init, chunks.DataPart):
            self._name(number, f"{run_id}.{chunk.part}")
        self.close()
        return self.number()

    def record_result(self, number: int, result: chunks.ToolResult) -> None:
        """Record the result of a call that began outside the state."""
        for part in self.calls.values():
            if part.number == number:
                part.record_result({"result": result.result, "isError": result.is_error})

    def look(self, message: SentParts, number: int | None = None, fields: Collection[str] | None = None) -> None:
        """Emit what is new in a message after one of its parts changed; None: after any part may have."""
        parts = message.value.get("parts")
        parts = parts if isinstance(parts, list) else []
        rewritten = number is None and message.rearrange(parts)
        for index in range(len(parts)) if number is None else (number,):
            value = parts[index]
            if isinstance(value, dict):
                rewritten = self._emit_part(message, index, value, fields) or rewritten
        if rewritten:
            self.events.append(Rewritten(message.whole()))

    def grow(self, part: Part, delta: str) -> bool:
        """Emit the growth of a text or of a call's arguments; return whether the part can take further growth."""
        part.strings += _encode(delta)
        if part.kind == "tool-call":
            if not part.args_open:
                return False
            self.within(part.message)
        else:
            self.within(part.message)
            if not part.open:
                self.close()
                part.number = self.number()
                self._begin(part, chunks.TextPart() if part.kind == "text" else chunks.ReasoningPart())
        self.events.append(chunks.TextDelta(part=part.number, text=delta))
        return True

    def close(self, *, calls: bool = False) -> None:
        """Finish the open text, because something else begins; with `calls`, also the open calls."""
        if self._open is not None:
            self._open.open = False
            self.events.append(chunks.PartFinished(part=self._open.number))
            self._open = None
        if calls:
            for part, value in list(self._growing.values()):
                self._finish_args(part, value)

    def _emit_part(self, message: SentParts, index: int, value: dict[str, Any], fields: Collection[str] | None) -> bool:
        """Emit what is new in a part; return whether events cannot express it."""
        kind = str(value.get("type"))
        part = message.parts.get(index)
        rewritten = part is not None and not part.fits(kind, value)
        if part is None or rewritten:
            part = message.parts[index] = self._start_part(message, index, value)
        growing = GROWING.get(kind)  # compared only if it was set: to read a text that grew joins all its pieces
        if growing is not None and (fields is None or growing in fields):
            rewritten = self._emit_growth(part, value.get(growing)) or rewritten
        if kind == "data" and value.get("data") != part.data:
            part.data = value.get("data")
            self.within(message.id)
            self.events.append(chunks.PartStarted(part=part.number, init=_data_of(value)))
        if kind == "tool-call":
            self._emit_approval(part, value)
            rewritten = self._emit_result(message, index, part, value) or rewritten
        return rewritten

    def _start_part(self, message: SentParts, index: int, value: dict[str, Any]) -> Part:
        """Start a part, unless the client already has it."""
        part = Part(message.id, self._count, value)
        if part.identity in self.calls and part.kind == "tool-call":
            return self.calls[part.identity]  # it was moved
        client_copy = self.client_copy is not None and self.client_copy.match(part, value)
        init = init_of(part.kind, value)
        if not client_copy and init is None:
            return part
        self.number()
        if part.kind == "tool-call":
            self.calls[part.identity] = part
        elif part.kind == "data":
            name = part.name or f"{message.id}.{index}"
            self._name(part.number, f"{name}-{part.number}" if name in self._names else name)
        if not client_copy and init is not None:
            self.within(message.id)
            self.close()
            self._begin(part, init)
        return part

    def _name(self, number: int, name: str) -> None:
        self.data_ids[number] = name
        self._names.add(name)

    def _begin(self, part: Part, init: chunks.Part) -> None:
        self.events.append(chunks.PartStarted(part=part.number, init=init))
        if part.kind in ("text", "reasoning"):
            part.open = True
            self._open = part
        elif part.kind != "tool-call":
            self.events.append(chunks.PartFinished(part=part.number))

    def _emit_growth(self, part: Part, text: Any) -> bool:
        """Emit what a replaced text has beyond what was sent; return whether it is a different text."""
        text = text if isinstance(text, str) else ""
        sent = part.text()
        if not text.startswith(sent):
            part.set_text(text)
            return True
        if len(text) > len(sent):
            self.grow(part, text[len(sent) :])
        return False

    def _emit_result(self, message: SentParts, index: int, part: Part, value: dict[str, Any]) -> bool:
        """Emit that a call's arguments are complete, and its result; return whether it lost a result."""
        has_result = "result" in value
        if part.args_open:
            # The state has no mark for complete arguments, and clients run a tool when its arguments end.
            self._growing[part.number] = part, value
            if has_result or _is_complete(part.text(), value.get("args")):
                self._finish_args(part, value)
        had_result = part.result is not None
        # A client that gave the result itself has it before the thread does. Until then the state has not lost one.
        part.early = part.early and not has_result
        if part.early or not part.record_result(value):
            return False
        if has_result:
            more = {key: value[name] for key, name in _MORE.items() if name in value}
            more["messages"] = message.nested(index)
            failed = value.get("isError") is True
            self.within(part.message)
            self.events.append(chunks.ToolResult(part=part.number, result=value["result"], is_error=failed, **more))
            if not had_result:
                self.events.append(chunks.PartFinished(part=part.number))
        return not has_result

    def _emit_approval(self, part: Part, value: dict[str, Any]) -> None:
        """Emit that the user is asked about a call, or has answered. A call that is asked about is complete."""
        approval = value.get("approval")
        if approval == part.approval or not isinstance(approval, dict) or not isinstance(approval.get("id"), str):
            return
        before, part.approval = part.approval, approval
        if part.args_open:
            self._growing.pop(part.number, None)
            self._finish_args(part, value)
        call = part.identity
        asked = {name: item for name, item in approval.items() if name not in ANSWER}
        self.within(part.message)
        if before is None or before.get("id") != approval["id"]:
            self.events.append(ApprovalAsked(part.number, call, asked))
        if len(asked) < len(approval):
            self.events.append(ApprovalAnswered(part.number, call, approval))

    def _finish_args(self, part: Part, value: dict[str, Any]) -> None:
        self.within(part.message)
        if not part.text():
            text = msgspec.json.encode(value.get("args") or {}).decode()
            part.set_text(text)
            for start in range(0, len(text), PIECE):
                self.events.append(chunks.TextDelta(part=part.number, text=text[start : start + PIECE]))
        part.args_open = False
        self._growing.pop(part.number, None)
        self.events.append(chunks.ArgsFinished(part=part.number))


def init_of(kind: str, value: dict[str, Any]) -> chunks.Part | None:
    """Return the `part-start` of a part in the state; None for a type that is not sent as a part."""
    match kind:
        case "text":
            return chunks.TextPart()
        case "reasoning":
            return chunks.ReasoningPart()
        case "tool-call":
            return chunks.ToolCallPart(
                tool_call_id=str(value.get("toolCallId")), tool_name=str(value.get("toolName") or "")
            )
        case "source" if isinstance(value.get("url"), str):  # a document has no url, and no form outside
            title = value.get("title")
            id, url = str(value.get("id") or value["url"]), value["url"]
            return chunks.SourcePart(id=id, url=url, title=title if isinstance(title, str) else msgspec.UNSET)
        case "file":
            return chunks.FilePart(
                data=str(value.get("data")), mime_type=str(value.get("mimeType") or "application/octet-stream")
            )
        case "image":
            image = str(value.get("image"))
            mime = image[5:].partition(";")[0] if image.startswith("data:") else "image/png"
            return chunks.FilePart(data=image, mime_type=mime)
        case "data":
            return _data_of(value)
        case _:
            return None


def _data_of(value: dict[str, Any]) -> chunks.DataPart:
    return chunks.DataPart(name=str(value.get("name")), data=value.get("data"))


def _is_complete(text: str, args: Json) -> bool:
    """Return whether a call's argument text is the JSON of its arguments."""
    if not text:
        return False
    try:
        decoded = msgspec.json.decode(text)
        return bool(decoded == args or (args == {} and state_arguments(decoded) == {}))
    except (msgspec.DecodeError, RecursionError):
        return False
