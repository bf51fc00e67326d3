"""Build requests of Anthropic's Messages API: `client.messages.create(model=…, **to_anthropic(run, tools))`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from statecast_agents.frameworks.adapter.conversation import Call, File, calls_of, files, kept, rounds
from statecast_agents.frameworks.adapter.tools import Tool
from statecast_agents.message import Message
from statecast_agents.run import Run
from statecast_agents.values import Json

__all__ = ["to_anthropic"]


def to_anthropic(
    run: Run,
    tools: Sequence[Tool | dict[str, Json]] = (),
    *,
    system: str | None = None,
    messages: Iterable[Message] | None = None,
) -> dict[str, Any]:
    """Return a thread as a request of the Messages API: `{"messages", "stream", "system"?, "tools"?}`.

    Thinking is sent back with its signature, and blocks of hosted tools as Anthropic sent them. Every call has a
    result; an unanswered call has a text that says so.

    Args:
        run: The run.
        tools: The tools that the model may call; a dict, such as that of the web search, is passed on unchanged.
        system: The system prompt. The page's own is in `run.request.system`; use it only if you trust the page.
        messages: The messages to send; None: all of the thread.
    """
    listed: list[dict[str, Any]] = []
    for message in run.messages if messages is None else messages:
        if message.role == "user":
            _add(listed, "user", map(_block, files(message)))
        elif message.role == "assistant":
            for role, blocks in _answer(run, message):
                _add(listed, role, blocks)
    request: dict[str, Any] = {"messages": listed, "stream": True}
    if system:
        request["system"] = system
    if tools:
        request["tools"] = [one if isinstance(one, dict) else _tool(one) for one in tools]
    return request


def _answer(run: Run, message: Message) -> Iterator[tuple[str, Iterable[Json]]]:
    """Yield the content of an answer, and after each round the results of its calls, each with its role."""
    first, blocks = kept(run, message, "anthropic")
    if blocks:
        calls = calls_of(message)
        yield "assistant", blocks
        yield "user", [_result(calls[block["id"]]) for block in blocks if block["type"] == "tool_use"]
    for one in rounds(message, first):
        text = [{"type": "text", "text": one.text}] if one.text.strip() else []
        uses = [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.args} for call in one.calls]
        yield "assistant", [*text, *uses]
        yield "user", map(_result, one.calls)


def _add(listed: list[dict[str, Any]], role: str, blocks: Iterable[Json]) -> None:
    """Add content to the last message of the same role, or as a new message."""
    content = [*blocks]
    if content and listed and listed[-1]["role"] == role:
        listed[-1]["content"] += content
    elif content:
        listed.append({"role": role, "content": content})


def _result(call: Call) -> Json:
    error = {"is_error": True} if call.is_error else {}
    return {"type": "tool_result", "tool_use_id": call.id, "content": call.result, **error}


def _block(part: str | File) -> Json:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    source: dict[str, Json]
    if part.text is not None:
        source = {"type": "text", "media_type": "text/plain", "data": part.text}
    elif part.data is None:
        source = {"type": "url", "url": part.url}
    else:
        source = {"type": "base64", "media_type": part.mime_type, "data": part.data}
    if part.mime_type.startswith("image/"):
        return {"type": "image", "source": source}
    return {"type": "document", "source": source, **({} if part.name is None else {"title": part.name})}


def _tool(tool: Tool) -> Json:
    return {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
