"""The clients of OpenAI and Anthropic, with a provider in the same process that answers with so many tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import anthropic
import httpx2
import openai

from statecast import AddMessage, Agent, Run
from statecast.frameworks import copy_stream, to_anthropic, to_openai, to_responses
from tests.frameworks.wires import WIRES, frame

from .tokens import Pair, Tokens, by_hand

__all__ = ["PAIRS", "a_client"]

#: Asks a model for its stream.
Ask = Callable[[Run], Any]

#: Stands for the token in the bytes of an event.
HOLE = b"HOLE"


class _Provider(httpx2.AsyncBaseTransport):
    """The provider that the clients of OpenAI and Anthropic reach."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        stream = _Frames(self._tokens, request.url.path)
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=stream)


class _Frames(httpx2.AsyncByteStream):
    def __init__(self, tokens: Tokens, path: str) -> None:
        self._frames = _frames(tokens, path)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._frames


async def _frames(tokens: Tokens, path: str) -> AsyncIterator[bytes]:
    wire = WIRES[path]()
    yield b"".join(map(frame, [*wire.begin(), *wire.events("text", "")]))
    form = b"".join(map(frame, wire.events("text", HOLE.decode())))
    async for piece in tokens:
        yield form.replace(HOLE, piece.encode())
    yield b"".join(map(frame, wire.end()))


def a_client(tokens: Tokens) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key="any", http_client=httpx2.AsyncClient(transport=_Provider(tokens)))


def chat(tokens: Tokens) -> Ask:
    client = a_client(tokens)
    return lambda run: client.chat.completions.create(model="fake", **to_openai(run))


def chat_text(chunk: Any) -> str | None:
    return chunk.choices[0].delta.content if chunk.choices else None


def responses(tokens: Tokens) -> Ask:
    client = a_client(tokens)
    return lambda run: client.responses.create(model="fake", **to_responses(run))


def responses_text(event: Any) -> str | None:
    return event.delta if event.type == "response.output_text.delta" else None


def claude(tokens: Tokens) -> Ask:
    client = anthropic.AsyncAnthropic(api_key="any", http_client=httpx2.AsyncClient(transport=_Provider(tokens)))
    return lambda run: client.messages.create(model="fake", max_tokens=100, **to_anthropic(run))


def claude_text(event: Any) -> str | None:
    return event.delta.text if event.type == "content_block_delta" and event.delta.type == "text_delta" else None


def a_pair(asking: Callable[[Tokens], Ask], text: Callable[[Any], str | None]) -> Pair:
    """Return the agents of a client: one copies its stream, the other reads the texts in it."""

    def copying(tokens: Tokens) -> Agent:
        agent, ask = Agent(), asking(tokens)

        @agent.on(AddMessage)
        async def answer(run: Run, command: AddMessage) -> None:
            await copy_stream(run, ask(run))

        return agent

    def reading(tokens: Tokens) -> Agent:
        ask = asking(tokens)

        async def read(run: Run, message: Any) -> AsyncIterator[str]:
            async for event in await ask(run):
                delta = text(event)
                if delta:
                    yield delta

        return by_hand(read)

    return Pair(copying, reading)


PAIRS: dict[str, Pair] = {
    "OpenAI, chat completions": a_pair(chat, chat_text),
    "OpenAI, responses": a_pair(responses, responses_text),
    "Anthropic": a_pair(claude, claude_text),
}
