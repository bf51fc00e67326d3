"""Commands: a client's requests to an agent, as typed values.

`Command` is a msgspec struct with its `type` on the wire derived from the class name: `class SetTitle(Command)` is
`{"type": "set-title"}`; fields are camelCase on the wire. `CommandSet` is the set an agent understands, and refuses
everything else before anything runs. Source: docs/protocol/commands.md, "Commands".
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from .errors import InvalidCommand, UnknownCommand
from .values import Json

__all__ = [
    "AddMessage",
    "AddToolResult",
    "Answer",
    "Command",
    "CommandSet",
    "NewMessage",
    "UntypedCommand",
    "check_command",
]

MAX_ID: Final = 128  #: characters of a command id


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=_kebab, rename="camel"):
    """Base of every command. Subclass it to define your own; give `tag="…"` for another name on the wire."""

    #: made by the client; a command with an id is applied at most once. Up to 128 characters.
    id: str | None = None

    @property
    def type(self) -> str:
        """The command's name on the wire."""
        return str(self.__struct_config__.tag)


def text_of(parts: Sequence[Json]) -> str:
    """Return the text parts of a message, joined by line breaks."""
    texts = (part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text")
    return "\n".join(text for text in texts if isinstance(text, str))


class NewMessage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The message in an `add-message` command."""

    role: Literal["user", "assistant"]
    #: `{"type": "text", "text"}`, `{"type": "image", "image"}`, or any other part the client and the agent agree on
    parts: list[dict[str, Json]]
    metadata: dict[str, Json] | UnsetType = UNSET
    #: made by the client, and kept unless a message has it already; up to 128 characters. A message with an id is said
    #: at most once, whatever is retried.
    id: str | UnsetType = UNSET

    @property
    def text(self) -> str:
        """The text parts, joined by line breaks."""
        return text_of(self.parts)


class AddMessage(Command, frozen=True, kw_only=True):
    """The user sent a message, or edited one (`source_id` set)."""

    message: NewMessage
    parent_id: str | UnsetType | None = UNSET  #: the message this one follows; None: it is the first
    source_id: str | None = None  #: the message this one replaces


class AddToolResult(Command, frozen=True, kw_only=True):
    """The client answered a tool call: the user did, or a tool that runs in the page."""

    tool_call_id: str
    message_id: str | UnsetType = UNSET  #: the message that has the call; unset: the latest that has one of that id
    tool_name: str = ""
    result: Json = None
    is_error: bool = False
    artifact: Json | UnsetType = UNSET  #: for the UI, not for the model
    model_content: list[Json] | UnsetType = UNSET  #: what to show the model instead of `result`


class Answer(Command, frozen=True, kw_only=True):
    """The user answered questions that `ToolCall.ask` or `Run.ask` put, some of them or all."""

    #: by the question's id: `true`, `false`, an option's id, a text, a value, or an object with `approved`, `optionId`,
    #: `text`, `reason` and `value`
    answers: dict[str, Json]


class UntypedCommand(msgspec.Struct, frozen=True):
    """A custom command that was registered by name only; its fields are unchecked."""

    type: str
    body: dict[str, Json]  #: all fields but `type` and `id`
    id: str | None = None


AnyCommand = Command | UntypedCommand


class _Envelope(msgspec.Struct):
    type: str
    id: str | None = None


_envelope: Final = msgspec.json.Decoder(_Envelope)
_body: Final = msgspec.json.Decoder(dict[str, Any])
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class CommandSet:
    """The commands an agent understands; `add-message`, `add-tool-result` and `answer` are always among them.

    Args:
        types: Subclasses of `Command`, or names of untyped commands.
    """

    def __init__(self, types: Iterable[type[Command] | str] = ()) -> None:
        self._types: dict[str, type[Command] | None] = {}
        self._decoders: dict[str, msgspec.json.Decoder[Any]] = {}
        for kind in (AddMessage, AddToolResult, Answer, *types):
            self.add(kind)

    def add(self, kind: type[Command] | str) -> str:
        """Add a command type, and return its name on the wire.

        Raises:
            TypeError: Another class has that name, or `kind` is not a command.
        """
        if isinstance(kind, str):
            self._types.setdefault(kind, None)
            return kind
        if not (isinstance(kind, type) and issubclass(kind, Command)):
            raise TypeError(f"expected a subclass of Command or a command's name, got {kind!r}")
        name = str(kind.__struct_config__.tag)
        known = self._types.get(name, kind)
        if known is not kind:
            raise TypeError(f'two commands are named "{name}": {known!r} and {kind!r}')
        self._types[name] = kind
        self._decoders[name] = msgspec.json.Decoder(kind)
        return name

    @property
    def names(self) -> list[str]:
        """The names on the wire, built-in ones first."""
        return list(self._types)

    @property
    def types(self) -> dict[str, type[Command] | None]:
        """The type of each command by its name on the wire; None for an untyped one."""
        return dict(self._types)

    def knows(self, kind: type[AnyCommand] | str) -> bool:
        """Return whether the set has a command of that name or type."""
        if isinstance(kind, str):
            return kind in self._types
        return any(issubclass(known or UntypedCommand, kind) for known in self._types.values())

    def decode(self, batch: Sequence[bytes | msgspec.Raw]) -> list[AnyCommand]:
        """Read a batch of JSON commands: all of them, or none.

        Raises:
            UnknownCommand: A type that is not in the set.
            InvalidCommand: Fields that are missing or of the wrong type, or no JSON.
        """
        return [self._decode_one(data, index) for index, data in enumerate(batch)]

    def _decode_one(self, data: bytes | msgspec.Raw, index: int) -> AnyCommand:
        try:
            envelope = _envelope.decode(data)
        except _UNREADABLE as error:
            raise InvalidCommand(f"commands[{index}]", str(error)) from None
        if envelope.id is not None and len(envelope.id) > MAX_ID:
            problem = f"expected an id of at most {MAX_ID} characters, got {len(envelope.id)}"
            raise InvalidCommand(envelope.type, problem)
        if envelope.type not in self._types:
            close = difflib.get_close_matches(envelope.type[:100], self._types, 1)  # its cost is quadratic
            raise UnknownCommand(envelope.type[:100], self.names, close[0] if close else None)
        try:
            if envelope.type in self._decoders:
                command = self._decoders[envelope.type].decode(data)
                if isinstance(command, AddMessage):
                    _check_message(command.message)
                return command  # type: ignore[no-any-return]  # the decoder's type is a Command
            body = _body.decode(data)
        except _UNREADABLE as error:
            raise InvalidCommand(envelope.type, str(error)) from None
        return UntypedCommand(body.pop("type"), body, body.pop("id", None))

    def json_schema(self) -> dict[str, dict[str, Json]]:
        """Return the JSON Schema of each command by its name; an untyped command is an open object."""
        return {
            name: _open_schema(name) if kind is None else msgspec.json.schema(kind)
            for name, kind in self._types.items()
        }


def check_command(command: AddMessage | AddToolResult | Answer) -> None:
    """Check a built-in command that was not read from JSON as `CommandSet.decode` checks one that is.

    Raises:
        InvalidCommand: Fields of the wrong type.
    """
    try:
        typed = msgspec.convert(msgspec.to_builtins(command), type(command))
        if isinstance(typed, AddMessage):
            _check_message(typed.message)
    except msgspec.ValidationError as error:
        raise InvalidCommand(command.type, str(error)) from None


def _check_message(message: NewMessage) -> None:
    if isinstance(message.id, str) and not 0 < len(message.id) <= MAX_ID:
        raise msgspec.ValidationError(f"Expected 1 to {MAX_ID} characters - at `$.message.id`")
    for index, part in enumerate(message.parts):
        kind = part.get("type")
        if not isinstance(kind, str):
            raise msgspec.ValidationError(f"Expected a part with a `type` - at `$.message.parts[{index}]`")
        if kind in ("text", "image") and not isinstance(part.get(kind), str):
            raise msgspec.ValidationError(f"Expected `str` - at `$.message.parts[{index}].{kind}`")


def _open_schema(name: str) -> dict[str, Json]:
    properties = {"type": {"enum": [name]}, "id": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}}
    return {"title": name, "type": "object", "properties": properties, "required": ["type"]}
