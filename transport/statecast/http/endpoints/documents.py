"""`GET /threads/{id}/export` and `POST /threads/import`: a thread as one JSON document.

Source: docs/protocol/thread-requests.md, "GET /threads/{id}/export".
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from statecast.http.operation import Operation, Reply
from statecast.http.request.body import read_json
from statecast.http.request.fields import check_thread_id, named_agent
from statecast.http.response.errors import json_response
from statecast.http.service import Service
from statecast.http.summaries import check_title
from statecast.protocol import Cursor, RunEntry, RunState
from statecast.protocol.errors import RequestError
from statecast.protocol.thread_events.encoder import EventsEncoder
from statecast.stores import read_entry
from statecast.threads import Thread

from .travel import Place

__all__ = ["document_operations"]

#: The version of the documents.
VERSION: Final = 1

#: Frames that leave in one piece.
PIECE: Final = 256


class Exported(msgspec.Struct, rename="camel"):
    """A thread as a document."""

    statecast: Literal[1]  #: the version of the document
    thread_id: str
    agent: str
    title: str | None
    revision: int
    state: msgspec.Raw
    run: RunState | None
    messages: list[msgspec.Raw]  #: what pages have written into its history
    deleted: list[str]  #: the ids of messages that pages have deleted from it, and that the state still has
    history: list[dict[str, Any]]  #: the frames of its events, from the first revision that is kept on


class Imported(msgspec.Struct, rename="camel"):
    """A document of which a thread is made; what else it has is ignored."""

    statecast: Literal[1]
    state: msgspec.Raw
    thread_id: str | None = None
    agent: str | None = None
    title: str | None = None
    messages: list[msgspec.Raw] = []
    deleted: list[str] = []


class _Documents:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._hub = service.hub

    async def export(self, request: Request) -> Response:
        thread_id = request.path_params["thread_id"]
        check_thread_id(thread_id)
        thread = await self._hub.find(thread_id, owner=await self._service.owner(request.scope))
        revision, state = await self._hub.registry.snapshot(thread)
        summary = await self._hub.directory.find(thread.key)
        head = {
            "statecast": VERSION,
            "threadId": thread.id,
            "agent": thread.agent.name,
            "title": None if summary is None else summary.title,
            "revision": revision,
            "state": msgspec.Raw(state),
            "run": thread.last_run,
            "messages": [msgspec.Raw(data) for data in await self._hub.written_messages(thread)],
            "deleted": await self._hub.deleted_messages(thread),
        }
        return StreamingResponse(
            self._pieces(thread, revision, msgspec.json.encode(head)), media_type="application/json"
        )

    async def _pieces(self, thread: Thread, end: int, head: bytes) -> AsyncIterator[bytes]:
        """Yield the document, a piece at a time: its history may be many times as large as the state."""
        yield head[:-1] + b',"history":['
        comma = b""
        async for frames in self._history(thread, end):
            yield comma + b",".join(frames)
            comma = b","
        yield b"]}"

    async def _history(self, thread: Thread, end: int) -> AsyncIterator[list[bytes]]:
        """Yield the frames up to a revision, several at a time; those that are removed meanwhile are left out."""
        encoder = EventsEncoder(thread.epoch, _framed)
        try:
            stretch = await self._hub.past.first(thread)
            at = stretch.revision
            run = msgspec.json.decode(stretch.run, type=RunState | None)
            yield [encoder.snapshot(stretch.state, at, [] if run is None else [RunEntry(at, run)])]
            while at < end:
                entries = [entry for entry in stretch.entries if at < entry[0] <= end]
                for start in range(0, len(entries), PIECE):
                    yield [encoder.encode(read_entry(*entry)) for entry in entries[start : start + PIECE]]
                if not entries:
                    return
                at = entries[-1][0]
                stretch = await self._hub.past.stretch(thread, at)
        except RequestError:
            return

    async def import_(self, request: Request) -> Response:
        given: Imported = await read_json(request.scope, request.receive, self._hub.limits, Imported)
        if given.thread_id is not None:
            check_thread_id(given.thread_id)
        check_title(given.title)
        owner = await self._service.owner(request.scope)
        agent = named_agent(given.agent, self._hub)
        thread = await self._hub.import_thread(
            agent, given.state, given.messages, given.deleted, owner=owner, to=given.thread_id, title=given.title
        )
        return json_response(Place(thread.id, thread.log.revision, str(thread.cursor)), status=201)


def document_operations(service: Service) -> list[Operation]:
    """Return the operations on threads as documents."""
    documents = _Documents(service)
    path, made = "/threads/{thread_id}/export", {201: Reply(Place)}
    return [
        Operation("GET", path, documents.export, "A thread as a document", {200: Reply(Exported)}),
        Operation("POST", "/threads/import", documents.import_, "Make a thread of a document", made, Imported),
    ]


def _framed(cursor: Cursor, frame: bytes) -> bytes:
    return frame
