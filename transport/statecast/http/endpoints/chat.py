"""`POST /chat`: the AI SDK and assistant-ui's data-stream runtime. `GET /chat/{id}/stream`: the run that one lost."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, get_args

import msgspec
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from statecast.http.request.body import read_as
from statecast.http.request.fields import check_thread_id, named_agent
from statecast.http.response.answer import converse, join, stream_answer
from statecast.http.service import Service
from statecast.protocol import MESSAGE_PROTOCOLS
from statecast.protocol.ai_sdk.data_stream import DataStreamMessagesEncoder
from statecast.protocol.ai_sdk.request import read_chat
from statecast.protocol.ai_sdk.ui_stream import UIMessageStreamEncoder
from statecast.protocol.errors import Refusal
from statecast.protocol.messages.encoder import MessageEncoder
from statecast.protocol.messages.projection import Projection
from statecast.threads import OnDisconnect

__all__ = ["ChatEndpoint", "ChatStreamEndpoint"]


class ChatEndpoint:
    """Takes a conversation, and streams the answer. Source: docs/protocol.md, "POST /chat"."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._service
        query = QueryParams(scope["query_string"])
        write = message_protocol(query)
        conversation = await read_as(scope, receive, service.hub.limits, read_chat, claims=("messages", "state"))
        name = query.get("agent") or conversation.agent
        conversation = msgspec.structs.replace(conversation, agent=name)
        if conversation.thread_id is not None:
            check_thread_id(conversation.thread_id)
        agent = named_agent(name, service.hub)
        leaving = on_disconnect(query)
        answer = await converse(service, conversation, agent, await service.caller(scope), on_disconnect=leaving)
        encoder = write(answer.projection)
        if isinstance(encoder, UIMessageStreamEncoder):
            encoder.takes_ids = conversation.takes_ids
        await stream_answer(service, answer, encoder, scope, send)


class ChatStreamEndpoint:
    """Streams the answer that is being made, from its start. Source: docs/protocol.md, "GET /chat/{id}/stream"."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._service
        thread_id = scope["path_params"]["thread_id"]
        check_thread_id(thread_id)
        write = message_protocol(QueryParams(scope["query_string"]))
        thread = await service.hub.known(thread_id, owner=await service.owner(scope))
        if thread is None or thread.active is None:
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        answer = join(thread)
        await stream_answer(service, answer, write(answer.projection), scope, send)


def message_protocol(query: QueryParams) -> Callable[[Projection], MessageEncoder]:
    """Return the encoder of the protocol that the query names; the first one if it names none.

    With `approvals=true` a data stream has lines about approvals.

    Raises:
        Refusal: 422 `unknown_protocol`, `invalid_request`.
    """
    approvals = query.get("approvals", "false")
    if approvals not in ("true", "false"):
        message = f'expected "true" or "false" as "approvals" in the query, got "{approvals[:60]}"'
        raise Refusal(422, "invalid_request", message)
    name = query.get("protocol", next(iter(MESSAGE_PROTOCOLS)))
    if name not in MESSAGE_PROTOCOLS:
        known = ", ".join(f'"{known}"' for known in MESSAGE_PROTOCOLS)
        raise Refusal(422, "unknown_protocol", f'expected a protocol out of {known}, got "{name[:60]}"')
    encoder = MESSAGE_PROTOCOLS[name]
    if approvals == "true" and encoder is DataStreamMessagesEncoder:
        return partial(DataStreamMessagesEncoder, approvals=True)
    return encoder


def on_disconnect(query: QueryParams) -> OnDisconnect | None:
    """Return what the query says of a lost connection; None if it says nothing.

    Raises:
        Refusal: 422 `invalid_request`.
    """
    given = query.get("onDisconnect")
    if given is None:
        return None
    for known in _ON_DISCONNECT:
        if given == known:
            return known
    raise Refusal(422, "invalid_request", f'expected onDisconnect to be "continue" or "cancel", got "{given[:40]}"')


_ON_DISCONNECT: Final[tuple[OnDisconnect, ...]] = get_args(OnDisconnect)
