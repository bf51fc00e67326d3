"""An answer as one JSON object. Source: docs/protocol/text-sse-json.md, "POST /json"."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from statecast.protocol.messages.collecting import CollectingEncoder, spoken
from statecast_agents import Json, chunks

__all__ = ["JsonReplyEncoder"]


class OpenCall(msgspec.Struct):
    """A call of a tool that the client is to run."""

    id: str
    name: str
    args: dict[str, Json]


class JsonReply(msgspec.Struct, rename="camel"):
    """An answer that is complete."""

    text: str
    message: str  #: as `text`
    parts: list[dict[str, Json]]
    finish_reason: str
    usage: chunks.Usage
    tool_call: OpenCall | UnsetType = UNSET  #: the first that has no result


class JsonReplyEncoder(CollectingEncoder):
    """Writes the answer once it is complete."""

    name = "json"
    headers = ((b"content-type", b"application/json"),)

    def finish(self) -> bytes:
        """Return the answer, without the run's error."""
        parts = self.parts()
        text = spoken(parts)
        call = next(filter(_is_open, parts), None)
        reply = JsonReply(text, text, parts, self.finish_reason, self.usage or chunks.Usage())
        if call is not None:
            reply.tool_call = OpenCall(call["toolCallId"], call["toolName"], call["args"])
        return msgspec.json.encode(reply)


def _is_open(part: dict[str, Json]) -> bool:
    return part.get("type") == "tool-call" and "result" not in part
