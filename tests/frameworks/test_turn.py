"""A turn: what a framework's events become in the messages."""

from __future__ import annotations

import asyncio

import pytest

from statecast import Run
from statecast.errors import AgentError
from statecast.frameworks import Turn
from statecast_agents import OperationError, RunEnded
from tests.agents.conversation import call
from tests.frameworks.runs import run_on, said, texts

QUESTION = said("u1", "Tea?")


def test_texts_and_reasoning_go_to_the_last_part_of_their_message() -> None:
    turn = Turn(run := run_on(QUESTION))
    turn.reasoning("a1", "Hm")
    turn.reasoning("a1", "m")
    turn.text("a1", "Y")
    turn.text("a2", "Other")
    turn.text("a1", "es")

    assert texts(run) == [("u1", "Tea?"), ("a1", "Yes"), ("a2", "Other")]
    assert run.messages[1].parts == [{"type": "reasoning", "text": "Hmm"}, {"type": "text", "text": "Yes"}]


def test_parts_with_keys_grow_side_by_side() -> None:
    turn = Turn(run := run_on(QUESTION))
    turn.text("a1", "A", part=0)
    turn.text("a1", "B", part=1)
    turn.reasoning("a1", "R", part=2)
    turn.text("a1", "a", part=0)
    turn.text("a1", "b", part=1)
    turn.text("a1", "again", part=2)

    assert [part["text"] for part in run.messages[1].parts] == ["Aa", "Bb", "R", "again"]


def test_an_empty_delta_adds_nothing() -> None:
    turn = Turn(run := run_on(QUESTION))
    turn.text("a1", "")
    turn.text("a1", None)
    turn.reasoning("a1", "")

    assert texts(run) == [("u1", "Tea?")]


def test_the_arguments_of_two_calls_stream_interleaved() -> None:
    turn = Turn(run := run_on(QUESTION))
    turn.call("a1", "c1", "f", part=0)
    turn.call("a1", "c2", "g", part=1)
    turn.args("a1", '{"a"', part=0)
    turn.args("a1", '{"b"', part=1)
    turn.args("a1", ":1}", part=0)
    turn.args("a1", ":2}", part=1)
    turn.call("a1", "c1", "f", part=0)

    assert turn.finish_args("a1", part=0) == {"a": 1}
    assert turn.finish_args("a1", part=1) == {"b": 2}
    assert [(each.id, each.name, each.args) for each in run.messages[1].tool_calls] == [
        ("c1", "f", {"a": 1}),
        ("c2", "g", {"b": 2}),
    ]


def test_arguments_without_a_part_go_to_the_call_that_came_last() -> None:
    turn = Turn(run := run_on(QUESTION))
    turn.call("a1", "c1", "f")
    turn.args("a1", '{"a":1}')
    turn.finish_args("a1")
    turn.call("a1", "c2", "f", {"whole": True})

    assert [each.args for each in run.messages[1].tool_calls] == [{"a": 1}, {"whole": True}]


def test_arguments_that_are_no_json_stay_text() -> None:
    turn = Turn(run := run_on(QUESTION))
    turn.call("a1", "c1", "f")
    turn.args("a1", '{"a":')

    assert turn.finish_args("a1") == {}
    assert run.messages[1].tool_calls[0].args_text == '{"a":'


def test_arguments_of_a_call_that_is_not_there_are_an_error() -> None:
    turn = Turn(run_on(QUESTION))

    with pytest.raises(OperationError, match='the message "a1" has'):
        turn.args("a1", "{", part=3)


def test_a_result_finishes_the_arguments_and_settles_its_call() -> None:
    turn = Turn(run := run_on(QUESTION))
    turn.call("a1", "c1", "f")
    turn.args("a1", '{"a":1}')
    assert [each.id for each in turn.open_calls] == ["c1"]
    turn.result("c1", "fine", artifact={"x": 1})
    turn.result("nobody's", "lost")

    (settled,) = run.messages[1].tool_calls
    assert (settled.args, settled.result, settled.part["artifact"]) == ({"a": 1}, "fine", {"x": 1})
    assert turn.open_calls == []


def test_a_result_reaches_a_call_of_an_earlier_run() -> None:
    turn = Turn(run := run_on(QUESTION, {"id": "a1", "role": "assistant", "parts": [call("c1")]}))
    turn.result("c1", [1], is_error=True)

    assert (run.messages[1].tool_calls[0].result, run.messages[1].tool_calls[0].part["isError"]) == ([1], True)


def test_what_a_state_cannot_hold_of_a_result_is_left_out() -> None:
    turn = Turn(run := run_on(QUESTION))
    turn.call("a1", "c1", "f", {})
    turn.result("c1", {"found": {2, 1}, "raw": b"", "odds": float("nan")})

    assert run.messages[1].tool_calls[0].result == {"found": [1, 2], "odds": None}


def test_a_message_that_is_there_is_continued() -> None:
    turn = Turn(run := run_on(QUESTION, {**said("a1", "Ye", "assistant", call("c1"))}))
    turn.call("a1", "c1", "f", {"late": 1})
    turn.text("a1", "s")

    assert [part["type"] for part in run.messages[1].parts] == ["text", "tool-call", "text"]
    assert run.messages[1].tool_calls[0].args == {"late": 1}


def test_a_sub_agent_writes_into_the_call_that_it_works_for() -> None:
    turn = Turn(run := run_on(QUESTION))
    turn.call("a1", "c1", "ask_expert", {"about": "tea"})
    turn.text("b1", "Sub", ns="c1")
    turn.call("b1", "c2", "deeper", {}, ns="c1")
    turn.text("d1", "Sub-sub", ns="c2")
    turn.result("c2", 1, ns="c1")
    turn.text("a1", "Main")

    (outer,) = run.messages[1].tool_calls
    (sub,) = outer.part["messages"]
    assert texts(run) == [("u1", "Tea?"), ("a1", "Main")]
    assert (sub["id"], sub["content"][0]["text"]) == ("b1", "Sub")
    assert sub["content"][1]["messages"][0]["content"][0]["text"] == "Sub-sub"
    assert sub["content"][1]["result"] == 1


def test_a_namespace_without_a_call_is_an_error() -> None:
    with pytest.raises(OperationError, match='the id of a tool call, got "c9"'):
        Turn(run_on(QUESTION)).text("b1", "Sub", ns="c9")


def test_a_message_gets_the_id_that_came_late() -> None:
    turn = Turn(run := run_on(QUESTION))
    turn.text("lc_run", "Y")
    turn.rename("lc_run", "resp_1")
    turn.rename("unknown", "x")
    turn.text("resp_1", "es")

    assert texts(run)[1:] == [("resp_1", "Yes")]


def test_a_message_whose_late_id_is_there_already_goes() -> None:
    turn = Turn(run := run_on(QUESTION))
    turn.text("lc_run", "Yes")
    turn.text("resp_1", "Yes.")
    turn.rename("lc_run", "resp_1")

    assert texts(run)[1:] == [("resp_1", "Yes.")]


def test_a_replacement_sends_only_what_differs() -> None:
    turn = Turn(run := run_on(QUESTION))
    turn.text("a1", "Yes")
    turn.call("a1", "c1", "f", {"a": 1})
    run._document.flush()
    turn.replace(
        "a1",
        [
            {"type": "text", "text": "Yes, sir"},
            {"type": "tool-call", "toolCallId": "c1", "toolName": "f", "args": {"a": 1}},
        ],
    )

    flushed = run._document.flush().operations
    assert flushed == b'[{"type":"append-text","path":["messages","1","parts","0","text"],"value":", sir"}]'


@pytest.mark.parametrize(
    ("error", "reason"),
    [(asyncio.CancelledError(), "cancelled"), (LookupError("secret"), "error")],
    ids=["cancelled", "failed"],
)
def test_messages_under_way_are_marked_when_the_work_ends_early(error: BaseException, reason: str) -> None:
    def work(turn: Turn) -> None:
        turn.text("a1", "Whole")
        turn.finish("a1")
        turn.call("a2", "c1", "expert", {})
        turn.call("b1", "c2", "f", {}, ns="c1")
        raise error

    run = run_on(QUESTION)
    with pytest.raises(type(error)), Turn(run) as turn:
        work(turn)

    whole, half = run.messages[1], run.messages[2]
    assert "status" not in whole.message
    assert half.message["status"] == {"type": "incomplete", "reason": reason}
    (sub,) = half.tool_calls[0].part["messages"]
    assert sub["status"] == half.message["status"]
    assert sub["content"][0]["cutOff"] is True, "nobody answers a sub-agent that has gone"


def test_a_known_exception_leaves_a_turn_as_a_text_for_the_user() -> None:
    class RateLimitError(Exception):
        __module__ = "openai"

    with pytest.raises(AgentError, match="too many requests") as raised, Turn(run_on(QUESTION)):
        raise RateLimitError("sk-secret")

    assert raised.value.code == "rate_limited"
    assert isinstance(raised.value.__cause__, RateLimitError)


def test_work_that_outlives_its_run_leaves_no_other_error_than_its_own() -> None:
    def work(turn: Turn) -> None:
        turn.text("a1", "Half")
        run._document.end(lambda: RunEnded(run.id))
        raise LookupError

    run = run_on(QUESTION)
    with pytest.raises(LookupError), Turn(run) as turn:
        work(turn)


def test_what_a_crash_cut_off_is_marked_when_the_next_turn_begins() -> None:
    run = run_on(QUESTION)
    cut_off = Turn(run).__enter__()
    cut_off.text("a1", "Whole")
    cut_off.finish("a1")
    cut_off.call("a2", "c1", "expert", {})
    cut_off.text("b1", "Half", ns="c1")
    later = Run(id="run_2", thread_id="t", document=run._document, memory=lambda: run.memory)
    with Turn(later):
        pass

    whole, half = run.messages[1], run.messages[2]
    assert "status" not in whole.message
    assert half.message["status"] == {"type": "incomplete", "reason": "other"}
    assert half.tool_calls[0].part["messages"][0]["status"] == {"type": "incomplete", "reason": "other"}


@pytest.mark.parametrize("settle", ["leave", "finish", "commit"])
def test_a_turn_that_ended_leaves_nothing_in_the_memory(settle: str) -> None:
    run = run_on(QUESTION)
    with Turn(run) as turn, Turn(run) as beside:
        turn.text("a1", "Yes")
        beside.text("a2", "No")
        beside.finish("a2")
        assert "turn" in run.memory, "the other one goes on"
        if settle == "finish":
            turn.finish("a1")
            assert "turn" not in run.memory
        if settle == "commit":
            turn.commit([QUESTION, said("a1", "Yes", "assistant")])
            assert "turn" not in run.memory

    assert "turn" not in run.memory
    assert "status" not in run.messages[1].message
