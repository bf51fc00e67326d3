"""AG-UI's own clients, driven by ag_ui.mjs, and what they show."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import httpx
from ag_ui.core import Event
from pydantic import TypeAdapter

from tests.clients.conversing_agent import Part, Said, call, held, joined
from tests.clients.driver import Json
from tests.clients.scenario import Scenario

__all__ = ["Clients", "ClientsReport", "Version", "agrees", "checked", "events_in", "shown", "state_of"]

Version: TypeAlias = str  #: "1.0" or "0.0"

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


@dataclass(frozen=True)
class ClientsReport:
    """What the clients of a scenario did."""

    #: by name: {threadId, messages, state, interrupts, events: their types, custom, outcomes, errors, states}
    clients: Mapping[str, Json]
    requests: list[Json]  #: {url, method, headers, body}
    responses: list[Json]  #: one for each request: {status, headers, body, end}
    invalid: list[Json]  #: {event, error}: what the packages' schemas and verifiers refuse
    console: list[Json]  #: {level, text}
    uncaught: list[str]  #: what nobody caught

    @property
    def main(self) -> Json:
        """The first client."""
        return self.clients["main"]

    @property
    def events(self) -> list[list[Json]]:
        """The events of each response."""
        return [events_in(response["body"]) for response in self.responses]


class Clients(Scenario[ClientsReport]):
    """Clients in a page, step by step."""

    script = "ag_ui.mjs"
    reported = ClientsReport


def checked(report: ClientsReport, *, errors: Mapping[str, Sequence[str]] | None = None) -> ClientsReport:
    """Check what holds in every scenario: nothing to complain of, but these errors of these clients."""
    assert report.invalid == []
    assert report.uncaught == []
    levels = ("warn",) if errors else ("warn", "error")  # a client logs what it could not do
    assert [line for line in report.console if line["level"] in levels] == []
    found = {name: [error["code"] for error in one["errors"]] for name, one in report.clients.items() if one["errors"]}
    assert found == (errors or {})
    for response in report.responses:
        if response["headers"].get("content-type", "").startswith("text/event-stream"):
            events = events_in(response["body"])
            for event in events:
                _EVENT.validate_python(event)
            assert events[0]["type"] == "RUN_STARTED"
            if response["end"] == "complete":
                assert events[-1]["type"] in ("RUN_FINISHED", "RUN_ERROR")
    return report


def events_in(body: str) -> list[Json]:
    """Return the events in a response, as far as they are whole."""
    whole = body[: body.rindex("\n\n")] if "\n\n" in body else ""
    return [json.loads(event.removeprefix("data: ")) for event in whole.split("\n\n") if event.startswith("data: ")]


def state_of(url: str, thread_id: str) -> Json:
    """Return a thread's state."""
    answer = httpx.get(f"{url}/threads/{thread_id}/state")
    assert answer.status_code == 200, answer.text
    return answer.json()["state"]


def agrees(report: ClientsReport, url: str, client: str = "main") -> Said:
    """Check that a client shows what its thread's state holds, messages and what is beside them, and return it."""
    one = report.clients[client]
    state = state_of(url, one["threadId"])
    said = shown(one["messages"])
    assert said == joined((role, [part for part in parts if part[0] in _CARRIED]) for role, parts in held(state))
    assert one["state"] == {key: value for key, value in state.items() if key != "messages"}
    return said


#: Parts that AG-UI's messages have; others are custom events.
_CARRIED = ("text", "reasoning", "tool-call")


def shown(messages: Iterable[Json]) -> Said:
    """Return what messages of AG-UI show."""
    messages = list(messages)
    results = {message["toolCallId"]: message for message in messages if message["role"] == "tool"}
    return joined((_role(message["role"]), _parts(message, results)) for message in messages)


def _role(role: str) -> str:
    return "assistant" if role in ("reasoning", "tool") else role


def _parts(message: Json, results: Mapping[str, Json]) -> list[Part]:
    match message["role"]:
        case "tool":
            return []
        case "reasoning":
            return [("reasoning", message["content"])] if message["content"] else []
        case "user" if not isinstance(message["content"], str):
            return [("text", part["text"]) for part in message["content"] if part["type"] == "text"]
        case _:
            calls = [_call(one, results.get(one["id"])) for one in message.get("toolCalls") or ()]
            return [("text", message["content"]), *calls] if message.get("content") else [*calls]


def _call(one: Json, result: Json | None) -> Part:
    settled = {}
    if result is not None:
        failed = "error" in result or (result.get("metadata") or {}).get("isError") is True
        settled = {"result": _value(result["content"]), "isError": failed}
    return call(one["function"]["name"], json.loads(one["function"]["arguments"]), settled)


def _value(content: str) -> Json:
    try:
        return json.loads(content)
    except json.JSONDecodeError:
        return content
