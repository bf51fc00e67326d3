"""`POST /v1/chat/completions` and `GET /v1/models`: the agents as models, for OpenAI's clients.

Every error here has OpenAI's form. Its clients try again by themselves unless they are told that it is no use.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Final

from starlette.datastructures import Headers, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from statecast.http.request.body import read_as
from statecast.http.request.fields import check_thread_id, named_agent
from statecast.http.response.answer import Answer, converse, stream_answer
from statecast.http.response.buffered import failed, hold, lost_connection, whole
from statecast.http.response.errors import from_http, json_response, stopping
from statecast.http.service import Service
from statecast.protocol.errors import Refusal
from statecast.protocol.openai.encoder import (
    ChatCompletionEncoder,
    ChatCompletionStreamEncoder,
    Completion,
    openai_error,
)
from statecast.protocol.openai.request import CompletionRequest, read_completion
from statecast.threads import Hub

__all__ = ["openai_routes"]

#: With one of these, the same request may succeed a moment later.
_PASSING: Final = frozenset({408, 429, 503})


def openai_routes(service: Service) -> list[Route]:
    """Return what an OpenAI client asks for, below its base URL, which ends with `/v1`."""
    models = _Models(service.hub)
    return [
        _Route("/v1/chat/completions", _ChatCompletions(service), methods=["POST"]),
        _Route("/v1/models", models.list, methods=["GET"]),
        _Route("/v1/models/{model}", models.retrieve, methods=["GET"]),
    ]


class _Route(Route):
    """A route whose errors have OpenAI's form."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or say what was wrong with it."""
        try:
            await super().handle(scope, receive, send)
        except (Refusal, HTTPException) as error:
            refusal = error if isinstance(error, Refusal) else from_http(error, scope)
            await _refused(refusal)(scope, receive, send)


def _refused(refusal: Refusal) -> Response:
    status, body = openai_error(refusal)
    response = json_response(body, status=status, headers=refusal.headers)
    if status not in _PASSING:
        response.headers["x-should-retry"] = "false"
    return response


class _ChatCompletions:
    """Takes a conversation, and answers it. Source: docs/protocol.md, "POST /v1/chat/completions"."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service, query = self._service, QueryParams(scope["query_string"])
        named = Headers(scope=scope).get("statecast-thread-id") or query.get("thread")
        read = partial(read_completion, thread_id=named or None)
        asked = await read_as(scope, receive, service.hub.limits, read, claims=("messages",))
        thread_id = asked.conversation.thread_id
        if thread_id is not None:
            check_thread_id(thread_id)
        agent = named_agent(asked.model, service.hub)
        caller = await service.caller(scope, key_alone=True)
        lost = lost_connection(query, thread_id)
        answer = await converse(service, asked.conversation, agent, caller, on_disconnect=lost)
        if asked.stream:
            await self._stream(asked, answer, scope, send)
        else:
            await self._reply(answer, scope, receive, send)

    async def _stream(self, asked: CompletionRequest, answer: Answer, scope: Scope, send: Send) -> None:
        completion = _completion(answer)
        encoder = ChatCompletionStreamEncoder(
            answer.projection, completion, tools=asked.tools, include_usage=asked.include_usage
        )
        await stream_answer(self._service, answer, encoder, scope, send)

    async def _reply(self, answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
        encoder = ChatCompletionEncoder(answer.projection, _completion(answer))
        held = await hold(self._service, answer, encoder, scope, receive, whole=True)
        if held is None:
            return
        if encoder.error is not None:
            raise failed(encoder.error)
        if not held.said:
            raise stopping()
        await whole(answer, encoder, held.said)(scope, receive, send)


def _completion(answer: Answer) -> Completion:
    accepted = answer.accepted
    name = accepted.run_id or accepted.thread.id
    return Completion(id=f"chatcmpl-{name}", model=accepted.thread.agent.name, created=int(time.time()))


class _Models:
    """Lists the agents as models. Source: docs/protocol.md, "GET /v1/models"."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._created = int(time.time())

    async def list(self, request: Request) -> Response:
        """Answer with all of them."""
        return json_response({"object": "list", "data": [self._describe(name) for name in self._hub.agents]})

    async def retrieve(self, request: Request) -> Response:
        """Answer with one.

        Raises:
            Refusal: 404 `unknown_agent`.
        """
        return json_response(self._describe(named_agent(request.path_params["model"], self._hub).name))

    def _describe(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._created, "owned_by": "statecast"}
