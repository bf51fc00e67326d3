"""Messages for tests of what is stored: those that a state may have, and JSON that nobody should have stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import strategies as st

from statecast_agents import FORBIDDEN_KEYS, MAX_INTEGER, Json

__all__ = ["JSON", "LIKE_MESSAGES", "MESSAGES", "NASTY", "nested", "part_of_ours"]

PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="

_texts = st.text(max_size=12)
_words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(lambda text: bool(text.strip()))
_names = st.sampled_from(["weather", "ask_user", "approval", "a-b", "Ω"])
_keys = st.text(max_size=5).filter(lambda key: key not in FORBIDDEN_KEYS)
_ints = st.integers(-MAX_INTEGER, MAX_INTEGER)
_scalars = st.none() | st.booleans() | _ints | st.floats(-1e15, 1e15) | _texts

#: What a state can hold.
JSON = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3), max_leaves=6
)

_hard_keys = st.sampled_from(
    ["id", "role", "parts", "content", "type", "text", "args", "argsText", "metadata", *FORBIDDEN_KEYS]
)

#: What comes as JSON, whether a state can hold it or not.
NASTY = st.recursive(
    _scalars | st.integers(-(2**70), 2**70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys | _hard_keys, inner, max_size=3),
    max_leaves=8,
)


def nested(depth: int) -> Json:
    """Return lists within one another."""
    value: Json = []
    for _ in range(depth - 1):
        value = [value]
    return value


_objects = st.dictionaries(_keys, JSON, max_size=3)
_urls = st.sampled_from(["https://example.com/a?b=1", "https://example.com/ä", "blob:https://example.com/1"])


@st.composite
def _calls(draw: st.DrawFn) -> dict[str, Json]:
    call: dict[str, Any] = {
        "type": "tool-call",
        "toolCallId": f"call_{draw(st.uuids())}",
        "toolName": draw(_names),
        "args": draw(_objects),
    }
    text = msgspec.json.encode(call["args"]).decode()
    match draw(st.sampled_from(["whole", "streams", "begun", "spaced"])):
        case "whole":
            call["argsText"] = text
        case "spaced":
            call["argsText"] = f" {text}\n"
        case "streams":
            call |= {"args": {}, "argsText": '{"city'}
        case _:
            call |= {"args": {}, "argsText": ""}
    match draw(st.sampled_from(["open", "settled", "settled", "failed"])):
        case "settled":
            call |= {"result": draw(JSON), "isError": False}
        case "failed":
            call |= {"result": draw(_texts), "isError": True}
    return call


_TEXT = st.builds(lambda text: {"type": "text", "text": text}, _words)
_IMAGE = st.builds(lambda image: {"type": "image", "image": image}, _urls | st.just(PIXEL))
_FILE = st.builds(
    lambda data, mime: {"type": "file", "data": data, "mimeType": mime, "filename": "f"},
    _urls | st.just("aGVsbG8="),
    st.sampled_from(["text/plain", "application/pdf"]),
)
_DATA = st.builds(lambda name, data: {"type": "data", "name": name, "data": data}, _names, JSON)
_SOURCE = st.builds(
    lambda id, url: {"type": "source", "sourceType": "url", "id": id, "url": url, "title": "T"}, _words, _urls
)
_DOCUMENT = st.just(
    {"type": "source", "sourceType": "document", "id": "d", "title": "T", "mediaType": "application/pdf"}
)
_REASONING = st.builds(lambda text: {"type": "reasoning", "text": text}, _words)

_PARTS = {
    "user": st.one_of(_TEXT, _TEXT, _IMAGE, _FILE, _DATA),
    "assistant": st.one_of(_TEXT, _TEXT, _calls(), _calls(), _REASONING, _IMAGE, _FILE, _DATA, _SOURCE, _DOCUMENT),
}

_METADATA = st.none() | st.builds(
    lambda custom: {"custom": custom}, st.dictionaries(_keys, JSON, min_size=1, max_size=2)
)


@st.composite
def _messages(draw: st.DrawFn) -> dict[str, Json]:
    role = draw(st.sampled_from(["user", "assistant"]))
    least = 1 if role == "user" else 0
    message: dict[str, Any] = {"id": f"msg_{draw(st.uuids())}", "role": role}
    message |= {"parts": draw(st.lists(_PARTS[role], min_size=least, max_size=5))}
    metadata = draw(_METADATA)
    return message if metadata is None else {**message, "metadata": metadata}


#: Messages that a state may have.
MESSAGES = _messages()


_TYPES = [
    *("text", "reasoning", "image", "file", "audio", "data", "source", "tool-call", "generative-ui"),
    *("data-x", "tool-x", "dynamic-tool", "source-url", "source-document", "step-start", "new"),
]
_FIELDS = [
    *("text", "image", "data", "mimeType", "url", "mediaType", "id", "name", "sourceType", "sourceId", "title"),
    *("toolCallId", "toolName", "args", "argsText", "result", "isError", "state", "input", "output", "errorText"),
    *("approval", "interrupt", "messages", "spec", "audio", "filename", "unstable_summary", "parentId"),
]
_FIELD: st.SearchStrategy[Json] = _texts | NASTY
_LIKE_PARTS: st.SearchStrategy[Json] = st.deferred(
    lambda: st.fixed_dictionaries(
        {"type": st.sampled_from(_TYPES)},
        optional={**dict.fromkeys(_FIELDS, _FIELD), "messages": st.lists(LIKE_MESSAGES, max_size=2)},
    )
)
_LIKE_LISTS = st.lists(_LIKE_PARTS | NASTY, max_size=4) | NASTY
_LIKE_STATUS = st.fixed_dictionaries(
    {"type": st.sampled_from(["running", "complete", "incomplete", "requires-action", "new"])},
    optional={"reason": st.sampled_from(["stop", "unknown", "cancelled", "error", "new"]), "error": NASTY},
)

#: What is much like a message, of a state or as it is stored.
LIKE_MESSAGES: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system"]) | NASTY},
    optional={
        "parts": _LIKE_LISTS,
        "content": _LIKE_LISTS,
        "metadata": st.fixed_dictionaries({}, optional={"steps": NASTY, "custom": NASTY, "timing": NASTY}) | NASTY,
        "status": _LIKE_STATUS | NASTY,
        "attachments": _LIKE_LISTS,
    },
)


def part_of_ours(part: Json) -> Sequence[Json]:
    """Return what a part says, whichever client's form it has gone through."""
    match part:
        case {"type": "text" | "reasoning" as kind, "text": text}:
            return [kind, text]
        case {"type": "image", "image": image}:
            return ["file", image]
        case {"type": "file", "data": data, "mimeType": mime}:
            return ["file", data.removeprefix(f"data:{mime};base64,")]
        case {"type": "source", "sourceType": "url", "id": id, "url": url}:
            return ["source", id, url, part.get("title")]
        case {"type": "source", "sourceType": "document", "id": id, "title": title, "mediaType": media}:
            return ["source", id, title, media]
        case {"type": "data", "name": name, "data": data}:
            return ["data", name, data]
        case {"type": "tool-call", "toolCallId": id, "toolName": name, "args": args}:
            return ["call", id, name, args, *_settled(part)]
    raise AssertionError(f"a part of no known form: {part}")


def _settled(call: dict[str, Json]) -> Sequence[Json]:
    if "result" not in call:
        return ["open"]
    return ["failed" if call["isError"] else "gave", call["result"]]
