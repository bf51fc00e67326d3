"""Messages in AG-UI's format, and their comparison with a client's.

A message of the assistant is several in AG-UI: each text, with the calls that follow it, is a message; a reasoning is
one, and so is each result. Their ids follow from the message's own and from where the part is, so that messages have
the same ids in the stream and in a snapshot. Source: docs/protocol/ag-ui-events.md, "POST /ag-ui".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from statecast.protocol.json_compare import same_json
from statecast.protocol.json_values import read_value
from statecast_agents import Json, chunks
from statecast_agents.metadata import Report

__all__ = ["EMITTED", "agree", "content_of", "places", "render", "result_id", "used"]

#: How ids begin of messages that are in no state: they are named for their run.
EMITTED: Final = "run_"

_BASE64: Final = re.compile("(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")

#: By the first word of a media type, the type that a file's part has.
_MEDIA: Final = {"audio": "audio", "video": "video"}


def places(id: str, parts: Sequence[Json]) -> list[str | None]:
    """Return the AG-UI message that each part of a message is in; None for one that has no form there."""
    found: list[str | None] = []
    current: str | None = None
    first = True
    for index, part in enumerate(parts):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "reasoning":
            found.append(f"{id}.reasoning-{index}")
            current = None  # what follows comes after it
        elif kind == "text" or (kind == "tool-call" and current is None):
            current = id if first else f"{id}.{index}"
            first = False
            found.append(current)
        else:
            found.append(current if kind == "tool-call" else None)
    return found


def result_id(tool_call_id: str) -> str:
    """Return the id of the message that a call's result is."""
    return f"{tool_call_id}.result"


def content_of(result: Json) -> str:
    """Return a result as the text that AG-UI wants; what `read_value` reads of it, as the clients do."""
    return result if isinstance(result, str) else msgspec.json.encode(result).decode()


def render(messages: Sequence[Json], results: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Return messages of a thread.

    Args:
        messages: As the state has them.
        results: Calls whose results a client has already → the messages that it has them in.
    """
    results = results or {}
    rendered: list[dict[str, Any]] = []
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            continue
        id = message.get("id")
        id = id if isinstance(id, str) else f"message-{index}"
        parts = message.get("parts")
        parts = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
        match message.get("role"):
            case "user":
                metadata = message.get("metadata")
                given = {"metadata": metadata} if isinstance(metadata, dict) else {}
                rendered.append({"id": id, "role": "user", "content": _content(parts), **given})
            case "assistant":
                rendered += _answer(id, parts, results)
            case "system":
                rendered.append({"id": id, "role": "system", "content": _text(parts)})
            case _:
                pass
    return rendered


def agree(thread_messages: Sequence[Json], posted: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether the messages that a client posts are the thread's, except for what is new in them.

    New are a message of the user at the end, and results of calls that have none yet. How an answer is divided does
    not count, because clients join what belongs together; nor does reasoning, which some do not keep.
    """
    thread_facts, posted_facts = _facts(render(thread_messages)), _facts(posted)
    known = {fact.id for fact in thread_facts if fact.kind == "user"}
    while posted_facts and posted_facts[-1].kind == "user" and posted_facts[-1].id not in known:
        posted_facts.pop()
    return len(thread_facts) == len(posted_facts) and all(map(_Fact.fits, thread_facts, posted_facts))


def _answer(id: str, parts: list[dict[str, Any]], known: Mapping[str, str]) -> list[dict[str, Any]]:
    rendered: list[dict[str, Any]] = []
    open_message: dict[str, Any] = {}
    results: list[dict[str, Any]] = []
    for part, place in zip(parts, places(id, parts), strict=True):
        if place is None:
            continue
        if open_message.get("id") != place:
            rendered += results
            results = []
            open_message = {"id": place, "role": "reasoning" if part["type"] == "reasoning" else "assistant"}
            rendered.append(open_message)
        if part["type"] == "tool-call":
            open_message.setdefault("toolCalls", []).append(_call(part))
            if "result" in part:
                results.append(_result(part, known))
        else:
            open_message["content"] = str(part.get("text") or "")
    return rendered + results


def _call(part: Mapping[str, Any]) -> dict[str, Any]:
    args = part.get("argsText") or msgspec.json.encode(part.get("args") or {}).decode()
    function = {"name": str(part.get("toolName") or ""), "arguments": args}
    return {"id": str(part.get("toolCallId")), "type": "function", "function": function}


def _result(part: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, Any]:
    call, content = str(part.get("toolCallId")), content_of(part["result"])
    failed = {"error": content} if part.get("isError") is True else {}
    return {"id": known.get(call, result_id(call)), "role": "tool", "toolCallId": call, "content": content, **failed}


def _content(parts: Sequence[Mapping[str, Any]]) -> str | list[dict[str, Any]]:
    """Return a user's content: a text, or a list if it has more than text."""
    content = [made for part in parts if (made := _content_part(part)) is not None]
    if all(part["type"] == "text" for part in content):
        return "\n".join(part["text"] for part in content)
    return content


def _content_part(part: Mapping[str, Any]) -> dict[str, Any] | None:
    name = part.get("filename")
    named = {"metadata": {"filename": name}} if isinstance(name, str) else {}
    match part.get("type"):
        case "text":
            return {"type": "text", "text": str(part.get("text") or "")}
        case "image":
            return {"type": "image", "source": _source(str(part.get("image")), "image/png"), **named}
        case "file":
            mime = str(part.get("mimeType") or "application/octet-stream")
            kind = _MEDIA.get(mime.partition("/")[0], "document")
            return {"type": kind, "source": _source(str(part.get("data")), mime), **named}
        case _:
            return None


def _source(data: str, mime: str) -> dict[str, Any]:
    if data.startswith("data:"):
        head, _, value = data[5:].partition(",")
        return {"type": "data", "value": value, "mimeType": head.partition(";")[0] or mime}
    if _BASE64.fullmatch(data):  # which may begin with "/", as a JPEG's does
        return {"type": "data", "value": data, "mimeType": mime}
    return {"type": "url", "value": data}


def _text(parts: Any) -> str:
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    return "\n".join(text for text in texts if isinstance(text, str))


class _Fact(msgspec.Struct):
    """One text or call, however a client divides the messages."""

    kind: str
    id: str | None  #: of a user's message, or of a call
    content: Json
    result: Json | msgspec.UnsetType = msgspec.UNSET

    def fits(self, posted: _Fact) -> bool:
        """Return whether it equals the client's. The client may have a result that the thread lacks: that is new."""
        if (self.kind, self.id) != (posted.kind, posted.id) or not same_json(self.content, posted.content):
            return False
        return self.result is msgspec.UNSET or (
            posted.result is not msgspec.UNSET and same_json(self.result, posted.result)
        )


def _facts(messages: Iterable[Mapping[str, Any]]) -> list[_Fact]:
    facts: list[_Fact] = []
    calls: dict[str, _Fact] = {}
    for message in messages:
        id, content = message.get("id"), message.get("content")
        match message.get("role"):
            case "user":
                facts.append(_Fact("user", id, content if isinstance(content, str) else _text(content or [])))
            case "assistant" if not str(id).startswith(EMITTED):
                if isinstance(content, str) and content:
                    facts.append(_Fact("text", None, content))
                for call in message.get("toolCalls") or ():
                    function = call["function"]
                    fact = _Fact("call", call["id"], [function["name"], read_value(function["arguments"] or "{}")])
                    calls[call["id"]] = fact
                    facts.append(fact)
            case "tool" if message.get("toolCallId") in calls:
                content = content if isinstance(content, str) else _text(content or [])
                calls[message["toolCallId"]].result = read_value(content)
            case _:
                pass
    return facts


def used(report: Report) -> dict[str, Any]:
    """Return the field with the tokens of a run, and the model if it is known; none if no tokens are reported."""
    if report.usage in (None, chunks.Usage()):
        return {}
    model = report.more.get("modelId")
    named = {"model": model} if isinstance(model, str) else {}
    return {"usage": [{**msgspec.to_builtins(report.usage), **named}]}
