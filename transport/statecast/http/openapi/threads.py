"""The paths of the OpenAPI document that are about lists of threads and histories."""

from __future__ import annotations

from typing import Any, Final

from .components import TEXT, empty, get, json_content, path_id, post, query

__all__ = ["cloud_paths", "thread_paths"]

_ANY: Final = {"type": "object"}
_THREAD: Final = path_id("threadId")
_MESSAGE: Final = path_id("messageId")
_LEASE: Final = path_id("leaseId")
_LIMIT: Final = query("limit", {"type": "integer"})
_OPINION: Final = {
    "type": "object",
    "properties": {"type": {"enum": ["positive", "negative"]}, "comment": TEXT},
    "required": ["type"],
}


def thread_paths() -> dict[str, Any]:
    """Return the paths below `/threads`, but for a thread's state and its events."""
    said = {
        "title": {"type": ["string", "null"]},
        "externalId": {"type": ["string", "null"]},
        "custom": {"type": ["object", "null"]},
        "status": {"enum": ["regular", "archived"]},
    }
    summary = {"type": "object", "properties": {"remoteId": TEXT, "lastMessageAt": TEXT, **said}}
    summaries = {"type": "object", "properties": {"threads": {"type": "array", "items": summary}, "nextCursor": TEXT}}
    item = {
        "type": "object",
        "properties": {"message": _ANY, "parentId": {"type": ["string", "null"]}},
        "required": ["message"],
    }
    loaded = {
        "type": "object",
        "properties": {
            "headId": {"type": ["string", "null"]},
            "messages": {"type": "array", "items": item},
            "unstable_resume": {"type": "boolean"},
        },
    }
    named = {"type": "object", "properties": {"id": TEXT}}
    messages = {"type": "object", "properties": {"messages": {"type": "array", "items": _ANY}}}
    new = {"type": "object", "properties": {"threadId": TEXT, **said}}
    changed = {"type": "object", "properties": said}
    text = {"text/plain": {"schema": TEXT}}
    form = query("format")
    one = "/threads/{threadId}/messages/{messageId}"
    return {
        "/threads": {
            "get": get("The list of threads", summaries, [query("after"), query("status", said["status"]), _LIMIT]),
            "post": post("Begin a thread", new, json_content(summary)),
        },
        "/threads/{threadId}": {
            "get": get("What lists show of a thread", summary, [_THREAD]),
            "patch": post("Change what lists show", changed, json_content(summary), [_THREAD]),
            "delete": empty("Delete a thread", [_THREAD]),
        },
        "/threads/{threadId}/title": {"post": post("Make a title", messages, text, [_THREAD])},
        "/threads/{threadId}/messages": {
            "get": get("The history of a thread", loaded, [_THREAD, form]),
            "post": post("Add a message", item, json_content(named), [_THREAD, form]),
        },
        one: {
            "put": post("Write a message anew", item, json_content(named), [_THREAD, _MESSAGE, form]),
            "delete": empty("Take a message away", [_THREAD, _MESSAGE]),
        },
        f"{one}/feedback": {
            "post": post("Say what a message is worth", _OPINION, json_content(named), [_THREAD, _MESSAGE])
        },
        "/threads/{threadId}/suggestions": {
            "post": post("What the user may say next", messages, {"application/x-ndjson": {"schema": TEXT}}, [_THREAD])
        },
    }


def cloud_paths() -> dict[str, Any]:
    """Return the paths of the cloud API. What each takes and gives is the published client's, see docs/protocol.md."""
    many = json_content(_ANY)
    one = "/v1/threads/{threadId}/messages/{messageId}"
    lease = "/v1/threads/{threadId}/runs/{leaseId}"
    page = [query("after"), _LIMIT]
    tokens = {"responses": {"200": {"description": "OK", "content": many}}, "parameters": []}
    return {
        "/v1/auth/tokens/anonymous": {"post": {"summary": "Be somebody, without a sign-in", **tokens}},
        "/v1/auth/tokens/refresh": {"post": post("Stay who you are", _ANY, many)},
        "/v1/auth/tokens/revoke": {"post": empty("End tokens", [], _ANY)},
        "/v1/auth/tokens": {"post": {"summary": "A token for a user of the app", **tokens}},
        "/v1/threads": {
            "get": get("The list of threads", _ANY, [query("is_archived"), *page]),
            "post": post("Begin a thread", _ANY, many),
        },
        "/v1/threads/claim": {"post": post("Take over an anonymous user's threads", _ANY, many)},
        "/v1/threads/{threadId}": {
            "get": get("What lists show of a thread", _ANY, [_THREAD]),
            "put": empty("Change what lists show", [_THREAD], _ANY),
            "delete": empty("Delete a thread", [_THREAD]),
        },
        "/v1/threads/{threadId}/messages": {
            "get": get("The history of a thread, newest first", _ANY, [_THREAD, query("format"), *page]),
            "post": post("Add a message", _ANY, many, [_THREAD]),
            "delete": empty("Take messages away", [_THREAD], _ANY),
        },
        one: {"put": empty("Write a message anew", [_THREAD, _MESSAGE], _ANY)},
        f"{lease}/heartbeat": {"post": {"summary": "Renew a run lease", **tokens, "parameters": [_THREAD, _LEASE]}},
        f"{lease}/end": {"post": empty("End a run lease", [_THREAD, _LEASE], _ANY)},
        f"{one}/feedback": {"post": post("Say what a message is worth", _OPINION, many, [_THREAD, _MESSAGE])},
        "/v1/runs/stream": {"post": post("A title, or an assistant's answer", _ANY, {"text/plain": {"schema": TEXT}})},
        "/v1/runs": {"post": post("Report a run", _ANY, many)},
        "/v1/events": {"post": post("Report what users do", _ANY, many)},
        "/v1/scores": {"post": post("Score a thread, a message or a run", _ANY, many)},
    }
