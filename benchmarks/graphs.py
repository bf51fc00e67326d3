"""O. A LangGraph agent: the bytes of an answer beside ag-ui-langgraph, and what the adapter costs per token.

All sides serve one graph, whose model streams from a script, to a client in the same process. ag-ui-langgraph gets what
an AG-UI client posts: the whole conversation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import process_time
from typing import Any

from ag_ui_langgraph import LangGraphAgent as PeerAgent
from ag_ui_langgraph import add_langgraph_fastapi_endpoint
from fastapi import FastAPI
from langchain.agents import create_agent
from langchain_core.language_models.chat_models import BaseChatModel, agenerate_from_stream
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langgraph.checkpoint.memory import InMemorySaver

from statecast import AddMessage, Agent, Run, create_app
from statecast.frameworks import LangGraphAgent
from statecast.testing import TestClient

from .harness import Options, Result, compare, interleave, median
from .plan import token

__all__ = ["measure"]

QUESTIONS = 20  #: in the conversation before the answer that is measured
TOKENS = 200  #: of that answer
MANY = 2_000  #: tokens of an answer whose time is measured
PAUSE = 0.005  #: seconds between tokens whose bytes are counted, so that none travel together
PEER = "ag-ui-langgraph"


class Model(BaseChatModel):
    """A model that answers each question with so many tokens."""

    count: int
    pauses_after: int | None = None  #: how many answers come before one whose tokens come one by one
    asked: int = 0

    @property
    def _llm_type(self) -> str:
        return "tokens"

    def _generate(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    async def _agenerate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        return await agenerate_from_stream(self._astream(messages, stop, run_manager))

    async def _astream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        pause = PAUSE if self.asked == self.pauses_after else 0.0
        self.asked += 1
        for index in range(self.count):
            await asyncio.sleep(pause)
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=token(index)))
            if run_manager is not None:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


def a_graph(count: int, pauses_after: int | None = None) -> Any:
    return create_agent(Model(count=count, pauses_after=pauses_after), [], checkpointer=InMemorySaver())


def measure(options: Options) -> list[Result]:
    """Measure the bytes once, since they do not vary, and the time of a token in rounds."""
    kinds = ("transport", "ag-ui", "peer", "peer, no raw events")
    ours, own_ag_ui, peer, lean = (asyncio.run(bytes_of(kind)) for kind in kinds)
    what = f"O. LangGraph, {TOKENS} tokens after {QUESTIONS} questions"
    results = [
        Result(measure=f"{what}, to {PEER}", unit="KB", ours=ours, limit=peer, ratio=ours / peer, target=1.0),
        Result(
            measure="O. the same, its raw events off", unit="KB", ours=ours, limit=lean, ratio=ours / lean, target=1.0
        ),
        Result(measure="O. the same, both over AG-UI", unit="KB", ours=own_ag_ui, limit=lean, ratio=own_ag_ui / lean),
    ]
    sides: dict[str, Callable[[], float]] = {
        "ours": lambda: asyncio.run(time_of(LangGraphAgent(a_graph(MANY)))),
        "limit": lambda: asyncio.run(time_of(by_hand(a_graph(MANY)))),
        "long": lambda: asyncio.run(time_of(LangGraphAgent(a_graph(MANY)), before=QUESTIONS)),
        "long limit": lambda: asyncio.run(time_of(by_hand(a_graph(MANY)), before=QUESTIONS)),
    }
    samples = interleave(sides, options.of(7))
    title = "O. LangGraph, processor time of a token, to one written by hand"
    results.append(compare(title, "µs", samples, target=1.3, scale=1e6))
    after = f"O. the same after {QUESTIONS} answers of {MANY:,} tokens"
    results.append(compare(after, "µs", samples, target=1.3, ours="long", limit="long limit", scale=1e6))
    flat = median(samples["long"]) / median(samples["ours"])
    return [
        *results,
        Result(
            measure="O. a token there, to one of the first answer",
            unit="µs",
            ours=median(samples["long"]) * 1e6,
            limit=median(samples["ours"]) * 1e6,
            ratio=flat,
            target=1.2,
        ),
    ]


async def bytes_of(kind: str) -> float:
    """Return the kilobytes of the last response of a conversation."""
    graph = a_graph(TOKENS, QUESTIONS)
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


def by_hand(graph: Any) -> Agent:
    """Return an agent whose handler writes the graph's tokens itself, and does nothing else that the adapter does."""
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        given = {"messages": [{"role": "user", "content": command.message.text}]}
        config = {"configurable": {"thread_id": run.thread_id}}
        async for chunk, _ in graph.astream(given, config, stream_mode="messages"):
            if chunk.content:
                message.append_text(chunk.content)

    return agent


async def time_of(agent: Agent, *, before: int = 0) -> float:
    """Return the seconds of processor time per token of an answer, after other answers."""
    async with TestClient(agent) as client:
        for question in range(before):
            await client.run(f"Question {question}?", thread_id="t")
        started = process_time()
        result = await client.run("The question?", thread_id="t")
        seconds = process_time() - started
    assert result.error is None, result.error
    return seconds / MANY
