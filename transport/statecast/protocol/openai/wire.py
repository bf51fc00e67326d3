"""The wire of OpenAI's clients, to whom an agent is a model.

Every error has OpenAI's form. Its clients try again by themselves unless they are told that it is no use.
Source: docs/protocol.md, "POST /v1/chat/completions".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from statecast.protocol.errors import Refusal
from statecast.protocol.messages.encoder import MessageEncoder
from statecast.protocol.messages.wire import Description, Opening, Wire, WireRequest

from .encoder import ChatCompletionEncoder, ChatCompletionStreamEncoder, Completion, openai_error
from .request import CompletionBody, CompletionRequest, read_completion

__all__ = ["OpenAiWire"]

#: With one of these, the same request may succeed a moment later.
_PASSING: Final = frozenset({408, 429, 503})


class OpenAiWire(Wire[CompletionRequest]):
    """Takes a conversation, and answers with chunks or with one object."""

    path = "/v1/chat/completions"
    description = Description(
        summary="OpenAI's chat completions",
        body=CompletionBody,
        query={"thread": str},
        media={"text/event-stream": "chunks of a chat completion"},
        reply=dict[str, Any],
    )
    cancels_unnamed = True
    key_alone = True

    def read(self, request: WireRequest) -> CompletionRequest:
        """Read a request.

        Raises:
            Refusal: As `read_completion`.
        """
        named = request.headers.get("statecast-thread-id") or request.query.get("thread")
        return read_completion(request.body, thread_id=named or None)

    def encoder(self, exchange: CompletionRequest, opening: Opening) -> MessageEncoder:
        """Return the encoder of the form that the client asked for."""
        projection = opening.projection
        name = opening.run_id or (opening.thread.id if opening.thread is not None else "")
        completion = Completion(id=f"chatcmpl-{name}", model=opening.agent, created=opening.at)
        if exchange.delivery == "whole":
            return ChatCompletionEncoder(projection, completion)
        return ChatCompletionStreamEncoder(
            projection, completion, tools=exchange.tools, include_usage=exchange.include_usage
        )

    def error(self, refusal: Refusal) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """Return an error in OpenAI's form."""
        status, body = openai_error(refusal)
        retry = {} if status in _PASSING else {"x-should-retry": "false"}
        return status, body, {**refusal.headers, **retry}
