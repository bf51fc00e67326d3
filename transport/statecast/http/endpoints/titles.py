"""Titles and suggestions, streamed as the agent's hooks make them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress
from functools import partial
from typing import Final, TypeVar

import msgspec
from starlette.responses import StreamingResponse
from starlette.types import Send

from statecast.http.response.stream import LINGER
from statecast.protocol.event_stream import STREAMED
from statecast.stores import Summary, SummaryChanged
from statecast.threads import HookCalls, HookFailed, Hub
from statecast.threads.errors import AgentFailed, UnknownThread
from statecast_agents import About, Agent, Json

__all__ = ["suggestions_response", "title_response"]

#: Characters of a title that are kept, and sent.
MAX_TITLE: Final = 1_000

_T = TypeVar("_T")


class _HookStream(StreamingResponse):
    """A hook's output as a response. If the hook fails, the connection is cut: nothing else can report it."""

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Add the headers of every stream."""
        super().init_headers(headers)
        self.raw_headers += STREAMED

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except HookFailed:
            await asyncio.sleep(LINGER)


async def title_response(hub: Hub, summary: Summary, agent: Agent, about: About) -> StreamingResponse:
    """Stream a thread's title as text. The title is stored before the stream ends.

    Raises:
        RequestError: `agent_failed`, if the hook fails before its first word; `server_full` or `server_stopping`;
            `too_many_runs`.
    """
    pieces: AsyncGenerator[str, None] | HookCalls[str]
    if agent.hooks.has("title"):
        pieces = hub.ask(agent, summary.key, "a title", partial(agent.hooks.title, about))
    else:
        pieces = agent.hooks.title(about)
    first = await _first(pieces, "", "a title")
    return _HookStream(_titled(hub, summary, _on(first, pieces)), media_type="text/plain")


async def suggestions_response(hub: Hub, summary: Summary, agent: Agent, about: About) -> StreamingResponse:
    """Stream suggestions as lines of JSON: each line is the whole list so far.

    Raises:
        RequestError: `agent_failed`, if the hook fails before its first suggestion; `server_full` or `server_stopping`;
            `too_many_runs`.
    """
    lists: AsyncGenerator[list[dict[str, Json]], None] | HookCalls[list[dict[str, Json]]]
    if agent.hooks.has("suggest"):
        lists = hub.ask(agent, summary.key, "suggestions", partial(agent.hooks.suggestions, about))
    else:
        lists = agent.hooks.suggestions(about)
    first = await _first(lists, [], "suggestions")
    return _HookStream(_suggested(_on(first, lists)), media_type="application/x-ndjson")


async def _first(pieces: AsyncIterator[_T], otherwise: _T, what: str) -> _T:
    try:
        return await anext(pieces, otherwise)
    except HookFailed:
        message = f"the agent could not make {what}; the reason is in the server's log"
        raise AgentFailed(message) from None


async def _on(first: _T, pieces: AsyncIterator[_T]) -> AsyncGenerator[_T, None]:
    """Yield all pieces. If the iterator is closed, the hook is stopped."""
    try:
        yield first
        async for piece in pieces:
            yield piece
    finally:
        if isinstance(pieces, HookCalls):
            pieces.close()


async def _suggested(lists: AsyncGenerator[list[dict[str, Json]], None]) -> AsyncIterator[bytes]:
    async with aclosing(lists):
        async for found in lists:
            yield msgspec.json.encode(found) + b"\n"


async def _titled(hub: Hub, summary: Summary, pieces: AsyncGenerator[str, None]) -> AsyncIterator[bytes]:
    title = ""
    async with aclosing(pieces):
        async for piece in pieces:
            more = piece[: MAX_TITLE - len(title)]
            title += more
            yield more.encode()
    if title.strip():
        with suppress(UnknownThread):  # it was deleted meanwhile
            await hub.directory.describe(SummaryChanged(key=summary.key, at=time.time(), title=title.strip()))
