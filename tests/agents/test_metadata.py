"""The metadata of an assistant's message: how agents write it, and how it is read, whatever JSON is there."""

from __future__ import annotations

import pytest

from statecast_agents import AssistantMessage, Document, Json, Messages, NotJson, Timing, Usage
from statecast_agents.metadata import Report, report_of
from tests.agents.written import flushed


def answer_in(document: Document) -> AssistantMessage:
    answer = Messages(document, ["messages"]).assistant(id="m")
    document.flush()
    return answer


def test_metadata_have_the_shape_that_assistant_ui_reads() -> None:
    document = Document({})
    answer = answer_in(document)
    answer.set_metadata(
        usage=Usage(12, 34, reasoning_tokens=5),
        model="bee-1",
        finish_reason="length",
        timing=Timing(stream_start_time=1_000, first_token_time=80),
        custom={"agent": "lead"},
    )

    assert answer.message["metadata"] == {
        "steps": [{"usage": {"inputTokens": 12, "outputTokens": 34, "reasoningTokens": 5}}],
        "timing": {"streamStartTime": 1_000, "firstTokenTime": 80, "totalChunks": 0, "toolCallCount": 0},
        "custom": {"modelId": "bee-1", "finishReason": "length", "agent": "lead"},
    }


def test_what_is_not_given_stays_as_it_is() -> None:
    document = Document({})
    answer = answer_in(document)
    answer.set_metadata(model="bee-1", custom={"agent": "lead"})
    document.flush()

    answer.set_metadata(finish_reason="stop")
    assert flushed(document) == [("set", "messages/0/metadata/custom/finishReason", "stop")]
    answer.set_metadata(steps=[Usage(1, 2), Usage(3, 4)])
    assert [written[1] for written in flushed(document)] == ["messages/0/metadata/steps"]
    assert report_of(answer.message["metadata"]) == Report(
        usage=Usage(4, 6), finish_reason="stop", more={"modelId": "bee-1", "agent": "lead", "finishReason": "stop"}
    )


def test_a_field_that_a_state_cannot_hold_changes_nothing() -> None:
    document = Document({})
    answer = answer_in(document)
    with pytest.raises(NotJson):
        answer.set_metadata(usage=Usage(1, 2), custom={"raw": b"a"})

    assert flushed(document) == []


def test_a_sub_agents_message_has_metadata_too() -> None:
    document = Document({})
    inner = answer_in(document).add_tool_call("research", {}).messages.assistant()
    inner.set_metadata(usage=Usage(1, 2))

    assert inner.message["metadata"] == {"custom": {}, "steps": [{"usage": {"inputTokens": 1, "outputTokens": 2}}]}


STRANGE: list[Json] = [
    None,
    1,
    [],
    {"steps": 1, "custom": [], "timing": 1},
    {"steps": [None, 1, {}, {"usage": 1}, {"usage": {"inputTokens": "1"}}], "custom": {"finishReason": 1}},
    {"custom": {"finishReason": []}},
]


@pytest.mark.parametrize("metadata", STRANGE, ids=["null", "number", "list", "fields", "steps", "reason"])
def test_whatever_is_in_its_place_is_read(metadata: Json) -> None:
    report = report_of(metadata)

    assert (report.usage, report.finish_reason) == (None, None)


def test_metadata_replace_what_a_client_has_put_in_their_place() -> None:
    document = Document({"messages": [{"id": "m", "role": "assistant", "parts": [], "metadata": 1}]})
    Messages(document, ["messages"]).open("m").set_metadata(model="bee-1")

    assert document.root["messages"][0]["metadata"] == {"custom": {"modelId": "bee-1"}}
