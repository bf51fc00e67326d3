"""Messages as attributes of spans, in the form of OpenTelemetry's conventions for generative AI.

Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-input-messages.json
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from statecast.protocol.messages.state_messages import parts_of, role_of
from statecast_agents import Json

__all__ = ["input_messages", "output_messages"]


def input_messages(commands: bytes) -> str:
    """Return the messages and the tools' results among commands, which are given as JSON."""
    said: list[dict[str, Any]] = []
    for command in msgspec.json.decode(commands):
        if command.get("type") == "add-message":
            said.append(_message(command.get("message")))
        elif command.get("type") == "add-tool-result":
            part = {"type": "tool_call_response", "id": command.get("toolCallId"), "response": command.get("result")}
            said.append({"role": "tool", "parts": [part]})
    return _encoded(said)


def output_messages(messages: Iterable[Json]) -> str:
    """Return messages of a state."""
    return _encoded([_message(message) for message in messages])


def _message(message: Json) -> dict[str, Any]:
    return {"role": role_of(message), "parts": [said for part in parts_of(message) for said in _parts(part)]}


def _parts(part: dict[str, Any]) -> Iterable[dict[str, Any]]:
    kind = part.get("type")
    if kind in ("text", "reasoning"):
        yield {"type": kind, "content": part.get("text")}
    elif kind == "tool-call":
        yield {
            "type": "tool_call",
            "id": part.get("toolCallId"),
            "name": part.get("toolName"),
            "arguments": part.get("args"),
        }
        if "result" in part:
            yield {"type": "tool_call_response", "id": part.get("toolCallId"), "response": part["result"]}
    else:
        yield {"type": str(kind)}


def _encoded(messages: list[dict[str, Any]]) -> str:
    return msgspec.json.encode(messages).decode()
