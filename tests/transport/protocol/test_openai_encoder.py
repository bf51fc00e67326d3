"""OpenAI's chat completions as answers: what becomes of the entries of a log, streamed and not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from statecast.parts import Usage
from statecast.protocol.entries import RunError
from statecast.protocol.openai.encoder import ChatCompletionEncoder, ChatCompletionStreamEncoder, Completion
from statecast.state import Json
from tests.transport.answering_agent import Answering, projection

COMPLETION = Completion(id="chatcmpl-1", model="bees", created=1)
PATH = "/v1/chat/completions"
ASK: Json = {"type": "function", "function": {"name": "ask", "parameters": {"type": "object"}}}


# What the encoders write


def stream(answering: Answering, **options: Any) -> list[str]:
    """Return the data of each event that the entries of an answer are written as."""
    encoder = ChatCompletionStreamEncoder(projection(answering), COMPLETION, **options)
    written = b"".join([*map(encoder.encode, answering.entries), encoder.finish()]).decode()
    assert written.endswith("\n\n")
    assert not encoder.cut
    return [event.removeprefix("data: ") for event in written.removesuffix("\n\n").split("\n\n")]


def deltas(events: Sequence[str]) -> list[Json]:
    """Return what each chunk adds, up to the one that says why the answer ends."""
    found = []
    for event in events[:-1]:
        (choice,) = json.loads(event)["choices"]
        found.append(choice["delta"] or choice["finish_reason"])
    return found


ROLE = {"role": "assistant", "content": "", "refusal": None}


def test_a_stream_begins_with_the_role_and_ends_with_a_reason_and_a_marker() -> None:
    answering = Answering()
    answering.messages.assistant().append_text("Hi")
    answering.turn("completed")
    first, text, last, done = stream(answering)

    head = (
        '{"id":"chatcmpl-1","model":"bees","created":1,"object":"chat.completion.chunk","choices":[{"index":0,"delta":'
    )
    tail = ',"logprobs":null,"finish_reason":'
    assert first == f'{head}{{"role":"assistant","content":"","refusal":null}}{tail}null}}]}}'
    assert text == f'{head}{{"content":"Hi"}}{tail}null}}]}}'
    assert last == f'{head}{{}}{tail}"stop"}}]}}'
    assert done == "[DONE]"


def test_an_answer_in_which_nothing_happened_is_empty_and_complete() -> None:
    answering = Answering()
    answering.turn("completed")

    assert deltas(stream(answering)) == [ROLE, "stop"]


def test_what_a_long_text_grows_by_is_all_that_is_written() -> None:
    answering = Answering()
    message = answering.messages.assistant()
    answering.each(*[lambda: message.append_text("bees ")] * 2000)
    encoder = ChatCompletionStreamEncoder(projection(answering), COMPLETION)
    frames = [encoder.encode(entry) for entry in answering.entries]

    assert {len(frame) for frame in frames[3:]} == {len(frames[3])}
    assert json.loads(frames[-1].removeprefix(b"data: "))["choices"][0]["delta"] == {"content": "bees "}


def test_arguments_of_a_declared_tool_are_streamed_and_others_come_at_the_end() -> None:
    answering = Answering()
    message = answering.messages.assistant()
    one, other = message.add_tool_call("ask", id="a"), message.add_tool_call("approval", {"x": 1}, id="b")
    answering.each(lambda: one.append_args('{"y":'), lambda: one.append_args("2}"), one.finish_args)
    message.append_text("Well?")
    answering.turn("completed")

    assert other.id == "b"
    assert deltas(stream(answering, tools=frozenset({"ask"}))) == [
        ROLE,
        {"tool_calls": [_opened(0, "a", "ask")]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"y":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "2}"}}]},
        {"content": "Well?"},
        {"tool_calls": [_opened(1, "b", "approval", '{"x":1}')]},
        "tool_calls",
    ]


def test_a_call_goes_out_when_the_one_before_is_complete() -> None:
    answering = Answering()
    message = answering.messages.assistant()
    calls = [message.add_tool_call("ask", id=id) for id in "abc"]
    answering.each(
        lambda: calls[1].append_args('{"b":'),
        lambda: calls[0].append_args('{"a":'),
        lambda: calls[1].append_args("2}"),
        lambda: calls[2].append_args("{"),
        lambda: calls[0].append_args("1}"),
        calls[1].finish_args,
        calls[0].finish_args,
        lambda: calls[2].append_args("}"),
    )
    answering.turn("completed")

    assert deltas(stream(answering, tools=frozenset({"ask"}))) == [
        ROLE,
        {"tool_calls": [_opened(0, "a", "ask")]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
        {"tool_calls": [_opened(1, "b", "ask", '{"b":2}')]},
        {"tool_calls": [_opened(2, "c", "ask", "{")]},
        {"tool_calls": [{"index": 2, "function": {"arguments": "}"}}]},
        "tool_calls",
    ]


def test_a_call_that_the_agent_answers_holds_no_other_back() -> None:
    answering = Answering()
    message = answering.messages.assistant()
    one, two = (message.add_tool_call("ask", id=id) for id in "ab")
    answering.each(lambda: two.append_args("{}"), two.finish_args, lambda: one.set_result(1))
    answering.turn("completed")

    found = deltas(stream(answering, tools=frozenset({"ask"})))
    assert found[-2:] == [{"tool_calls": [_opened(1, "b", "ask", "{}")]}, "tool_calls"]


def _opened(index: int, id: str, name: str, arguments: str = "") -> Json:
    return {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_a_call_that_the_agent_answers_after_all_is_not_waited_for() -> None:
    answering = Answering()
    message = answering.messages.assistant()
    call = message.add_tool_call("ask", {})
    answering.each(answering.flush, lambda: call.set_result(1))
    answering.turn("completed")

    assert deltas(stream(answering, tools=frozenset({"ask"})))[-1] == "stop"
    assert deltas(stream(answering)) == [ROLE, "stop"]


def test_parts_that_are_emitted_outside_the_state_are_told_too() -> None:
    answering = Answering()
    answering.parts.append_reasoning("Hm.")
    answering.parts.append_text("Honey ")
    answering.parts.append_text("bees.")
    answering.parts.add_source("https://example.com")
    answering.parts.append_text("Wasps.")
    answering.parts.add_tool_call("ask", {"x": 1}, id="a")
    answering.parts.add_error("Never mind.")
    answering.turn("completed")
    encoder = ChatCompletionEncoder(projection(answering), COMPLETION)
    message = json.loads(b"".join([*map(encoder.encode, answering.entries), encoder.finish()]))["choices"][0]["message"]

    assert deltas(stream(answering)) == [
        ROLE,
        {"reasoning_content": "Hm."},
        {"content": "Honey "},
        {"content": "bees."},
        {"content": "\n\n"},
        {"content": "Wasps."},
        {"tool_calls": [_opened(0, "a", "ask", '{"x":1}')]},
        "tool_calls",
    ]
    assert (message["content"], message["reasoning_content"]) == ("Honey bees.\n\nWasps.", "Hm.")
    assert message["tool_calls"] == [
        {name: value for name, value in _opened(0, "a", "ask", '{"x":1}').items() if name != "index"}
    ]


@pytest.mark.parametrize(
    ("status", "reason", "told"),
    [
        ("completed", "length", "length"),
        ("completed", "content-filter", "content_filter"),
        ("completed", "tool-calls", "stop"),
        ("completed", "unknown", "stop"),
        ("cancelled", "stop", "stop"),
        ("interrupted", "stop", "stop"),
        ("waiting", "stop", "stop"),
    ],
)
def test_the_reasons_have_openais_words(status: str, reason: Any, told: str) -> None:
    answering = Answering()
    answering.parts.finish(reason)
    answering.turn(status)

    assert deltas(stream(answering))[-1] == told


def test_a_failed_run_is_an_error_in_the_stream() -> None:
    answering = Answering()
    answering.messages.assistant().append_text("Half")
    answering.turn("failed", RunError("no_bees", "There are no bees."))
    *_, error, done = stream(answering)

    told = {"message": "There are no bees.", "type": "server_error", "param": None, "code": "no_bees"}
    assert (json.loads(error), done) == ({"error": told}, "[DONE]")


def test_steps_add_up_to_the_usage_of_the_answer() -> None:
    answering = Answering()
    for usage in (Usage(1, 2), Usage(10, 20)):
        with answering.parts.step() as step:
            step.usage = usage
    answering.turn("completed")
    last = json.loads(stream(answering, include_usage=True)[-2])

    assert last["usage"] == {"prompt_tokens": 11, "completion_tokens": 22, "total_tokens": 33}
    assert last["choices"] == []


def test_a_stream_whose_run_has_not_ended_is_to_be_cut_off() -> None:
    answering = Answering()
    encoder = ChatCompletionStreamEncoder(projection(answering), COMPLETION)

    assert encoder.cut
