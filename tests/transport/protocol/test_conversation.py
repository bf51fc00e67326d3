"""What a conversation asks of a thread: a table. A stale tab never deletes what it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import UNSET

from statecast.protocol.messages.conversation import Conversation, NewCommand, NewTurn, PostedMessage
from statecast_agents import AddMessage, AddToolResult, Json, Request

#: Messages are written as "<role><id>:<words>", with role u or a; "u:hi" has no id.
SHORT = list[str]

ONE = ["u1:hi", "a1:hello"]
TWO = [*ONE, "u2:more", "a2:yes"]

#: What is posted; what the client means; what the thread has; what is asked: "" for nothing, "+text" for a message at
#: the end, "id>text" for one in place of that message.
TABLE: list[tuple[str, SHORT, str, SHORT, str]] = [
    # A client that says what it means, with ids: the AI SDK.
    ("a first message", ["u1:hi"], "say", [], "+hi"),
    ("a next message", [*ONE, "u2:more"], "say", ONE, "+more"),
    ("a retry", ["u1:hi"], "say", ["u1:hi"], ""),
    ("a retry after the answer", ["u1:hi"], "say", ONE, ""),
    ("a retry in a stale tab", ["u1:hi"], "say", TWO, ""),
    ("a stale tab", [*ONE, "u3:and"], "say", TWO, "+and"),
    ("a stale tab that never saw anything", ["u3:and"], "say", TWO, "+and"),
    ("a stale tab with the same words", ["u3:hi"], "say", TWO, "+hi"),
    ("a tab that has more than the thread", [*TWO, "u3:and"], "say", ONE, "+and"),
    ("another answer", ["u1:hi"], "again", ONE, "u1>hi"),
    ("another answer to an earlier message", ["u1:hi"], "again", TWO, "u1>hi"),
    ("another answer in a stale tab", ["u2:more"], "again", TWO, "u2>more"),
    ("another answer to what never arrived", [*ONE, "u3:and"], "again", TWO, "+and"),
    ("an edit", [*ONE, "u2:less"], "edit u2", TWO, "u2>less"),
    ("an edit of the first", ["u1:ho"], "edit u1", TWO, "u1>ho"),
    ("an edit that changes nothing", [*ONE, "u2:more"], "edit u2", TWO, ""),
    ("an edit of what is gone", [*ONE, "u2:less"], "edit u2", ONE, "+less"),
    ("no new message", TWO, "say", TWO, ""),
    ("no new message in a stale tab", ONE, "say", TWO, ""),
    # A client that does not, and knows the id of its last message: the data-stream runtime.
    ("either: a first message", ["u1:hi"], "either", [], "+hi"),
    ("either: a next message", ["u:hi", "a:hello", "u2:more"], "either", ONE, "+more"),
    ("either: another answer", ["u:hi", "a:hello", "u2:more"], "either", TWO, "u2>more"),
    ("either: another answer to an earlier message", ["u1:hi"], "either", TWO, "u1>hi"),
    ("either: a fresh page with the same words", ["u9:hi"], "either", TWO, "+hi"),
    ("either: a stale tab", ["u:hi", "a:hello", "u9:and"], "either", TWO, "+and"),
    ("either: an edit, which may be a stale tab", ["u:hi", "a:hello", "u9:less"], "either", TWO, "+less"),
    ("either: no new message", ["u:hi", "a:hello"], "either", ONE, ""),
    # The same without any id.
    ("no ids: another answer to the last", ["u:hi", "a:hello", "u:more"], "either", TWO, "u2>more"),
    ("no ids: what may be a fresh page", ["u:hi"], "either", TWO, "+hi"),
    ("no ids: twice the same words", ["u:hi", "a:hello", "u:hi"], "either", ONE, "+hi"),
    # A client that has dropped what the thread has beyond its messages.
    ("cut: an edit", ["u:hi", "a:hello", "u9:less"], "cut", TWO, "u2>less"),
    ("cut: an edit of the first", ["u9:ho"], "cut", TWO, "u1>ho"),
    ("cut: another answer to an earlier message", ["u:hi"], "cut", TWO, "u1>hi"),
    ("cut: a next message", ["u:hi", "a:hello", "u9:more"], "cut", ONE, "+more"),
    ("cut: two messages that the thread lacks", [*ONE, "u8:a", "a8:b", "u9:c"], "cut", TWO, "+c"),
]


@pytest.mark.parametrize(
    ("posted", "means", "ours", "asked"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_what_is_new(posted: SHORT, means: str, ours: SHORT, asked: str) -> None:
    edited = means.removeprefix("edit ") if means.startswith("edit ") else None
    conversation = Conversation(
        messages=[said(text) for text in posted],
        means="say" if edited else means,  # type: ignore[arg-type]  # one of the words
        edited=edited,
    )

    assert written(conversation.new_turn([said(text).in_state() for text in ours]).commands) == asked


def said(short: str) -> PostedMessage:
    name, _, text = short.partition(":")
    role: Any = "user" if name[0] == "u" else "assistant"
    return PostedMessage(role=role, id=name if name[1:] else None, parts=[{"type": "text", "text": text}])


def written(commands: Sequence[NewCommand]) -> str:
    """Return commands in the form of the table."""
    if not commands:
        return ""
    (command,) = commands
    assert isinstance(command, AddMessage)
    assert command.parent_id is UNSET  # the message that it replaces says where it goes
    text = command.message.text
    return f"+{text}" if command.source_id is None else f"{command.source_id}>{text}"


def added(asked: NewTurn) -> AddMessage:
    """Return the message that is asked for."""
    command = asked.commands[0]
    assert isinstance(command, AddMessage)
    return command


def called(commands: Sequence[NewCommand]) -> list[str]:
    """Return the calls of which results are asked to be taken."""
    return [command.tool_call_id for command in commands if isinstance(command, AddToolResult)]


def test_a_message_that_is_said_is_said_once_and_one_that_is_to_be_answered_anew_is_not() -> None:
    ours = [said(text).in_state() for text in TWO]
    new = added(Conversation(messages=[said("u1:hi"), said("u3:and")]).new_turn(ours))
    again = added(Conversation(messages=[said("u2:more")], means="again").new_turn(ours))
    long = added(Conversation(messages=[said(f"u{'x' * 128}:hi")]).new_turn([]))

    assert new.id == new.message.id == "u3"
    assert again.id is None
    assert long.id is None


def test_where_a_message_of_the_user_has_no_id_the_one_before_tells_its_place() -> None:
    ours = [said(text).in_state() for text in TWO]
    del ours[2]["id"]
    posted = Conversation(messages=[said("u:hi"), said("a:hello"), said("u9:less")], means="cut")
    edit = added(posted.new_turn(ours))
    assert (edit.source_id, edit.parent_id) == ("nameless", "a1")

    del ours[1]["id"]  # nothing does, so nothing is dropped
    assert added(posted.new_turn(ours)).source_id is None


# Results


def call(id: str, **settled: Json) -> dict[str, Json]:
    return {"type": "tool-call", "toolCallId": id, "toolName": id, "args": {}, "argsText": "{}", **settled}


def answering(*parts: dict[str, Json], **fields: Any) -> list[PostedMessage]:
    return [said("u1:hi"), PostedMessage(role="assistant", id="a1", parts=list(parts), **fields)]


def results(conversation: Conversation, ours: list[Json] | None) -> list[tuple[str, Json, bool]]:
    return [
        (command.tool_call_id, command.result, command.is_error)
        for command in conversation.new_turn(ours).commands
        if isinstance(command, AddToolResult)
    ]


def test_results_of_open_calls_are_new_and_others_are_not() -> None:
    ours = [
        said("u1:hi").in_state(),
        {"id": "a1", "role": "assistant", "parts": [call("a"), call("b", result=1), call("c")]},
    ]
    posted = answering(call("a", result=2), call("b", result=3), call("c"), call("unknown", result=4))

    assert results(Conversation(messages=posted), ours) == [("a", 2, False)]


def test_a_result_comes_with_the_next_message_too() -> None:
    ours = [said("u1:hi").in_state(), {"id": "a1", "role": "assistant", "parts": [call("a")]}]
    posted = [*answering(call("a", result="no", isError=True)), said("u2:more")]
    asked = Conversation(messages=posted).new_turn(ours)

    assert [type(command) for command in asked.commands] == [AddToolResult, AddMessage]
    assert results(Conversation(messages=posted), ours) == [("a", "no", True)]


def test_a_result_that_is_the_agents_is_not_the_clients() -> None:
    ours = [said("u1:hi").in_state(), {"id": "a1", "role": "assistant", "parts": [call("a")]}]

    assert results(Conversation(messages=answering(call("a", result=1), results_of_others=["a"])), ours) == []


def test_a_thread_that_is_new_begins_with_what_the_client_has() -> None:
    before, asked = Conversation(messages=[*answering(call("a", result=1)), said("u2:more")]).first()
    assert [message["role"] for message in before] == ["user", "assistant"]
    assert before[1]["parts"][0]["result"] == 1
    assert written(asked.commands) == "+more"

    request = Request(tools={"a": {}})
    last = answering(call("a", result=1), call("b", result=2))
    before, asked = Conversation(messages=last, request=request).first()
    assert called(asked.commands) == ["a"]
    assert [part.get("result") for part in before[1]["parts"]] == [None, 2]


@pytest.mark.parametrize(
    ("messages", "means", "asked"),
    [
        ([said("u1:hi")], "say", "+hi"),
        ([said("u1:hi")], "again", "u1>hi"),
        (answering(call("a", result=1)), "say", "a"),
        (answering(call("a")), "say", ""),
        ([], "say", ""),
    ],
    ids=["said", "again", "a result", "nothing new", "nothing"],
)
def test_an_agent_that_keeps_its_own_messages_gets_the_last(messages: Any, means: Any, asked: str) -> None:
    commands = Conversation(messages=messages, means=means).new_turn(None).commands

    if asked == "a":
        assert called(commands) == ["a"]
    else:
        assert written(commands) == asked


# What the client has


@pytest.mark.parametrize(
    ("posted", "goes_on"), [(["u1:hi"], False), (ONE, True), ([*ONE, "u2:more"], False), ([], False)]
)
def test_a_client_goes_on_with_an_answer_that_it_has_begun(posted: SHORT, goes_on: bool) -> None:
    conversation = Conversation(messages=[said(text) for text in posted])

    assert conversation.continues_answer is goes_on
    assert (conversation.client_copy() is not None) is goes_on
