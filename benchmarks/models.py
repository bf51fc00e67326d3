"""Q. OpenAI's and Anthropic's clients and the OpenAI Agents SDK: what their adapters cost per token.

The real packages read the wire of a provider in the same process. The limit is a handler that writes the tokens of the
same stream itself, and does nothing else that the adapter does.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import agents
import httpx2
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from statecast import AddMessage, Agent, Run
from statecast.frameworks import OpenAIAgentsAgent, copy_stream, to_anthropic, to_openai, to_responses

from .graphs import MANY, QUESTIONS, time_of
from .harness import Options, Result, compare, interleave
from .plan import token

__all__ = ["measure"]

Json = Any


def measure(options: Options) -> list[Result]:
    """Measure the time of a token in rounds."""
    agents.set_tracing_disabled(True)  # it would send traces over the network
    results = []
    for title, ours, limit in (
        ("OpenAI's chat completions", copying(ask_chat), by_hand(ask_chat, chat_delta)),
        ("OpenAI's responses", copying(ask_responses), by_hand(ask_responses, delta)),
        ("Anthropic's messages", copying(ask_anthropic), by_hand(ask_anthropic, anthropic_delta)),
        ("the OpenAI Agents SDK", lambda: OpenAIAgentsAgent(sdk_agent()), sdk_by_hand),
    ):
        sides = {
            "ours": partial(seconds, ours),
            "limit": partial(seconds, limit),
            "long": partial(seconds, ours, before=QUESTIONS),
            "long limit": partial(seconds, limit, before=QUESTIONS),
        }
        samples = interleave(sides, options.of(5))
        name = f"Q. {title}, a token, to one written by hand"
        results.append(compare(name, "µs", samples, target=1.3, scale=1e6))
        after = f"Q. the same after {QUESTIONS} answers of {MANY:,} tokens"
        results.append(compare(after, "µs", samples, target=1.3, ours="long", limit="long limit", scale=1e6))
    return results


def seconds(make: Callable[[], Agent], *, before: int = 0) -> float:
    """Return the seconds of processor time per token of an answer, after other answers."""
    return asyncio.run(time_of(make(), before=before))


Ask = Callable[[Run], Awaitable[Any]]


def copying(ask: Ask) -> Callable[[], Agent]:
    """Return what makes an agent that copies the streams of a client."""

    def make() -> Agent:
        agent = Agent()

        @agent.on(AddMessage)
        async def answer(run: Run, command: AddMessage) -> None:
            await copy_stream(run, await ask(run))

        return agent

    return make


def by_hand(ask: Ask, delta_of: Callable[[Any], str | None]) -> Callable[[], Agent]:
    """Return what makes an agent whose handler writes the deltas of the streams itself."""

    def make() -> Agent:
        agent = Agent()

        @agent.on(AddMessage)
        async def answer(run: Run, command: AddMessage) -> None:
            stream = await ask(run)
            message = run.messages.assistant()
            async for event in stream:
                delta = delta_of(event)
                if delta:
                    message.append_text(delta)

        return agent

    return make


def sdk_agent() -> Any:
    model = agents.OpenAIResponsesModel(model="tokens", openai_client=openai_client())
    return agents.Agent(name="Tokens", model=model)


def sdk_by_hand() -> Agent:
    """Return an agent whose handler writes the deltas of the SDK's runs itself."""
    sdk = sdk_agent()
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        given: Any = [
            {"role": message.role, "content": message.text} for message in run.messages
        ]  # what a session would hold
        result = agents.Runner.run_streamed(sdk, given)
        message = run.messages.assistant()
        async for event in result.stream_events():
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                message.append_text(event.data.delta)

    return agent


def ask_chat(run: Run) -> Awaitable[Any]:
    return openai_client().chat.completions.create(model="tokens", **to_openai(run))


def ask_responses(run: Run) -> Awaitable[Any]:
    return openai_client().responses.create(model="tokens", **to_responses(run))


def ask_anthropic(run: Run) -> Awaitable[Any]:
    http = httpx2.AsyncClient(transport=Provider())
    client = AsyncAnthropic(base_url="http://provider", api_key="any", http_client=http)
    return client.messages.create(model="tokens", max_tokens=MANY, **to_anthropic(run))


def openai_client() -> AsyncOpenAI:
    http = httpx2.AsyncClient(transport=Provider())
    return AsyncOpenAI(base_url="http://provider/v1", api_key="any", http_client=http)


def chat_delta(chunk: Any) -> str | None:
    return chunk.choices[0].delta.content if chunk.choices else None


def delta(event: Any) -> str | None:
    return event.delta if event.type == "response.output_text.delta" else None


def anthropic_delta(event: Any) -> str | None:
    return event.delta.text if event.type == "content_block_delta" else None


class Provider(httpx2.AsyncBaseTransport):
    """Answers every request with so many tokens, each in a piece of its own."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        events = EVENTS[request.url.path]()
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Pieces(events))


class Pieces(httpx2.AsyncByteStream):
    """Events as a response."""

    def __init__(self, events: Iterator[Json]) -> None:
        self._events = events

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for event in self._events:
            await asyncio.sleep(0)
            yield f"event: {event.get('type', 'chunk')}\ndata: {json.dumps(event)}\n\n".encode()


def chat_events() -> Iterator[Json]:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "tokens"}
    for index in range(MANY):
        yield {**chunk, "choices": [{"index": 0, "delta": {"content": token(index)}, "finish_reason": None}]}
    yield {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def response_events() -> Iterator[Json]:
    response: Json = {
        "id": "r",
        "object": "response",
        "created_at": 1,
        "model": "tokens",
        "status": "completed",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    yield {"type": "response.created", "sequence_number": 0, "response": response}
    item: Json = {"id": "i", "type": "message", "role": "assistant", "status": "completed", "content": []}
    at = {"item_id": "i", "output_index": 0, "content_index": 0, "logprobs": []}
    yield {"type": "response.output_item.added", "sequence_number": 1, "item": item, "output_index": 0}
    for index in range(MANY):
        yield {"type": "response.output_text.delta", "sequence_number": index + 2, "delta": token(index), **at}
    text = "".join(map(token, range(MANY)))
    item = {**item, "content": [{"type": "output_text", "text": text, "annotations": []}]}
    yield {"type": "response.output_item.done", "sequence_number": MANY + 2, "item": item, "output_index": 0}
    done = {**response, "output": [item]}
    yield {"type": "response.completed", "sequence_number": MANY + 3, "response": done}


def anthropic_events() -> Iterator[Json]:
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {"id": "m", "type": "message", "role": "assistant", "model": "tokens", "content": [], "usage": usage}
    yield {"type": "message_start", "message": {**message, "stop_reason": None, "stop_sequence": None}}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    for index in range(MANY):
        piece = {"type": "text_delta", "text": token(index)}
        yield {"type": "content_block_delta", "index": 0, "delta": piece}
    yield {"type": "content_block_stop", "index": 0}
    yield {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage}
    yield {"type": "message_stop"}


EVENTS: dict[str, Callable[[], Iterator[Json]]] = {
    "/v1/chat/completions": chat_events,
    "/v1/responses": response_events,
    "/v1/messages": anthropic_events,
}
