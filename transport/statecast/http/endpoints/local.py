"""`POST /text`, `/sse` and `/json`: backends for adapters that someone has written by hand for a local runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from statecast.http.request.body import read_as
from statecast.http.request.fields import check_thread_id, named_agent
from statecast.http.response.answer import Answer, converse, stream_answer
from statecast.http.response.buffered import failed, hold, lost_connection, whole
from statecast.http.response.errors import stopping
from statecast.http.service import Service
from statecast.protocol.errors import Refusal
from statecast.protocol.local.events import TypedEventsEncoder
from statecast.protocol.local.reply import JsonReplyEncoder
from statecast.protocol.local.request import read_local
from statecast.protocol.local.text import ContentEventsEncoder, PlainTextEncoder
from statecast.protocol.messages.projection import Projection

__all__ = ["JsonEndpoint", "SseEndpoint", "TextEndpoint"]

SseEncoder = TypedEventsEncoder | ContentEventsEncoder

#: By the name in `?form=` of `/sse`; the first is the one an adapter gets that names none.
FORMS: Final[dict[str, Callable[[Projection], SseEncoder]]] = {
    TypedEventsEncoder.name: TypedEventsEncoder,
    ContentEventsEncoder.name: ContentEventsEncoder,
}


class _LocalEndpoint:
    """Takes the messages of a local runtime."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def accept(self, scope: Scope, receive: Receive) -> Answer:
        """Read a request, and accept what is new in it.

        Raises:
            Refusal: It was refused.
        """
        service, query = self._service, QueryParams(scope["query_string"])
        conversation = await read_as(scope, receive, service.hub.limits, read_local, claims=("messages",))
        if conversation.thread_id is not None:
            check_thread_id(conversation.thread_id)
        conversation = msgspec.structs.replace(conversation, agent=query.get("agent") or conversation.agent)
        agent = named_agent(conversation.agent, service.hub)
        caller = await service.caller(scope)
        if conversation.thread_id is not None and not conversation.messages:
            await service.hub.find(conversation.thread_id, owner=caller.owner)  # who only looks begins nothing
        lost = lost_connection(query, conversation.thread_id)
        return await converse(service, conversation, agent, caller, on_disconnect=lost)

    async def stream(
        self, answer: Answer, encoder: PlainTextEncoder | SseEncoder, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer with what `encoder` writes; with a status, if the run fails before there was anything to send.

        Raises:
            Refusal: The run failed, or the server stops.
        """
        held = await hold(self._service, answer, encoder, scope, receive)
        if held is None:
            return
        if held.reader.finished and encoder.error is not None:
            raise failed(encoder.error)
        if held.reader.finished and encoder.cut:
            raise stopping()
        await stream_answer(self._service, answer, encoder, scope, send, held=(held.reader, held.said))


class TextEndpoint(_LocalEndpoint):
    """Answers with the text that is said. Source: docs/protocol.md, "POST /text"."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self.accept(scope, receive)
        await self.stream(answer, PlainTextEncoder(answer.projection), scope, receive, send)


class SseEndpoint(_LocalEndpoint):
    """Answers with events. Source: docs/protocol.md, "POST /sse"."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = QueryParams(scope["query_string"]).get("form", next(iter(FORMS)))
        if name not in FORMS:
            known = ", ".join(f'"{known}"' for known in FORMS)
            raise Refusal(422, "unknown_format", f'expected a form out of {known}, got "{name[:60]}"')
        answer = await self.accept(scope, receive)
        await self.stream(answer, FORMS[name](answer.projection), scope, receive, send)


class JsonEndpoint(_LocalEndpoint):
    """Answers when the answer is complete. Source: docs/protocol.md, "POST /json"."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self.accept(scope, receive)
        encoder = JsonReplyEncoder(answer.projection)
        held = await hold(self._service, answer, encoder, scope, receive, whole=True)
        if held is None:
            return
        if encoder.error is not None:
            raise failed(encoder.error)
        if not held.said:
            raise stopping()
        await whole(answer, encoder, held.said)(scope, receive, send)
