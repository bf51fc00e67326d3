"""Answers for hand-written adapters: raw text, pieces of text, typed events, and one reply, of the entries of a log."""

from __future__ import annotations

import json
from typing import Any

import pytest

from statecast.parts import Usage
from statecast.protocol.entries import RunError
from statecast.protocol.local.events import TypedEventsEncoder
from statecast.protocol.local.reply import JsonReplyEncoder
from statecast.protocol.local.text import ContentEventsEncoder, PlainTextEncoder
from statecast.protocol.messages.encoder import MessageEncoder
from tests.transport.answering_agent import Answering, projection

FAILED = RunError("no_bees", "There are no bees.")


def written(kind: Any, answering: Answering) -> str:
    encoder: MessageEncoder = kind(projection(answering))
    return b"".join([*map(encoder.encode, answering.entries), encoder.finish()]).decode()


def test_an_answer_in_every_form() -> None:
    answering = Answering()
    message = answering.messages.assistant()
    answering.each(
        lambda: message.append_reasoning("Hm."),
        lambda: message.append_text("Let me "),
        lambda: message.append_text("look."),
        lambda: message.add_tool_call("look_up", {"word": "bee"}, id="a").set_result(None, is_error=True),
        lambda: message.add_source("https://example.com", title="Bees", id="s"),
        lambda: message.append_text("So."),
    )
    answering.parts.add_error("Never mind.", code="odd")
    with answering.parts.step() as step:
        step.usage = Usage(1, 2)
    answering.turn("completed")
    usage = '"usage":{"inputTokens":1,"outputTokens":2}'

    assert written(PlainTextEncoder, answering) == "Let me look.\n\nSo."
    assert _data(written(ContentEventsEncoder, answering)) == [
        '{"content":"Let me "}',
        '{"content":"look."}',
        '{"content":"\\n\\n"}',
        '{"content":"So."}',
        "[DONE]",
    ]
    assert _data(written(TypedEventsEncoder, answering)) == [
        '{"type":"reasoning","part":0,"content":"Hm."}',
        '{"type":"text","part":1,"content":"Let me "}',
        '{"type":"text","part":1,"content":"look."}',
        '{"type":"tool_use","id":"a","name":"look_up","input":{"word":"bee"}}',
        '{"type":"tool_result","tool_use_id":"a","content":null,"is_error":true}',
        '{"type":"source","sourceType":"url","id":"s","url":"https://example.com","title":"Bees","part":3}',
        '{"type":"text","part":4,"content":"So."}',
        '{"type":"notice","message":"Never mind.","code":"odd"}',
        f'{{"type":"done","finishReason":"stop",{usage}}}',
    ]
    reply = json.loads(written(JsonReplyEncoder, answering))
    assert reply == {
        "text": "Let me look.\n\nSo.",
        "message": "Let me look.\n\nSo.",
        "parts": message.message["parts"],
        "finishReason": "stop",
        "usage": {"inputTokens": 1, "outputTokens": 2},
    }


def _data(stream: str) -> list[str]:
    assert stream.endswith("\n\n")
    return [event.removeprefix("data: ") for event in stream.removesuffix("\n\n").split("\n\n")]


@pytest.mark.parametrize("kind", [PlainTextEncoder, ContentEventsEncoder, TypedEventsEncoder, JsonReplyEncoder])
def test_what_a_long_text_grows_by_is_all_that_is_written(kind: Any) -> None:
    answering = Answering()
    message = answering.messages.assistant()
    answering.each(*[lambda: message.append_text("bees ")] * 1000)
    encoder: MessageEncoder = kind(projection(answering))
    frames = [encoder.encode(entry) for entry in answering.entries]

    assert len({len(frame) for frame in frames[3:]}) == 1
    assert len(frames[-1]) < 60


@pytest.mark.parametrize("kind", [PlainTextEncoder, ContentEventsEncoder, TypedEventsEncoder])
def test_what_is_not_said_may_grow_in_between(kind: Any) -> None:
    answering = Answering()
    message = answering.messages.assistant()
    call = message.add_tool_call("ask", id="a")
    answering.each(*[lambda text=text: call.append_args(text) for text in ('{"x":', '"data: ', '\\n"}')])
    call.finish_args()
    answering.each(*[lambda: message.append_text("so ")] * 3, *[lambda: message.append_reasoning("hm ")] * 3)
    answering.turn("completed")
    stream = written(kind, answering)

    if kind is TypedEventsEncoder:
        call_, *_, done = (json.loads(event) for event in _data(stream))
        assert call_["input"] == {"x": "data: \n"}
        assert done["finishReason"] == "tool-calls"
    else:
        assert stream.count("so ") == 3
        assert "hm" not in stream
        assert "x" not in stream


@pytest.mark.parametrize("kind", [PlainTextEncoder, ContentEventsEncoder, TypedEventsEncoder])
def test_only_the_stream_of_a_run_that_ended_well_ends_well(kind: Any) -> None:
    for status, error, cut in (("completed", None, False), ("cancelled", None, False), ("failed", FAILED, True)):
        answering = Answering()
        answering.turn(status, error)
        encoder: MessageEncoder = kind(projection(answering))
        for entry in answering.entries:
            encoder.encode(entry)
        assert encoder.cut, "its end is not known"
        end = encoder.finish()
        assert encoder.cut == cut
        assert (b"There are no bees." in end) == (error is not None and kind is not PlainTextEncoder)


def test_parts_that_are_emitted_outside_the_state_are_in_a_reply() -> None:
    answering = Answering()
    message = answering.messages.assistant()
    message.append_text("In the state.")
    answering.parts.append_text("Out of ")
    answering.parts.append_text("it.")
    answering.parts.add_tool_call("ask", {"x": 1}, id="a").set_result([2])
    answering.turn("completed")

    assert json.loads(written(JsonReplyEncoder, answering))["parts"] == [
        {"type": "text", "text": "In the state."},
        {"type": "text", "text": "Out of it."},
        {
            "type": "tool-call",
            "toolCallId": "a",
            "toolName": "ask",
            "args": {"x": 1},
            "argsText": '{"x":1}',
            "result": [2],
            "isError": False,
        },
    ]


def test_a_reply_tells_a_message_as_it_is_and_not_as_it_was() -> None:
    answering = Answering()
    message = answering.messages.assistant()
    answering.each(lambda: message.append_text("A draft."), lambda: message.message["parts"].clear())
    message.append_text("The answer.")
    answering.turn("completed")

    assert json.loads(written(JsonReplyEncoder, answering))["text"] == "The answer."
