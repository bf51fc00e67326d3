"""Calls of a Pydantic AI agent that wait for the user: approvals, questions and tools of the page, answered apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent as PydanticAIAgent
from pydantic_ai.exceptions import ApprovalRequired, CallDeferred
from pydantic_ai.tools import RunContext

from statecast import create_app
from statecast.testing import TestClient
from statecast_agents.frameworks.pydantic_ai import PydanticAgent
from tests.frameworks.pydantic_models import Script, call

pytestmark = pytest.mark.anyio

Json = Any

TOOLS = {"pick": {"description": "Pick a colour.", "parameters": {"type": "object"}}}


class Files:
    """An agent whose tool deletes files when the user approves it."""

    def __init__(self, *answers: Any) -> None:
        self.script = Script(*answers)
        self.deleted: list[str] = []
        self.agent = PydanticAIAgent(self.script.model)

        @self.agent.tool_plain(requires_approval=True)
        def delete(path: str) -> str:
            self.deleted.append(path)
            return f"deleted {path}"


def parts_of(state: Json) -> list[Json]:
    parts: list[Json] = state["messages"][-1]["parts"]
    return parts


def answer(state: Json, place: int, value: Json) -> Json:
    """Return the command that answers an open question."""
    return {"type": "answer", "answers": {state["pending"][place]["id"]: value}}


def result_of(part: Json, value: Json, **fields: Json) -> Json:
    """Return the command with which a page answers a call."""
    return {
        "type": "add-tool-result",
        "toolCallId": part["toolCallId"],
        "toolName": part["toolName"],
        "result": value,
    } | {
        "isError": False,
        **fields,
    }


TWO = [
    "I need to delete. ",
    call("delete", '{"path": "a"}', "call_a", index=1),
    call("delete", '{"path": "b"}', "call_b", index=2),
]


async def test_approvals_are_answered_apart_and_the_agent_goes_on_with_the_last() -> None:
    files = Files(TWO, ["One is gone."])

    async with TestClient(PydanticAgent(files.agent)) as client:
        asked = await client.run("Tidy up", thread_id="t")
        status = (await client.get("/status/t")).json()
        between = await client.run(answer(asked.state, 1, False), thread_id="t", state=asked.state)
        assert len(files.script.asked) == 1, "one question is still open"
        done = await client.run(answer(between.state, 0, True), thread_id="t", state=between.state)

    assert status["status"] == "waiting"
    assert [(one["callId"], one["kind"]) for one in asked.state["pending"]] == [
        ("call_a", "approval"),
        ("call_b", "approval"),
    ]
    assert files.deleted == ["a"]
    assert [message["role"] for message in done.state["messages"]] == ["user", "assistant"]
    _, approved, denied, text = parts_of(done.state)
    assert (approved["result"], approved["isError"]) == ("deleted a", False)
    assert (denied["result"], denied["isError"]) == ("The user denied this call.", True)
    assert text["text"] == "One is gone."
    assert files.script.texts()[-2:] == ["tool-return: deleted a", "tool-return: The user denied this call."]


async def test_a_tool_of_the_page_is_answered_after_a_restart(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/threads.db"
    files = Files(["Pick one: ", call("pick", "{}", "call_p")], ["Blue it is."])

    async with TestClient(create_app(PydanticAgent(files.agent), store=store)) as client:
        asked = await client.run("Paint it", thread_id="t", tools=TOOLS)
    async with TestClient(create_app(PydanticAgent(files.agent), store=store)) as client:
        picked = result_of(parts_of(asked.state)[1], {"colour": "blue"})
        done = await client.run(picked, thread_id="t", state=asked.state, tools=TOOLS)

    assert files.script.tools == [["delete", "pick"], ["delete", "pick"]]
    assert parts_of(done.state)[1]["result"] == {"colour": "blue"}
    assert parts_of(done.state)[2]["text"] == "Blue it is."
    assert files.script.texts()[-1] == "tool-return: {'colour': 'blue'}"


async def test_a_page_that_brings_the_whole_thread_is_answered_as_well() -> None:
    files = Files(["Blue it is."], ["And white."])
    asked = {
        "messages": [
            {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "Paint it"}]},
            {
                "id": "a1",
                "role": "assistant",
                "parts": [
                    {"type": "text", "text": "Pick one: "},
                    {"type": "tool-call", "toolCallId": "call_p", "toolName": "pick", "args": {}, "argsText": "{}"},
                ],
            },
        ]
    }

    async with TestClient(PydanticAgent(files.agent)) as client:
        picked = result_of(parts_of(asked)[1], "blue")
        done = await client.run(picked, state=asked, tools=TOOLS)  # a thread that is new to the server
        await client.run("And the door?", state=done.state)

    assert files.script.texts(0) == [
        "user-prompt: Paint it",
        "text: Pick one: ",
        "tool-call: {}",
        "tool-return: blue",
    ]
    assert files.script.texts(1) == [*files.script.texts(0), "text: Blue it is.", "user-prompt: And the door?"]


async def test_an_approval_and_a_tool_of_the_page_wait_for_each_other() -> None:
    files = Files(
        [call("delete", '{"path": "a"}', "call_a", index=0), call("pick", "{}", "call_p", index=1)], ["Both are done."]
    )

    async with TestClient(PydanticAgent(files.agent)) as client:
        asked = await client.run("Tidy up", thread_id="t", tools=TOOLS)
        picked = result_of(parts_of(asked.state)[1], "blue")
        between = await client.run(picked, thread_id="t", state=asked.state, tools=TOOLS)
        assert files.deleted == []
        done = await client.run(answer(between.state, 0, True), thread_id="t", state=between.state, tools=TOOLS)

    assert files.deleted == ["a"]
    assert parts_of(done.state)[-1]["text"] == "Both are done."


async def test_a_message_instead_of_an_answer_denies_what_is_open() -> None:
    files = Files(TWO, ["As you like."])

    async with TestClient(PydanticAgent(files.agent)) as client:
        asked = await client.run("Tidy up", thread_id="t")
        one = await client.run(answer(asked.state, 0, True), thread_id="t", state=asked.state)
        done = await client.run("No, leave it", thread_id="t", state=one.state)

    assert files.deleted == ["a"], "that call was approved"
    assert done.state.get("pending", []) == []
    assert [message["role"] for message in done.state["messages"]] == ["user", "assistant", "user", "assistant"]
    assert files.script.texts()[-3:] == [
        "tool-return: deleted a",
        "tool-return: The user did not answer this call.",
        "user-prompt: No, leave it",
    ]


async def test_the_user_may_change_the_arguments_of_a_call_with_a_schema() -> None:
    script = Script([call("send", '{"to": "everyone"}', "call_s")], ["Sent."])
    agent = PydanticAIAgent(script.model)
    schema = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}

    @agent.tool
    def send(ctx: RunContext[object], to: str) -> str:
        if not ctx.tool_call_approved:
            raise ApprovalRequired({"prompt": f"Send it to {to}?", "schema": schema})
        return f"sent to {to}"

    async with TestClient(PydanticAgent(agent)) as client:
        asked = await client.run("Send it", thread_id="t")
        changed = answer(asked.state, 0, {"approved": True, "value": {"to": "Ann"}})
        done = await client.run(changed, thread_id="t", state=asked.state)

    assert asked.state["pending"][0]["prompt"] == "Send it to everyone?"
    assert parts_of(done.state)[0]["result"] == "sent to Ann"


@pytest.mark.parametrize(
    ("metadata", "kind", "value", "read"),
    [
        ({"prompt": "Name?"}, "text", "Ann", "Ann"),
        ({"prompt": "Colour?", "options": ["red", "blue"]}, "choice", "blue", "blue"),
        ({"prompt": "Size?", "schema": {"type": "integer"}}, "input", 3, "3"),
        ({"prompt": "Name?"}, "text", False, "The user denied this call."),
    ],
    ids=["text", "choice", "input", "declined"],
)
async def test_a_question_of_a_tool_gets_the_users_answer_as_its_result(
    metadata: Json, kind: str, value: Json, read: str
) -> None:
    script = Script([call("ask", "{}", "call_q")], ["Thanks."])
    agent = PydanticAIAgent(script.model)

    @agent.tool_plain
    def ask() -> str:
        raise CallDeferred(metadata, kind="question")

    async with TestClient(PydanticAgent(agent)) as client:
        asked = await client.run("Hi", thread_id="t")
        done = await client.run(answer(asked.state, 0, value), thread_id="t", state=asked.state)

    assert asked.state["pending"][0]["kind"] == kind
    assert parts_of(done.state)[-1]["text"] == "Thanks."
    assert script.texts()[-1] == f"tool-return: {read}"
