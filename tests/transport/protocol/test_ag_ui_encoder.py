"""What AG-UI's clients are told: how a stream begins and ends, what waits, and what is held."""

from __future__ import annotations

import json
from functools import partial

import msgspec
import pytest

from statecast.parts import Usage
from statecast.protocol.ag_ui.encoder import AgUiEncoder
from statecast.protocol.entries import RunError
from statecast.protocol.messages.full_projection import FullProjection
from statecast_agents import Json
from tests.clients.ag_ui import shown
from tests.transport.answering_agent import RUN, Answering
from tests.transport.strict_ag_ui_client import (
    SAID,
    TOOLS,
    USER,
    Reading,
    asked,
    carried,
    encoder_of,
    events_in,
    read,
)

# The stream


def test_a_delta_of_a_text_is_written_without_being_looked_at() -> None:
    answering = Answering([USER])
    message = answering.messages.assistant()
    answering.each(*[partial(message.append_text, f"word {number} ") for number in range(2_000)])
    encoder = encoder_of(answering, SAID)
    encoder.begin()
    for entry in answering.entries[:3]:
        encoder.encode(entry)
    encoder.projection.read = None  # type: ignore[assignment, method-assign]  # nothing is to be read any more
    frames = [encoder.encode(entry) for entry in answering.entries[3:]]

    assert max(map(len, frames)) < 120
    assert json.loads(frames[-1][6:]) == {
        "type": "TEXT_MESSAGE_CONTENT",
        "messageId": message.id,
        "delta": "word 1999 ",
    }


def test_a_run_begins_with_the_clients_names_for_it() -> None:
    older, modern = Answering(), Answering()

    assert events_in(encoder_of(older).begin()) == [{"type": "RUN_STARTED", "threadId": "t", "runId": "r"}]
    assert events_in(encoder_of(modern, protocolVersion="1.0").begin()) == [
        {"type": "RUN_STARTED", "threadId": "t", "runId": "r", "protocolVersion": "1.0"}
    ]


@pytest.mark.parametrize(
    ("status", "error", "modern", "last"),
    [
        ("completed", None, True, {"type": "RUN_FINISHED"}),
        ("completed", None, False, {"type": "RUN_FINISHED"}),
        ("cancelled", None, True, {"type": "RUN_FINISHED", "outcome": {"type": "cancelled"}}),
        ("cancelled", None, False, {"type": "RUN_FINISHED"}),
        ("interrupted", None, True, {"type": "RUN_FINISHED", "outcome": {"type": "cancelled"}}),
        ("interrupted", RunError("run_interrupted", "It stopped."), True, {"type": "RUN_ERROR"}),
        ("failed", RunError("closed", "No."), True, {"type": "RUN_ERROR", "code": "closed", "message": "No."}),
        ("failed", RunError("closed", "No."), False, {"type": "RUN_ERROR", "code": "closed", "message": "No."}),
    ],
)
def test_how_a_run_ended_is_said(status: str, error: RunError | None, modern: bool, last: Json) -> None:
    answering = Answering([USER])
    answering.messages.assistant().append_text("half")
    answering.turn(status, error)
    version = {"protocolVersion": "1.0"} if modern else {}
    reading = read(answering, encoder_of(answering, SAID, **version), SAID)

    assert reading.events[-1].items() >= last.items()
    assert "outcome" in last or "outcome" not in reading.events[-1]
    assert reading.types[-2] == "TEXT_MESSAGE_END"


def test_what_was_used_is_told_at_the_end() -> None:
    answering = Answering([USER])
    for number in (1, 2):
        with answering.parts.step() as step:
            step.usage = Usage(10 * number, number)
    answering.turn("completed")
    reading = read(answering, encoder_of(answering, SAID, protocolVersion="1.0"), SAID)

    assert reading.events[-1]["usage"] == [{"inputTokens": 30, "outputTokens": 3}]


def test_the_metadata_of_messages_are_told_at_the_end() -> None:
    answering = Answering([USER])
    answering.messages.assistant().set_metadata(usage=Usage(3, 4, reasoning_tokens=2), model="bee-1")
    answering.turn("completed")
    reading = read(answering, encoder_of(answering, SAID, protocolVersion="1.0"), SAID)

    used = {"inputTokens": 3, "outputTokens": 4, "reasoningTokens": 2, "model": "bee-1"}
    assert reading.events[-1]["usage"] == [used]


def test_steps_of_one_name_are_told_apart() -> None:
    answering = Answering([USER])
    with answering.parts.step("one"), answering.parts.step("one"):
        answering.messages.assistant().append_text("hello")
    answering.turn("completed")
    reading = read(answering, encoder_of(answering, SAID), SAID)

    assert [event["stepName"] for event in reading.events if "stepName" in event] == ["one", "one+", "one+", "one"]


def test_a_text_that_became_another_is_told_with_all_messages() -> None:
    answering = Answering([USER])
    message = answering.messages.assistant()
    answering.each(partial(message.append_text, "first"))
    message.message["parts"][0]["text"] = "other"
    answering.flush()
    answering.each(partial(message.append_text, " and more"))
    answering.turn("completed")
    reading = read(answering, encoder_of(answering, SAID), SAID)

    assert reading.types.count("MESSAGES_SNAPSHOT") == 1
    assert reading.messages[-1]["content"] == "other and more"


def test_a_message_that_somebody_else_says_during_the_run_is_told() -> None:
    answering = Answering([USER])
    answering.each(partial(answering.messages.assistant().append_text, "one"))
    answering.messages.items.append({**USER, "id": "u2"})
    answering.each(partial(answering.messages.assistant().append_text, "two"))
    answering.turn("completed")
    reading = read(answering, encoder_of(answering, SAID), SAID)

    assert [message["role"] for message in reading.messages] == ["user", "assistant", "user", "assistant"]


def test_a_client_that_was_left_behind_is_told_everything() -> None:
    answering = Answering([USER])
    message = answering.messages.assistant()
    answering.each(partial(message.append_text, "one"))
    before = len(answering.entries)
    answering.run.state["title"] = "Bees"
    answering.each(partial(message.append_text, " two"), partial(message.add_tool_call, "ask", {"x": 1}))
    encoder = encoder_of(answering, SAID)
    reading = Reading([SAID]).read(encoder.begin())
    for entry in answering.entries[:before]:
        reading.read(encoder.encode(entry))
    reading.read(encoder.snapshot(answering.document.encode(), len(answering.entries)))
    begun = len(answering.entries)
    answering.each(partial(message.append_text, "three"))
    answering.turn("completed")
    for entry in answering.entries[begun:]:
        reading.read(encoder.encode(entry))
    reading.read(encoder.finish())

    state = msgspec.json.decode(answering.document.encode())
    assert shown(reading.messages) == carried(state)
    assert reading.state == {"title": "Bees"}


def test_messages_are_told_in_their_order_to_who_has_others() -> None:
    before = [USER, {"id": "a1", "role": "assistant", "parts": [{"type": "text", "text": "one"}]}]
    answering = Answering([*before, {**USER, "id": "u2"}])
    answering.messages.items.append({**USER, "id": "u3"})
    answering.each(partial(answering.messages.assistant().append_text, "two"))
    answering.turn("completed")
    theirs = [SAID, {"id": "a1", "role": "assistant", "content": "one"}, {**SAID, "id": "u3"}]
    reading = read(answering, encoder_of(answering, *theirs), *theirs)

    assert [message["id"] for message in reading.messages[:4]] == ["u1", "a1", "u2", "u3"]


def test_what_a_client_reasoned_through_is_not_doubled_when_it_joins() -> None:
    answering = Answering([USER])
    message = answering.messages.assistant()
    answering.each(partial(message.append_reasoning, "hm"), partial(message.append_reasoning, " so"))
    state = answering.document.encode()
    answering.turn("completed")
    half = {"id": f"{message.id}.reasoning-0", "role": "reasoning", "content": "hm"}
    encoder = AgUiEncoder(FullProjection(("messages",), run_id=RUN), asked(SAID, half))
    reading = Reading([SAID, half]).read(encoder.begin())
    reading.read(encoder.snapshot(state, 9, answering.entries[:1])).read(encoder.finish())

    assert reading.messages[1:] == [{**half, "content": "hm so"}]


def test_what_a_client_reasoned_through_stays_behind_what_was_said_before_it() -> None:
    answering = Answering([USER])
    message = answering.messages.assistant()
    answering.each(partial(message.append_text, "Well."), partial(message.append_reasoning, "hm"))
    state = answering.document.encode()
    answering.turn("completed")
    theirs = [
        SAID,
        {"id": message.id, "role": "assistant", "content": "Well."},
        {"id": f"{message.id}.reasoning-1", "role": "reasoning", "content": "hm"},
    ]
    encoder = AgUiEncoder(FullProjection(("messages",), run_id=RUN), asked(*theirs))
    reading = Reading(theirs).read(encoder.begin())
    reading.read(encoder.snapshot(state, 9, answering.entries[:1])).read(encoder.finish())

    assert shown(reading.messages) == carried(msgspec.json.decode(state))


def test_a_stream_that_is_cut_off_does_not_look_whole() -> None:
    answering = Answering([USER])
    encoder = encoder_of(answering, SAID)
    encoder.begin()
    cut = encoder.cut
    encoder.finish()

    assert (cut, encoder.cut) == (True, False)


# Waiting


def waiting(tool: str, args: Json, **more: Json) -> Json:
    answering = Answering([USER])
    answering.messages.assistant().add_tool_call(tool, args, id="c1")
    answering.turn("waiting")
    return read(answering, encoder_of(answering, SAID, **more), SAID).events[-1]


def test_a_run_that_waits_for_a_decision_is_an_interrupt() -> None:
    event = waiting("approval", {"question": "Sure?"}, protocolVersion="1.0", tools=TOOLS)

    (interrupt,) = event["outcome"]["interrupts"]
    assert interrupt["id"] == interrupt["toolCallId"] == "c1"
    assert (interrupt["reason"], interrupt["message"]) == ("tool_call", "Sure?")


def test_a_run_that_waits_for_another_answer_is_an_interrupt_that_wants_one() -> None:
    event = waiting("ask", {"question": 1}, protocolVersion="1.0")

    assert event["outcome"]["interrupts"] == [{"id": "c1", "reason": "input_required", "toolCallId": "c1"}]


def test_a_run_that_waits_for_a_tool_of_the_frontend_is_a_success() -> None:
    assert "outcome" not in waiting("ask", {}, protocolVersion="1.0", tools=TOOLS)


def test_older_clients_know_of_no_interrupt() -> None:
    assert "outcome" not in waiting("approval", {"question": "Sure?"})


def test_a_run_that_waits_for_no_call_is_an_interrupt_of_its_own() -> None:
    answering = Answering([USER])
    answering.turn("waiting")
    reading = read(answering, encoder_of(answering, SAID, protocolVersion="1.0"), SAID)

    assert reading.events[-1]["outcome"]["interrupts"] == [{"id": RUN, "reason": "input_required"}]


def test_calls_that_were_left_open_before_are_named() -> None:
    call = {"type": "tool-call", "toolCallName": "", "args": {}, "argsText": "{}"}
    calls = [{**call, "toolCallId": id, "toolName": "ask"} for id in ("c1", "c2")]
    answering = Answering([USER, {"id": "a1", "role": "assistant", "parts": calls}])
    answering.messages.find_tool_call("c1").set_result(1)  # type: ignore[union-attr]
    answering.flush()
    answering.turn("waiting")
    function = {"name": "ask", "arguments": "{}"}
    theirs = [
        SAID,
        {
            "id": "a1",
            "role": "assistant",
            "toolCalls": [{"id": id, "type": "function", "function": function} for id in ("c1", "c2")],
        },
        {"id": "x", "role": "tool", "toolCallId": "c1", "content": "1"},
    ]
    request = asked(*theirs, protocolVersion="1.0", tools=TOOLS)
    projection = FullProjection(
        ("messages",), run_id=RUN, base=answering.base, client_copy=request.conversation.client_copy()
    )
    reading = read(answering, AgUiEncoder(projection, request), *theirs)

    assert reading.types == ["RUN_STARTED", "RUN_FINISHED"]
    assert reading.events[-1]["outcome"] == {"type": "success", "pendingToolCallIds": ["c2"]}


# The state


def test_changes_of_the_state_are_held_until_they_are_released() -> None:
    answering = Answering([USER])
    answering.run.state["text"] = ""
    answering.flush()
    for number in range(50):
        answering.run.append_text(["text"], f"{number} ")
        answering.run.state["count"] = number
        answering.flush()
    encoder = encoder_of(answering, SAID)
    encoder.begin()

    assert b"".join(map(encoder.encode, answering.entries)) == b""
    assert encoder.held
    (event,) = events_in(encoder.release())
    assert [operation["path"] for operation in event["delta"]] == ["/text", "/count"]
    assert event["delta"][0]["value"].startswith("0 1 2 ")
    assert not encoder.held
    assert encoder.release() == b""


def test_the_last_of_the_state_is_out_before_the_run_is_over() -> None:
    answering = Answering([USER])
    answering.run.state["count"] = 1
    answering.turn("completed")
    reading = read(answering, encoder_of(answering, SAID), SAID)

    assert reading.types == ["RUN_STARTED", "STATE_DELTA", "RUN_FINISHED"]
    assert reading.state == {"count": 1}


def test_a_state_that_was_replaced_is_told_whole() -> None:
    answering = Answering([USER])
    answering.run.state = {"messages": [USER], "title": "Bees"}
    answering.turn("completed")
    reading = read(answering, encoder_of(answering, SAID), SAID)

    assert {"type": "STATE_SNAPSHOT", "snapshot": {"title": "Bees"}} in reading.events
    assert reading.state == {"title": "Bees"}
