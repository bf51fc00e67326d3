"""`/health`, `/health/live`, `/health/ready`: for whoever starts, stops and balances servers.

Source: docs/protocol.md, "Health".
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from statecast.http.response.errors import json_response
from statecast.protocol.errors import Refusal
from statecast.threads import Hub

__all__ = ["health_paths", "health_routes"]


def health_routes(hub: Hub) -> list[Route]:
    """Return the endpoints that say how a server is."""

    async def health(request: Request) -> Response:
        fields = {"status": "ok", "version": version("statecast"), "threads": hub.threads, "runs": hub.runs}
        return json_response(fields)

    async def live(request: Request) -> Response:
        return json_response({"status": "live"})

    async def ready(request: Request) -> Response:
        try:
            await hub.check_ready()
        except Refusal as refusal:
            fields = {"status": "unready", "reason": refusal.code, "message": refusal.message}
            return json_response(fields, status=503, headers=refusal.headers)
        return json_response({"status": "ready"})

    return [
        Route("/health", health, methods=["GET"]),
        Route("/health/live", live, methods=["GET"]),
        Route("/health/ready", ready, methods=["GET"]),
    ]


def health_paths() -> dict[str, Any]:
    """Return the endpoints for the OpenAPI document."""
    status = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}

    def answers(meaning: str, **others: str) -> dict[str, Any]:
        content = {"application/json": {"schema": status}}
        responses = {
            code: {"description": text, "content": content} for code, text in {"200": meaning, **others}.items()
        }
        return {"summary": meaning, "parameters": [], "responses": responses}

    return {
        "/health": {"get": answers("The version, and how much is under way")},
        "/health/live": {"get": answers("The process answers")},
        "/health/ready": {"get": answers("The server takes requests", **{"503": "It takes none; `reason` says why"})},
    }
