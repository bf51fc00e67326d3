"""`GET /v1/models`: the agents as models, for OpenAI's clients. Errors have OpenAI's form."""

from __future__ import annotations

import time
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from statecast.http.operation import Operation, Reply
from statecast.http.request.fields import named_agent
from statecast.http.response.errors import json_response
from statecast.protocol.openai.wire import OpenAiWire
from statecast.threads import Hub

__all__ = ["model_operations"]


class Model(msgspec.Struct):
    """An agent, as OpenAI's clients read a model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(msgspec.Struct):
    """All agents, as models."""

    object: Literal["list"]
    data: list[Model]


def model_operations(hub: Hub) -> list[Operation]:
    """Return the operations on models, below the base URL of OpenAI's clients, which ends with `/v1`."""
    models, form, one = _Models(hub), OpenAiWire().error, "/v1/models/{model}"
    return [
        Operation("GET", "/v1/models", models.list, "The agents, as models", {200: Reply(ModelList)}, form=form),
        Operation("GET", one, models.retrieve, "An agent, as a model", {200: Reply(Model)}, form=form),
    ]


class _Models:
    """Lists the agents as models. Source: docs/protocol/chat-completions.md, "GET /v1/models"."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._created = int(time.time())

    async def list(self, request: Request) -> Response:
        """Answer with all of them."""
        return json_response(ModelList("list", [self._describe(name) for name in self._hub.agents]))

    async def retrieve(self, request: Request) -> Response:
        """Answer with one.

        Raises:
            RequestError: `unknown_agent`.
        """
        return json_response(self._describe(named_agent(request.path_params["model"], self._hub).name))

    def _describe(self, name: str) -> Model:
        return Model(id=name, object="model", created=self._created, owned_by="statecast")
