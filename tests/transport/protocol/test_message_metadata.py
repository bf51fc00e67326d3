"""What every protocol shows of the metadata of messages: tokens, model, finish reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from statecast.protocol.local.events import TypedEventsEncoder
from statecast.protocol.local.reply import JsonReplyEncoder
from statecast.protocol.messages.client_copy import ClientCopy
from statecast.protocol.messages.encoder import MessageEncoder
from statecast.protocol.messages.projection import Projection
from statecast.protocol.openai.encoder import ChatCompletionEncoder, ChatCompletionStreamEncoder, Completion
from statecast_agents import Usage
from tests.transport.answering_agent import Answering, projection
from tests.transport.projections import answered, lines, told

COMPLETION = Completion(id="c", model="agent", created=1)
TOKENS = {"inputTokens": 11, "outputTokens": 22, "cachedInputTokens": 4}


def metered(answering: Answering) -> None:
    """Answer in two messages, each with its metadata."""
    first = answering.messages.assistant(id="m1")
    first.append_text("a")
    answering.each(lambda: first.set_metadata(usage=Usage(1, 2), model="bee-1", finish_reason="tool-calls"))
    second = answering.messages.assistant(id="m2")
    answering.each(lambda: second.append_text("b"))
    answering.each(lambda: second.set_metadata(steps=[Usage(4, 8), Usage(6, 12, cached_input_tokens=4)]))
    answering.each(lambda: second.set_metadata(finish_reason="length", custom={"mood": "good"}))


def body(encoder: MessageEncoder, answering: Answering) -> Any:
    frames = b"".join([*map(encoder.encode, answering.entries), encoder.finish()])
    events = [frame.removeprefix(b"data: ") for frame in frames.split(b"\n\n") if frame]
    return [msgspec.json.decode(event) for event in events if event != b"[DONE]"]


def test_a_ui_message_stream_ends_with_the_tokens_and_the_metadata() -> None:
    finish = told(answered(metered))[-1]

    assert finish == {
        "type": "finish",
        "finishReason": "length",
        "usage": TOKENS,
        "messageMetadata": {"usage": TOKENS, "modelId": "bee-1", "finishReason": "length", "mood": "good"},
    }


def test_a_data_stream_ends_with_the_tokens() -> None:
    *_, step, message = lines(answered(metered))

    assert step == ("e", {"finishReason": "length", "usage": TOKENS, "isContinued": False})
    assert message == ("d", {"finishReason": "length", "usage": TOKENS})


def completion(read: Projection) -> MessageEncoder:
    return ChatCompletionEncoder(read, COMPLETION)


def completion_chunks(read: Projection) -> MessageEncoder:
    return ChatCompletionStreamEncoder(read, COMPLETION, include_usage=True)


@pytest.mark.parametrize("encoder", [completion, completion_chunks])
def test_an_openai_client_gets_the_tokens(encoder: Callable[[Projection], MessageEncoder]) -> None:
    answering = answered(metered)
    chunks = body(encoder(projection(answering)), answering)

    assert chunks[-1]["usage"] == {
        "prompt_tokens": 11,
        "completion_tokens": 22,
        "total_tokens": 33,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    assert reasons[-1] == "length"


@pytest.mark.parametrize("encoder", [JsonReplyEncoder, TypedEventsEncoder])
def test_the_local_forms_have_the_tokens(encoder: Callable[[Projection], MessageEncoder]) -> None:
    answering = answered(metered)
    last = body(encoder(projection(answering)), answering)[-1]

    assert (last["finishReason"], last["usage"]) == ("length", TOKENS)


def test_what_an_agent_emits_counts_for_what_its_metadata_say() -> None:
    def write(answering: Answering) -> None:
        metered(answering)
        answering.parts.finish("stop", Usage(7, 7))

    finish = told(answered(write))[-1]
    assert (finish["finishReason"], finish["usage"]) == ("stop", {"inputTokens": 7, "outputTokens": 7})
    assert finish["messageMetadata"]["modelId"] == "bee-1"


def test_a_run_that_left_a_call_open_ends_with_that_whatever_the_model_said() -> None:
    def write(answering: Answering) -> None:
        metered(answering)
        answering.messages.last_assistant().add_tool_call("ask", {})

    assert told(answered(write))[-1]["finishReason"] == "tool-calls"


def test_an_answer_that_goes_on_counts_only_what_is_new() -> None:
    before = Answering()
    metered(before)
    answering = Answering(before.document.plain()["messages"])
    message = answering.messages.last_assistant()
    steps = [Usage(4, 8), Usage(6, 12, cached_input_tokens=4), Usage(100, 1)]
    answering.each(lambda: message.append_text("c"), lambda: message.set_metadata(steps=steps))
    answering.turn("completed")

    finish = told(answering, projection(answering, client_copy=ClientCopy()))[-1]
    assert finish["usage"] == {"inputTokens": 100, "outputTokens": 1}
