"""A client of AG-UI that forgives nothing: what it has after each event, and what is wrong with an event."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import jsonpatch
import msgspec
from ag_ui.core import Event
from pydantic import TypeAdapter

from statecast.protocol.ag_ui.encoder import AgUiEncoder
from statecast.protocol.ag_ui.request import RunInput, read_run_input
from statecast.protocol.messages.full_projection import FullProjection
from statecast_agents import Json
from tests.clients.conversing_agent import Said, held, joined
from tests.transport.answering_agent import RUN, Answering

__all__ = [
    "SAID",
    "TOOLS",
    "USER",
    "Reading",
    "asked",
    "beside",
    "carried",
    "encoder_of",
    "events_in",
    "posted",
    "read",
    "types",
]

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)

#: What an event ends, or goes on with, and what has begun it.
_BEGINNINGS = {
    "TEXT_MESSAGE": ("TEXT_MESSAGE_START", "messageId"),
    "REASONING_MESSAGE": ("REASONING_MESSAGE_START", "messageId"),
    "REASONING": ("REASONING_START", "messageId"),
    "TOOL_CALL": ("TOOL_CALL_START", "toolCallId"),
    "STEP": ("STEP_STARTED", "stepName"),
}


TOOLS = [{"name": "ask", "description": "", "parameters": {}}]
USER = {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "hello"}]}
SAID = {"id": "u1", "role": "user", "content": "hello"}


def posted(*messages: Json, **more: Json) -> dict[str, Any]:
    """Return the body of a request."""
    return {"threadId": "t", "runId": "r", "messages": list(messages), "state": {}, **more}


def asked(*messages: Json, **more: Json) -> RunInput:
    """Return what was read of a request."""
    return read_run_input(msgspec.json.encode(posted(*messages, **more)))


def carried(state: Json) -> Said:
    """Return what AG-UI's messages can have of a state."""
    kinds = ("text", "reasoning", "tool-call")
    return joined((role, [part for part in parts if part[0] in kinds]) for role, parts in held(state))


def beside(state: Json) -> Json:
    """Return what a state has beside the messages."""
    return {key: value for key, value in state.items() if key != "messages"}


class Reading:
    """Applies events in order.

    Args:
        messages: What the client has before.
        state: Likewise.
    """

    def __init__(self, messages: Iterable[Json] = (), state: Json = None) -> None:
        self.messages: list[Any] = [dict(message) for message in messages]
        self.state: Json = {} if state is None else state
        self.events: list[Json] = []
        self.custom: list[Json] = []
        self._open: set[tuple[str, str]] = set()

    def read(self, data: bytes) -> Reading:
        """Apply the events in a piece of a stream."""
        for event in events_in(data):
            _EVENT.validate_python(event)
            assert None not in [value for key, value in event.items() if key not in ("snapshot", "value")], event
            assert not self.events or self.events[-1]["type"] not in ("RUN_FINISHED", "RUN_ERROR"), event
            assert (event["type"] == "RUN_STARTED") == (not self.events), event
            self.events.append(event)
            self._order(event)
            self._apply(event)
        return self

    @property
    def types(self) -> list[str]:
        """The types of all events."""
        return types(self.events)

    def _order(self, event: Json) -> None:
        family, _, what = event["type"].rpartition("_")
        if event["type"] == "RUN_FINISHED":
            assert not self._open, self._open
        if family not in _BEGINNINGS or what == "RESULT":
            return
        begins, key = _BEGINNINGS[family]
        mark = family, event[key]
        if event["type"] == begins:
            assert mark not in self._open, f"{mark} begins twice"
            self._open.add(mark)
        else:
            assert mark in self._open, f"{event} without a beginning"
            if what in ("END", "FINISHED"):
                self._open.remove(mark)

    def _apply(self, event: Json) -> None:
        match event["type"]:
            case "TEXT_MESSAGE_START" | "REASONING_MESSAGE_START":
                self._begin(event["messageId"], event["role"])
            case "TEXT_MESSAGE_CONTENT" | "REASONING_MESSAGE_CONTENT":
                message = self._message(event["messageId"])
                message["content"] = (message.get("content") or "") + event["delta"]
            case "TOOL_CALL_START":
                calls = self._begin(event["parentMessageId"], "assistant").setdefault("toolCalls", [])
                assert all(call["id"] != event["toolCallId"] for call in calls)
                function = {"name": event["toolCallName"], "arguments": ""}
                calls.append({"id": event["toolCallId"], "type": "function", "function": function})
            case "TOOL_CALL_ARGS":
                self._call(event["toolCallId"])["function"]["arguments"] += event["delta"]
            case "TOOL_CALL_RESULT":
                self._settle(event)
            case "MESSAGES_SNAPSHOT":
                self._replace(event["messages"])
            case "STATE_SNAPSHOT":
                self.state = event["snapshot"]
            case "STATE_DELTA":
                self.state = jsonpatch.apply_patch(self.state, event["delta"])
            case "CUSTOM":
                self.custom.append([event["name"], event["value"]])
            case _:
                pass

    def _begin(self, id: str, role: str) -> Json:
        known = next((message for message in self.messages if message["id"] == id), None)
        if known is None:
            known = {"id": id, "role": role}
            self.messages.append(known)
        assert known["role"] == role
        return known

    def _message(self, id: str) -> Json:
        return next(message for message in self.messages if message["id"] == id)

    def _call(self, id: str) -> Json:
        calls = [call for message in self.messages for call in message.get("toolCalls", ())]
        return next(call for call in calls if call["id"] == id)

    def _settle(self, event: Json) -> None:
        owner = next(
            at
            for at, message in enumerate(self.messages)
            if any(call["id"] == event["toolCallId"] for call in message.get("toolCalls", ()))
        )
        at = owner + 1
        while at < len(self.messages) and self.messages[at]["role"] == "tool":
            at += 1
        assert all(message["id"] != event["messageId"] for message in self.messages)
        fields = {"id": event["messageId"], "toolCallId": event["toolCallId"], "content": event["content"]}
        self.messages.insert(at, {"role": "tool", **fields, "metadata": event.get("metadata", {})})

    def _replace(self, told: Sequence[Json]) -> None:
        """Do as the published clients do: what is known keeps its place, what is new comes last."""
        new = {message["id"]: message for message in told}
        reasons = any(message["role"] == "reasoning" for message in told)
        kept = [one for one in self.messages if one["id"] in new or (one["role"] == "reasoning" and not reasons)]
        ids = {message["id"] for message in kept}
        self.messages = [new.get(message["id"], message) for message in kept]
        self.messages += [message for message in told if message["id"] not in ids]
        self.messages = json.loads(json.dumps(self.messages))


def events_in(data: bytes) -> list[Json]:
    """Return the events in a piece of a stream."""
    assert b"\r" not in data
    return [json.loads(event.removeprefix(b"data: ")) for event in data.split(b"\n\n") if event.startswith(b"data: ")]


def types(events: Iterable[Json]) -> list[str]:
    """Return their types."""
    return [event["type"] for event in events]


def encoder_of(answering: Answering, *messages: Json, **more: Json) -> AgUiEncoder:
    """Return the encoder of an answer's stream, for a client that has posted these messages."""
    projection = FullProjection(("messages",), run_id=RUN, base=answering.base)
    return AgUiEncoder(projection, asked(*messages, **more))


def read(answering: Answering, encoder: AgUiEncoder, *messages: Json) -> Reading:
    """Return what a client has at the end of a whole stream."""
    reading = Reading(messages).read(encoder.begin())
    for entry in answering.entries:
        reading.read(encoder.encode(entry))
    return reading.read(encoder.finish())
