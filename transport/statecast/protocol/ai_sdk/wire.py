"""The wire of the AI SDK and of assistant-ui's data-stream runtime. Source: docs/protocol/chat.md, "POST /chat"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Literal, TypeAlias

import msgspec

from statecast.protocol.errors import InvalidRequest, UnknownProtocol
from statecast.protocol.fields import chosen
from statecast.protocol.messages.conversation import Conversation
from statecast.protocol.messages.encoder import MessageEncoder
from statecast.protocol.messages.projection import Projection
from statecast.protocol.messages.wire import AgentName, Description, Exchange, Opening, Wire, WireRequest

from .data_stream import DataStreamMessagesEncoder
from .request import ChatBody, read_chat
from .ui_stream import UIMessageStreamEncoder

__all__ = ["MESSAGE_PROTOCOLS", "ChatExchange", "ChatWire"]

MessageProtocol: TypeAlias = Callable[[Projection], MessageEncoder]

#: By the name in `?protocol=`; the first is the one a client gets that names none.
MESSAGE_PROTOCOLS: Final[dict[str, MessageProtocol]] = {
    UIMessageStreamEncoder.name: UIMessageStreamEncoder,
    DataStreamMessagesEncoder.name: DataStreamMessagesEncoder,
}


class ChatExchange(Exchange, frozen=True, kw_only=True):
    """A request of either client."""

    protocol: MessageProtocol


class ChatWire(Wire[ChatExchange]):
    """Reads a chat's messages and streams the answer in one of two protocols."""

    path = "/chat"
    description = Description(
        summary="Send a chat's messages, get the answer",
        body=ChatBody,
        query={"protocol": Literal["ui-message-stream", "data-stream"], "approvals": bool, "agent": AgentName},
        media={"text/event-stream": "a UI message stream", "text/plain": "lines of a data stream"},
    )
    stream_path = "/chat/{thread_id}/stream"
    claims = ("messages", "state")

    def read(self, request: WireRequest) -> ChatExchange:
        """Read a request.

        Raises:
            RequestError: `unknown_protocol`, `invalid_request`; as `read_chat`.
        """
        protocol = _protocol_of(request.query)
        conversation = read_chat(request.body)
        agent = request.query.get("agent") or conversation.agent
        conversation = msgspec.structs.replace(conversation, agent=agent)
        return ChatExchange(conversation=conversation, protocol=protocol)

    def join(self, thread_id: str, query: Mapping[str, str]) -> ChatExchange:
        """Read a request of a client that lost its stream.

        Raises:
            RequestError: `unknown_protocol`, `invalid_request`.
        """
        protocol = _protocol_of(query)
        conversation = Conversation(messages=[], thread_id=thread_id)
        return ChatExchange(conversation=conversation, protocol=protocol)

    def encoder(self, exchange: ChatExchange, opening: Opening) -> MessageEncoder:
        """Return the encoder of the protocol that the client named."""
        encoder = exchange.protocol(opening.projection)
        if isinstance(encoder, UIMessageStreamEncoder):
            encoder.takes_ids = exchange.conversation.takes_ids
        return encoder


def _protocol_of(query: Mapping[str, str]) -> MessageProtocol:
    """Return the protocol that a query names; a data stream has lines about approvals where the query says so.

    Raises:
        RequestError: `unknown_protocol`, `invalid_request`.
    """
    approvals = query.get("approvals", "false")
    if approvals not in ("true", "false"):
        raise InvalidRequest(f'expected "true" or "false" as "approvals" in the query, got "{approvals[:60]}"')
    protocol = chosen(query.get("protocol"), MESSAGE_PROTOCOLS, "a protocol", UnknownProtocol)
    if approvals == "true" and protocol is DataStreamMessagesEncoder:
        return partial(DataStreamMessagesEncoder, approvals=True)
    return protocol
