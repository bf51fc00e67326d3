"""The engine never decodes its own state to compare it with itself: a turn on a thread at rest decodes it once.

That makes what the agent works on; and when the run is over, the state is encoded once, to rest again.
"""

from __future__ import annotations

from typing import Any

import pytest

from statecast import AddMessage, Agent, Run, UntypedCommand, create_app
from statecast.testing import TestClient
from statecast.threads.offload import LARGE
from tests.transport.counting import counting_json

pytestmark = pytest.mark.anyio

#: What only the server's state has, in a message of it: no client posts it, and no stream shows it.
MARK = "only the server has this"

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
    """Have a thread at rest, and return its state."""
    first = await client.run({"type": "nothing"}, state=kept(size), thread_id="t")
    assert first.error is None
    state = await client.get("/threads/t/state")
    return state.content


@pytest.mark.parametrize("size", [1_000, 2 * LARGE], ids=["small", "large"])
@pytest.mark.parametrize("name", TURNS)
async def test_a_turn_decodes_the_state_once_and_encodes_it_once(name: str, size: int) -> None:
    path, body = TURNS[name]
    async with TestClient(create_app(agreeing())) as client:
        await rest(client, size)
        with counting_json(MARK.encode()) as counts:
            answer = await client.post(path, json=body)

        assert answer.status == 200, answer.content
        assert b"yes" in answer.content
        assert (counts.decoded, counts.encoded) == (1, 1)
