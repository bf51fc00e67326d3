"""What the two built-in commands do to the messages in a state."""

from __future__ import annotations

import copy

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
from statecast_agents.message_commands import apply_commands, check_commands
from tests.agents.conversation import CONVERSATION, call, message, said
from tests.agents.written import flushed


def answered(id: str, result: Json = 1) -> AddToolResult:
    return AddToolResult(tool_call_id=id, result=result)


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

    apply_commands(Messages(document, ["messages"]), batch, agrees=agrees)
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
        apply_commands(Messages(document, ["messages"]), batch, agrees=agrees)
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
                check_commands(messages, [first, second], agrees=agrees)
            except MessageConflict:
                continue
            apply_commands(messages, [first, second], agrees=agrees)
            accepted += 1
    assert 100 < accepted < len(commands) ** 2


@pytest.mark.parametrize("state", [None, {}, {"messages": None}, {"messages": []}, {"other": 1}])
def test_a_first_message_needs_no_list(state: Json) -> None:
    document = Document(state)

    apply_commands(Messages(document, ["messages"]), [said("hi", None)], agrees=True)
    assert [item["parts"][0]["text"] for item in document.root["messages"]] == ["hi"]


def test_a_new_message_has_the_documented_shape() -> None:
    document = Document({"messages": []})
    new = NewMessage(role="user", parts=[{"type": "image", "image": "data:,"}], metadata={"a": 1})

    apply_commands(Messages(document, ["messages"]), [AddMessage(message=new)], agrees=True)
    id = document.root["messages"][0]["id"]
    assert id.startswith("msg_")
    assert document.root["messages"] == [
        {"id": id, "role": "user", "parts": [{"type": "image", "image": "data:,"}], "metadata": {"a": 1}}
    ]


def test_a_message_at_the_end_costs_one_message() -> None:
    document = Document({"messages": CONVERSATION})

    apply_commands(Messages(document, ["messages"]), [said("hi", "a2")], agrees=True)
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

    apply_commands(Messages(document, ["messages"]), [command], agrees=False)
    assert document.root["messages"][1]["parts"][1] == call("open", **settled)
    assert flushed(document) == [("set", f"messages/1/parts/1/{key}", value) for key, value in settled.items()]


def test_the_latest_call_of_an_id_is_the_one_that_is_answered() -> None:
    again = [message("a1", "assistant", call("c"), call("c")), message("a2", "assistant", call("c"))]
    document = Document({"messages": again})

    apply_commands(Messages(document, ["messages"]), [answered("c")], agrees=False)
    settled = [["result" in part for part in item["parts"]] for item in document.root["messages"]]
    assert settled == [[False, False], [True]]


def test_custom_commands_are_no_concern_of_the_messages() -> None:
    messages = Messages(Document({"messages": 1}), ["messages"])

    check_commands(messages, [UntypedCommand("open", {})], agrees=False)
    apply_commands(messages, [UntypedCommand("open", {})], agrees=False)


def test_a_value_that_the_state_cannot_hold_changes_nothing() -> None:
    document = Document({"messages": CONVERSATION})
    messages = Messages(document, ["messages"])
    bad = NewMessage(role="user", parts=[{"type": "x", "__proto__": 1}])

    commands: list[AnyCommand] = [
        AddMessage(message=bad, parent_id=None, source_id="u1"),
        AddToolResult(tool_call_id="open", result=1, artifact={"constructor": 1}),
    ]
    for command in commands:
        with pytest.raises(NotJson):
            apply_commands(messages, [command], agrees=True)
    with pytest.raises(NotJson):
        messages.find_tool_call("open").set_result(1, artifact={1})  # type: ignore[union-attr]  # it is there
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
        apply_commands(messages, [answered("c")], agrees=True)
    apply_commands(messages, [said("hi", "u1")], agrees=True)
    assert document.root["messages"][:-1] == strange
    assert messages.last_assistant().message is document.root["messages"][-1]


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
    apply_commands(messages, [said("new", parent, source)], agrees=False)

    assert len(messages) == kept + 1
    by_id = {item["id"]: item for item in CONVERSATION}
    assert messages.dropped == [{"parentId": parent, "message": by_id[id]} for parent, id in dropped]


def test_what_is_told_as_taken_out_is_of_no_state_any_more() -> None:
    document = Document({"messages": copy.deepcopy(CONVERSATION), "branches": []})
    messages = Messages(document, ["messages"])
    apply_commands(messages, [said("new", None, "u1")], agrees=False)
    document.root["branches"] += messages.dropped
    messages.dropped[0]["message"]["parts"].append(1)

    assert document.root["branches"][0] == {"parentId": None, "message": CONVERSATION[0]}


def test_a_message_that_is_asked_again_under_its_id_stays_where_it_is() -> None:
    first = message("u1", "user", text("tea"))
    document = Document({"messages": [first, message("a1", "assistant")]})
    messages = Messages(document, ["messages"])
    again = NewMessage(role="user", parts=[text("tea")], id="u1")
    apply_commands(messages, [AddMessage(message=again, parent_id=None, source_id="u1")], agrees=False)

    assert document.root["messages"] == [first]
    assert messages.dropped == [{"parentId": "u1", "message": message("a1", "assistant")}]


def test_a_message_that_leaves_its_id_to_other_words_gets_another() -> None:
    first = message("u1", "user", text("tea"))
    document = Document({"messages": [first, message("a1", "assistant")]})
    messages = Messages(document, ["messages"])
    edit = NewMessage(role="user", parts=[text("coffee")], id="u1")
    apply_commands(messages, [AddMessage(message=edit, parent_id=None, source_id="u1")], agrees=False)

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
        apply_commands(messages, [AddMessage(message=wrong, parent_id=None, source_id="u1")], agrees=False)

    assert (len(messages), messages.dropped) == (4, [])
