"""Every frame stays within the 16 Mi UTF-16 units that assistant-ui's decoders take, whatever the state holds.

Escapes count: in JSON a control character takes six. The texts here are made of these, and fill the state to its limit.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from statecast import AddMessage, Agent, Limits, Run, create_app
from statecast.testing import TestClient
from statecast_agents import Json, TooLarge
from statecast_agents.parts import MAX_CHUNK
from tests.clients.node import Accumulator, Protocol

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MAX_UNITS = 16 * 2**20
LIMIT = Limits().state
NOISE = "\x00" * (LIMIT // 6 - 200)  #: a text that takes nearly all of the state
PROTOCOLS: list[Protocol] = ["assistant-transport", "data-stream"]
SAID: Json = {"type": "add-message", "message": {"role": "user", "parts": [{"type": "text", "text": "Go"}]}}
CHAT: Json = {"messages": [{"role": "user", "content": [{"type": "text", "text": "Go"}]}]}


def agent_that(does: Callable[[Run], object]) -> Agent:
    agent = Agent()

    @agent.on(AddMessage)
    async def work(run: Run, command: AddMessage) -> None:
        does(run)

    return agent


def longest_frame(body: bytes) -> int:
    return max(len(frame.decode().encode("utf-16-le")) // 2 for frame in body.split(b"\n"))


def text(run: Run) -> None:
    run.messages.assistant().append_text(NOISE)


def arguments(run: Run) -> None:
    """Have the arguments of a call as an object alone: as text they are JSON in JSON."""
    part: Json = {"type": "tool-call", "toolCallId": "c", "toolName": "look", "args": {"bees": NOISE}}
    run.state = {"messages": [{"id": "m", "role": "assistant", "parts": [part]}]}


def result(run: Run) -> None:
    run.messages.assistant().add_tool_call("look", {}).set_result({"bees": NOISE}, is_error=True)


def backslashes(run: Run) -> None:
    run.messages.assistant().add_tool_call("look", {}).set_result(["\\" * (LIMIT // 2 - 2_000)], is_error=True)


def beside(run: Run) -> None:
    run.state["notes"] = NOISE


@pytest.mark.parametrize("does", [text, arguments, result, backslashes, beside])
async def test_no_frame_of_a_state_at_its_limit_is_too_long(does: Callable[[Run], object]) -> None:
    """A run over each protocol, and its thread for a client that comes later.

    Only a state that is full shows what the escapes of each protocol make of it, which takes some seconds.
    """
    frames: dict[str, bytes] = {}
    async with TestClient(create_app(agent_that(does))) as client:
        for path in ("/assistant?protocol=assistant-transport", "/assistant?protocol=data-stream"):
            body = {"threadId": "t", "commands": [SAID], "state": None}
            frames[path] = (await client.post(path, json=body)).content
            frames[f"{path}, later"] = (await client.post(path, json={**body, "commands": [], "threadId": "t"})).content
            await client.request("DELETE", "/threads/t")
        for path in ("/chat?protocol=ui-message-stream", "/chat?protocol=data-stream"):
            frames[path] = (await client.post(path, json={**CHAT, "threadId": "t"})).content
            async with client.stream("GET", "/threads/t/events") as events:
                frames["events"] = await anext(aiter(events))
            await client.request("DELETE", "/threads/t")

    assert {name: longest_frame(body) for name, body in frames.items() if longest_frame(body) > MAX_UNITS} == {}
    assert max(map(longest_frame, frames.values())) > LIMIT // 2  # it was in them


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_the_published_decoders_take_a_state_at_its_limit(accumulator: Accumulator, protocol: Protocol) -> None:
    async with TestClient(create_app(agent_that(beside))) as client:
        path = f"/assistant?protocol={protocol}"
        lived = await client.post(path, json={"threadId": "t", "commands": [SAID], "state": None})
        loaded = await client.post(path, json={"threadId": "t", "commands": []})

    for answer in (lived, loaded):
        decoded = accumulator.decode(protocol, answer.content)
        assert (decoded.error, decoded.warnings) == (None, [])
        assert decoded.final["notes"] == NOISE


async def test_what_does_not_fit_is_refused_where_it_is_assigned_and_fails_the_run() -> None:
    def grow(run: Run) -> None:
        run.state["notes"] = NOISE
        run.state["more"] = NOISE

    async with TestClient(create_app(agent_that(grow))) as client:
        failed = await client.run("Go", thread_id="t")
        loaded = await client.post("/assistant", json={"threadId": "t", "commands": []})

    assert failed.code == "state_too_large"
    assert failed.error is not None
    assert "16 Mi characters" in failed.error["message"]
    assert failed.state["notes"] == NOISE
    assert "more" not in failed.state
    assert longest_frame(loaded.content) <= MAX_UNITS


async def test_an_agent_may_go_on_without_what_does_not_fit() -> None:
    def grow(run: Run) -> None:
        try:
            run.state["notes"] = "x" * 2 * LIMIT
        except TooLarge:
            run.state["notes"] = "too long"

    async with TestClient(create_app(agent_that(grow))) as client:
        done = await client.run("Go")

    assert (done.error, done.state["notes"]) == (None, "too long")


async def test_a_part_outside_the_state_that_no_frame_can_hold_is_refused_too() -> None:
    def emit(run: Run) -> None:
        run.parts.append_text("x" * (MAX_CHUNK + 1))

    async with TestClient(create_app(agent_that(emit))) as client:
        failed = await client.run("Go")

    assert failed.code == "part_too_large"
