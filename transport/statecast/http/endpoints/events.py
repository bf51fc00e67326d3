"""`GET /threads/{id}/events`: follow a thread across its runs, from any cursor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

from starlette.datastructures import Headers, QueryParams
from starlette.types import Receive, Scope, Send

from statecast.http.operation import Operation, Reply
from statecast.http.request.fields import check_thread_id
from statecast.http.response.stream import GATHER, Stream, begin_stream
from statecast.http.response.subscription import Subscription
from statecast.http.service import Service
from statecast.protocol import Cursor, Encoder
from statecast.protocol.errors import UnknownFormat
from statecast.protocol.fields import chosen
from statecast.protocol.thread_events.encoder import EventsEncoder
from statecast.protocol.thread_events.patches import PatchEventsEncoder
from statecast.threads import Hub, Thread

__all__ = ["Format", "event_operations", "followed", "place_of"]

Format = Literal["operations", "json-patch", "snapshot"]

_FORMATS: Final[Mapping[str, Format]] = {known: known for known in get_args(Format)}

#: The cursor of a reader that begins where the history of a thread begins.
START: Final = "start"

#: Seconds between two whole states of `?format=snapshot`.
WHOLE_EVERY: Final = 0.25


def event_operations(service: Service) -> list[Operation]:
    """Return the operation that follows a thread."""
    stream = {200: Reply(media={"text/event-stream": "an event for each entry of the log"})}
    query, path = {"format": Format, "cursor": str}, "/threads/{thread_id}/events"
    return [Operation("GET", path, _Events(service), "Follow a thread across its runs", stream, query=query)]


class _Events:
    """Stream a thread's events. Source: docs/protocol/thread-events.md, "GET /threads/{id}/events"."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._service
        thread_id = scope["path_params"]["thread_id"]
        check_thread_id(thread_id)
        query = QueryParams(scope["query_string"])
        form = format_of(query)
        thread = await service.hub.find(thread_id, owner=await service.owner(scope))
        given = Headers(scope=scope).get("last-event-id") or query.get("cursor") or ""
        await service.hub.check_place(thread, Cursor.parse(given))
        encoder = PatchEventsEncoder(thread.epoch) if form == "json-patch" else EventsEncoder(thread.epoch)
        whole = form == "snapshot"
        if form == "operations":
            subscription = followed(service.hub, thread, encoder, given)
        else:
            subscription = Subscription.to_thread(service.hub, thread, encoder, None, whole=whole)
        headers = [*encoder.headers, (b"statecast-thread-id", thread.id.encode())]
        stream = Stream(subscription, gather=WHOLE_EVERY if whole else GATHER)
        await begin_stream(scope, send, headers, stream)


def format_of(query: QueryParams) -> Format:
    """Return the requested format of changes.

    Raises:
        RequestError: `unknown_format`.
    """
    return chosen(query.get("format"), _FORMATS, "a format", UnknownFormat)


def followed(hub: Hub, thread: Thread, encoder: Encoder, cursor: str) -> Subscription:
    """Return a subscription from a cursor on; "start" is where the history begins."""
    if cursor == START:
        return Subscription.from_start(hub, thread, encoder)
    return Subscription.to_thread(hub, thread, encoder, place_of(cursor, thread))


def place_of(text: str, thread: Thread) -> int | None:
    """Return a cursor's revision if the log reaches back to it; None: a snapshot is needed."""
    cursor = Cursor.parse(text)
    if cursor is None or cursor.epoch != thread.epoch:
        return None
    return cursor.revision if thread.log.reaches(cursor.revision) else None
