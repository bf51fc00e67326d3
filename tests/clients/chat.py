"""The AI SDK's chats, driven by chat.mjs, and what they show."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import httpx

from tests.clients.conversing_agent import Part, Said, call, file, held, joined
from tests.clients.driver import Json
from tests.clients.scenario import Scenario

__all__ = [
    "IDLE",
    "Chats",
    "ChatsReport",
    "agrees",
    "chatting",
    "checked",
    "play",
    "send",
    "shown",
    "state_of",
]

IDLE = {"do": "wait", "for": "idle"}


@dataclass(frozen=True)
class ChatsReport:
    """What the chats of a scenario did."""

    #: by name: {id, messages, status, error, invalid: what the package finds wrong with the messages, data: what onData
    #: got, calls: what onToolCall got, errors: those of onError, finishes: what onFinish was told}
    chats: Mapping[str, Json]
    requests: list[Json]  #: {url, method, headers, body}
    responses: list[Json]  #: one for each request: {status, headers, body, end}
    invalid_chunks: list[Json]  #: {chunk, error}: what the package's own schema refuses
    console: list[Json]  #: {level, text}
    uncaught: list[str]  #: what nobody caught

    @property
    def main(self) -> Json:
        """The first chat."""
        return self.chats["main"]

    @property
    def chunks(self) -> list[list[Json]]:
        """The chunks of each response."""
        return [_chunks(response["body"]) for response in self.responses]


class Chats(Scenario[ChatsReport]):
    """Chats in a page, step by step."""

    script = "chat.mjs"
    reported = ChatsReport


def checked(report: ChatsReport, *, errors: Mapping[str, list[str]] | None = None) -> ChatsReport:
    """Check what holds in every scenario: nothing to complain of, but these errors of these chats."""
    assert report.invalid_chunks == []
    assert report.uncaught == []
    assert [line for line in report.console if line["level"] in ("warn", "error")] == []
    assert {name: chat["invalid"] for name, chat in report.chats.items()} == dict.fromkeys(report.chats)
    assert {name: chat["errors"] for name, chat in report.chats.items() if chat["errors"]} == (errors or {})
    for response in report.responses:
        if "x-vercel-ai-ui-message-stream" in response["headers"] and response["end"] in ("complete", "left"):
            assert response["body"].endswith("data: [DONE]\n\n") or "error" in response["body"]
    return report


def state_of(url: str, thread_id: str) -> Json:
    """Return a thread's state."""
    answer = httpx.get(f"{url}/threads/{thread_id}/state")
    assert answer.status_code == 200, answer.text
    return answer.json()["state"]


def agrees(report: ChatsReport, url: str, chat: str = "main") -> Said:
    """Check that a chat shows what its thread's state holds, and return it."""
    said = shown(report.chats[chat]["messages"])
    assert said == held(state_of(url, report.chats[chat]["id"]))
    return said


def shown(messages: list[Json]) -> Said:
    """Return what messages of the AI SDK show."""
    return joined(
        (message["role"], [made for part in message["parts"] if (made := _shown(part)) is not None])
        for message in messages
    )


def _shown(part: Json) -> Part | None:
    match part["type"]:
        case "text" | "reasoning" as kind:
            return kind, part["text"]
        case "step-start":
            return None
        case "source-url":
            return "source", part["url"], part.get("title")
        case "file":
            return file(part["mediaType"], part["url"])
        case kind if kind.startswith("data-"):
            return "data", kind.removeprefix("data-"), part["data"]
        case kind if kind.startswith("tool-"):
            return call(kind.removeprefix("tool-"), part.get("input"), _settled(part))
        case kind:
            raise AssertionError(f"expected a part of a known type, got {kind}")


def _settled(part: Json) -> Json:
    match part["state"]:
        case "output-available":
            return {"result": part["output"]}
        case "output-error":
            return {"result": part["errorText"], "isError": True}
        case "output-denied":
            why = part["approval"]
            return {"result": {key: why[key] for key in ("approved", "reason") if key in why}}
        case _:
            return {}


def _chunks(body: str) -> list[Json]:
    events = (event.removeprefix("data: ") for event in body.split("\n\n") if event.startswith("data: "))
    return [json.loads(event) for event in events if event != "[DONE]"]


# Scenarios


@contextmanager
def chatting(url: str, query: str = "", **settings: Json) -> Iterator[Chats]:
    """Yield chats on a thread that is new."""
    thread_id = f"chat-{uuid4().hex[:12]}"
    with Chats({"api": f"{url}/chat{query}", "id": thread_id, **settings}) as chats:
        yield chats


def play(url: str, *steps: Mapping[str, Json], **settings: Json) -> ChatsReport:
    """Play steps in which nothing goes wrong, and check what is shown at the end."""
    with chatting(url, **settings) as chats:
        for step in steps:
            chats.step(**step)
        report = checked(chats.told())
    agrees(report, url)
    return report


def send(text: str, **more: Json) -> Json:
    """Return the step that says something, and waits for the answer."""
    return {"do": "send", "text": text, "for": "idle", **more}
