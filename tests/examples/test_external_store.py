"""The agent of `examples/external_store` keeps every branch, and shows the one that is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from examples.external_store.agent import agent
from statecast.testing import Result, TestClient

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def said(result: Result) -> list[str]:
    return ["".join(part.get("text", "") for part in message["parts"]).strip() for message in result.state["messages"]]


def edit(text: str, of: dict[str, Any], parent: str | None = None, **id: str) -> dict[str, Any]:
    new = {"role": "user", "parts": [{"type": "text", "text": text}], **id}
    return {"type": "add-message", "message": new, "parentId": parent, "sourceId": of["id"]}


def show(message_id: str | None) -> dict[str, Any]:
    return {"type": "show-branch", "messageId": message_id}


def tree(result: Result) -> dict[str, list[str]]:
    """Return what every branch says that ends somewhere, by its last message, oldest first."""
    state = result.state
    nodes = {node["id"]: node for node in state["branches"]}
    shown = {message["id"]: message for message in state["messages"]}
    for before, message in zip([None, *state["messages"]], state["messages"], strict=False):
        nodes.setdefault(message["id"], {"parentId": before and before["id"], "message": None})
    words = {id: (shown.get(id) or node["message"])["parts"][0]["text"].strip() for id, node in nodes.items()}
    ends = [id for id in nodes if id not in {node["parentId"] for node in nodes.values()}]
    branches = {}
    for end in ends:
        path: list[str] = []
        at = end
        while at is not None:
            path.insert(0, words[at])
            at = nodes[at]["parentId"]
        branches[end] = path
    return branches


async def test_edits_and_reloads_lose_nothing() -> None:
    async with TestClient(agent) as client:
        first = await client.run("one", thread_id="t")
        question, reply = first.state["messages"]
        second = await client.run("more", thread_id="t")
        edited = await client.run(edit("two", question), thread_id="t")
        back = await client.run(show(second.state["messages"][-1]["id"]), thread_id="t")
        reloaded = await client.run(edit("one", question, id=question["id"]), thread_id="t")
        start = await client.run(show(None), thread_id="t")
        end = await client.run(show(reply["id"]), thread_id="t")

    assert said(edited) == ["two", "You said: two"]
    assert said(back) == said(second) == ["one", "You said: one", "more", "You said: more"]
    assert back.state["messages"] == second.state["messages"]
    assert said(reloaded) == ["one", "You said: one"]
    assert start.state["messages"] == []
    assert end.state["messages"] == [question, reply]  # the first of its answers, without what followed
    one, two, more = ["one", "You said: one"], ["two", "You said: two"], ["more", "You said: more"]
    for result in (reloaded, start, end):
        assert list(tree(result).values()) == [one + more, two, one]
    # What is shown is not kept twice.
    hidden = [node["id"] for node in end.state["branches"] if node["message"]]
    assert set(hidden) & {message["id"] for message in end.state["messages"]} == set()


async def test_a_branch_that_is_not_there_is_told_and_nothing_changes() -> None:
    async with TestClient(agent) as client:
        first = await client.run("one", thread_id="t")
        wrong = await client.run(show("msg_nothing"), thread_id="t")

    assert wrong.error == {"code": "no_such_message", "message": "There is no such message."}
    assert wrong.state["messages"] == first.state["messages"]


async def test_another_clients_conversation_gets_branches_too() -> None:
    """A state that a page hands over may lack what only this agent has."""
    before = {"messages": [{"id": "u1", "role": "user", "parts": [{"type": "text", "text": "hi"}]}]}
    async with TestClient(agent) as client:
        result = await client.run(edit("hello", {"id": "u1"}), state=before, thread_id="t")

    assert said(result) == ["hello", "You said: hello"]
    assert list(tree(result).values()) == [["hi"], ["hello", "You said: hello"]]
