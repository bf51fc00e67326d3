"""What the endpoints of the cloud API have in common: routes whose errors have its form, and how a body names a thread.

Source: docs/protocol.md, "The cloud API".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from statecast.http.request.fields import check_thread_id
from statecast.http.response.errors import FormRoute, json_response
from statecast.protocol.errors import Refusal
from statecast.stores import Key, Summary
from statecast.threads import Hub

__all__ = ["CloudRoute", "card_of", "cloud_refused"]


class CloudRoute(FormRoute):
    """A route whose errors are `{"message", "error": code, …}`."""

    def __init__(self, path: str, endpoint: Any, *, methods: Sequence[str]) -> None:
        super().__init__(path, endpoint, form=cloud_refused, methods=methods)


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
