"""Sent parts: what a stream has sent of each assistant message, part by part."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from statecast_agents import Document, Json, operations
from statecast_agents.metadata import Report, report_of, steps_in

__all__ = ["BETWEEN", "GROWING", "Part", "SentParts", "error_text", "file_data", "file_url", "likeness"]

_string: Final = msgspec.json.Decoder(str)

#: What stands between two texts of an answer where a protocol has room for one only.
BETWEEN: Final = "\n\n"

#: The field that grows, by the type of its part.
GROWING: Final = {"text": "text", "reasoning": "text", "tool-call": "argsText"}

#: The field of a tool call with the conversation of the sub-agent that it began.
NESTED: Final = "messages"

_URL: Final = re.compile("[A-Za-z][A-Za-z0-9+.-]*:")
_BASE64: Final = re.compile("[A-Za-z0-9+/]{64,}={0,2}")


class Part:
    """A part of a message, as far as a stream has sent it.

    Args:
        message: The id of the message that it is in.
        number: Its number in the stream.
        value: The part, as the state has it.
    """

    __slots__ = (
        "_text_sent",
        "approval",
        "args_open",
        "data",
        "early",
        "identity",
        "kind",
        "message",
        "name",
        "number",
        "open",
        "result",
        "strings",
    )

    def __init__(self, message: str, number: int, value: Mapping[str, Json]) -> None:
        self.message = message
        self.number = number
        self.kind = str(value.get("type"))
        self.identity = _identity(self.kind, value)
        self.open = False  #: whether a text may grow without being begun anew
        self.args_open = self.kind == "tool-call"
        self.result: tuple[Json, bool] | None = None  #: of a tool call, and whether it is an error
        self.approval: Mapping[str, Json] | None = None  #: of a tool call, what the user is asked about it
        self.early = False  #: of a tool call, whether the client has the result before the thread
        self.data: Json = value.get("data")  #: of a data part
        self.name: str | None = None  #: of a data part, what the client calls it
        self._text_sent = ""  #: its text, as far as anyone has asked for it
        self.strings = bytearray()  #: by what it grew since: JSON strings, one right behind the other

    @property
    def likeness(self) -> tuple[str, str]:
        """The identity of the part, see `likeness`."""
        return _class(self.kind), self.identity

    def fits(self, kind: str, value: Mapping[str, Json]) -> bool:
        """Return whether a part of the state can be this one."""
        return likeness(kind, value) == self.likeness

    def continues_as(self, kind: str, value: Mapping[str, Json]) -> bool:
        """Return whether a part of the state is this one, changed only by growth."""
        return self.fits(kind, value) and (
            self.kind not in ("text", "reasoning") or _text(value, "text").startswith(self.text())
        )

    def text(self) -> str:
        """Return the text, as far as it was sent."""
        if self.strings:
            self._text_sent += _joined(self.strings)
            self.strings.clear()
        return self._text_sent

    def set_text(self, text: str) -> None:
        """Set the text."""
        self.strings.clear()
        self._text_sent = text

    def record_result(self, value: Mapping[str, Json]) -> bool:
        """Record the result of a tool call; return whether it differs from the one that was sent."""
        before = self.result
        failed = value.get("isError") is True
        if "result" not in value:
            self.result = None
        else:
            self.result = (error_text(value["result"]) if failed else value["result"]), failed
        return before != self.result


class SentParts:
    """An assistant message, as far as a stream has sent it."""

    __slots__ = ("_known_steps", "_nested", "_value", "id", "parts")

    def __init__(self, id: str, value: dict[str, Any]) -> None:
        self.id = id  #: by which the stream names it, whatever it is called in the state meanwhile
        self.parts: dict[int, Part] = {}  #: by their place in the message
        self._known_steps: list[Json] = []  #: of its metadata, those that an earlier answer told of
        self._value = value
        self._nested: dict[int, Document] = {}  #: the conversations in its tool calls that have changed since

    @property
    def value(self) -> dict[str, Any]:
        """The message as the state has it, but for what has grown since it was set: its texts, and conversations."""
        return self._value

    def skip_steps(self) -> None:
        """Record that the client has been told of what its metadata say now."""
        self._known_steps = steps_in(self.metadata)

    def set(self, value: dict[str, Any]) -> None:
        """Set the message anew."""
        self._value = value
        self._nested.clear()

    @property
    def metadata(self) -> Json:
        """Its metadata; None if it has none."""
        return self._value.get("metadata")

    @property
    def report(self) -> Report:
        """What its metadata say that no earlier answer told of."""
        return report_of(self.metadata, self._known_steps)

    def apply(self, operation: operations.Operation) -> None:
        """Apply an operation within the message. In the conversation of a sub-agent, it costs what it changes."""
        path, parts = operation.path, self._value.get("parts")
        in_part = path[0] == "parts" and len(path) > 1 and isinstance(parts, list)
        if in_part and len(path) > 3 and path[2] == NESTED:
            nested = self._nested.get(int(path[1]))
            if nested is None:
                nested = Document.adopting(self._value["parts"][int(path[1])].get(NESTED))
                self._nested[int(path[1])] = nested
            nested.apply(msgspec.structs.replace(operation, path=path[3:]))
            nested.flush()  # nobody wants to know
            return
        self._value = operations.apply(self._value, [operation])
        if path[0] == "parts" and not in_part:
            self._nested.clear()
        elif in_part and (len(path) == 2 or path[2] == NESTED):
            self._nested.pop(int(path[1]), None)

    def nested(self, number: int) -> Json:
        """Return the conversation in a tool call, by its place in the message; UNSET if it has none."""
        if number in self._nested:
            return self._nested[number].plain()
        return self._value["parts"][number].get(NESTED, msgspec.UNSET)

    def whole(self) -> dict[str, Json]:
        """Return the whole message, as it is in the state, under the id that it has in the stream."""
        parts = list(self.value.get("parts") or [])
        for number in self._nested:
            parts[number] = {**parts[number], NESTED: self.nested(number)}
        for number, part in self.parts.items():
            field = GROWING.get(part.kind)
            if field is not None and number < len(parts):
                parts[number] = {**parts[number], field: part.text()}
        named = {"id": self.id} if isinstance(self.value.get("id"), str) else {}
        return {**self.value, **named, "parts": parts}

    def continues_as(self, value: Mapping[str, Any]) -> bool:
        """Return whether a message of the state can be this one: it has each part that was sent, and some was."""
        found = value.get("parts")
        parts = dict(enumerate(found)) if isinstance(found, list) else {}
        values = [(part, parts.get(number)) for number, part in self.parts.items()]
        same = (isinstance(value, dict) and part.continues_as(kind_of(value), value) for part, value in values)
        return bool(values) and all(same)

    def rearrange(self, values: Sequence[Any]) -> bool:
        """Match the sent parts to the message's current parts; return whether some moved or were removed.

        Parts at the same index match first, then those that moved; a replaced text is matched by its index.
        """
        remaining, found = dict(self.parts), dict[int, Part]()
        kinds = {index: kind_of(value) for index, value in enumerate(values) if isinstance(value, dict)}
        for index, kind in kinds.items():
            if index in remaining and remaining[index].continues_as(kind, values[index]):
                found[index] = remaining.pop(index)
        moved = False
        for index, kind in kinds.items() if remaining else ():
            if index not in found:
                at = next((at for at, part in remaining.items() if part.continues_as(kind, values[index])), None)
                if at is not None:
                    found[index] = remaining.pop(at)
                    moved = True
        for index, kind in kinds.items() if remaining else ():
            if index not in found and index in remaining and remaining[index].fits(kind, values[index]):
                found[index] = remaining.pop(index)
        self.parts = dict(sorted(found.items()))
        return moved or bool(remaining)


def kind_of(part: Mapping[str, Any]) -> str:
    """Return the type of a part."""
    return str(part.get("type"))


def likeness(kind: str, value: Mapping[str, Json]) -> tuple[str, str]:
    """Return the identity of a part, by which later versions match; an image may become a file, and back."""
    return _class(kind), _identity(kind, value)


def _identity(kind: str, value: Mapping[str, Json]) -> str:
    """Return the fields of a part that never change; none for a text."""
    match kind:
        case "tool-call":
            return str(value.get("toolCallId"))
        case "source":
            return str(value.get("id") or value.get("url"))
        case "file" | "image":
            return file_data(str(value.get("data" if kind == "file" else "image")))
        case "data":
            return str(value.get("name"))
        case _:
            return ""


def error_text(result: Json) -> str:
    """Return the result of a failed tool call as text, for protocols that carry no other."""
    return result if isinstance(result, str) else msgspec.json.encode(result).decode()


def file_data(data: str) -> str:
    """Return a file's base64 data without a `data:` prefix, or its URL."""
    return data.partition(",")[2] if data.startswith("data:") and ";base64," in data[:200] else data


def file_url(data: str, mime_type: str) -> str:
    """Return a file's URL, or a `data:` URL of its base64. Short base64-like strings are taken for paths."""
    is_url = _URL.match(data) or (data.startswith("/") and not _BASE64.fullmatch(data))
    return data if is_url else f"data:{mime_type};base64,{data}"


def _joined(strings: bytearray) -> str:
    """Decode adjacent JSON strings as one text."""
    # With what is escaped in them hidden, every quote is where one begins or ends. They hold no bytes 0 and 1.
    hidden = bytes(strings).replace(b"\\\\", b"\0").replace(b'\\"', b"\1").translate(None, b'"')
    return _string.decode(b'"%b"' % hidden.replace(b"\1", b'\\"').replace(b"\0", b"\\\\"))


def _class(kind: str) -> str:
    return "file" if kind == "image" else kind


def _text(value: Mapping[str, Json], field: str) -> str:
    text = value.get(field)
    return text if isinstance(text, str) else ""
