"""The wire of the AI SDK and of assistant-ui's data-stream runtime. Source: docs/protocol.md, "POST /chat"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

from statecast.protocol.errors import InvalidRequest, UnknownProtocol
from statecast.protocol.messages.conversation import Conversation
from statecast.protocol.messages.encoder import MessageEncoder
from statecast.protocol.messages.projection import Projection
from statecast.protocol.messages.wire import AgentName, Description, Exchange, Opening, Wire, WireRequest

from .data_stream import DataStreamMessagesEncoder
from .request import ChatBody, read_chat
from .ui_stream import UIMessageStreamEncoder

__all__ = ["MESSAGE_PROTOCOLS", "ChatExchange", "ChatWire"]

#: By the name in `?protocol=`; the first is the one a client gets that names none.
MESSAGE_PROTOCOLS: Final[dict[str, Callable[[Projection], MessageEncoder]]] = {
    UIMessageStreamEncoder.name: UIMessageStreamEncoder,
    DataStreamMessagesEncoder.name: DataStreamMessagesEncoder,
}


class ChatExchange(Exchange, frozen=True, kw_only=True):
    """A request of either client."""

    protocol: str
    approvals: bool = False  #: whether a data stream has lines about approvals


class ChatWire(Wire[ChatExchange]):
    """Takes a chat's messages and streams the answer, in one of two protocols."""

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
        protocol, approvals = _options(request.query)
        conversation = read_chat(request.body)
        agent = request.query.get("agent") or conversation.agent
        conversation = msgspec.structs.replace(conversation, agent=agent)
        return ChatExchange(conversation=conversation, protocol=protocol, approvals=approvals)

    def join(self, thread_id: str, query: Mapping[str, str]) -> ChatExchange:
        """Read a request of a client that lost its stream.

        Raises:
            RequestError: `unknown_protocol`, `invalid_request`.
        """
        protocol, approvals = _options(query)
        conversation = Conversation(messages=[], thread_id=thread_id)
        return ChatExchange(conversation=conversation, protocol=protocol, approvals=approvals)

    def encoder(self, exchange: ChatExchange, opening: Opening) -> MessageEncoder:
        """Return the encoder of the protocol that the client named."""
        if exchange.approvals and exchange.protocol == DataStreamMessagesEncoder.name:
            return DataStreamMessagesEncoder(opening.projection, approvals=True)
        encoder = MESSAGE_PROTOCOLS[exchange.protocol](opening.projection)
        if isinstance(encoder, UIMessageStreamEncoder):
            encoder.takes_ids = exchange.conversation.takes_ids
        return encoder


def _options(query: Mapping[str, str]) -> tuple[str, bool]:
    """Return the name of the protocol that a query asks for, and whether with lines about approvals.

    Raises:
        RequestError: `unknown_protocol`, `invalid_request`.
    """
    approvals = query.get("approvals", "false")
    if approvals not in ("true", "false"):
        message = f'expected "true" or "false" as "approvals" in the query, got "{approvals[:60]}"'
        raise InvalidRequest(message)
    name = query.get("protocol", next(iter(MESSAGE_PROTOCOLS)))
    if name not in MESSAGE_PROTOCOLS:
        known = ", ".join(f'"{known}"' for known in MESSAGE_PROTOCOLS)
        raise UnknownProtocol(f'expected a protocol out of {known}, got "{name[:60]}"')
    return name, approvals == "true"
