"""The assistant's answer, as it grows in a state or in message parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from statecast.client import Change
from statecast_agents import Json

from .output import write

__all__ = ["AnswerPrinter", "last_parts", "open_lines", "text_of"]


class AnswerPrinter:
    """Prints what the assistant says beyond what it had said in the state `before`."""

    def __init__(self, before: Json) -> None:
        self._before = [text_of(message) for message in _messages(before)]
        self._shown = ""

    def show(self, change: Change) -> None:
        """Print what is new."""
        texts: list[str] = []
        for index, message in enumerate(_messages(change.state)):
            text = text_of(message)
            if index < len(self._before):
                text = text.removeprefix(self._before[index])
            if text and (message.get("role") or message.get("type")) in ("assistant", "ai"):
                texts.append(text)
        text = "\n\n".join(texts) or text_of({"parts": change.parts})
        if not text.startswith(self._shown):  # it said something else instead
            write("\n\n")
            self._shown = ""
        write(text[len(self._shown) :])
        self._shown = text

    def end(self) -> None:
        """End the line."""
        if self._shown and not self._shown.endswith("\n"):
            write("\n")


def last_parts(change: Change) -> list[Mapping[str, Json]]:
    """Return the parts of the last message, and those emitted outside the state."""
    messages = _messages(change.state)
    parts = messages[-1].get("parts") if messages else None
    return [part for part in (*(parts if isinstance(parts, list) else ()), *change.parts) if isinstance(part, dict)]


def open_lines(change: Change) -> list[str]:
    """Return a line for each open question, and for each call in the last message that has no result."""
    calls = [part for part in last_parts(change) if part.get("type") == "tool-call" and "result" not in part]
    shown = {call.get("toolCallId"): f"{call.get('toolName')} {call.get('argsText')}" for call in calls}
    lines: list[str] = []
    pending = change.state.get("pending") if isinstance(change.state, dict) else None
    for question in pending if isinstance(pending, list) else ():
        if isinstance(question, dict):
            about = shown.pop(question.get("callId"), None) or question.get("kind")
            prompt = " ".join(str(question.get("prompt", "")).split())
            lines.append(f"{about} waits for an answer, as {question.get('id')}" + (f": {prompt}" if prompt else ""))
    return lines + [f"{call} waits for its result, as {id}" for id, call in shown.items()]


def _messages(state: Json) -> list[Mapping[str, Json]]:
    """Return the messages in a state, where it has any in one of the usual places."""
    found = state.get("messages") if isinstance(state, dict) else state
    return [item if isinstance(item, dict) else {} for item in found] if isinstance(found, list) else []


def text_of(message: Mapping[str, Json]) -> str:
    """Return the text of a message."""
    parts = message.get("parts", message.get("content"))
    if not isinstance(parts, Sequence) or isinstance(parts, str):
        return str(parts or "")
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    return "\n\n".join(text for text in texts if isinstance(text, str) and text)
