"""An answer as one JSON object, for adapters that ask once and read once. Source: docs/protocol.md, "POST /json"."""

from __future__ import annotations

from typing import Any

import msgspec

from statecast.protocol.messages.collecting import CollectingEncoder, spoken
from statecast_agents import Json, chunks

__all__ = ["JsonReplyEncoder"]


class JsonReplyEncoder(CollectingEncoder):
    """Writes an answer when it is over."""

    name = "json"
    headers = ((b"content-type", b"application/json"),)

    def finish(self) -> bytes:
        """Return the answer; the run's error is not in it."""
        parts = self.parts()
        text = spoken(parts)
        reply: dict[str, Any] = {
            "text": text,
            "message": text,
            "parts": parts,
            "finishReason": self.finish_reason,
            "usage": self.usage or chunks.Usage(),
        }
        call = next(filter(_is_open, parts), None)
        if call is not None:
            reply["toolCall"] = {"id": call["toolCallId"], "name": call["toolName"], "args": call["args"]}
        return msgspec.json.encode(reply)


def _is_open(part: dict[str, Json]) -> bool:
    return part.get("type") == "tool-call" and "result" not in part
