"""What the endpoints of the cloud API have in common: routes whose errors have its form, and how a body names a thread.

Source: docs/protocol.md, "The cloud API".
"""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from statecast.http.request.fields import check_thread_id
from statecast.http.response.errors import from_http, json_response
from statecast.protocol.errors import Refusal
from statecast.stores import Key, Summary
from statecast.threads import Hub

__all__ = ["CloudRoute", "card_of", "cloud_refused"]


class CloudRoute(Route):
    """A route whose errors are `{"message", "error": code, …}`."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or say what was wrong with it."""
        try:
            await super().handle(scope, receive, send)
        except (Refusal, HTTPException) as error:
            refusal = error if isinstance(error, Refusal) else from_http(error, scope)
            await cloud_refused(refusal)(scope, receive, send)


def cloud_refused(refusal: Refusal) -> Response:
    """Return the response that says what was refused and why."""
    body = {**refusal.details, "message": refusal.message, "error": refusal.code}
    return json_response(body, status=refusal.status, headers=refusal.headers)


async def card_of(hub: Hub, workspace: str, thread_id: str) -> Summary:
    """Return the card of a workspace's thread.

    Raises:
        Refusal: 404 `unknown_thread`; 422 `invalid_thread_id`; 503 `store_unavailable`.
    """
    check_thread_id(thread_id)
    return await hub.directory.get(Key(workspace, thread_id))
