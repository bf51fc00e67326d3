"""Inputs: what the commands of a run are to a framework, with the ids of the state."""

from __future__ import annotations

from msgspec import UNSET

from statecast import AddToolResult, Answer, Request, Run
from statecast.frameworks import inputs
from statecast_agents import AddMessage, NewMessage
from statecast_agents.answering import apply_answers
from tests.agents.conversation import call
from tests.frameworks.runs import run_on, said

TALK = [said("u1", "Tea?"), said("a1", "Yes", "assistant"), said("u2", "More?"), said("a2", "No", "assistant")]


def asks(text: str, *, id: object = UNSET, parent: object = UNSET, source: str | None = None) -> AddMessage:
    message = NewMessage(role="user", parts=[{"type": "text", "text": text}], id=id)  # type: ignore[arg-type]
    return AddMessage(message=message, parent_id=parent, source_id=source)  # type: ignore[arg-type]


def test_new_messages_have_the_ids_of_the_state() -> None:
    run = run_on(*TALK, commands=[asks("Milk?"), asks("Sugar?", id="u4")])
    given = inputs(run)

    assert [(message.id, message.text) for message in given.messages] == [
        (run.messages[-2].id, "Milk?"),
        ("u4", "Sugar?"),
    ]
    assert (given.after, given.forks, given.again) == ("a2", False, False)


def test_the_first_message_follows_none() -> None:
    given = inputs(run_on(commands=[asks("Tea?", parent=None)]))

    assert (given.after, given.forks, len(given.messages)) == (None, False, 1)


def test_a_question_that_an_earlier_run_left_without_an_answer_is_not_new() -> None:
    run = run_on(said("u0", "Tea?"), commands=[asks("Tea?")])

    assert [message.id for message in inputs(run).messages] == [run.messages[1].id]
    assert inputs(run).after == "u0"


def test_an_edit_forks_the_history_after_its_parent() -> None:
    given = inputs(run_on(*TALK, commands=[asks("Less?", parent="a1", source="u2")]))

    assert (given.after, given.forks, given.again) == ("a1", True, False)


def test_an_edit_of_the_first_message_forks_at_the_beginning() -> None:
    given = inputs(run_on(*TALK, commands=[asks("Coffee?", id="u1", parent=None, source="u1")]))

    assert (given.after, given.forks, given.again) == (None, True, False)
    assert given.messages[0].text == "Coffee?"


def test_the_same_message_once_more_is_answered_again() -> None:
    first = inputs(run_on(*TALK, commands=[asks("Tea?", id="u1", parent=None, source="u1")]))
    last = inputs(run_on(*TALK, commands=[asks("More?", id="u2", parent="a1", source="u2")]))

    assert (first.after, first.forks, first.again) == (None, True, True)
    assert (last.after, last.forks, last.again) == ("a1", True, True)


def test_a_message_that_an_edit_of_its_batch_took_out_is_not_given() -> None:
    given = inputs(run_on(*TALK, commands=[asks("Milk?"), asks("Less?", parent="a1", source="u2")]))

    assert [message.text for message in given.messages] == ["Less?"]


def test_answers_to_calls_are_given_by_their_ids_and_nothing_is_new() -> None:
    answer = AddToolResult(tool_call_id="c1", result="Tea")
    waiting = {"id": "a1", "role": "assistant", "parts": [call("c1")]}
    request = Request(tools={"ask": {"parameters": {}}})
    given = inputs(run_on(TALK[0], waiting, commands=[answer], request=request))

    assert (given.results, given.messages, given.after) == ({"c1": answer}, [], "a1")
    assert given.tools == {"ask": {"parameters": {}}}


def asking(*ids: str) -> Run:
    """Return a run whose thread waits for answers about calls with these ids."""
    run = run_on(TALK[0], {"id": "a1", "role": "assistant", "parts": [call(id) for id in ids]})
    for each in run.messages.open_calls():
        each.ask("Do it?", id=f"ask {each.id}")
    return run


def test_answers_are_given_when_none_is_missing() -> None:
    run = asking("c1", "c2")
    run.commands.append(Answer(answers={"ask c1": True}))
    run.given.add(apply_answers(run.questions, run.commands[0], run.shown_messages))
    assert (inputs(run).waits, inputs(run).answers) == (True, {})

    run.given.add(apply_answers(run.questions, Answer(answers={"ask c2": False}), run.shown_messages))
    given = inputs(run)
    assert (given.waits, given.answers) == (False, {"ask c1": {"approved": True}, "ask c2": {"approved": False}})


def test_a_result_waits_for_the_results_of_the_pages_other_tools() -> None:
    waiting = {"id": "a1", "role": "assistant", "parts": [call("c1"), call("c2")]}
    one = AddToolResult(tool_call_id="c1", result="Tea")
    assert inputs(run_on(TALK[0], waiting, commands=[one])).waits

    assert not inputs(run_on(TALK[0], waiting, commands=[one, AddToolResult(tool_call_id="c2")])).waits


def test_a_message_waits_for_nothing() -> None:
    waiting = {"id": "a1", "role": "assistant", "parts": [call("c1")]}

    assert not inputs(run_on(TALK[0], waiting, commands=[asks("Never mind")])).waits
