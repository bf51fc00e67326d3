"""The list of messages: where it is in the state, and what an agent finds in it and adds to it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from statecast_agents import Document, Json, MessageConflict, Messages
from statecast_agents.message_commands import apply_commands, check_commands
from tests.agents.conversation import CONVERSATION, message, said
from tests.agents.written import flushed

PATHS: list[tuple[list[str], Json, Json]] = [
    (["messages"], {}, {"messages": []}),
    (["chat", "thread", "messages"], None, {"chat": {"thread": {"messages": []}}}),
    (["chat", "messages"], {"chat": {"title": "A"}}, {"chat": {"title": "A", "messages": []}}),
    (["chat", "messages"], {"chat": None}, {"chat": {"messages": []}}),
    ([], [], []),
    ([], None, []),
]


@pytest.mark.parametrize(("path", "before", "after"), PATHS)
def test_the_list_is_made_where_the_agent_declared_it(path: list[str], before: Json, after: Json) -> None:
    document = Document(before)
    messages = Messages(document, path)

    assert len(messages) == 0
    assert document.root == before
    assert messages.items == []
    assert document.root == after
    check_commands(messages, [said("hi")], agrees=True)
    apply_commands(messages, [said("hi")], agrees=True)
    assert len(messages) == len(messages.items) == 1


@pytest.mark.parametrize(
    ("path", "state"),
    [
        (["messages"], 1),
        (["messages"], []),
        (["messages"], "text"),
        (["messages"], {"messages": {}}),
        (["messages"], {"messages": "text"}),
        (["chat", "messages"], {"chat": []}),
        (["chat", "messages"], {"chat": {"messages": 0}}),
        ([], {"messages": []}),
    ],
)
def test_a_state_with_something_else_there_is_a_conflict(path: list[str], state: Json) -> None:
    document = Document(state)
    messages = Messages(document, path)

    assert len(messages) == 0
    for attempt in (
        lambda: messages.items,
        lambda: check_commands(messages, [said("hi")], agrees=True),
        lambda: apply_commands(messages, [said("hi")], agrees=True),
        messages.assistant,
    ):
        with pytest.raises(MessageConflict, match="list of messages") as refused:
            attempt()
        assert refused.value.code == "no_messages"
    assert document.root == state
    assert document.flush().operations == b""


def test_a_tool_call_tells_its_id_and_whether_it_is_settled() -> None:
    messages = Messages(Document({"messages": CONVERSATION}), ["messages"])

    assert (_found(messages, "open").id, _found(messages, "open").settled) == ("open", False)
    assert _found(messages, "settled").settled
    assert messages.find_tool_call("unknown") is None
    _found(messages, "open").set_result(None)
    assert _found(messages, "open").settled


@pytest.mark.parametrize(
    ("before", "same"),
    [
        ([message("a1", "assistant")], True),
        ([message("u1"), message("a1", "assistant")], True),
        ([message("a1", "assistant"), message("u1")], False),
        ([], False),
        (None, False),
    ],
)
def test_the_last_answer_goes_on_unless_the_user_spoke_since(before: Json, same: bool) -> None:
    document = Document({"messages": copy.deepcopy(before)})
    answer = Messages(document, ["messages"]).last_assistant()

    answer.append_text("hi")
    assert (answer.id == "a1") is same
    assert document.root["messages"][-1]["parts"] == [{"type": "text", "text": "hi"}]
    assert len(document.root["messages"]) == len(before or []) + (not same)


def test_a_message_is_opened_by_its_id_whether_or_not_there_is_one() -> None:
    document = Document({"messages": CONVERSATION})
    messages = Messages(document, ["messages"])

    messages.open("a1").append_text("!")
    assert messages.open("a1").text == "?\n!"
    messages.open("new").append_text("a")
    messages.open("new").append_text("b")
    assert [(each.id, each.text) for each in messages[-2:]] == [("a2", ""), ("new", "ab")]


def test_a_message_of_the_user_is_not_opened_for_writing() -> None:
    document = Document({"messages": CONVERSATION})
    with pytest.raises(MessageConflict, match='expected "u1" to name a message of the assistant') as refused:
        Messages(document, ["messages"]).open("u1")

    assert refused.value.code == "message_id_taken"
    assert document.flush().operations == b""


def test_a_message_gets_another_id_unless_that_is_taken() -> None:
    document = Document({"messages": CONVERSATION})
    messages = Messages(document, ["messages"])
    answer = messages.open("a2")

    assert answer.rename("a2")
    assert not answer.rename("u1")
    assert not answer.rename("")
    assert flushed(document) == []
    assert answer.rename("resp_1")
    assert flushed(document) == [("set", "messages/3/id", "resp_1")]
    assert messages.find("a2") is None
    assert messages.open("resp_1").message is answer.message


def _found(messages: Messages, id: str) -> Any:
    found = messages.find_tool_call(id)
    assert found is not None
    return found
