"""A run outside any server, for tests of what adapters have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from statecast import Run
from statecast.state import Document
from statecast_agents import Json
from statecast_agents.commands import AnyCommand
from statecast_agents.message_commands import apply_commands

__all__ = ["run_on", "said", "texts"]


def run_on(*messages: Json, commands: Sequence[AnyCommand] = (), **settings: Any) -> Run:
    """Return a run on a thread with these messages, with its commands applied as the engine applies them."""
    document = Document({"messages": [*messages]})
    document.flush()
    run = Run(id="run_1", thread_id="t", document=document, commands=commands, **settings)
    apply_commands(run.messages, commands, agrees=True)
    return run


def said(id: str, text: str, role: str = "user", *more: Json) -> dict[str, Json]:
    """Return a message with a text."""
    return {"id": id, "role": role, "parts": [{"type": "text", "text": text}, *more]}


def texts(run: Run) -> list[tuple[str, str]]:
    """Return the ids and the texts of the messages."""
    return [(message.id, message.text) for message in run.messages]
