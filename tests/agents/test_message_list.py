"""Messages in the state: what the two built-in commands do to them, and what an agent writes into them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import UNSET, UnsetType

from statecast_agents import (
    AddMessage,
    AddToolResult,
    Document,
    Json,
    MessageConflict,
    Messages,
    NewMessage,
    NotJson,
    UntypedCommand,
)
from statecast_agents.commands import AnyCommand
from tests.agents.conversation import CONVERSATION, call, message
from tests.agents.written import flushed


def said(text: str, parent: str | UnsetType | None = UNSET, source: str | None = None) -> AddMessage:
    new = NewMessage(role="user", parts=[{"type": "text", "text": text}])
    return AddMessage(message=new, parent_id=parent, source_id=source)


def answered(id: str, result: Json = 1) -> AddToolResult:
    return AddToolResult(tool_call_id=id, result=result)


def apply(messages: Messages, batch: Sequence[AnyCommand], *, agrees: bool) -> None:
    """Check and apply a batch; only the first message of one is made by a client that has seen everything before it."""
    messages.check(batch, agrees=agrees)
    for command in batch:
        assert isinstance(command, AddMessage | AddToolResult)
        messages.apply(command, agrees=agrees)
        agrees = agrees and not isinstance(command, AddMessage)


def outline(state: Json) -> list[str]:
    """Name the messages: those that were there by their ids, new ones by their texts."""
    old = {known["id"] for known in CONVERSATION}
    return [item["id"] if item["id"] in old else item["parts"][0]["text"] for item in state["messages"]]


ALL = ["u1", "a1", "u2", "a2"]

# The batch, whether the client's state was ours, and the messages afterwards.
FITTING: list[tuple[list[AddMessage], bool, list[str]]] = [
    # A new message goes where the client saw the end, if it saw everything
    ([said("new", "a2")], True, [*ALL, "new"]),
    ([said("new", "a1")], True, ["u1", "a1", "new"]),
    ([said("new", "u1")], True, ["u1", "new"]),
    ([said("new")], True, [*ALL, "new"]),
    ([said("new", None)], True, [*ALL, "new"]),
    ([said("new", "unknown")], True, [*ALL, "new"]),
    # A stale tab deletes nothing
    ([said("new", "a1")], False, [*ALL, "new"]),
    ([said("new", "unknown")], False, [*ALL, "new"]),
    # An edit drops what follows its parent, whatever the client saw
    *(
        case
        for agrees in (True, False)
        for case in [
            ([said("new", "a1", "u2")], agrees, ["u1", "a1", "new"]),
            ([said("new", None, "u1")], agrees, ["new"]),
            ([said("new", UNSET, "u2")], agrees, ["u1", "a1", "new"]),
            ([said("new", "u1", "unknown")], agrees, ["u1", "new"]),
        ]
    ),
    # Two that were said in one tick have one parent, and follow one another
    ([said("one", "a2"), said("two", "a2")], True, [*ALL, "one", "two"]),
    ([said("one", "a1"), said("two", "a1")], True, ["u1", "a1", "one", "two"]),
    ([said("one", "a1"), said("two", "a1")], False, [*ALL, "one", "two"]),
    ([said("one", "a1", "u2"), said("two", "a1")], False, ["u1", "a1", "one", "two"]),
    ([said("one", "a1", "u2"), said("two", None, "u1")], True, ["two"]),
]


@pytest.mark.parametrize(("batch", "agrees", "expected"), FITTING)
def test_a_message_goes_where_its_client_meant_it(batch: list[AddMessage], agrees: bool, expected: list[str]) -> None:
    document = Document({"messages": CONVERSATION})

    apply(Messages(document, ["messages"]), batch, agrees=agrees)
    assert outline(document.root) == expected


# The batch, and the code of the refusal.
CONFLICTS: list[tuple[list[AnyCommand], str]] = [
    ([said("new", "unknown", "u1")], "unknown_parent"),
    ([said("new", UNSET, "unknown")], "unknown_parent"),
    ([answered("unknown")], "unknown_tool_call"),
    ([answered("settled")], "tool_call_settled"),
    # Later commands meet what the earlier ones left
    ([answered("open"), answered("open")], "tool_call_settled"),
    ([said("one", None, "u1"), said("two", "u1", "a1")], "unknown_parent"),
    ([said("one", "u1", "a1"), said("two", "a1", "u2")], "unknown_parent"),
    ([said("one", None, "u1"), answered("open")], "unknown_tool_call"),
    ([said("one", "a1", "u2"), answered("later")], "unknown_tool_call"),
    ([said("fine", "a2"), answered("open"), said("bad", "unknown", "u1")], "unknown_parent"),
    ([answered("open"), said("fine"), answered("unknown")], "unknown_tool_call"),
]


@pytest.mark.parametrize("agrees", [True, False])
@pytest.mark.parametrize(("batch", "code"), CONFLICTS)
def test_a_batch_that_does_not_fit_is_refused_whole(batch: list[AnyCommand], code: str, agrees: bool) -> None:
    document = Document({"messages": CONVERSATION})

    with pytest.raises(MessageConflict) as refused:
        apply(Messages(document, ["messages"]), batch, agrees=agrees)
    assert refused.value.code == code
    assert document.root == {"messages": CONVERSATION}
    assert document.flush().operations == b""


@pytest.mark.parametrize("agrees", [True, False])
def test_what_is_checked_can_be_applied(agrees: bool) -> None:
    ids = [None, UNSET, "u1", "a1", "u2", "a2", "unknown"]
    commands: list[AnyCommand] = [
        *(said("x", parent, source) for parent in ids for source in (None, "u2", "unknown")),
        *(answered(id) for id in ("open", "settled", "later")),
    ]
    accepted = 0
    for first in commands:
        for second in commands:
            messages = Messages(Document({"messages": CONVERSATION}), ["messages"])
            try:
                messages.check([first, second], agrees=agrees)
            except MessageConflict:
                continue
            apply(messages, [first, second], agrees=agrees)
            accepted += 1
    assert 100 < accepted < len(commands) ** 2


@pytest.mark.parametrize("state", [None, {}, {"messages": None}, {"messages": []}, {"other": 1}])
def test_a_first_message_needs_no_list(state: Json) -> None:
    document = Document(state)

    apply(Messages(document, ["messages"]), [said("hi", None)], agrees=True)
    assert [item["parts"][0]["text"] for item in document.root["messages"]] == ["hi"]


def test_a_new_message_has_the_documented_shape() -> None:
    document = Document({"messages": []})
    new = NewMessage(role="user", parts=[{"type": "image", "image": "data:,"}], metadata={"a": 1})

    Messages(document, ["messages"]).apply(AddMessage(message=new), agrees=True)
    id = document.root["messages"][0]["id"]
    assert id.startswith("msg_")
    assert document.root["messages"] == [
        {"id": id, "role": "user", "parts": [{"type": "image", "image": "data:,"}], "metadata": {"a": 1}}
    ]


def test_a_message_at_the_end_costs_one_message() -> None:
    document = Document({"messages": CONVERSATION})

    Messages(document, ["messages"]).apply(said("hi", "a2"), agrees=True)
    assert flushed(document) == [("set", "messages/4", document.root["messages"][4])]


@pytest.mark.parametrize(
    ("command", "settled"),
    [
        (answered("open"), {"result": 1, "isError": False}),
        (answered("open", None), {"result": None, "isError": False}),
        (AddToolResult(tool_call_id="open", result="no", is_error=True), {"result": "no", "isError": True}),
        (
            AddToolResult(tool_call_id="open", result={}, artifact=None, model_content=[]),
            {"result": {}, "isError": False, "artifact": None, "modelContent": []},
        ),
    ],
)
def test_a_tool_result_settles_its_call(command: AddToolResult, settled: Json) -> None:
    document = Document({"messages": CONVERSATION})

    apply(Messages(document, ["messages"]), [command], agrees=False)
    assert document.root["messages"][1]["parts"][1] == call("open", **settled)
    assert flushed(document) == [("set", f"messages/1/parts/1/{key}", value) for key, value in settled.items()]


def test_the_latest_call_of_an_id_is_the_one_that_is_answered() -> None:
    again = [message("a1", "assistant", call("c"), call("c")), message("a2", "assistant", call("c"))]
    document = Document({"messages": again})

    apply(Messages(document, ["messages"]), [answered("c")], agrees=False)
    settled = [["result" in part for part in item["parts"]] for item in document.root["messages"]]
    assert settled == [[False, False], [True]]


def test_custom_commands_are_no_concern_of_the_messages() -> None:
    Messages(Document({"messages": 1}), ["messages"]).check([UntypedCommand("open", {})], agrees=False)


def test_a_value_that_the_state_cannot_hold_changes_nothing() -> None:
    document = Document({"messages": CONVERSATION})
    messages = Messages(document, ["messages"])
    bad = NewMessage(role="user", parts=[{"type": "x", "__proto__": 1}])

    for command in (
        AddMessage(message=bad, parent_id=None, source_id="u1"),
        AddToolResult(tool_call_id="open", result=1, artifact={"constructor": 1}),
    ):
        with pytest.raises(NotJson):
            messages.apply(command, agrees=True)
    with pytest.raises(NotJson):
        _found(messages, "open").set_result(1, artifact={1})
    assert document.root == {"messages": CONVERSATION}
    assert document.flush().operations == b""


# States that a client may hand over where nothing declares their type.
@pytest.mark.parametrize(
    "strange",
    [[1], [None, "text"], [[]], [{}], [{"id": {}}, {"id": []}], [{"id": 1, "parts": 1}], [{"parts": [1, None, []]}]],
)
def test_messages_of_a_strange_shape_are_left_alone(strange: list[Json]) -> None:
    document = Document({"messages": strange})
    messages = Messages(document, ["messages"])

    with pytest.raises(MessageConflict):
        apply(messages, [answered("c")], agrees=True)
    apply(messages, [said("hi", "u1")], agrees=True)
    assert document.root["messages"][:-1] == strange
    assert messages.last_assistant().message is document.root["messages"][-1]


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
    messages.check([said("hi")], agrees=True)
    messages.apply(said("hi"), agrees=True)
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
        lambda: messages.check([said("hi")], agrees=True),
        lambda: messages.apply(said("hi"), agrees=True),
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


def _found(messages: Messages, id: str) -> Any:
    found = messages.find_tool_call(id)
    assert found is not None
    return found


# What an edit takes out


def text(words: str) -> Json:
    return {"type": "text", "text": words}


@pytest.mark.parametrize(
    ("parent", "source", "kept", "dropped"),
    [
        ("u1", "a1", 1, [("u1", "a1"), ("a1", "u2"), ("u2", "a2")]),
        ("a1", "u2", 2, [("a1", "u2"), ("u2", "a2")]),
        (None, "u1", 0, [(None, "u1"), ("u1", "a1"), ("a1", "u2"), ("u2", "a2")]),
        ("a2", "x", 4, []),
        (UNSET, None, 4, []),
    ],
)
def test_what_an_edit_takes_out_is_told_with_its_place(
    parent: str | UnsetType | None, source: str | None, kept: int, dropped: list[tuple[str | None, str]]
) -> None:
    document = Document({"messages": copy.deepcopy(CONVERSATION)})
    messages = Messages(document, ["messages"])
    messages.apply(said("new", parent, source), agrees=False)

    assert len(messages) == kept + 1
    by_id = {item["id"]: item for item in CONVERSATION}
    assert messages.dropped == [{"parentId": parent, "message": by_id[id]} for parent, id in dropped]


def test_what_is_told_as_taken_out_is_of_no_state_any_more() -> None:
    document = Document({"messages": copy.deepcopy(CONVERSATION), "branches": []})
    messages = Messages(document, ["messages"])
    messages.apply(said("new", None, "u1"), agrees=False)
    document.root["branches"] += messages.dropped
    messages.dropped[0]["message"]["parts"].append(1)

    assert document.root["branches"][0] == {"parentId": None, "message": CONVERSATION[0]}


def test_a_message_that_is_asked_again_under_its_id_stays_where_it_is() -> None:
    first = message("u1", "user", text("tea"))
    document = Document({"messages": [first, message("a1", "assistant")]})
    messages = Messages(document, ["messages"])
    again = NewMessage(role="user", parts=[text("tea")], id="u1")
    messages.apply(AddMessage(message=again, parent_id=None, source_id="u1"), agrees=False)

    assert document.root["messages"] == [first]
    assert messages.dropped == [{"parentId": "u1", "message": message("a1", "assistant")}]


def test_a_message_that_leaves_its_id_to_other_words_gets_another() -> None:
    first = message("u1", "user", text("tea"))
    document = Document({"messages": [first, message("a1", "assistant")]})
    messages = Messages(document, ["messages"])
    edit = NewMessage(role="user", parts=[text("coffee")], id="u1")
    messages.apply(AddMessage(message=edit, parent_id=None, source_id="u1"), agrees=False)

    assert document.root["messages"] == [message("u1", "user", text("coffee"))]
    question, reply = messages.dropped
    assert question["message"] == {**first, "id": question["message"]["id"]}
    assert question["message"]["id"] != "u1"
    assert reply == {"parentId": question["message"]["id"], "message": message("a1", "assistant")}


def test_what_was_refused_took_out_nothing() -> None:
    document = Document({"messages": copy.deepcopy(CONVERSATION)})
    messages = Messages(document, ["messages"])
    wrong = NewMessage(role="user", parts=[{"type": "x", "value": float("nan")}])
    with pytest.raises(NotJson):
        messages.apply(AddMessage(message=wrong, parent_id=None, source_id="u1"), agrees=False)

    assert (len(messages), messages.dropped) == (4, [])
