"""The conformance tests' provider behind the real clients of OpenAI and Anthropic, as an HTTP transport."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any, cast

import httpx2

from .provider import CallArgs, CallBegin, Provider, ProviderError, Reasoning, Request, Step, Text
from .wires import WIRES, frame

__all__ = ["http_client"]


def http_client(provider: Provider) -> httpx2.AsyncClient:
    """Return a client of HTTP whose requests `provider` answers, whatever their host."""
    return httpx2.AsyncClient(transport=_Transport(provider))


class _Transport(httpx2.AsyncBaseTransport):
    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer with an event stream; a provider that fails before its first token answers with 500."""
        asked = _read(json.loads(await request.aread()))
        frames = _frames(self._provider.answer(asked), request.url.path)
        try:
            first = await anext(frames)
        except ProviderError as error:
            return httpx2.Response(500, json={"error": {"message": str(error), "type": "server_error"}})
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=_Stream(first, frames))


class _Stream(httpx2.AsyncByteStream):
    def __init__(self, first: bytes, rest: AsyncGenerator[bytes]) -> None:
        self._first = first
        self._rest = rest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._first
        async for piece in self._rest:
            yield piece

    async def aclose(self) -> None:
        await self._rest.aclose()


async def _frames(steps: AsyncIterator[Step], path: str) -> AsyncGenerator[bytes]:
    wire = WIRES[path]()
    head = [*wire.begin()]
    ids: dict[int, str] = {}
    async with aclosing(cast(AsyncGenerator[Step], steps)):
        try:
            async for step in steps:
                yield b"".join(map(frame, [*head, *wire.events(*_delta(step, ids))]))
                head = []
        except ProviderError as error:
            if head:
                raise
            yield b"".join(map(frame, wire.events("error", str(error))))
            return
    yield b"".join(map(frame, wire.end()))


def _delta(step: Step, ids: dict[int, str]) -> tuple[Any, ...]:
    match step:
        case Text(delta):
            return "text", delta
        case Reasoning(delta):
            return "reasoning", delta
        case CallBegin(id, name, index):
            ids[index] = id
            return "call", id, name
        case CallArgs(delta, index):
            return "args", ids[index], delta
    raise AssertionError(step)


def _read(body: Any) -> Request:
    """Return what a request asks, in any of the three APIs."""
    messages = [*_messages(body.get("messages") or body["input"])]
    tools = [tool.get("function", tool)["name"] for tool in body.get("tools", ())]
    return Request(messages, tools)


def _messages(items: list[Any]) -> Iterator[tuple[str, str]]:
    for item in items:
        if item.get("type") == "function_call_output":
            yield "tool", item["output"]
        if "role" not in item:
            continue
        content = item.get("content") or ""
        if isinstance(content, str):
            yield item["role"], content
            continue
        for part in content:
            if part["type"] == "tool_result":
                yield "tool", part["content"]
            elif "text" in part:
                yield item["role"], part["text"]
