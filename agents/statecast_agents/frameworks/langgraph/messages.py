"""Convert LangChain's messages to a page's, and a page's to LangChain's.

A page has one message for each message of the model; the results of tools are in their calls. A user message has the
same id on both sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from statecast_agents.arguments import arguments_text
from statecast_agents.foreign import to_state
from statecast_agents.values import Json, plain_copy

from .metadata import metadata_of

__all__ = [
    "PAGE_CALL",
    "STOPPED",
    "PageMessages",
    "block_parts",
    "from_page",
    "human",
    "page_parts",
    "result_fields",
    "unanswered",
    "user_parts",
]

#: The field of an interrupt, and of the message of a result, that names the call of a page's tool; see `page_tools.py`.
PAGE_CALL: Final = "pageCall"

#: What the model reads as the result of a call that was stopped before it had one.
STOPPED: Final = "The tool call was cancelled before it had a result."


def page_parts(message: AIMessage) -> list[dict[str, Json]]:
    """Return the parts of a message of the model, in its order; its calls have no results."""
    parts: list[dict[str, Json]] = []
    if not isinstance(message.content, str) or message.additional_kwargs:
        blocks: Iterable[Mapping[str, Any]] = message.content_blocks
        parts += [part for block in blocks for part in block_parts(block)]
    elif message.content:
        parts.append({"type": "text", "text": message.content})
    for call in message.tool_calls:
        parts.append(_call(call["id"], call["name"], call["args"]))
    for invalid in message.invalid_tool_calls:
        parts.append(_call(invalid["id"], invalid["name"], {}) | {"argsText": invalid["args"] or ""})
    return parts


def block_parts(block: Mapping[str, Any]) -> Iterator[dict[str, Json]]:
    """Yield the parts of one of LangChain's standard content blocks, without tool calls."""
    match block:
        case {"type": "text", "text": str(text)}:
            if text:
                yield {"type": "text", "text": text}
            for note in block.get("annotations") or ():
                if note.get("type") == "citation" and isinstance(note.get("url"), str):
                    source = {"type": "source", "sourceType": "url", "id": note["url"], "url": note["url"]}
                    yield source | ({"title": note["title"]} if isinstance(note.get("title"), str) else {})
        case {"type": "reasoning", "reasoning": str(text)} if text:
            yield {"type": "reasoning", "text": text}
        case {"type": "image"} if (data := _data(block, "image/png")) is not None:
            yield {"type": "image", "image": data}
        case {"type": "file" | "audio" | "video"} if (data := _data(block, "application/octet-stream")) is not None:
            yield {"type": "file", "data": data, "mimeType": block.get("mime_type") or "application/octet-stream"}
        case _:
            return


def result_fields(message: ToolMessage) -> dict[str, Json]:
    """Return the result of a tool call, as fields of its part; none for a tool of the page, whose result is there."""
    if PAGE_CALL in message.response_metadata:
        return {}
    fields = {"result": to_state(message.content), "isError": message.status == "error"}
    return fields if message.artifact is None else {**fields, "artifact": to_state(message.artifact)}


class PageMessages:
    """The messages of a graph as a page's. What has not changed since the last time is the same object again."""

    def __init__(self) -> None:
        #: by the identities of a message and of its results, which are held with what they were converted to
        self._known: dict[tuple[int, ...], tuple[list[BaseMessage], dict[str, Json]]] = {}

    def convert(self, messages: Iterable[BaseMessage]) -> list[dict[str, Json]]:
        """Return messages as a page's; results of tools are at their calls, and system messages left out."""
        groups: list[list[BaseMessage]] = []
        of_call: dict[str | None, list[BaseMessage]] = {}
        for message in messages:
            if isinstance(message, HumanMessage | AIMessage) and message.id:
                groups.append([message])
                if isinstance(message, AIMessage):
                    of_call |= {call["id"]: groups[-1] for call in message.tool_calls}
            elif isinstance(message, ToolMessage) and message.tool_call_id in of_call:
                of_call[message.tool_call_id].append(message)
        known, self._known = self._known, {}
        for group in groups:
            key = tuple(map(id, group))
            self._known[key] = known.get(key) or (group, _page_message(*group))
        return [page for _, page in self._known.values()]


def _page_message(message: BaseMessage, *results: BaseMessage) -> dict[str, Json]:
    """Return a message of the user, or one of the model with the results of its calls."""
    if not isinstance(message, AIMessage):
        return {"id": message.id, "role": "user", "parts": user_parts(message)}
    parts = page_parts(message)
    calls = {part["toolCallId"]: part for part in parts if part["type"] == "tool-call"}
    for result in results:
        if isinstance(result, ToolMessage):
            calls[result.tool_call_id] |= result_fields(result)
    metadata = metadata_of(message)
    return {"id": message.id, "role": "assistant", "parts": parts} | ({"metadata": metadata} if metadata else {})


def user_parts(message: BaseMessage) -> list[dict[str, Json]]:
    """Return the parts of a message of the user."""
    if isinstance(message.content, str):
        return [{"type": "text", "text": message.content}]
    blocks: Iterable[Mapping[str, Any]] = message.content_blocks
    return [part for block in blocks for part in block_parts(block)]


def human(message: Mapping[str, Json]) -> HumanMessage:
    """Return a page's message of the user, with its id."""
    blocks = [block for part in _parts(message) if (block := _block(part)) is not None]
    texts = [block["text"] for block in blocks if block["type"] == "text"]
    content: Any = "\n".join(texts) if len(texts) == len(blocks) else blocks
    return HumanMessage(content, id=message.get("id"))


def from_page(messages: Iterable[Json]) -> Iterator[BaseMessage]:
    """Yield a page's messages as LangChain's, for a graph that has none of them."""
    for message in messages:
        if not isinstance(message, Mapping):
            continue
        if message.get("role") == "user":
            yield human(message)
        elif message.get("role") == "assistant":
            calls = [part for part in _parts(message) if part.get("type") == "tool-call"]
            texts = [part["text"] for part in _parts(message) if part.get("type") == "text" and part.get("text")]
            if not calls and not texts:
                continue
            yield AIMessage(
                "\n".join(texts),
                id=message.get("id"),
                tool_calls=[
                    {
                        "name": call.get("toolName", ""),
                        "args": plain_copy(call.get("args")) or {},
                        "id": call.get("toolCallId"),
                    }
                    for call in calls
                ],
            )
            for call in calls:
                yield _tool_message(call)


def unanswered(messages: Sequence[BaseMessage]) -> list[ToolMessage]:
    """Return results for the calls at the end of a conversation that have none: providers refuse a message after them.

    A call in an earlier place cannot be answered any more, because results follow their call.
    """
    answered: set[str] = set()
    for message in reversed(messages):
        if isinstance(message, ToolMessage):
            answered.add(message.tool_call_id)
        elif isinstance(message, AIMessage):
            return [
                ToolMessage(STOPPED, tool_call_id=call["id"], name=call["name"], status="error")
                for call in message.tool_calls
                if call["id"] is not None and call["id"] not in answered
            ]
        else:
            break
    return []


def _call(id: str | None, name: str | None, args: Json) -> dict[str, Json]:
    return {"type": "tool-call", "toolCallId": id or "", "toolName": name or "", "args": args}


def _tool_message(call: Mapping[str, Json]) -> ToolMessage:
    id, name = str(call.get("toolCallId", "")), str(call.get("toolName", ""))
    if "result" not in call:
        return ToolMessage(STOPPED, tool_call_id=id, name=name, status="error")
    result = plain_copy(call["result"])
    content = result if isinstance(result, str) else arguments_text(result)
    return ToolMessage(
        content, tool_call_id=id, name=name, status="error" if call.get("isError") is True else "success"
    )


def _parts(message: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    parts = message.get("parts")
    return [part for part in parts if isinstance(part, Mapping)] if isinstance(parts, list) else []


def _block(part: Mapping[str, Json]) -> dict[str, Any] | None:
    """Return a part of the user's as a standard content block; None if a model cannot read it."""
    match part:
        case {"type": "text", "text": str(text)}:
            return {"type": "text", "text": text}
        case {"type": "image", "image": str(address)}:
            return {"type": "image", **_address(address, "image/png")}
        case {"type": "file", "data": str(data), "mimeType": str(media_type)}:
            kind = media_type.partition("/")[0]
            return {
                "type": kind if kind in ("image", "audio", "video") else "file",
                **_address(data, media_type),
            } | ({"filename": part["filename"]} if isinstance(part.get("filename"), str) else {})
        case _:
            return None


def _address(data: str, media_type: str) -> dict[str, str]:
    """Return the fields of a block for a URL, a data URL or base64."""
    if data.startswith(("http://", "https://")):
        return {"url": data, "mime_type": media_type}
    if data.startswith("data:"):
        head, _, data = data.removeprefix("data:").partition(",")
        media_type = head.partition(";")[0] or media_type
    return {"base64": data, "mime_type": media_type}


def _data(block: Mapping[str, Any], media_type: str) -> str | None:
    if isinstance(block.get("url"), str):
        return str(block["url"])
    if isinstance(block.get("base64"), str):
        return f"data:{block.get('mime_type') or media_type};base64,{block['base64']}"
    return None
