"""Questions that a thread waits for without a run: each published client is asked in the form that it has for them.

The agent wants to delete the files that the user names, asks about each, and goes on when all are answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import httpx
import pytest

from statecast import AddMessage, Agent, Answer, Run, create_app
from tests.clients import ag_ui, chat
from tests.clients.chat import chatting, send
from tests.clients.node import need_node
from tests.clients.serving import served
from tests.clients.test_ag_ui_client import open_clients, say

Json: TypeAlias = Any

#: The step that follows waits for the answer's end.
IDLE = {"for": "idle"}


def cleaner() -> Agent:
    agent = Agent(initial={"title": "Files"})

    @agent.on(AddMessage)
    async def plan(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        verb, *names = command.message.text.split()
        for name in names if verb == "delete" else ():
            message.add_tool_call("delete", {"file": name}).ask(f"Delete {name}?")
        if verb == "move":
            message.add_tool_call("move", {}).ask("Where to?", kind="choice", options=["left", "right"])
        if verb == "name":
            run.ask("What is your name?", kind="text")
        if verb == "hello":
            message.append_text("Hello.")

    @agent.on(Answer)
    async def go_on(run: Run, command: Answer) -> None:
        if run.pending:
            return
        answers = dict(run.answers)
        message = run.messages.last_assistant()
        for call in message.tool_calls:
            answer = answers.pop(call.part["approval"]["id"])
            call.set_result(answer.get("optionId", "gone") if answer["approved"] else "kept")
        message.append_text(f"Done. {' '.join(answer['text'] for answer in answers.values())}".strip())

    return agent


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    need_node()
    with served(create_app(cleaner())) as base:
        yield base


def state_of(url: str, thread_id: str) -> Json:
    return httpx.get(f"{url}/threads/{thread_id}/state").json()["state"]


def status_of(url: str, thread_id: str) -> str:
    return str(httpx.get(f"{url}/status/{thread_id}").json()["status"])


def results(state: Json) -> list[Json]:
    return [part.get("result") for message in state["messages"] for part in message["parts"] if "toolCallId" in part]


def tools(report: Any) -> list[Json]:
    return [part for message in report.main["messages"] for part in message["parts"] if "toolCallId" in part]


# The AI SDK


def test_a_chat_approves_in_the_form_that_the_ai_sdk_has(url: str) -> None:
    with chatting(url, automatically="approvals") as chats:
        chats.step(**send("delete a b"))
        asked = chats.told()
        waiting = status_of(url, asked.main["id"])
        chats.step("approve", approved=False, reason="mine")
        chats.step("approve", approved=True, **IDLE)
        report = chat.checked(chats.told())

    assert waiting == "waiting"
    assert [part["state"] for part in tools(asked)] == ["approval-requested"] * 2
    assert [part["approval"]["requestReason"] for part in tools(asked)] == ["Delete a?", "Delete b?"]
    assert len(report.requests) == 2
    assert [part["state"] for part in tools(report)] == ["output-available", "output-denied"]
    assert results(state_of(url, report.main["id"])) == ["gone", "kept"]
    assert report.main["messages"][-1]["parts"][-1]["text"] == "Done."


def test_a_chat_may_answer_one_by_one(url: str) -> None:
    with chatting(url) as chats:
        chats.step(**send("delete a b"))
        chats.step("approve", approved=True)
        chats.step("send-again", **IDLE)
        between = chats.told()
        chats.step("approve", approved=True)
        chats.step("send-again", **IDLE)
        report = chat.checked(chats.told())

    assert len(state_of(url, report.main["id"])["pending"]) == 0
    assert sorted(part["state"] for part in tools(between)) == ["approval-requested", "approval-responded"]
    assert [part["state"] for part in tools(report)] == ["output-available"] * 2


def test_a_choice_is_the_output_of_its_tool(url: str) -> None:
    with chatting(url, automatically="tool-calls") as chats:
        chats.step(**send("move"))
        chats.step("tool-output", toolName="move", output="left", **IDLE)
        report = chat.checked(chats.told())

    assert len(report.requests) == 2
    assert results(state_of(url, report.main["id"])) == ["left"]


def test_a_message_instead_of_an_answer_denies(url: str) -> None:
    with chatting(url) as chats:
        chats.step(**send("delete a"))
        chats.step(**send("hello"))
        report = chat.checked(chats.told())

    state = state_of(url, report.main["id"])
    assert results(state) == [{"dismissed": True}]
    assert report.main["messages"][-1]["parts"][-1]["text"] == "Hello."


# AG-UI


def test_questions_are_the_interrupts_of_ag_ui(url: str) -> None:
    with open_clients(url, "1.0") as clients:
        asked = clients.step(**say("delete a"))
        waiting = status_of(url, clients.told().main["threadId"])
        clients.step("resume", payload={"approved": True}, **IDLE)
        report = ag_ui.checked(clients.told())

    (interrupt,) = asked["outcome"]["interrupts"]
    assert (interrupt["reason"], interrupt["message"]) == ("tool_call", "Delete a?")
    assert waiting == "waiting"
    assert report.main["interrupts"] == []
    assert results(state_of(url, report.main["threadId"])) == ["gone"]


@pytest.mark.parametrize(
    ("text", "answer", "result"),
    [
        ("delete a", {"payload": {"approved": False}}, "kept"),
        ("delete a", {"cancelled": True}, "kept"),
        ("move", {"payload": "right"}, "right"),
    ],
    ids=str,
)
def test_an_interrupt_is_answered_as_its_schema_says(url: str, text: str, answer: Json, result: str) -> None:
    with open_clients(url, "1.0") as clients:
        clients.step(**say(text))
        clients.step("resume", **answer, **IDLE)
        report = ag_ui.checked(clients.told())

    assert results(state_of(url, report.main["threadId"])) == [result]


def test_a_question_without_a_call_is_an_interrupt_without_one(url: str) -> None:
    with open_clients(url, "1.0") as clients:
        asked = clients.step(**say("name"))
        clients.step("resume", payload="Ada", **IDLE)
        report = ag_ui.checked(clients.told())

    (interrupt,) = asked["outcome"]["interrupts"]
    assert (interrupt["reason"], interrupt["responseSchema"]) == ("input_required", {"type": "string"})
    assert "toolCallId" not in interrupt
    state = state_of(url, report.main["threadId"])
    assert state["messages"][-1]["parts"][-1]["text"] == "Done. Ada"
