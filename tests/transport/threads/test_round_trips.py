"""A run works on what the run before it has left: the engine neither encodes that state nor decodes it again."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import msgspec
import pytest

from statecast import AddMessage, Agent, Run, UntypedCommand, create_app
from statecast.protocol.messages.conversation import Conversation
from statecast.testing import TestClient
from statecast.threads.offload import LARGE
from tests.transport.codec_counts import counting_json

pytestmark = pytest.mark.anyio

#: What only the server's state has, in a message of it: no client posts it, and no stream shows it.
MARK = "only the server has this"

JSON = {"content-type": "application/json"}

USER = {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "hi"}]}
WORDS = {"id": "a1", "role": "assistant", "parts": [{"type": "text", "text": "hello"}]}
MORE = {"id": "u2", "role": "user", "parts": [{"type": "text", "text": "more"}]}
PLAIN = [
    {"id": "u1", "role": "user", "content": "hi"},
    {"id": "a1", "role": "assistant", "content": "hello"},
    {"id": "u2", "role": "user", "content": "more"},
]
AG_UI = {"threadId": "t", "runId": "r", "messages": PLAIN, "tools": [], "context": [], "forwardedProps": {}}

#: A turn in each protocol of messages.
TURNS: dict[str, tuple[str, dict[str, Any]]] = {
    "ui-message-stream": ("/chat", {"id": "t", "messages": [USER, WORDS, MORE]}),
    "data-stream": ("/chat?protocol=data-stream", {"threadId": "t", "messages": PLAIN}),
    "ag-ui": ("/ag-ui", {**AG_UI, "state": {}}),
    "openai": ("/v1/chat/completions?thread=t", {"model": "agent", "messages": PLAIN, "stream": True}),
    "openai, whole": ("/v1/chat/completions?thread=t", {"model": "agent", "messages": PLAIN}),
    "text": ("/text", {"threadId": "t", "messages": PLAIN}),
}


def agreeing() -> Agent:
    agent = Agent("agent", commands=["nothing"])

    @agent.on(AddMessage)
    async def agree(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text("yes")

    @agent.on("nothing")
    async def nothing(run: Run, command: UntypedCommand) -> None:
        pass

    return agent


def kept(size: int) -> dict[str, Any]:
    """Return a state of about so many bytes, with one turn."""
    answer = {**WORDS, "notes": [MARK, *(f"note {at:010}" for at in range(size // 18))]}
    return {"messages": [USER, answer]}


async def rest(client: TestClient, size: int) -> bytes:
    """Have a thread on which a run has ended, and return its state."""
    first = await client.run({"type": "nothing"}, state=kept(size), thread_id="t")
    assert first.error is None
    answer = await client.get("/threads/t/state")
    return bytes(msgspec.json.decode(answer.content, type=dict[str, msgspec.Raw])["state"])


@pytest.mark.parametrize("size", [1_000, 2 * LARGE], ids=["small", "large"])
@pytest.mark.parametrize("name", TURNS)
async def test_a_turn_after_another_neither_decodes_nor_encodes_the_state(name: str, size: int) -> None:
    path, body = TURNS[name]
    async with TestClient(create_app(agreeing())) as client:
        await rest(client, size)
        with counting_json(MARK.encode()) as counts:
            answer = await client.post(path, json=body)

        assert answer.status == 200, answer.content
        assert b"yes" in answer.content
        assert (counts.decoded, counts.encoded) == (0, 0)


def command(state: bytes) -> bytes:
    said = msgspec.json.encode({"role": "user", "parts": [{"type": "text", "text": "more"}]})
    return b'{"threadId":"t","state":%s,"commands":[{"type":"add-message","message":%s}]}' % (state, said)


#: A client's form of the state, and how often a turn decodes a small and a large one then: the posted one is split from
#: its body; where the two differ, a small one is decoded, and a large one is split, down to the message that differs.
CLAIMS: dict[str, tuple[Any, int, int]] = {
    "as it was sent": (lambda state: state, 1, 1),
    "written anew": (lambda state: msgspec.json.format(state, indent=1), 1, 1),
    "in another order": (lambda state: msgspec.json.encode(msgspec.json.decode(state), order="sorted"), 1 + 2, 1 + 6),
}


@pytest.mark.parametrize("size", [1_000, 2 * LARGE], ids=["small", "large"])
@pytest.mark.parametrize("name", CLAIMS)
async def test_a_claim_is_compared_with_the_state_that_the_run_is_to_have(name: str, size: int) -> None:
    form, *decoded = CLAIMS[name]
    async with TestClient(create_app(agreeing())) as client:
        state = form(await rest(client, size))
        with counting_json(MARK.encode()) as counts:
            answer = await client.post("/assistant", content=command(state), headers=JSON)

    assert answer.status == 200, answer.content
    assert MARK.encode() not in answer.content  # it agreed
    assert counts.decoded == decoded[size > LARGE]


async def say(client: TestClient, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], Awaitable[Any]]) -> bytes:
    """Return the answer to a conversation; something else is done while that is read, in a thread."""
    reading, go = threading.Event(), threading.Event()
    asks, answers = Conversation.new_turn, []

    def wait(*args: Any, **more: Any) -> Any:
        reading.set()
        assert go.wait(10)
        return asks(*args, **more)

    async def post() -> None:
        answers.append(await client.post("/chat", json={"id": "t", "messages": [USER, WORDS, MORE]}))

    async with anyio.create_task_group() as tasks:
        monkeypatch.setattr(Conversation, "new_turn", wait)
        tasks.start_soon(post)
        await anyio.to_thread.run_sync(reading.wait)
        monkeypatch.setattr(Conversation, "new_turn", asks)
        await meanwhile()
        go.set()
    (answer,) = answers
    assert answer.status == 200, answer.content
    return answer.content


async def texts(client: TestClient) -> list[str]:
    """Return the words of a thread's messages."""
    state = (await client.get("/threads/t/state")).json()["state"]
    return [message["parts"][0]["text"] for message in state["messages"]]


async def test_what_comes_while_a_conversation_is_read_stays_and_is_not_taken_for_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with TestClient(create_app(agreeing())) as client:
        await rest(client, 2 * LARGE)
        answer = await say(client, monkeypatch, lambda: client.run("between", thread_id="t"))

        assert answer.count(b'"text-delta"') == 1
        assert await texts(client) == ["hi", "hello", "between", "yes", "more", "yes"]


async def test_a_thread_that_is_deleted_while_a_conversation_is_read_begins_anew_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with TestClient(create_app(agreeing())) as client:
        await rest(client, 2 * LARGE)
        answer = await say(client, monkeypatch, lambda: client.request("DELETE", "/threads/t"))

        assert answer.count(b'"text-delta"') == 1
        assert await texts(client) == ["hi", "hello", "more", "yes"]
        assert MARK.encode() not in (await client.get("/threads/t/state")).content
