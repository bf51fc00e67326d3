"""What a model writes as arguments fails no run: what a state cannot hold of it is in the text alone."""

from __future__ import annotations

import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statecast_agents import (
    AssistantMessage,
    Document,
    Json,
    Messages,
    NotJson,
    OperationError,
    Parts,
    chunks,
)
from statecast_agents.values import is_javascript_integer

UNHELD = [
    '{"post": 1795913919258000001}',
    '{"constructor": 1}',
    '{"a":' * 130 + "1" + "}" * 130,
    "12345678901234567890",
]


def answer() -> AssistantMessage:
    return Messages(Document({}), ["messages"]).assistant()


@pytest.mark.parametrize("text", UNHELD)
def test_arguments_that_a_state_cannot_hold_stay_text(text: str) -> None:
    call = answer().add_tool_call("f", id="c")
    call.append_args(text)

    assert call.finish_args() == json.loads(text)
    assert (call.part["args"], call.part["argsText"]) == ({}, text)


@pytest.mark.parametrize("text", UNHELD)
def test_arguments_that_an_sdk_has_read_stay_text_too(text: str) -> None:
    message = answer()
    call = message.add_tool_call("f", json.loads(text))
    sent: list[chunks.Chunk] = []
    Parts(sent.append).add_tool_call("f", json.loads(text))

    assert call.part["args"] == {}
    assert json.loads(call.part["argsText"]) == json.loads(text)
    assert [json.loads(chunk.text) for chunk in sent if isinstance(chunk, chunks.TextDelta)] == [json.loads(text)]


@pytest.mark.parametrize(
    "args", [{"a": {1}}, {1: 2}, {"a": b"x"}, {"a": float("nan")}, {"a": "\ud800"}, {"a": object()}]
)
def test_arguments_that_json_cannot_say_are_refused_where_they_are_given(args: Json) -> None:
    message = answer()

    with pytest.raises(NotJson):
        message.add_tool_call("f", args)
    with pytest.raises(NotJson):
        Parts(lambda chunk: None).add_tool_call("f", args)
    assert message.message["parts"] == []


def test_arguments_convert_as_assigned_values_do() -> None:
    call = answer().add_tool_call("f", {"at": datetime.date(2026, 1, 2)})

    assert call.part["args"] == {"at": "2026-01-02"}
    assert call.part["argsText"] == '{"at":"2026-01-02"}'


@pytest.mark.parametrize("pieces", [[], [""], [" "], ["", "\n"]])
def test_no_arguments_are_an_empty_object_in_both_fields(pieces: list[str]) -> None:
    call = answer().add_tool_call("ping")
    for piece in pieces:
        call.append_args(piece)

    assert call.finish_args() == {}
    assert call.part["args"] == {}
    assert json.loads(call.part["argsText"]) == {}


@pytest.mark.parametrize("end", ["finish_args", "close"])
def test_no_arguments_are_an_empty_object_outside_the_state_too(end: str) -> None:
    sent: list[chunks.Chunk] = []
    call = Parts(sent.append).add_tool_call("ping")
    getattr(call, end)()
    call.finish_args() if end == "finish_args" else None

    assert [chunk.text for chunk in sent if isinstance(chunk, chunks.TextDelta)] == ["{}"]


def test_text_that_is_no_json_is_the_agents_to_deal_with() -> None:
    call = answer().add_tool_call("f")
    call.append_args('{"a":')

    with pytest.raises(OperationError):
        call.finish_args()


def javascript_prints(integer: int) -> str | None:
    """Return the digits of what JavaScript makes of an integer: the shortest that its double reads back from."""
    try:
        digits, _, exponent = f"{float(integer)!r}".replace("-", "").partition("e")
    except OverflowError:
        return None
    whole, _, fraction = digits.partition(".")
    fraction = fraction if fraction != "0" else ""
    return (whole + fraction).ljust(len(whole) + int(exponent or 0), "0")


@given(
    st.integers(-(2**70), 2**70) | st.integers(0, 2**14).map(lambda n: n * 10**18) | st.integers(2**53 - 9, 2**53 + 9)
)
def test_an_integer_is_carried_if_javascript_prints_it_as_it_came(integer: int) -> None:
    assert is_javascript_integer(integer) == (javascript_prints(integer) == str(abs(integer)))
