"""What a client asks of an agent: typed where a class says so, and a batch is refused whole."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from statecast_agents import (
    AddMessage,
    AddToolResult,
    Command,
    CommandError,
    InvalidCommand,
    Json,
    NewMessage,
    UnknownCommand,
    UntypedCommand,
)
from statecast_agents.commands import CommandSet


class SetTitle(Command, frozen=True, kw_only=True):
    """Another title."""

    new_title: str
    shout_loud: bool = False


class HTTPGetURL2(Command, frozen=True, kw_only=True):
    """A name of capitals."""


class Renamed(Command, frozen=True, kw_only=True, tag="app/other"):
    """A name of its own choice."""


class AnotherTitle(Command, frozen=True, kw_only=True, tag="set-title"):
    """A name that is taken."""


def decode(*batch: Json, types: Any = (SetTitle, "open")) -> list[Any]:
    return [*CommandSet(types).decode([json.dumps(command).encode() for command in batch])]


TEXT = {"type": "text", "text": "hi"}

DECODED: list[tuple[Json, object]] = [
    # As the client sends them
    (
        {
            "type": "add-message",
            "message": {"role": "user", "parts": [TEXT, {"type": "image", "image": "data:,"}], "metadata": {"a": 1}},
            "parentId": "m1",
            "sourceId": None,
        },
        AddMessage(
            message=NewMessage(role="user", parts=[TEXT, {"type": "image", "image": "data:,"}], metadata={"a": 1}),
            parent_id="m1",
        ),
    ),
    (
        {"type": "add-message", "message": {"role": "user", "parts": [TEXT]}, "parentId": None, "sourceId": "m1"},
        AddMessage(message=NewMessage(role="user", parts=[TEXT]), parent_id=None, source_id="m1"),
    ),
    (
        {
            "type": "add-tool-result",
            "toolCallId": "c1",
            "toolName": "weather",
            "result": {"temperature": 3},
            "isError": False,
            "artifact": [1],
            "modelContent": [TEXT],
        },
        AddToolResult(
            tool_call_id="c1",
            tool_name="weather",
            result={"temperature": 3},
            artifact=[1],
            model_content=[TEXT],
        ),
    ),
    # As little as may be sent
    (
        {"type": "add-message", "message": {"role": "assistant", "parts": []}},
        AddMessage(message=NewMessage(role="assistant", parts=[]), parent_id=UNSET, source_id=None),
    ),
    (
        {"type": "add-tool-result", "toolCallId": "c1", "isError": True},
        AddToolResult(tool_call_id="c1", is_error=True, artifact=UNSET, model_content=UNSET),
    ),
    # More than is known, and parts of any kind
    (
        {"type": "add-message", "id": "k", "message": {"role": "user", "parts": [{"type": "map", "at": [1]}], "x": 1}},
        AddMessage(id="k", message=NewMessage(role="user", parts=[{"type": "map", "at": [1]}])),
    ),
    # The application's own
    ({"type": "set-title", "newTitle": "A"}, SetTitle(new_title="A")),
    ({"type": "set-title", "newTitle": "A", "id": "k"}, SetTitle(id="k", new_title="A")),
    (
        {"type": "set-title", "newTitle": "A", "shoutLoud": True, "id": "k"},
        SetTitle(id="k", new_title="A", shout_loud=True),
    ),
    ({"type": "open"}, UntypedCommand("open", {})),
    ({"type": "open", "id": "k", "a": [1], "b": None}, UntypedCommand("open", {"a": [1], "b": None}, "k")),
]


@pytest.mark.parametrize(("sent", "expected"), DECODED)
def test_a_command_is_read_as_its_type_says(sent: Json, expected: Any) -> None:
    command = decode(sent)[0]

    assert command == expected
    assert type(command) is type(expected)
    assert command.type == sent["type"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (AddMessage, "add-message"),
        (AddToolResult, "add-tool-result"),
        (SetTitle, "set-title"),
        (HTTPGetURL2, "http-get-url2"),
        (Renamed, "app/other"),
    ],
)
def test_a_command_is_named_after_its_class_unless_it_says_otherwise(kind: type[Command], name: str) -> None:
    assert CommandSet().add(kind) == name


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        ({"type": "add-message"}, "`message`"),
        ({"type": "add-message", "message": {"role": "user"}}, "`parts`"),
        ({"type": "add-message", "message": {"role": "system", "parts": []}}, "$.message.role"),
        ({"type": "add-message", "message": {"role": "user", "parts": [1]}}, "$.message.parts[0]"),
        ({"type": "add-message", "message": {"role": "user", "parts": [TEXT, {}]}}, "$.message.parts[1]"),
        ({"type": "add-message", "message": {"role": "user", "parts": [{"type": 1}]}}, "$.message.parts[0]"),
        ({"type": "add-message", "message": {"role": "user", "parts": [{"type": "text"}]}}, "$.message.parts[0].text"),
        (
            {"type": "add-message", "message": {"role": "user", "parts": [{"type": "image", "image": 1}]}},
            "$.message.parts[0].image",
        ),
        ({"type": "add-message", "message": {"role": "user", "parts": []}, "parentId": 1}, "$.parentId"),
        ({"type": "add-message", "message": {"role": "user", "parts": []}, "sourceId": []}, "$.sourceId"),
        ({"type": "add-message", "message": {"role": "user", "parts": [], "metadata": 1}}, "$.message.metadata"),
        ({"type": "add-tool-result"}, "`toolCallId`"),
        ({"type": "add-tool-result", "toolCallId": "c", "isError": "no"}, "$.isError"),
        ({"type": "add-tool-result", "toolCallId": "c", "modelContent": {}}, "$.modelContent"),
        ({"type": "set-title", "new_title": "A"}, "`newTitle`"),
        ({"type": "set-title", "newTitle": 1}, "$.newTitle"),
    ],
)
def test_an_ill_typed_command_is_refused_saying_where(sent: Json, problem: str) -> None:
    with pytest.raises(InvalidCommand) as refused:
        decode(sent)
    assert (refused.value.command, refused.value.code) == (sent["type"], "invalid_command")
    assert problem in refused.value.problem
    assert str(refused.value) == f'in a "{sent["type"]}" command: {refused.value.problem}'


@pytest.mark.parametrize(
    "sent",
    [
        *(b"1", b"null", b"[]", b'"open"', b"{}", b'{"type":1}', b'{"type":"open","id":1}', b'{"type":null}'),
        *(b"", b"{", b'{"type":"open"', b"\xff"),
    ],
)
def test_what_is_no_command_at_all_is_refused_by_its_place(sent: bytes) -> None:
    with pytest.raises(InvalidCommand) as refused:
        CommandSet(["open"]).decode([b'{"type":"open"}', sent])
    assert refused.value.command == "commands[1]"


@pytest.mark.parametrize("name", ["open", "add-tool-result"])
def test_what_cannot_be_read_is_refused(name: str) -> None:
    for rest in (b'"\xff"', b"[" * 50_000 + b"]" * 50_000, b"nope", b"1e999"):
        with pytest.raises(InvalidCommand):
            CommandSet(["open"]).decode([b'{"type":"%b","toolCallId":"c","result":%b}' % (name.encode(), rest)])


@pytest.mark.parametrize(
    ("got", "suggestion"),
    [
        ("add-mesage", "add-message"),
        ("set_title", "set-title"),
        ("SetTitle", "set-title"),
        ("", None),
        ("x" * 5000, None),
    ],
)
def test_an_unknown_command_is_refused_and_a_close_name_suggested(got: str, suggestion: str | None) -> None:
    with pytest.raises(UnknownCommand) as refused:
        decode({"type": got})
    error = refused.value
    assert (error.code, error.suggestion) == ("unknown_command", suggestion)
    assert error.got == got[:100]
    assert error.expected == ["add-message", "add-tool-result", "answer", "set-title", "open"]
    assert ("did you mean" in str(error)) is (suggestion is not None)


def test_an_unknown_command_says_what_was_expected() -> None:
    with pytest.raises(UnknownCommand) as refused:
        decode({"type": "add-mesage"}, types=())
    assert str(refused.value) == (
        'expected a command of type "add-message", "add-tool-result", "answer", got "add-mesage" '
        '(did you mean "add-message"?)'
    )


@pytest.mark.parametrize("kind", ["add-message", "set-title", "open"])
def test_an_id_has_at_most_128_characters(kind: str) -> None:
    rest = {"message": {"role": "user", "parts": []}, "newTitle": "A"}

    assert decode({**rest, "type": kind, "id": "é" * 128})[0].id == "é" * 128
    with pytest.raises(InvalidCommand, match="expected an id of at most 128 characters, got 129"):
        decode({**rest, "type": kind, "id": "x" * 129})


def test_one_bad_command_refuses_the_batch() -> None:
    good = {"type": "open"}

    for bad in ({"type": "opne"}, {"type": "set-title"}, {}):
        with pytest.raises(CommandError):
            decode(good, bad, good)
    assert [command.type for command in decode(good, {"type": "set-title", "newTitle": "A"}, good)] == [
        *("open", "set-title", "open"),
    ]
    assert decode() == []


def test_a_batch_may_be_raw_json() -> None:
    raw = msgspec.json.decode(b'[{"type": "open", "a": 1}]', type=list[msgspec.Raw])

    assert CommandSet(["open"]).decode(raw) == [UntypedCommand("open", {"a": 1})]


def test_a_name_has_one_type() -> None:
    commands = CommandSet([SetTitle, SetTitle, "open", "open"])

    assert commands.names == ["add-message", "add-tool-result", "answer", "set-title", "open"]
    assert commands.add("set-title") == "set-title"
    with pytest.raises(TypeError, match='two commands are named "set-title"'):
        commands.add(AnotherTitle)
    for no_command in (NewMessage, int, None, SetTitle(new_title="A")):
        with pytest.raises(TypeError, match="expected a subclass of Command or a command's name"):
            commands.add(no_command)  # type: ignore[arg-type]  # the mistake under test


def test_a_built_in_command_may_be_named() -> None:
    message: Json = {"type": "add-message", "message": {"role": "user", "parts": [TEXT]}}

    assert isinstance(decode(message, types=["add-message"])[0], AddMessage)


@pytest.mark.parametrize(
    ("parts", "text"),
    [([], ""), ([TEXT], "hi"), ([TEXT, {"type": "image", "image": ""}, {"type": "text", "text": "you"}], "hi\nyou")],
)
def test_the_text_of_a_message_is_that_of_its_parts(parts: list[Json], text: str) -> None:
    assert NewMessage(role="user", parts=parts).text == text


def test_every_command_has_a_json_schema() -> None:
    schemas = CommandSet([SetTitle, "open"]).json_schema()

    assert [*schemas] == ["add-message", "add-tool-result", "answer", "set-title", "open"]
    title = schemas["set-title"]["$defs"]["SetTitle"]
    assert title["properties"] == {
        "type": {"enum": ["set-title"]},
        "id": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "newTitle": {"type": "string"},
        "shoutLoud": {"type": "boolean", "default": False},
    }
    assert title["required"] == ["type", "newTitle"]
    assert schemas["open"]["properties"].keys() == {"type", "id"}
    assert schemas["open"]["properties"]["type"] == {"enum": ["open"]}
    assert schemas["open"].get("additionalProperties") is None
    json.dumps(schemas)


def test_commands_do_not_change() -> None:
    command = SetTitle(new_title="A")

    with pytest.raises(AttributeError):
        command.new_title = "B"  # type: ignore[misc]  # the mistake under test
