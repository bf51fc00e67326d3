"""The conversation of a sub-agent, in the tool call that began it."""

from __future__ import annotations

import pytest

from statecast_agents import AddToolResult, Document, Json, MessageConflict, Messages, ToolCall
from statecast_agents.message_commands import apply_commands
from tests.agents.written import flushed

AT = "messages/0/parts/0/messages"


def called(document: Document) -> ToolCall:
    call = Messages(document, ["messages"]).assistant(id="a").add_tool_call("research", {}, id="c1")
    document.flush()
    return call


def test_a_sub_agent_writes_as_the_agent_does() -> None:
    document = Document({})
    call = called(document)
    call.messages.user("Bees?", id="q")
    answer = call.messages.open("m")
    answer.append_reasoning("Hm")
    answer.append_text("They ")
    call.messages.open("m").append_text("buzz")
    answer.add_tool_call("look_up", {"x": 1}, id="c2").set_result(2)

    running = {"type": "running"}
    custom: Json = {"custom": {}}
    assert call.part["messages"] == [
        {
            "id": "q",
            "role": "user",
            "content": [{"type": "text", "text": "Bees?"}],
            "attachments": [],
            "metadata": custom,
        },
        {
            "id": "m",
            "role": "assistant",
            "content": [
                {"type": "reasoning", "text": "Hm"},
                {"type": "text", "text": "They buzz"},
                {
                    "type": "tool-call",
                    "toolCallId": "c2",
                    "toolName": "look_up",
                    "args": {"x": 1},
                    "argsText": '{"x":1}',
                    "result": 2,
                    "isError": False,
                },
            ],
            "status": running,
            "metadata": custom,
        },
    ]
    assert [(each.id, each.role, each.text) for each in call.messages] == [
        ("q", "user", "Bees?"),
        ("m", "assistant", "They buzz"),
    ]


def test_what_a_sub_agent_says_is_sent_piece_by_piece_however_deep_it_is() -> None:
    document = Document({})
    answer = called(document).messages.assistant(id="m")
    answer.append_text("a")
    deep = answer.add_tool_call("deeper", {}, id="c2").messages.assistant(id="m")
    deep.append_text("x")
    flushed(document)

    deep.append_text("y")
    assert flushed(document) == [("append-text", f"{AT}/0/content/1/messages/0/content/0/text", "y")]
    tool = deep.add_tool_call("look_up", id="c3")
    flushed(document)
    tool.append_args("{}")
    assert flushed(document) == [("append-text", f"{AT}/0/content/1/messages/0/content/1/argsText", "{}")]


def test_a_message_runs_until_another_one_follows_or_the_call_ends() -> None:
    document = Document({})
    call = called(document)

    def statuses() -> list[Json]:
        return [message["status"]["type"] for message in call.messages.items]

    call.messages.assistant()
    assert statuses() == ["running"]
    call.messages.assistant()
    assert statuses() == ["complete", "running"]
    call.set_result("done")
    assert statuses() == ["complete", "complete"]
    stopped = Messages(document, ["messages"]).assistant().add_tool_call("research", {})
    stopped.messages.assistant()
    stopped.cut_off()
    assert stopped.messages.items[0]["status"] == {"type": "incomplete", "reason": "cancelled"}


def test_calls_of_sub_agents_are_open_and_answered_like_others() -> None:
    document = Document({})
    messages = Messages(document, ["messages"])
    call = called(document)
    inner = call.messages.assistant().add_tool_call("ask", {}, id="c2")

    assert [each.id for each in messages.open_calls()] == ["c1", "c2"]
    found = messages.find_tool_call("c2")
    assert found is not None
    assert found.part is inner.part
    assert call.messages.find_tool_call("c2") is not None
    results = [AddToolResult(tool_call_id=id, tool_name="ask", result=id) for id in ("c2", "c1")]
    apply_commands(messages, results, agrees=True)
    assert (inner.result, call.result) == ("c2", "c1")
    assert messages.open_calls() == []


def test_an_id_that_a_sub_agent_uses_too_names_the_agents_own_call() -> None:
    document = Document({})
    call = called(document)
    inner = call.messages.assistant().add_tool_call("ask", {}, id="c1")

    apply_commands(
        Messages(document, ["messages"]), [AddToolResult(tool_call_id="c1", tool_name="", result=1)], agrees=True
    )
    assert (call.result, inner.settled) == (1, False)


def test_reading_a_call_without_a_conversation_changes_nothing() -> None:
    document = Document({})
    call = called(document)

    assert len(call.messages) == 0
    assert list(call.messages) == []
    assert call.messages.find("m") is None
    assert flushed(document) == []
    assert call.messages.items == []
    assert flushed(document) == [("set", AT, [])]


@pytest.mark.parametrize("found", [1, "text", {}], ids=["number", "text", "object"])
def test_something_else_in_place_of_a_conversation_is_a_conflict(found: Json) -> None:
    document = Document({})
    call = called(document)
    call.part["messages"] = found
    flushed(document)

    assert len(call.messages) == 0
    with pytest.raises(MessageConflict, match='list of messages in the tool call "c1"'):
        call.messages.assistant()
    assert flushed(document) == []
