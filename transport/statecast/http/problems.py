"""Errors as responses: `{"error": {"code", "message", …}}`, whatever went wrong and wherever."""

from __future__ import annotations

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from statecast.protocol.refusal import Refusal

__all__ = ["HANDLERS", "json_response", "refused"]


def json_response(value: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return `value` as a JSON response."""
    return Response(msgspec.json.encode(value), status, headers, "application/json")


def refused(refusal: Refusal) -> Response:
    """Return the response that says what was refused and why."""
    return json_response(refusal.body(), status=refusal.status, headers=refusal.headers)


async def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return refused(error)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    method, path = request.method, request.url.path
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        refusal = Refusal(405, "method_not_allowed", f"expected {allowed} for {path}, got {method}")
    elif error.status_code == 404:
        refusal = Refusal(404, "not_found", f"there is nothing at {path}; see /openapi.json for what is served")
    else:
        refusal = Refusal(error.status_code, "http_error", str(error.detail))
    response = refused(refusal)
    response.headers.update(error.headers or {})
    return response


async def _on_failure(request: Request, error: Exception) -> Response:
    return refused(Refusal(500, "internal_error", "the server failed; the reason is in its log"))


HANDLERS = {Refusal: _on_refusal, HTTPException: _on_http, Exception: _on_failure}
