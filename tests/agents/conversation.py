"""A conversation as a state has it, for tests of messages."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from statecast_agents import AddMessage, Json, NewMessage


def message(id: str, role: str = "user", *parts: Json) -> Json:
    return {"id": id, "role": role, "parts": [*parts]}


def call(id: str, **fields: Json) -> Json:
    return {"type": "tool-call", "toolCallId": id, "toolName": "f", "args": {}, "argsText": "", **fields}


CONVERSATION = [
    message("u1"),
    message("a1", "assistant", {"type": "text", "text": "?"}, call("open"), call("settled", result=1, isError=False)),
    message("u2"),
    message("a2", "assistant", call("later")),
]


def said(text: str, parent: str | UnsetType | None = UNSET, source: str | None = None) -> AddMessage:
    new = NewMessage(role="user", parts=[{"type": "text", "text": text}])
    return AddMessage(message=new, parent_id=parent, source_id=source)
