"""Two clients of AG-UI and one of another kind on one thread: whatever they do, each shows what the thread has."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from statecast.testing import TestClient
from statecast_agents import Json
from tests.clients.ag_ui import shown
from tests.clients.conversing_agent import conversing
from tests.transport.strict_ag_ui_client import Reading, beside, carried

pytestmark = pytest.mark.slow

SCRIPTS = ["text", "think", "look", "both", "progress", "title", "steps", "several", "ask", "wait", "approve", "fail"]

turn = st.tuples(
    st.sampled_from(["ann", "bob"]),
    st.sampled_from(["say", "say", "say", "join", "look", "edit", "again", "answer", "resume", "elsewhere"]),
    st.sampled_from(SCRIPTS),
    st.integers(0, 3),
)


@dataclass
class Page:
    """What a client has."""

    modern: bool
    messages: list[Json] = field(default_factory=list)
    state: Json = field(default_factory=dict)
    interrupts: list[Json] = field(default_factory=list)

    def users(self) -> list[int]:
        return [index for index, message in enumerate(self.messages) if message["role"] == "user"]

    def open_call(self) -> str | None:
        answered = {message["toolCallId"] for message in self.messages if message["role"] == "tool"}
        calls = [call["id"] for message in self.messages for call in message.get("toolCalls", ())]
        return next((call for call in reversed(calls) if call not in answered), None)


class Table:
    """The thread, and who sits around it."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.pages = {"ann": Page(modern=True), "bob": Page(modern=False)}
        self.numbers = count()

    async def take(self, who: str, what: str, script: str, at: int) -> None:
        page = self.pages[who]
        status = await self.client.get("/status/t")
        waits = status.status == 200 and status.json()["status"] == "waiting"
        given_up = [{"interruptId": one["id"], "status": "cancelled"} for one in page.interrupts]
        users, call = page.users(), page.open_call()
        match what:
            case "say" if not waits or given_up:
                await self.post(page, [*page.messages, self.said(script)], resume=given_up if waits else [])
            case "join" if status.status == 200:
                page.messages, page.state = [], {}
                await self.post(page, [])
            case "look" if page.messages and page.messages[-1]["role"] != "user":
                await self.post(page, page.messages)
            case "edit" if users and not waits:
                await self.post(page, [*page.messages[: users[at % len(users)]], self.said(script)])
            case "again" if users and not waits:
                await self.post(page, page.messages[: users[at % len(users)] + 1])
            case "answer" if call is not None:
                answer = {"id": f"a{next(self.numbers)}", "role": "tool", "toolCallId": call, "content": '{"x":1}'}
                await self.post(page, [*page.messages, answer])
            case "resume" if page.interrupts:
                answers = [{**one, "status": "resolved", "payload": {"approved": True}} for one in given_up]
                await self.post(page, page.messages, resume=answers)
            case "elsewhere" if not waits:
                await self.client.run(script, thread_id="t")
            case _:
                pass

    def said(self, script: str) -> Json:
        number = next(self.numbers)
        return {"id": f"u{number}", "role": "user", "content": f"{script} {number}"}

    async def post(self, page: Page, messages: list[Json], resume: list[Json] | None = None) -> None:
        version = {"protocolVersion": "1.0"} if page.modern else {}
        fields = {"threadId": "t", "runId": f"r{next(self.numbers)}", "state": page.state, "resume": resume or []}
        response = await self.client.post("/ag-ui", json={"messages": messages, **fields, **version})
        if response.status == 409 and resume:
            assert response.json()["error"]["code"] == "unknown_interrupt"
            state = (await self.client.get("/threads/t/state")).json()["state"]
            assert not {one["interruptId"] for one in resume} & calls_in(state), "it asks yet"
            page.interrupts = []  # who asked was cut by the other
            return
        assert response.status == 200, response.content
        reading = Reading(messages, page.state).read(response.content)
        page.messages, page.state = reading.messages, reading.state
        page.interrupts = (reading.events[-1].get("outcome") or {}).get("interrupts", [])
        status = (await self.client.get("/status/t")).json()
        if status["queued"] or response.headers.get("statecast-run-id", status["runId"]) != status["runId"]:
            return  # what comes behind, the next answer tells
        state = (await self.client.get("/threads/t/state")).json()["state"]
        assert shown(page.messages) == carried(state)
        assert page.state == beside(state)


def calls_in(state: Json) -> set[str]:
    """Return the ids of the calls in a state."""
    parts = [part for message in state["messages"] for part in message["parts"]]
    return {part["toolCallId"] for part in parts if part["type"] == "tool-call"}


def turns(text: str) -> list[tuple[str, str, str, int]]:
    """Return turns that were written down, each in three words, or in four with the message that it is about."""
    words = [one.split() for one in text.split(", ")]
    return [(who, what, script, int(at[0]) if at else 0) for who, what, script, *at in words]


@example(turns("ann say both, bob say text, ann say think, bob answer text, ann look text"))
@example(turns("ann say both, ann say look, bob say text, bob answer text, ann look text"))
@example(turns("ann say wait, bob join text, bob answer text, bob edit text, ann resume text"))
@example(turns("ann say text, bob say text, ann say title, bob again text 1"))
@given(st.lists(turn, min_size=2, max_size=12))
@settings(max_examples=80, deadline=None)
def test_after_each_turn_a_client_shows_what_the_thread_has(turns: list[tuple[str, str, str, int]]) -> None:
    async def scenario() -> None:
        async with TestClient(conversing()) as client:
            table = Table(client)
            for one in turns:
                await table.take(*one)

    asyncio.run(scenario())
