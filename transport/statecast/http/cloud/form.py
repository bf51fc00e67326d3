"""What the endpoints of the cloud API have in common: errors in its form, and how a body names a thread.

Source: docs/protocol/cloud.md, "The cloud API".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from statecast.http.operation import DONE, Operation, Reply
from statecast.http.request.fields import check_thread_id
from statecast.protocol.errors import ErrorForm, RequestError
from statecast.stores import Key, Summary
from statecast.threads import Hub

__all__ = ["OBJECT", "cloud_form", "cloud_operation", "summary_of"]


#: A JSON object of the published client, which knows its fields: see docs/protocol/cloud.md.
OBJECT: Final = Reply(dict[str, Any])


def cloud_operation(
    method: str,
    path: str,
    endpoint: Callable[..., Any],
    summary: str,
    reply: Reply,
    body: Any = None,
    query: Mapping[str, Any] | None = None,
) -> Operation:
    """Return an operation of the cloud API, whose errors are `{"message", "error": code, …}`."""
    status = 204 if reply is DONE else 200
    return Operation(method, path, endpoint, summary, {status: reply}, body, query or {}, cloud_form)


def cloud_form(error: RequestError) -> ErrorForm:
    """Return an error in the form of the cloud API."""
    return ErrorForm({**error.fields(), "message": error.message, "error": error.code})


async def summary_of(hub: Hub, workspace: str, thread_id: str) -> Summary:
    """Return the summary of a workspace's thread.

    Raises:
        RequestError: `unknown_thread`; `invalid_thread_id`; `store_unavailable`.
    """
    check_thread_id(thread_id)
    return await hub.directory.get(Key(workspace, thread_id))
