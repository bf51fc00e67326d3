"""A thread into whose history clients have written, and nothing else, is that of the first agent which is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from statecast import AddMessage, Agent, App, Run, create_app
from statecast.testing import TestClient
from tests.transport.followers import store_of
from tests.transport.held_agent import said

pytestmark = pytest.mark.anyio


def naming(name: str, **settings: Any) -> Agent:
    agent = Agent(name, **settings)

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text(f"{name}, {len(run.messages)}")

    return agent


def app(store: Any = "memory") -> App:
    bees = naming("bees", initial={"honey": 1, "messages": []})
    wasps = naming("wasps", initial={"nest": True, "talk": {"messages": []}}, messages=("talk", "messages"))
    return create_app([bees, wasps], store=store, open_list=True)


async def write(client: TestClient) -> None:
    await client.post("/threads", json={"threadId": "t", "title": "Mine"})
    message = {"id": "m", "role": "user", "content": [{"type": "text", "text": "Hello"}]}
    assert (await client.post("/threads/t/messages", json={"message": message, "parentId": None})).status == 200


async def ask(client: TestClient, agent: str) -> Any:
    body = {"commands": [said("Now?")], "threadId": "t"}
    return await client.post(f"/assistant?agent={agent}", json=body)


async def state_of(client: TestClient) -> Any:
    return (await client.get("/threads/t/state")).json()["state"]


def texts(messages: Any) -> list[str]:
    return [part["text"] for message in messages for part in message["parts"]]


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return store_of(request.param, tmp_path)


async def test_any_agent_can_be_asked_and_has_what_was_written(store: Any) -> None:
    async with TestClient(app(store)) as client:
        await write(client)
        assert await state_of(client) == {"honey": 1, "messages": (await state_of(client))["messages"]}
        assert (await ask(client, "wasps")).status == 200
        state = await state_of(client)

        assert (state["nest"], texts(state["talk"]["messages"])) == (True, ["Hello", "Now?", "wasps, 3"])
        assert set(state) == {"nest", "talk"}
        assert (await client.get("/threads/t")).json()["title"] == "Mine"
        history = (await client.get("/threads/t/messages")).json()["messages"]
        assert [item["message"]["content"][0]["text"] for item in history] == ["Hello", "Now?", "wasps, 3"]


async def test_it_is_that_agents_from_then_on(tmp_path: Path) -> None:
    async with TestClient(app(store_of("sqlite", tmp_path))) as client:
        await write(client)
        await ask(client, "wasps")
        assert (await ask(client, "bees")).json()["error"]["code"] == "agent_mismatch"
    async with TestClient(app(store_of("sqlite", tmp_path))) as client:
        assert (await ask(client, "bees")).json()["error"]["code"] == "agent_mismatch"
        assert (await ask(client, "wasps")).status == 200
        assert texts((await state_of(client))["talk"]["messages"])[-1] == "wasps, 5"


@pytest.mark.parametrize("path", ["/chat?protocol=data-stream&agent=wasps", "/text?agent=wasps"])
async def test_so_it_is_for_clients_that_hold_the_messages(path: str, store: Any) -> None:
    async with TestClient(app(store)) as client:
        await write(client)
        messages = [{"id": "m", "role": "user", "content": [{"type": "text", "text": "Hello"}]}]
        answer = await client.post(path, json={"messages": messages, "threadId": "t"})

        assert answer.status == 200, answer.content
        assert b"wasps, 2" in answer.content
        assert texts((await state_of(client))["talk"]["messages"]) == ["Hello", "wasps, 2"]


async def test_a_thread_with_more_than_that_is_its_agents(store: Any) -> None:
    async with TestClient(app(store)) as client:
        body = {"commands": [], "threadId": "t", "state": {"honey": 2, "messages": []}}
        assert (await client.post("/assistant?agent=bees", json=body)).status == 200

        assert (await ask(client, "wasps")).json()["error"]["code"] == "agent_mismatch"
        assert await state_of(client) == {"honey": 2, "messages": []}


async def test_messages_that_a_client_brought_along_stay_when_another_writes_below_them(store: Any) -> None:
    brought = {"id": "u", "role": "user", "parts": [{"type": "text", "text": "Hello"}]}
    async with TestClient(app(store)) as client:
        body = {"commands": [], "threadId": "t", "state": {"honey": 1, "messages": [brought]}}
        await client.post("/assistant", json=body)
        message = {"id": "m", "role": "assistant", "content": [{"type": "text", "text": "Hi"}]}
        await client.post("/threads/t/messages", json={"message": message, "parentId": "u"})
        history = (await client.get("/threads/t/messages")).json()["messages"]

        assert (await state_of(client))["messages"] == [brought]
        assert [(item["message"]["id"], item["parentId"]) for item in history] == [("u", None), ("m", "u")]
