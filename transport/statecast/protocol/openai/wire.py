"""The wire of OpenAI's clients, to whom an agent is a model.

Every error has OpenAI's form. Its clients retry by themselves unless a header tells them not to.
Source: docs/protocol/chat-completions.md, "POST /v1/chat/completions".
"""

from __future__ import annotations

from typing import Any, Final

from statecast.protocol.errors import (
    ErrorForm,
    Failed,
    Forbidden,
    Invalid,
    Malformed,
    RequestError,
    TimedOut,
    TooMany,
    Unauthorized,
    Unavailable,
)
from statecast.protocol.messages.encoder import MessageEncoder
from statecast.protocol.messages.wire import Description, Opening, Wire, WireRequest
from statecast_agents.errors import CommandError, MessageConflict, StateInvalid

from .encoder import ChatCompletionEncoder, ChatCompletionStreamEncoder, Completion, openai_error
from .request import CompletionBody, CompletionRequest, read_completion

__all__ = ["OpenAiWire"]

#: What this protocol calls kinds of errors; others are of the request.
_TYPES: Final = {
    Unauthorized: "authentication_error",
    Forbidden: "permission_error",
    TooMany: "rate_limit_error",
    Failed: "server_error",
    Unavailable: "server_error",
}

#: Codes that this protocol has words of its own for.
_CODES: Final = {"unknown_agent": "model_not_found"}


class OpenAiWire(Wire[CompletionRequest]):
    """Reads a chat completion, and answers with chunks or with one object."""

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
            RequestError: As `read_completion`.
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

    def error(self, error: RequestError) -> ErrorForm:
        """Return an error in OpenAI's form. An invalid request is like one that cannot be read."""
        kind = next((name for family, name in _TYPES.items() if isinstance(error, family)), "invalid_request_error")
        body = openai_error(kind, _CODES.get(error.code, error.code), error.message, error.fields().get("param"))
        retry = {} if isinstance(error, TimedOut | TooMany | Unavailable) else {"x-should-retry": "false"}
        is_invalid = isinstance(error, Invalid | CommandError | StateInvalid) and not isinstance(error, MessageConflict)
        return ErrorForm(body, retry, Malformed if is_invalid else None)
