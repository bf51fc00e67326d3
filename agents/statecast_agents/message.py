"""One message in a state: its documented shape, and how agents read and write it.

A message is `{"id", "role", "parts"}`; a part is `{"type": "text", "text"}`, `{"type": "reasoning", "text"}`,
`{"type": "image", "image"}`, `{"type": "source", …}`, `{"type": "file", …}`, `{"type": "data", "name", "data"}` or
`{"type": "tool-call", "toolCallId", "toolName", "args", "argsText"}` which gains `"result"` and `"isError"` when it
settles, or `"cutOff": true` when its run was stopped before. Source: docs/protocol.md, "Messages".

Clients may send states with any JSON value in place of a message; reading one never raises.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec import UNSET

from .arguments import arguments_text, state_arguments
from .calls import CUT_OFF, is_call, is_open
from .commands import text_of
from .errors import NotJson, OperationError
from .surrogates import check_text, join_surrogates
from .tracked import TrackedDict
from .values import Json

__all__ = ["AssistantMessage", "Message", "ToolCall", "new_id"]

#: The result of a question that the user left unanswered.
DISMISSED: Final = {"dismissed": True}


def new_id(kind: str) -> str:
    """Return a new id such as `msg_4b1c…`, with 80 random bits so that ids of several servers do not collide."""
    return f"{kind}_{secrets.token_hex(10)}"


class Message:
    """A message of any role. Reading it changes nothing.

    Args:
        message: The message itself, as part of the state.
    """

    def __init__(self, message: Json) -> None:
        self.message = message  #: the message itself, as part of the state

    @property
    def id(self) -> str:
        """The message's id; "" if it has none."""
        return str(self._field("id") or "")

    @property
    def role(self) -> str:
        """The message's role, "user" or "assistant"; "" if it has none."""
        return str(self._field("role") or "")

    @property
    def parts(self) -> Sequence[Json]:
        """The parts, as part of the state."""
        parts = self._field("parts")
        return parts if isinstance(parts, list) else ()

    @property
    def text(self) -> str:
        """The text parts, joined by line ends as in `NewMessage.text`."""
        return text_of(self.parts)

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tool calls among the parts."""
        return [ToolCall(part) for part in self.parts if is_call(part)]

    def _field(self, name: str) -> Json:
        return self.message.get(name) if isinstance(self.message, dict) else None


class AssistantMessage(Message):
    """A message of the assistant, written part by part."""

    message: TrackedDict

    def append_text(self, delta: str) -> None:
        """Append to the last part if it is a text; else add a text.

        Raises:
            TypeError: `delta` is not a str.
            NotJson: `delta` holds a lone surrogate; a high one at its end waits for the low one.
        """
        self._grow("text", delta)

    def append_reasoning(self, delta: str) -> None:
        """Append to the last part if it is reasoning; else add one. Raises what `append_text` raises."""
        self._grow("reasoning", delta)

    def add_tool_call(self, name: str, args: Json = UNSET, *, id: str | None = None) -> ToolCall:  # field
        """Add a tool call. Without `args`, stream its arguments with `ToolCall.append_args`.

        Raises:
            NotJson: JSON cannot express `args`. A value that JSON can express and a state cannot hold, such as an
                integer that JavaScript would round, is stored in `argsText` only.
        """
        given = args is not UNSET
        return ToolCall(
            self.add_part(
                {
                    "type": "tool-call",
                    "toolCallId": id or new_id("call"),
                    "toolName": name,
                    "args": state_arguments(args) if given else {},
                    "argsText": arguments_text(args) if given else "",
                }
            )
        )

    def add_source(self, url: str, *, title: str | None = None, id: str | None = None) -> None:  # field
        """Add a web page that the answer cites."""
        part = {"type": "source", "sourceType": "url", "id": id or new_id("src"), "url": url}
        self.add_part(part if title is None else {**part, "title": title})

    def add_file(self, data: str, mime_type: str) -> None:
        """Add a file; `data` is base64 or a URL."""
        self.add_part({"type": "file", "data": data, "mimeType": mime_type})

    def add_data(self, name: str, data: Json) -> None:
        """Add application data with a name."""
        self.add_part({"type": "data", "name": name, "data": data})

    def add_part(self, part: dict[str, Json]) -> TrackedDict:
        """Add a part of any kind, and return it as part of the state."""
        parts = self.message["parts"]
        parts.append(part)
        return parts[-1]  # type: ignore[no-any-return]  # a dict assigned is a tracked dict

    def _grow(self, kind: Literal["text", "reasoning"], delta: str) -> None:
        parts = self.message["parts"]
        if parts and parts[-1].get("type") == kind:
            parts[-1].append_text("text", delta)
            return
        text, half = join_surrogates(check_text(delta))
        parts.append({"type": kind, "text": text})
        if half:
            parts[-1].append_text("text", half)


class ToolCall:
    """A tool call of the assistant, read and written."""

    def __init__(self, part: TrackedDict) -> None:
        self.part = part  #: the part itself, as part of the state

    @property
    def id(self) -> str:
        """The call's id; "" if it has none."""
        return str(self.part.get("toolCallId", ""))

    @property
    def name(self) -> str:
        """The tool's name; "" if it has none."""
        return str(self.part.get("toolName", ""))

    @property
    def args(self) -> Json:
        """The arguments, as part of the state; `{}` until streamed ones are finished."""
        return self.part.get("args")

    @property
    def args_text(self) -> str:
        """The arguments' JSON text, as far as it has been streamed."""
        return str(self.part.get("argsText", ""))

    @property
    def result(self) -> Json:
        """The result, as part of the state; None until there is one, see `settled`."""
        return self.part.get("result")

    @property
    def settled(self) -> bool:
        """Whether the call has a result."""
        return "result" in self.part

    @property
    def open(self) -> bool:
        """Whether the call can still get a result."""
        return is_open(self.part)

    def append_args(self, delta: str) -> None:
        """Append to the arguments' JSON text; `finish_args` decodes it into `args`.

        Raises:
            TypeError: `delta` is not a str.
            NotJson: `delta` holds a lone surrogate; a high one at its end waits for the low one.
        """
        self.part.append_text("argsText", delta)

    def finish_args(self) -> Json:
        """Decode the streamed arguments into `args`, and return them. If none were streamed, they are `{}`.

        If a state cannot hold them, because of an integer that JavaScript would round, they are returned and stay in
        `argsText`, and `args` is `{}`.

        Raises:
            OperationError: The streamed text is not JSON.
        """
        if not self.part["argsText"].strip():
            self.part.append_text("argsText", "{}")
        try:
            args = msgspec.json.decode(self.part["argsText"])
        except (msgspec.DecodeError, RecursionError) as error:
            raise OperationError(f'the arguments of the tool call "{self.id}" are no JSON: {error}') from error
        try:
            self.part["args"] = args
        except NotJson:
            self.part["args"] = {}
            return args
        return self.part["args"]

    def set_result(self, result: Json, *, is_error: bool = False, artifact: Json = UNSET) -> None:
        """Set the call's result. `artifact` is for the UI and not for the model."""
        self.part.update(
            {"result": result, "isError": is_error} | ({} if artifact is UNSET else {"artifact": artifact}),
        )

    def dismiss(self) -> None:
        """Set a result that says that the user left the question unanswered."""
        self.set_result(DISMISSED, is_error=True)

    def cut_off(self) -> None:
        """Mark the call as stopped with its run, before it had a result."""
        self.part[CUT_OFF] = True
