"""The protocols of `/chat` as they are on the wire, part by part."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from statecast.protocol import MESSAGE_PROTOCOLS, RunError
from statecast_agents import Json, Usage
from tests.transport.answering_agent import Answering, projection
from tests.transport.projections import answered, lines, told, types

# Tool calls


def test_a_result_and_that_it_is_an_error_are_one_thing() -> None:
    def write(answering: Answering) -> None:
        call = answering.messages.assistant().add_tool_call("look", {}, id="c")
        answering.flush()
        answering.each(lambda: call.set_result({"why": 1}, is_error=True, artifact=2))

    answering = answered(write)
    assert [chunk for chunk in told(answering) if "output" in chunk["type"]] == [
        {"type": "tool-output-error", "toolCallId": "c", "errorText": '{"why":1}', "providerExecuted": True}
    ]
    assert [value for code, value in lines(answering) if code == "a"] == [
        {"toolCallId": "c", "result": {"why": 1}, "artifact": 2, "isError": True}
    ]


def test_a_result_that_changes_is_told_again_where_it_can_be() -> None:
    def write(answering: Answering) -> None:
        call = answering.messages.assistant().add_tool_call("look", {}, id="c")
        call.set_result(1)
        answering.flush()
        answering.each(lambda: call.set_result(2))

    answering = answered(write)
    assert [chunk["output"] for chunk in told(answering) if "output" in chunk] == [1, 2]
    assert [value["result"] for code, value in lines(answering) if code == "a"] == [1]


def test_arguments_that_are_no_json_are_told_so() -> None:
    def write(answering: Answering) -> None:
        call = answering.messages.assistant().add_tool_call("look", id="c")
        answering.each(lambda: call.append_args('{"a":'))

    found = told(answered(write))
    assert found[-3]["type"] == "tool-input-error"
    assert found[-3]["input"] == '{"a":'


def test_an_open_call_is_why_the_message_ends() -> None:
    answering = answered(lambda it: it.messages.assistant().add_tool_call("ask", {"a": 1}, id="c"), status="waiting")

    assert told(answering)[-1]["finishReason"] == "tool-calls"
    assert lines(answering)[-1][1]["finishReason"] == "tool-calls"


@pytest.mark.parametrize("way", ["list", "message"])
def test_a_call_that_moves_is_not_begun_again(way: str) -> None:
    def write(answering: Answering) -> None:
        message = answering.messages.assistant(id="m")
        call = message.add_tool_call("look", {}, id="c")
        answering.flush()
        if way == "list":
            answering.each(lambda: message.message["parts"].insert(0, {"type": "reasoning", "text": "r"}))
        else:
            whole = {**msgspec.json.decode(msgspec.json.encode(message.message)), "id": "other"}
            answering.each(lambda: answering.messages.items.__setitem__(0, whole))
            call = answering.messages.find_tool_call("c") or call
        answering.each(lambda: answering.messages.find_tool_call("c").set_result(1))  # type: ignore[union-attr]  # it is there

    found = types(told(answered(write)))
    assert found.count("tool-input-start") == found.count("tool-output-available") == 1


def test_two_calls_with_one_id_are_one() -> None:
    def write(answering: Answering) -> None:
        message = answering.messages.assistant()
        message.add_tool_call("look", {}, id="c")
        message.add_tool_call("look", {}, id="c")
        answering.flush()
        answering.parts.add_tool_call("look", {}, id="c").set_result(1)

    assert [code for code, _ in lines(answered(write))].count("b") == 1


def test_an_approval_is_asked_for_in_the_form_that_there_is_for_it() -> None:
    answering = answered(
        lambda it: it.messages.assistant().add_tool_call("approval", {"question": "?"}, id="c"), status="waiting"
    )

    assert {"type": "tool-approval-request", "approvalId": "c", "toolCallId": "c"} in told(answering)


@pytest.mark.parametrize(
    ("result", "end"),
    [
        ({"approved": True, "reason": "r"}, ["tool-approval-response", "tool-output-available"]),
        (True, ["tool-approval-response", "tool-output-available"]),
        ({"approved": False}, ["tool-approval-response", "tool-output-denied"]),
        ("no", ["tool-approval-response", "tool-output-denied"]),
    ],
)
def test_an_approval_that_another_client_gives_is_told(result: Json, end: list[str]) -> None:
    def write(answering: Answering) -> None:
        call = answering.messages.assistant().add_tool_call("approval", {"question": "?"}, id="c")
        answering.flush()
        answering.each(lambda: call.set_result(result))

    found = [chunk for chunk in told(answered(write)) if chunk["type"].startswith(("tool-approval-r", "tool-output"))]
    assert types(found) == ["tool-approval-request", *end]


def test_an_approval_that_is_settled_already_is_asked_for_by_nobody() -> None:
    answering = answered(lambda it: it.messages.assistant().add_tool_call("approval", {}, id="c").set_result(True))

    assert "tool-approval-request" not in types(told(answering))


# Other parts


@pytest.mark.parametrize(
    ("data", "mime", "url"),
    [
        ("aGk=", "text/plain", "data:text/plain;base64,aGk="),
        ("data:text/plain;base64,aGk=", "text/plain", "data:text/plain;base64,aGk="),
        ("https://e.org/a.png", "image/png", "https://e.org/a.png"),
        ("/files/a-1", "image/png", "/files/a-1"),
        ("/9j/" + "4AAQ" * 20, "image/jpeg", "data:image/jpeg;base64,/9j/" + "4AAQ" * 20),
    ],
)
def test_a_file_is_a_url(data: str, mime: str, url: str) -> None:
    answering = answered(lambda it: it.messages.assistant().add_file(data, mime))

    assert {"type": "file", "url": url, "mediaType": mime} in told(answering)


def test_a_data_part_changes_in_place_and_another_does_not_take_its_name() -> None:
    def write(answering: Answering) -> None:
        message = answering.messages.assistant(id="m")
        message.add_data("chart", 1)
        answering.flush()
        parts = message.message["parts"]
        answering.each(
            lambda: parts[0].update(data=2), lambda: parts.insert(0, {"type": "data", "name": "chart", "data": 3})
        )

    answering = answered(write)
    client: dict[str, Json] = {}
    for chunk in told(answering):
        if chunk["type"] == "data-chart":
            client[chunk["id"]] = chunk["data"]
    assert list(client.values()) == [3, 2]
    assert [(code, value) for code, value in lines(answering) if code in ("aui-data", "2")] == [
        ("aui-data", {"name": "chart", "data": 1}),
        ("2", [{"name": "chart", "data": 2}]),
        ("2", [{"name": "chart", "data": 3}]),
        ("aui-data", {"name": "chart", "data": 2}),
    ]


def test_parts_outside_the_state_have_numbers_among_the_streams_own() -> None:
    def write(answering: Answering) -> None:
        answering.messages.assistant(id="m").append_text("a")
        with answering.parts.step("s") as step:
            answering.parts.append_text("b")
            answering.parts.add_data_part("chart", 1)
            step.usage = Usage(1, 2)
        answering.parts.add_annotations(1)
        answering.parts.add_annotations(2)
        answering.parts.add_data(3)

    found = told(answered(write))
    assert [chunk["id"] for chunk in found if chunk["type"] == "text-start"] == ["0", "1"]
    assert [chunk["messageMetadata"] for chunk in found if chunk["type"] == "message-metadata"][-1] == {
        "annotations": [1, 2]
    }
    assert {"type": "data-data", "data": 3} in found
    assert types(found).count("start-step") == 0  # the message began before the step did


def test_a_warning_does_not_end_the_message_and_an_error_comes_last() -> None:
    def write(answering: Answering) -> None:
        answering.parts.add_error("slow", severity="warning", code="w")
        answering.parts.add_error("broken")
        answering.parts.append_text("still here")

    found = told(answered(write))
    assert found[0]["type"] == "start"
    assert found[1] == {
        "type": "data-error",
        "data": {"message": "slow", "severity": "warning", "code": "w"},
        "transient": True,
    }
    assert types(found)[-2:] == ["error", "finish"]
    assert "text-delta" in types(found)


def test_usage_is_that_of_all_steps_unless_the_agent_tells_it() -> None:
    def steps(answering: Answering) -> None:
        for number in (1, 2):
            with answering.parts.step() as step:
                answering.parts.append_text("a")
                step.usage = Usage(number, 10)

    def told_by_the_agent(answering: Answering) -> None:
        steps(answering)
        answering.parts.finish("length", Usage(7, 7))

    first, second = answered(steps), answered(told_by_the_agent)
    assert told(first)[-1]["messageMetadata"] == {"usage": {"inputTokens": 3, "outputTokens": 20}}
    assert told(second)[-1]["usage"] == {"inputTokens": 7, "outputTokens": 7}
    assert told(second)[-1]["finishReason"] == "length"
    assert lines(first)[-1][1]["usage"] == {"inputTokens": 3, "outputTokens": 20}


# How it ends


@pytest.mark.parametrize(
    ("turned", "end", "last"),
    [
        ({"status": "failed", "error": RunError("c", "why")}, ["finish-step", "error", "finish"], ["3", "e", "d"]),
        ({"status": "cancelled"}, ["finish-step", "abort", "finish"], ["e", "d"]),
        ({"status": "interrupted"}, ["finish-step", "abort", "finish"], ["e", "d"]),
    ],
)
def test_a_run_that_did_not_complete_says_so(turned: dict[str, Any], end: list[str], last: list[str]) -> None:
    answering = answered(lambda it: it.messages.assistant().append_text("a"), **turned)

    found = told(answering)
    assert types(found)[-len(end) :] == end
    assert found[-1]["finishReason"] == ("error" if "error" in turned else "other")
    assert [code for code, _ in lines(answering)][-len(last) :] == last


def test_a_stream_in_which_nothing_happened_is_an_empty_message() -> None:
    answering = answered(lambda it: None)

    assert types(told(answering)) == ["start", "finish-step", "finish"]
    assert [code for code, _ in lines(answering)] == ["d"]


@pytest.mark.parametrize("protocol", list(MESSAGE_PROTOCOLS))
def test_the_frames_of_a_stream_are_complete(protocol: str) -> None:
    answering = answered(lambda it: it.messages.assistant().append_text("a"))
    encoder = MESSAGE_PROTOCOLS[protocol](projection(answering))
    end = b"\n\n" if protocol == "ui-message-stream" else b"\n"
    frames = [*map(encoder.encode, answering.entries), encoder.heartbeat, encoder.finish()]

    assert all(frame.endswith(end) for frame in frames if frame)


@pytest.mark.parametrize("status", ["cancelled", "interrupted"])
def test_arguments_that_a_stop_cut_off_are_no_error_that_a_client_would_send_back(status: str) -> None:
    def write(answering: Answering) -> None:
        call = answering.messages.assistant().add_tool_call("look")
        answering.each(lambda: call.append_args('{"a":'))

    stopped, ended = told(answered(write, status=status)), told(answered(write))
    assert "tool-input-error" not in types(stopped)
    assert "tool-input-error" in types(ended)


def test_start_is_the_first_chunk_whatever_happens_before_the_message() -> None:
    def write(answering: Answering) -> None:
        answering.run.state["progress"] = 1
        answering.flush()
        answering.messages.assistant(id="m").append_text("a")

    found = told(answered(write))
    assert found[0] == {"type": "start"}
    assert types(found)[:3] == ["start", "data-state-operations", "start"]
    assert [chunk["messageId"] for chunk in found if chunk["type"] == "start" and "messageId" in chunk] == ["m"]
