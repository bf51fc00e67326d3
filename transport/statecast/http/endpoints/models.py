"""`GET /v1/models`: the agents as models, for OpenAI's clients. Errors have OpenAI's form."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from statecast.http.request.fields import named_agent
from statecast.http.response.errors import FormRoute, json_response
from statecast.protocol.openai.wire import OpenAiWire
from statecast.threads import Hub

from .wires import wire_form

__all__ = ["model_routes"]


def model_routes(hub: Hub) -> list[Route]:
    """Return the routes of the list of models, below the base URL of OpenAI's clients, which ends with `/v1`."""
    models = _Models(hub)
    route = partial(FormRoute, form=wire_form(OpenAiWire()), methods=["GET"])
    return [route("/v1/models", models.list), route("/v1/models/{model}", models.retrieve)]


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
