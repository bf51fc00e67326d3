"""Build requests of OpenAI's two APIs: `client.chat.completions.create(model=…, **to_openai(run, tools))`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from statecast_agents.frameworks.adapter.conversation import Call, File, calls_of, files, kept, rounds
from statecast_agents.frameworks.adapter.tools import Tool
from statecast_agents.message import Message
from statecast_agents.run import Run
from statecast_agents.values import Json

__all__ = ["to_openai", "to_responses"]


def to_openai(
    run: Run,
    tools: Sequence[Tool | dict[str, Json]] = (),
    *,
    system: str | None = None,
    messages: Iterable[Message] | None = None,
    reasoning: bool = False,
) -> dict[str, Any]:
    """Return a thread as a request for chat completions: `{"messages", "stream", "stream_options", "tools"?}`.

    Every call has a result; an unanswered call has a text that says so.

    Args:
        run: The run.
        tools: The tools that the model may call; a dict is passed on unchanged.
        system: The system prompt. The page's own is in `run.request.system`; use it only if you trust the page.
        messages: The messages to send; None: all of the thread.
        reasoning: Whether to send the reasoning back as `reasoning_content`, which some servers require.
    """
    listed: list[Json] = [{"role": "system", "content": system}] if system else []
    for message in run.messages if messages is None else messages:
        if message.role == "user":
            listed += _asked([_chat_part(part) for part in files(message)])
        elif message.role == "assistant":
            listed += _chat_answer(run, message, reasoning)
    request: dict[str, Any] = {"messages": listed, "stream": True, "stream_options": {"include_usage": True}}
    if tools:
        request["tools"] = [one if isinstance(one, dict) else _chat_tool(one) for one in tools]
    return request


def to_responses(
    run: Run,
    tools: Sequence[Tool | dict[str, Json]] = (),
    *,
    system: str | None = None,
    messages: Iterable[Message] | None = None,
) -> dict[str, Any]:
    """Return a thread as a request of the Responses API: `{"input", "stream", "instructions"?, "tools"?}`.

    Reasoning and the calls of hosted tools are sent back as OpenAI sent them. With `store=False`, add
    `include=["reasoning.encrypted_content"]` to the request.

    Args:
        run: The run.
        tools: The tools that the model may call; a dict, such as `{"type": "web_search"}`, is passed on unchanged.
        system: The instructions. The page's own are in `run.request.system`; use them only if you trust the page.
        messages: The messages to send; None: all of the thread.
    """
    items: list[Json] = []
    for message in run.messages if messages is None else messages:
        if message.role == "user":
            items += _asked([_input_part(part) for part in files(message)])
        elif message.role == "assistant":
            items += _response_items(run, message)
    request: dict[str, Any] = {"input": items, "stream": True}
    if system:
        request["instructions"] = system
    if tools:
        request["tools"] = [one if isinstance(one, dict) else _function(one) for one in tools]
    return request


def _asked(content: list[Json]) -> list[Json]:
    """Return a message of the user as a list; an empty one is left out, because providers refuse it."""
    return [{"role": "user", "content": content}] if content else []


def _chat_answer(run: Run, message: Message, reasoning: bool) -> Iterator[Json]:
    _, extra = kept(run, message, "chat")
    extra = extra or {"message": {}, "calls": {}}
    for number, one in enumerate(rounds(message)):
        answer: dict[str, Json] = {"role": "assistant", "content": one.text or None}
        if one.calls:
            answer["tool_calls"] = [_chat_call(call) | extra["calls"].get(call.id, {}) for call in one.calls]
        if reasoning and one.reasoning:
            answer["reasoning_content"] = "\n".join(one.reasoning)
        if number == 0:
            answer |= extra["message"]
        yield answer
        for call in one.calls:
            yield {"role": "tool", "tool_call_id": call.id, "content": call.result}


def _chat_call(call: Call) -> dict[str, Json]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _json(call.args)}}


def _response_items(run: Run, message: Message) -> Iterator[Json]:
    first, items = kept(run, message, "responses")
    calls = calls_of(message)
    yield from items or ()
    for item in items or ():
        call = calls.get(item.get("call_id", ""))
        if call is not None and item["type"] in ("function_call", "custom_tool_call"):
            yield {"type": f"{item['type']}_output", "call_id": call.id, "output": call.result}
    for one in rounds(message, first):
        if one.text:
            yield {"role": "assistant", "content": one.text}
        for call in one.calls:
            yield {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": _json(call.args)}
        for call in one.calls:
            yield {"type": "function_call_output", "call_id": call.id, "output": call.result}


def _chat_part(part: str | File) -> Json:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if part.mime_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": part.url}}
    if part.text is not None:
        return {"type": "text", "text": part.text}
    if part.data is None:
        return {"type": "text", "text": part.url}  # chat completions fetch no files
    kind, _, subtype = part.mime_type.partition("/")
    if kind == "audio":
        return {"type": "input_audio", "input_audio": {"data": part.data, "format": _AUDIO.get(subtype, subtype)}}
    return {"type": "file", "file": {"filename": part.name or "file", "file_data": part.url}}


def _input_part(part: str | File) -> Json:
    if isinstance(part, str):
        return {"type": "input_text", "text": part}
    if part.mime_type.startswith("image/"):
        return {"type": "input_image", "image_url": part.url, "detail": "auto"}
    if part.text is not None:
        return {"type": "input_text", "text": part.text}
    if part.data is None:
        return {"type": "input_file", "file_url": part.url}
    return {"type": "input_file", "filename": part.name or "file", "file_data": part.url}


#: The names of formats whose media types have another.
_AUDIO = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav"}


def _chat_tool(tool: Tool) -> Json:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _function(tool: Tool) -> Json:
    parameters = {"parameters": tool.parameters, "strict": False}
    return {"type": "function", "name": tool.name, "description": tool.description, **parameters}


def _json(value: Json) -> str:
    return msgspec.json.encode(value).decode()
