"""The wires of hand-written adapters for a local runtime: one form of request, three of answers.

Source: docs/protocol/text-sse-json.md, "POST /text", "POST /sse", "POST /json".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Literal

import msgspec

from statecast.protocol.errors import UnknownFormat
from statecast.protocol.fields import chosen
from statecast.protocol.messages.encoder import MessageEncoder
from statecast.protocol.messages.wire import AgentName, Delivery, Description, Exchange, Opening, Wire, WireRequest

from .events import TypedEventsEncoder
from .reply import JsonReply, JsonReplyEncoder
from .request import LocalBody, read_local
from .text import ContentEventsEncoder, PlainTextEncoder

__all__ = ["FORMS", "JsonWire", "SseWire", "TextWire"]

#: By the name in `?form=` of `/sse`; the first is the one an adapter gets that names none.
FORMS: Final[dict[str, type[MessageEncoder]]] = {
    TypedEventsEncoder.name: TypedEventsEncoder,
    ContentEventsEncoder.name: ContentEventsEncoder,
}


class LocalExchange(Exchange, frozen=True, kw_only=True):
    """A request of an adapter."""

    encoder: type[MessageEncoder]  #: of the form that it asks for


class _LocalWire(Wire[LocalExchange]):
    """Reads the messages of a local runtime."""

    cancels_unnamed = True
    delivery: ClassVar[Delivery] = "held"
    encoder_type: ClassVar[type[MessageEncoder]]

    def read(self, request: WireRequest) -> LocalExchange:
        """Read a request.

        Raises:
            RequestError: As `read_local`; `unknown_format`.
        """
        encoder = self.form(request.query)
        conversation = read_local(request.body)
        agent = request.query.get("agent") or conversation.agent
        conversation = msgspec.structs.replace(conversation, agent=agent)
        return LocalExchange(conversation=conversation, delivery=self.delivery, encoder=encoder)

    def encoder(self, exchange: LocalExchange, opening: Opening) -> MessageEncoder:
        """Return the encoder that the request asked for."""
        return exchange.encoder(opening.projection)

    def form(self, query: Mapping[str, str]) -> type[MessageEncoder]:
        """Return the encoder of the form that a query names.

        Raises:
            RequestError: `unknown_format`.
        """
        return self.encoder_type


class TextWire(_LocalWire):
    """Streams the text of the answer."""

    path = "/text"
    description = Description(
        summary="Send messages, get the text of the answer",
        body=LocalBody,
        media={"text/plain": "the text, as it is made"},
    )
    encoder_type = PlainTextEncoder


class SseWire(_LocalWire):
    """Streams the answer as events, in the form that the query names."""

    path = "/sse"
    description = Description(
        summary="Send messages, get the answer as events",
        body=LocalBody,
        query={"form": Literal["events", "content"], "agent": AgentName},
        media={"text/event-stream": "events, in the form that the query names"},
    )

    def form(self, query: Mapping[str, str]) -> type[MessageEncoder]:
        """Return the encoder of the form that a query names.

        Raises:
            RequestError: `unknown_format`.
        """
        return chosen(query.get("form"), FORMS, "a form", UnknownFormat)


class JsonWire(_LocalWire):
    """Returns the answer as one JSON object."""

    path = "/json"
    description = Description(summary="Send messages, get the answer as a whole", body=LocalBody, reply=JsonReply)
    delivery = "whole"
    encoder_type = JsonReplyEncoder
