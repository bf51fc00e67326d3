"""A message and its tool calls: what an agent reads of them, and writes into them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from statecast_agents import AssistantMessage, Document, Json, Message, Messages, NotJson, OperationError, new_id
from tests.agents.conversation import CONVERSATION, call, message
from tests.agents.written import flushed

# Reading

TALK = [
    message(
        "u1", "user", {"type": "text", "text": "Tea"}, {"type": "image", "image": "x"}, {"type": "text", "text": "or"}
    ),
    message("a1", "assistant", {"type": "reasoning", "text": "Hm"}, call("c1", args={"a": [1]}, argsText='{"a":[1]}')),
    message("u1", "user", {"type": "text", "text": "Coffee"}),
]


def test_messages_are_read_as_a_sequence() -> None:
    messages = Messages(Document({"messages": TALK}), ["messages"])

    assert [(each.id, each.role, each.text) for each in messages] == [
        ("u1", "user", "Tea\nor"),
        ("a1", "assistant", ""),
        ("u1", "user", "Coffee"),
    ]
    assert len(messages) == 3
    assert messages[-1].text == "Coffee"
    assert [each.id for each in messages[:2]] == ["u1", "a1"]
    assert list(messages[1].parts) == TALK[1]["parts"]
    with pytest.raises(IndexError):
        messages[3]


def test_a_message_is_found_by_its_id() -> None:
    messages = Messages(Document({"messages": TALK}), ["messages"])
    answer, latest = messages.find("a1"), messages.find("u1")

    assert latest is not None
    assert latest.text == "Coffee"
    assert messages.find("unknown") is None
    assert isinstance(answer, AssistantMessage), "an answer that is found can be written on"
    answer.append_text("More")
    assert messages[1].text == "More"


def test_a_tool_call_is_read() -> None:
    messages = Messages(Document({"messages": CONVERSATION}), ["messages"])
    later = [tool for each in messages for tool in each.tool_calls]

    assert [(tool.id, tool.name, tool.result, tool.settled) for tool in later] == [
        ("open", "f", None, False),
        ("settled", "f", 1, True),
        ("later", "f", None, False),
    ]
    (tool,) = Messages(Document({"messages": TALK}), ["messages"])[1].tool_calls
    assert (tool.args, tool.args_text) == ({"a": [1]}, '{"a":[1]}')


STATES: list[Json] = [
    {"messages": TALK},
    {
        "messages": [
            None,
            1,
            "text",
            [],
            {},
            {"id": 1, "role": [], "parts": 1},
            {"parts": [None, {"type": "tool-call"}]},
        ]
    },
    {"messages": "text"},
    {},
    None,
    [1],
]


def _read(messages: Messages) -> Any:
    return [
        *((each.id, each.role, each.text, each.parts, each.message) for each in messages),
        *(
            (tool.id, tool.name, tool.args, tool.args_text, tool.result)
            for each in messages
            for tool in each.tool_calls
        ),
        *(messages.find(id) for id in ("u1", "a1", "unknown")),
        messages[:],
        len(messages),
        messages.open_calls(),
    ]


@pytest.mark.parametrize("make", [Document, lambda state: Document.adopting(state)], ids=["tracked", "adopted"])
@pytest.mark.parametrize("state", STATES)
def test_reading_everything_changes_nothing(state: Json, make: Callable[[Json], Document]) -> None:
    document = make(state)
    document.flush()
    before, version = document.encode(), document.version

    _read(Messages(document, ["messages"]))
    assert document.flush().operations == b""
    assert (document.encode(), document.version) == (before, version)


def test_what_is_read_after_the_end_of_a_run_is_what_it_left() -> None:
    document = Document({"messages": TALK})
    document.flush()
    document.end(RuntimeError)

    assert [each.text for each in Messages(document, ["messages"])] == ["Tea\nor", "", "Coffee"]


def test_anything_in_the_place_of_a_message_is_a_message_that_says_nothing() -> None:
    strange = Messages(Document([None, {"id": None, "parts": [{"type": "text"}, {"type": "text", "text": 1}]}]), [])

    assert [(each.id, each.role, each.text) for each in strange] == [("", "", "")] * 2
    assert [type(each) for each in strange] == [Message, Message]


# Writing

# What an agent does with `m`, its message, and the parts that are in it then.
WRITING: list[tuple[str, list[Json]]] = [
    ("m.append_text('a'); m.append_text('b')", [{"type": "text", "text": "ab"}]),
    ("m.append_reasoning('a'); m.append_reasoning('b')", [{"type": "reasoning", "text": "ab"}]),
    (
        "m.append_reasoning('a'); m.append_text('b'); m.append_reasoning('c'); m.append_text('d'); m.append_text('e')",
        [
            {"type": "reasoning", "text": "a"},
            {"type": "text", "text": "b"},
            {"type": "reasoning", "text": "c"},
            {"type": "text", "text": "de"},
        ],
    ),
    (
        "m.add_source('u', title='t', id='s'); m.add_source('v', id='r')",
        [
            {"type": "source", "sourceType": "url", "id": "s", "url": "u", "title": "t"},
            {"type": "source", "sourceType": "url", "id": "r", "url": "v"},
        ],
    ),
    ("m.add_file('AA==', 'image/png')", [{"type": "file", "data": "AA==", "mimeType": "image/png"}]),
    ("m.add_data('chart', {'a': (1,)})", [{"type": "data", "name": "chart", "data": {"a": [1]}}]),
    ("m.add_part({'type': 'map'})['at'] = [1]", [{"type": "map", "at": [1]}]),
    ("m.add_tool_call('f', id='c')", [call("c")]),
    ("m.add_tool_call('f', {'a': 1}, id='c')", [call("c", args={"a": 1}, argsText='{"a":1}')]),
    ("m.add_tool_call('f', {}, id='c')", [call("c", argsText="{}")]),
    ("m.add_tool_call('f', None, id='c')", [call("c", args=None, argsText="null")]),
    (
        "c = m.add_tool_call('f', id='c'); c.append_args('{\"a\":'); c.append_args('1}'); c.finish_args()",
        [call("c", args={"a": 1}, argsText='{"a":1}')],
    ),
    ("assert m.add_tool_call('f', id='c').finish_args() == {}", [call("c", argsText="{}")]),
    ("m.add_tool_call('f', id='c').set_result([1])", [call("c", result=[1], isError=False)]),
    (
        "m.add_tool_call('f', id='c').set_result(None, is_error=True, artifact=None)",
        [call("c", result=None, isError=True, artifact=None)],
    ),
    (
        "m.append_text('a'); c = m.add_tool_call('f', id='c'); m.append_text('b'); c.set_result(1); m.append_text('c')",
        [{"type": "text", "text": "a"}, call("c", result=1, isError=False), {"type": "text", "text": "bc"}],
    ),
]


@pytest.mark.parametrize(("code", "parts"), WRITING, ids=[code for code, _ in WRITING])
def test_an_agent_writes_into_its_message_part_by_part(code: str, parts: list[Json]) -> None:
    document = Document({})
    answer = Messages(document, ["messages"]).assistant(id="a1")

    exec(code, {"m": answer})
    assert document.root == {"messages": [{"id": "a1", "role": "assistant", "parts": parts}]}


def test_text_and_arguments_travel_as_what_was_added() -> None:
    document = Document({})
    answer = Messages(document, ["messages"]).assistant()
    answer.append_text("Let me see")
    tool = answer.add_tool_call("f")
    document.flush()

    tool.append_args('{"a"')
    tool.append_args(":1}")
    assert flushed(document) == [("append-text", "messages/0/parts/1/argsText", '{"a":1}')]
    tool.finish_args()
    assert flushed(document) == [("set", "messages/0/parts/1/args", {"a": 1})]
    answer.append_text("Well")
    answer.append_text(" then")
    assert flushed(document) == [("set", "messages/0/parts/2", {"type": "text", "text": "Well then"})]
    answer.append_text("!")
    assert flushed(document) == [("append-text", "messages/0/parts/2/text", "!")]


@pytest.mark.parametrize("text", ["{", "nope", "[1,", '"\\ud800"', "[" * 50_000])
def test_arguments_that_are_no_json_are_an_error(text: str) -> None:
    document = Document({})
    tool = Messages(document, ["messages"]).assistant().add_tool_call("f")
    tool.append_args(text)

    with pytest.raises((OperationError, NotJson)):
        tool.finish_args()
    assert tool.part["args"] == {}


def test_ids_do_not_repeat() -> None:
    messages = Messages(Document({}), ["messages"])
    ids = {messages.assistant().id for _ in range(100)} | {new_id("msg") for _ in range(100)}

    assert len(ids) == 200
    assert all(id.startswith("msg_") and len(id) == 24 for id in ids)
