"""O. A LangGraph agent: the bytes of an answer beside ag-ui-langgraph.

All sides serve one graph, whose model streams from a script, to a client in the same process. ag-ui-langgraph gets what
an AG-UI client posts: the whole conversation.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from ag_ui_langgraph import LangGraphAgent as PeerAgent
from ag_ui_langgraph import add_langgraph_fastapi_endpoint
from fastapi import FastAPI

from statecast import create_app
from statecast.frameworks import LangGraphAgent
from statecast.testing import TestClient

from .answers import a_graph
from .harness import Options, Result
from .plan import token
from .tokens import Tokens

__all__ = ["measure"]

QUESTIONS = 20  #: in the conversation before the answer that is measured
TOKENS = 200  #: of that answer
PAUSE = 0.005  #: seconds between tokens whose bytes are counted, so that none travel together
PEER = "ag-ui-langgraph"


class Conversation(Tokens):
    """A model's answers, of which the last one has its tokens one by one."""

    def __init__(self) -> None:
        super().__init__(TOKENS)
        self._answers = 0

    async def __aiter__(self) -> AsyncIterator[str]:
        pause = PAUSE if self._answers == QUESTIONS else 0.0
        self._answers += 1
        for piece in self:
            await asyncio.sleep(pause)
            yield piece


def measure(options: Options) -> list[Result]:
    """Measure the bytes once, since they do not vary."""
    kinds = ("transport", "ag-ui", "peer", "peer, no raw events")
    ours, own_ag_ui, peer, lean = (asyncio.run(bytes_of(kind)) for kind in kinds)
    what = f"O. LangGraph, {TOKENS} tokens after {QUESTIONS} questions"
    return [
        Result(measure=f"{what}, vs {PEER}", unit="KB", ours=ours, limit=peer, ratio=ours / peer, target=1.0),
        Result(
            measure="O. the same, vs ag-ui-langgraph without raw events",
            unit="KB",
            ours=ours,
            limit=lean,
            ratio=ours / lean,
            target=1.0,
        ),
        Result(measure="O. the same, both over AG-UI", unit="KB", ours=own_ag_ui, limit=lean, ratio=own_ag_ui / lean),
    ]


async def bytes_of(kind: str) -> float:
    """Return the kilobytes of the last response of a conversation."""
    graph = a_graph(Conversation())
    if kind.startswith("peer"):
        app: Any = FastAPI()
        peer = PeerAgent(name="agent", graph=graph, emit_raw_events=kind == "peer")
        add_langgraph_fastapi_endpoint(app, peer, "/ag-ui")
    else:
        app = create_app(LangGraphAgent(graph))
    async with TestClient(app) as client:
        talk = talk_transport if kind == "transport" else talk_ag_ui
        return len(await talk(client)) / 1e3


async def talk_transport(client: TestClient) -> bytes:
    state: Any = None
    for question in range(QUESTIONS + 1):
        message = {"role": "user", "parts": [{"type": "text", "text": f"Question {question}?"}]}
        body = {"commands": [{"type": "add-message", "message": message}], "threadId": "t", "state": state}
        response = await client.post("/assistant?protocol=assistant-transport", json=body)
        state = (await client.get("/threads/t/state")).json()["state"]
    assert response.content.count(b"append-text") >= TOKENS - 1, "an operation per token"
    return response.content


async def talk_ag_ui(client: TestClient) -> bytes:
    messages: list[Any] = []
    for question in range(QUESTIONS + 1):
        messages.append({"id": f"q-{question}", "role": "user", "content": f"Question {question}?"})
        body = {
            "threadId": "t",
            "runId": f"r-{question}",
            "messages": messages,
            "state": {},
            "tools": [],
            "context": [],
            "forwardedProps": {},
        }
        response = await client.post("/ag-ui", json=body, headers={"accept": "text/event-stream"})
        assert response.status == 200, response.content
        text = "".join(token(index) for index in range(TOKENS))
        messages.append({"id": f"a-{question}", "role": "assistant", "content": text})
    assert response.content.count(b"TEXT_MESSAGE_CONTENT") >= TOKENS - 1, "an event per token"
    return response.content
