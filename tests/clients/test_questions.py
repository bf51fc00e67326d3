"""Questions that a thread waits for without a run: each published client is asked in the form that it has for them.

The agent wants to delete the files that the user names, asks about each, and goes on when all are answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest

from statecast import AddMessage, Agent, Answer, Run, create_app
from tests.clients import ag_ui, chat
from tests.clients.chat import chatting, send
from tests.clients.node import Protocol, Transport, need_node
from tests.clients.serving import served
from tests.clients.test_ag_ui_client import open_clients, say
from tests.clients.transport_checks import check, settings

Json: TypeAlias = Any

#: The step that follows waits for the answer's end.
IDLE = {"for": "idle"}
WAIT = {"do": "wait", "for": "idle"}


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


# assistant-ui's hook for Assistant Transport


@pytest.mark.parametrize("protocol", ["assistant-transport", "data-stream"])
def test_two_tabs_answer_one_by_one_around_a_restart(tmp_path: Path, protocol: Protocol) -> None:
    store, threads = f"sqlite:///{tmp_path}/threads.db", {"threadId": "t"}
    with served(create_app(cleaner(), store=store)) as url, Transport(settings(url, protocol, **threads)) as page:
        page.step("append", text="delete a b")
        page.step(**WAIT)
        asked = page.told()
        first, second = asked.final_state["pending"]
        page.step("command", command=answer(second, False))
        page.step(**WAIT)
        between = page.told()
        check(between, url)
    with (
        served(create_app(cleaner(), store=store)) as url,
        Transport(settings(url, protocol, **threads, initialState=between.final_state)) as tab,
    ):
        waiting = status_of(url, "t")
        tab.step("command", command=answer(first, True))
        tab.step(**WAIT)
        report = tab.told()
        check(report, url)

    parts = [part for part in asked.messages[-1]["content"] if part["type"] == "tool-call"]
    assert [part["approval"] for part in parts] == [
        {"id": one["id"], "prompt": one["prompt"]} for one in (first, second)
    ]
    assert asked.messages[-1]["status"]["type"] == "requires-action"
    assert between.final_state["pending"] == [first]
    assert waiting == "waiting"
    assert results(report.final_state) == ["gone", "kept"]
    assert report.final_state["messages"][-1]["parts"][-1]["text"] == "Done."


def answer(question: Json, value: Json) -> Json:
    return {"type": "answer", "answers": {question["id"]: value}}


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


# A local runtime's adapters, and OpenAI's clients


def test_an_adapter_finds_the_approval_on_its_call_and_posts_it_with_the_answer(url: str) -> None:
    said = {"role": "user", "content": "delete a b"}
    asked = httpx.post(f"{url}/json", json={"threadId": "local", "messages": [said]}).json()
    gates = [{**part["approval"], "approved": index == 0} for index, part in enumerate(asked["parts"])]
    answered = [{**part, "approval": gate} for part, gate in zip(asked["parts"], gates, strict=True)]
    answered[1] |= {"result": {"error": "Tool approval denied"}, "isError": True}  # as its runtime does
    messages = [said, {"role": "assistant", "content": answered}]
    done = httpx.post(f"{url}/json", json={"threadId": "local", "messages": messages}).json()

    assert [part["approval"]["prompt"] for part in asked["parts"]] == ["Delete a?", "Delete b?"]
    assert done["text"] == "Done."
    assert results(state_of(url, "local")) == ["gone", "kept"]


def test_a_tool_message_of_openai_answers_a_question_once(url: str) -> None:
    def post(*messages: Json) -> Json:
        body = {"model": "agent", "messages": [{"role": "user", "content": "delete a b"}, *messages]}
        answer = httpx.post(f"{url}/v1/chat/completions", json={**body, "metadata": {"thread_id": "openai"}})
        assert answer.status_code == 200, answer.text
        return answer.json()["choices"][0]["message"]

    asked = post()
    calls = [call["id"] for call in asked["tool_calls"]]
    said = [{"role": "tool", "tool_call_id": call, "content": "true"} for call in calls]
    post(asked, said[0])
    post(asked, *said)

    assert results(state_of(url, "openai")) == ["gone", "gone"]
