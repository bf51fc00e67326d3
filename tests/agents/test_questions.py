"""Questions: what they hold, and which answers they accept. They fail closed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from statecast import Agent, AgentError, Run
from statecast.errors import InvalidAnswer
from statecast.state import Document, Json
from statecast_agents import pending
from statecast_agents.calls import calls_in
from statecast_agents.json_schema import misfit
from statecast_agents.pending import question_at
from statecast_agents.questions import answer_to, approval_of, lenient_answer_to, question
from statecast_agents.tracked import TrackedDict

TEA = [{"id": "tea"}, {"id": "coffee", "label": "Coffee"}]
CUSTOM = [{"id": "edit", "kind": "_edit"}, "allow-once", "reject-once"]
FORM = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def asked(**fields: Any) -> dict[str, Json]:
    return question("q", **{"kind": "approval", **fields})


@pytest.mark.parametrize(
    ("fields", "value", "answer"),
    [
        ({}, True, {"approved": True}),
        ({}, False, {"approved": False}),
        ({}, {"approved": True, "reason": "fine", "extra": 1}, {"approved": True, "reason": "fine"}),
        ({}, {"approved": False, "reason": "no"}, {"approved": False, "reason": "no"}),
        ({"options": CUSTOM}, "allow-once", {"approved": True, "optionId": "allow-once"}),
        ({"options": CUSTOM}, "reject-once", {"approved": False, "optionId": "reject-once"}),
        ({"options": CUSTOM}, "edit", {"approved": False, "optionId": "edit"}),
        ({"options": CUSTOM}, {"optionId": "edit", "approved": True}, {"approved": True, "optionId": "edit"}),
        (
            {"options": CUSTOM},
            {"optionId": "allow-once", "approved": False},
            {"approved": False, "optionId": "allow-once"},
        ),
        ({"schema": FORM}, {"approved": True, "value": {"n": 1}}, {"approved": True, "value": {"n": 1}}),
        ({"kind": "choice", "options": TEA}, "tea", {"approved": True, "optionId": "tea"}),
        ({"kind": "choice", "options": TEA}, False, {"approved": False}),
        ({"kind": "text"}, "Hive Lane", {"approved": True, "text": "Hive Lane"}),
        ({"kind": "text"}, {"text": "Hive Lane"}, {"approved": True, "text": "Hive Lane"}),
        ({"kind": "input", "schema": FORM}, {"n": 1}, {"approved": True, "value": {"n": 1}}),
        ({"kind": "input"}, [1], {"approved": True, "value": [1]}),
        ({"kind": "input", "schema": FORM}, {"approved": False}, {"approved": False}),
    ],
    ids=str,
)
def test_an_answer_says_whether_it_approves(fields: Any, value: Json, answer: Json) -> None:
    assert answer_to(asked(**fields), value) == answer


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({}, "true"),
        ({}, 1),
        ({}, None),
        ({}, {}),
        ({}, {"approved": 1}),
        ({}, {"approved": True, "value": 1}),
        ({"options": CUSTOM}, "allow-always"),
        ({"options": CUSTOM}, {"optionId": ["edit"]}),
        ({"options": [{"id": "edit", "kind": "_edit"}]}, True),
        ({"schema": FORM}, {"approved": True, "value": {"n": "1"}}),
        ({"kind": "choice", "options": TEA}, True),
        ({"kind": "choice", "options": TEA}, "milk"),
        ({"kind": "text"}, 5),
        ({"kind": "text"}, {"text": 5}),
        ({"kind": "input", "schema": FORM}, {"n": 1.5}),
        ({"kind": "input", "schema": FORM}, True),
    ],
    ids=str,
)
def test_what_a_question_does_not_accept_is_refused_and_as_a_tool_result_declines(fields: Any, value: Json) -> None:
    with pytest.raises(InvalidAnswer, match='in the answer to the question "q"'):
        answer_to(asked(**fields), value)

    assert lenient_answer_to(asked(**fields), value) == {"approved": False}


@pytest.mark.parametrize(
    "fields",
    [{"kind": "vote"}, {"kind": "choice"}, {"options": ["a", "a"]}, {"options": ["maybe"]}, {"options": [{"id": ""}]}],
    ids=str,
)
def test_a_question_that_makes_no_sense_is_refused(fields: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        asked(**fields)


@pytest.mark.parametrize(
    ("fields", "answer", "approval"),
    [
        ({"prompt": "Sure?"}, None, {"id": "q", "prompt": "Sure?"}),
        ({"kind": "text"}, None, {"id": "q", "display": "text"}),
        ({"kind": "text"}, "x", {"id": "q", "display": "text", "approved": True, "text": "x"}),
        ({}, False, {"id": "q", "approved": False}),
    ],
    ids=str,
)
def test_a_question_is_on_its_call_as_renderers_read_it(fields: Any, answer: Json, approval: Json) -> None:
    question = asked(**fields)

    assert approval_of(question, None if answer is None else answer_to(question, answer)) == approval


@pytest.mark.parametrize(
    ("value", "schema", "problem"),
    [
        (1, {"type": "string"}, "expected string"),
        (True, {"type": "integer"}, "expected integer"),
        (1.0, {"type": "integer"}, None),
        (None, {"type": ["string", "null"]}, None),
        ({"a": [1, "b"]}, {"properties": {"a": {"items": {"type": "number"}}}}, 'expected number at "/a/1"'),
        ({"b": 1}, {"properties": {"a": True}, "additionalProperties": False}, 'expected nothing at "/b"'),
        ({}, {"required": ["a"]}, 'expected "a"'),
        ("c", {"enum": ["a", "b"]}, "expected one of 'a', 'b'"),
        (1, {"const": True}, "expected one of True"),
        ("abc", {"maxLength": 2}, "expected maxLength 2"),
        (3, {"minimum": 4}, "expected minimum 4"),
        (3, {"anyOf": [{"type": "string"}, {"type": "integer"}]}, None),
        (3, {"oneOf": [{"type": "string"}, {"type": "null"}]}, "expected string"),
        (3, {"allOf": [{"type": "integer"}, {"maximum": 2}]}, "expected maximum 2"),
        (3, {"type": [{}], "required": 5, "properties": 5, "enum": 5, "anyOf": 5, "allOf": 5, "minimum": "5"}, None),
        ({}, {"required": [{}, 5]}, None),
        (3, "no schema", None),
    ],
    ids=str,
)
def test_a_value_fits_its_schema_or_says_why_not(value: Json, schema: Json, problem: str | None) -> None:
    assert misfit(value, schema) == problem


@pytest.mark.parametrize("messages", ["messages", [], None], ids=str)
def test_questions_have_a_place_of_their_own_in_the_state(messages: Any) -> None:
    assert Agent(messages=messages).pending == (None if messages == [] else ("pending",))
    assert Agent(messages=messages, pending=None).pending is None


@pytest.mark.parametrize(
    ("messages", "pending", "error"),
    [
        ("pending", "pending", ValueError),
        ("chat", ["chat", "pending"], ValueError),
        (["chat", "items"], "chat", ValueError),
        ("messages", [], ValueError),
        ("messages", 5, TypeError),
    ],
    ids=str,
)
def test_a_place_that_cannot_be_is_refused_at_the_declaration(messages: Any, pending: Any, error: Any) -> None:
    with pytest.raises(error, match="expected pending to be"):
        Agent(messages=messages, pending=pending)


@pytest.mark.parametrize("state", [{"pending": 5}, [], "text"], ids=str)
def test_a_state_without_room_for_questions_fails_the_one_who_asks(state: Json) -> None:
    document = Document(state)
    run = Run(id="run_1", thread_id="t", document=document, messages=None)

    with pytest.raises(AgentError, match="expected a list of questions") as refused:
        run.ask("Where to?", kind="text")

    assert refused.value.code == "no_pending"
    assert document.root == state


def test_an_agent_that_keeps_no_questions_cannot_ask() -> None:
    run = Run(id="run_1", thread_id="t", document=Document(), pending=None)
    call = run.messages.assistant().add_tool_call("delete", {})

    for ask in (call.ask, lambda: run.ask("Sure?")):
        with pytest.raises(AgentError) as refused:
            ask()
        assert refused.value.code == "no_pending"
    assert "approval" not in call.part


def test_a_question_has_the_details_that_its_page_needs() -> None:
    run = Run(id="run_1", thread_id="t", document=Document())
    call = run.messages.assistant().add_tool_call("paint", {})

    run.ask("Which color?", kind="input", details={"colors": ["red"]}, id="q-1")
    call.ask("Which wall?", kind="input", details={"walls": 4}, id="q-2")

    assert [question["details"] for question in run.pending] == [{"colors": ["red"]}, {"walls": 4}]
    assert call.part["interrupt"]["payload"] == {"id": "q-2", "prompt": "Which wall?", "details": {"walls": 4}}


def test_a_question_that_is_asked_again_as_another_kind_leaves_nothing_of_the_first_on_its_call() -> None:
    run = Run(id="run_1", thread_id="t", document=Document())
    call = run.messages.assistant().add_tool_call("paint", {})

    call.ask("Which wall?", kind="input", id="q")
    call.ask("Paint?", id="q")
    run.questions.settle({"q": {"approved": True}}, run.shown_messages)

    assert call.part["approval"] == {"id": "q", "prompt": "Paint?", "approved": True}
    assert "interrupt" not in call.part
    assert question_at(call.part) is None


@pytest.mark.parametrize("order", [["yes", "form"], ["form", "yes"]], ids=str)
def test_two_kinds_of_questions_on_a_call_are_answered_in_any_order(order: list[str]) -> None:
    run = Run(id="run_1", thread_id="t", document=Document())
    call = run.messages.assistant().add_tool_call("paint", {})
    call.ask("Paint?", id="yes")
    call.ask("Which wall?", kind="input", id="form")

    for id in order:
        run.questions.settle({id: {"approved": True}}, run.shown_messages)

    assert call.part["approval"]["approved"] is True
    assert "interrupt" not in call.part
    assert run.pending == []


def test_many_answers_cost_one_search_of_the_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[Json] = []

    def search(message: Json) -> Iterator[TrackedDict]:
        searched.append(message)
        return calls_in(message)

    monkeypatch.setattr(pending, "calls_in", search)
    run = Run(id="run_1", thread_id="t", document=Document())
    for _ in range(100):
        run.messages.assistant().add_tool_call("paint", {}).ask()

    run.questions.dismiss(run.shown_messages)

    assert len(searched) == 100
    assert all(call.settled for message in run.messages for call in message.tool_calls)


def test_a_question_that_is_asked_again_about_another_call_leaves_the_first_call() -> None:
    run = Run(id="run_1", thread_id="t", document=Document())
    first = run.messages.assistant().add_tool_call("paint", {}, id="c1")
    second = run.messages.assistant().add_tool_call("burn", {}, id="c2")

    first.ask("Paint?", id="q")
    second.ask("Burn?", id="q")
    shown = ["approval" in call.part for call in (first, second)]
    run.questions.settle({"q": {"approved": True}}, run.shown_messages)

    assert shown == [False, True]
    assert second.part["approval"]["approved"] is True
    assert "approval" not in first.part


def test_a_text_where_there_are_no_options_is_refused_with_what_was_expected() -> None:
    with pytest.raises(InvalidAnswer, match="expected true or false, got 'yes'"):
        answer_to(asked(), "yes")
