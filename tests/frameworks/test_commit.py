"""Committing: the framework's messages decide order and content, and what it never kept stays where it was."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statecast.frameworks import Turn
from statecast_agents import Json, NotJson
from tests.agents.conversation import call
from tests.frameworks.runs import run_on, said, texts

U1, A1, U2 = said("u1", "Tea?"), said("a1", "Yes", "assistant"), said("u2", "More?")


def test_messages_that_are_committed_as_shown_send_nothing() -> None:
    turn = Turn(run := run_on(U1))
    turn.text("a1", "Yes")
    run._document.flush()
    turn.commit([U1, A1])

    assert run._document.flush().operations == b""


def test_the_framework_decides_content_and_order() -> None:
    turn = Turn(run := run_on(U1))
    turn.text("a1", "Yes")
    turn.text("a2", "Second")
    turn.commit([U1, said("a2", "Second, changed", "assistant"), said("x", "Inserted", "assistant"), A1])

    assert texts(run) == [("u1", "Tea?"), ("a2", "Second, changed"), ("x", "Inserted"), ("a1", "Yes")]


def test_a_message_that_the_framework_did_not_keep_is_dropped_when_the_run_goes_on() -> None:
    turn = Turn(run := run_on(U1))
    turn.text("router", "path_a")
    turn.call("asks", "c1", "ask_user", {})
    turn.text("a1", "Yes")
    turn.commit([U1, A1])

    assert texts(run) == [("u1", "Tea?"), ("asks", ""), ("a1", "Yes")], "but for the one with an open call"
    turn.result("c1", "Tea")
    turn.commit([U1, A1])
    assert texts(run) == [("u1", "Tea?"), ("a1", "Yes")]


def test_a_dropped_message_comes_back_whole_when_the_framework_goes_on_writing_it() -> None:
    turn = Turn(run := run_on(U1))
    turn.text("a1", "Ye", part=0)
    turn.commit([U1])
    assert texts(run) == [("u1", "Tea?")]

    turn.text("a1", "s", part=0)
    assert texts(run) == [("u1", "Tea?"), ("a1", "Yes")]


def test_what_a_cancelled_run_showed_stays_where_it_was() -> None:
    def work(turn: Turn) -> None:
        turn.commit([U1])
        turn.text("a1", "Ye")
        raise asyncio.CancelledError

    run = run_on(U1)
    with pytest.raises(asyncio.CancelledError), Turn(run) as turn:
        work(turn)
    turn = Turn(run)
    run.messages.items.append(U2)
    turn.commit([U1, U2])
    turn.text("a2", "No")
    turn.commit([U1, U2, said("a2", "No", "assistant")])

    assert texts(run) == [("u1", "Tea?"), ("a1", "Ye"), ("u2", "More?"), ("a2", "No")]
    assert [message.message.get("status") for message in run.messages] == [
        None,
        {"type": "incomplete", "reason": "cancelled"},
        None,
        None,
    ]


def test_an_incomplete_message_that_is_committed_after_all_is_whole() -> None:
    turn = Turn(run := run_on(U1, A1 | {"status": {"type": "incomplete", "reason": "error"}}))
    turn.commit([U1, said("a1", "Yes, whole", "assistant")])

    assert run.messages[1].message == said("a1", "Yes, whole", "assistant")


def test_messages_that_the_framework_takes_out_are_dropped() -> None:
    turn = Turn(run := run_on(U1, A1, U2))
    turn.commit([U1, A1, U2])
    turn.commit([said("s", "They talked about tea.", "assistant"), U2])

    assert texts(run) == [("s", "They talked about tea."), ("u2", "More?")]


def test_a_history_that_the_framework_has_never_had_stays() -> None:
    turn = Turn(run := run_on(U1, A1, U2))
    turn.text("a2", "No")
    turn.commit([U2, said("a2", "No", "assistant")])

    assert texts(run) == [("u1", "Tea?"), ("a1", "Yes"), ("u2", "More?"), ("a2", "No")]


def test_a_call_keeps_what_only_the_page_knows() -> None:
    turn = Turn(run := run_on(U1))
    turn.call("a1", "c1", "f").append_args('{ "a": 1 }')
    turn.text("b1", "Sub", ns="c1")
    turn.result("c1", "the user's")
    committed = {"type": "tool-call", "toolCallId": "c1", "toolName": "f", "args": {"a": 1}}
    turn.commit([U1, {"id": "a1", "role": "assistant", "parts": [committed]}])

    part = run.messages[1].tool_calls[0].part
    assert (part["result"], part["argsText"], part["args"]) == ("the user's", '{ "a": 1 }', {"a": 1})
    assert part["messages"][0]["id"] == "b1"


def test_data_and_sources_stay_unless_the_framework_commits_some() -> None:
    turn = Turn(run := run_on(U1))
    turn.text("a1", "Look")
    turn.message("a1").add_data("chart", [1])
    turn.text("a1", "!")
    turn.commit([U1, said("a1", "Look!", "assistant")])
    assert [part["type"] for part in run.messages[1].parts] == ["text", "data"]

    turn.commit([U1, said("a1", "Look!", "assistant", {"type": "data", "name": "map", "data": 2})])
    assert run.messages[1].parts == [
        {"type": "text", "text": "Look!"},
        {"type": "data", "name": "map", "data": 2},
    ]


def test_metadata_is_added_to_what_is_there() -> None:
    turn = Turn(run := run_on(U1, A1 | {"metadata": {"mine": 1}}))
    turn.commit([U1, A1 | {"metadata": {"usage": {"in": 2}}}])

    assert run.messages[1].message["metadata"] == {"mine": 1, "usage": {"in": 2}}


def test_arguments_that_a_state_cannot_hold_are_committed_as_text() -> None:
    turn = Turn(run := run_on(U1))
    huge = {"type": "tool-call", "toolCallId": "c1", "toolName": "f", "args": {"n": 2**60}}
    turn.commit([U1, {"id": "a1", "role": "assistant", "parts": [huge]}])
    turn.commit([U1, {"id": "a1", "role": "assistant", "parts": [huge]}])

    (only,) = run.messages[1].tool_calls
    assert (only.args, only.args_text) == ({}, '{"n":1152921504606846976}')


def test_a_conversation_of_a_sub_agent_is_committed_in_its_call() -> None:
    turn = Turn(run := run_on(U1, {"id": "a1", "role": "assistant", "parts": [call("c1")]}))
    turn.text("b1", "Su", ns="c1")
    turn.commit([said("task", "Find tea"), said("b1", "Sub", "assistant")], ns="c1")

    assert run.messages[1].tool_calls[0].part["messages"] == [
        {
            "id": "task",
            "role": "user",
            "content": [{"type": "text", "text": "Find tea"}],
            "attachments": [],
            "metadata": {"custom": {}},
        },
        {
            "id": "b1",
            "role": "assistant",
            "content": [{"type": "text", "text": "Sub"}],
            "status": {"type": "complete", "reason": "stop"},
            "metadata": {"custom": {}},
        },
    ]
    assert texts(run) == [("u1", "Tea?"), ("a1", "")]


def test_what_a_state_cannot_hold_is_refused() -> None:
    turn = Turn(run := run_on(U1))

    with pytest.raises(NotJson):
        turn.commit([U1, A1 | {"parts": [{"type": "data", "name": "x", "data": float("nan")}]}])
    assert texts(run) == [("u1", "Tea?")]


# Any streams and commits

IDS = st.sampled_from(["m1", "m2", "m3", "m4", "m5"])
WORDS = st.text("ab ", min_size=1, max_size=4)
PARTS = st.lists(
    st.one_of(
        st.builds(lambda text: {"type": "text", "text": text}, WORDS),
        st.builds(lambda text: {"type": "reasoning", "text": text}, WORDS),
        st.builds(
            lambda id, n: {"type": "tool-call", "toolCallId": id, "toolName": "f", "args": {"n": n}},
            st.sampled_from(["c1", "c2"]),
            st.integers(0, 3),
        ),
    ),
    max_size=4,
    unique_by=lambda part: part.get("toolCallId") or id(part),
)
MESSAGES = st.lists(
    st.builds(lambda id, parts: {"id": id, "role": "assistant", "parts": parts}, IDS, PARTS),
    max_size=4,
    unique_by=lambda message: message["id"],
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("text"), IDS, WORDS),
        st.tuples(st.just("call"), IDS, st.sampled_from(["c1", "c2"])),
        st.tuples(st.just("result"), st.sampled_from(["c1", "c2"])),
        st.tuples(st.just("commit"), MESSAGES),
        st.tuples(st.just("cancel")),
    ),
    max_size=12,
)


@given(STEPS)
def test_after_a_commit_the_committed_messages_are_the_frameworks(steps: list[tuple[Any, ...]]) -> None:
    run = run_on(U1)
    turn = Turn(run)
    known: set[str] = set()  # what this turn has begun or seen committed
    for name, *args in steps:
        ids = [message.id for message in run.messages]
        match name:
            case "text":
                turn.text(args[0], args[1])
                known |= {args[0]} - set(ids)
            case "call":
                turn.call(args[0], args[1], "f")
                known |= {args[0]} - set(ids)
            case "result":
                turn.result(args[0], "done")
            case "cancel":
                turn.__exit__(asyncio.CancelledError, asyncio.CancelledError(), None)
                turn = Turn(run)
                known.clear()
                assert [message.id for message in run.messages] == ids
            case "commit":
                _commits(turn, args[0], known)
                known |= {message["id"] for message in args[0]}


def _commits(turn: Turn, messages: list[dict[str, Json]], known: set[str]) -> None:
    run = turn.run
    before = [message.id for message in run.messages]
    turn.commit([U1, *messages])
    ids = [message.id for message in run.messages]
    given = {message["id"]: message for message in messages}

    assert [id for id in ids if id in given or id == "u1"] == ["u1", *given], "order is the framework's"
    for id, message in given.items():
        shown = run.messages.find(id)
        assert shown is not None
        assert _content(shown.parts) == _content(message["parts"]), "and content"
        assert "status" not in shown.message
    others = [id for id in before if id not in given and id != "u1"]
    open_ones = {message.id for message in run.messages if any(call.open for call in message.tool_calls)}
    stay = [id for id in others if id not in known or id in open_ones]
    kept = {"u1", *given}
    before = [id for id in before if id in kept or id in stay]
    assert {id: _place(ids, id, kept) for id in ids if id not in kept} == {
        id: _place(before, id, kept) for id in stay
    }, "the rest stays where it was, or is dropped"


def _place(ids: list[str], id: str, kept: set[str]) -> tuple[str, list[str]]:
    """Return which of the kept ids comes before an id, and what stands between them."""
    before = ids[: ids.index(id)]
    last = max(index for index, other in enumerate(before) if other in kept)
    return before[last], before[last + 1 :]


def _content(parts: Any) -> list[tuple[str, Json]]:
    return [(part["type"], part["args"] if part["type"] == "tool-call" else part["text"]) for part in parts]
