"""A conversation as a state has it, for tests of messages."""

from __future__ import annotations

from statecast_agents import Json


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
