"""Chats: the messages of a state as the AI SDK's `useChat` holds them.

Source: docs/protocol/chat.md, "GET /chat/{id}".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from statecast_agents import Json

from .formats import write_message

__all__ = ["chat_messages"]


def chat_messages(messages: Sequence[Json]) -> list[dict[str, Json]]:
    """Convert the messages of a state to those of a chat, which begins each answer at the user's message.

    What the agent says in several messages is one message of the chat, with the id of the first, as a stream makes it.
    """
    chat: list[dict[str, Any]] = []
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            continue
        written = write_message(message, "ai-sdk/v6")
        if chat and written["role"] == chat[-1]["role"] == "assistant":
            chat[-1]["parts"] += written["parts"][1:]  # one step, which the first has begun
            if "metadata" in written:
                chat[-1]["metadata"] = chat[-1].get("metadata", {}) | written["metadata"]
            continue
        id = message.get("id")
        chat.append({"id": id if isinstance(id, str) else f"message-{index}", **written})
    return chat
