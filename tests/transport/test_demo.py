"""The demo's agent: the words that steer it, and its commands."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from statecast import AddToolResult, create_app, demo
from statecast.testing import Result, TestClient

pytestmark = pytest.mark.anyio


MODULE = sys.modules["statecast.demo.agent"]  # the package has the agent itself under that name
SLOW_PACE: float = vars(MODULE)["SLOW_PACE"]


@pytest.fixture(autouse=True)
def in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the demo's pauses be next to none."""
    monkeypatch.setattr(MODULE, "PACE", 0)
    monkeypatch.setattr(MODULE, "SLOW_PACE", 0.000_01)


def parts_of(result: Result, number: int = -1) -> list[dict[str, Any]]:
    return list(result.state["messages"][number]["parts"])


def growth(result: Result) -> int:
    """Return in how many frames the answer's text grew."""
    return sum(
        any(
            operation["type"] == "append-text" and operation["path"][0] == "messages"
            for operation in chunk["operations"]
        )
        for chunk in result.chunks
        if chunk["type"] == "update-state"
    )


async def test_it_answers() -> None:
    async with TestClient(demo.agent) as client:
        result = await client.run("What does a cursor name?")

    assert result.error is None
    assert [message["role"] for message in result.state["messages"]] == ["user", "assistant"]
    assert parts_of(result)[0]["type"] == "text"
    assert {step["status"] for step in result.state["plan"]} == {"done"}
    assert result.state["progress"]["done"] == result.state["progress"]["total"]


async def test_slow_takes_at_least_three_seconds() -> None:
    async with TestClient(demo.agent) as client:
        frames = growth(await client.run("slow please"))
    assert frames * SLOW_PACE >= 3


async def test_thinking_comes_first() -> None:
    async with TestClient(demo.agent) as client:
        result = await client.run("think about cursors")
    assert [part["type"] for part in parts_of(result)][:2] == ["reasoning", "text"]


async def test_failing_keeps_what_was_said() -> None:
    async with TestClient(demo.agent) as client:
        result = await client.run("fail")
    assert result.code == "demo_failed"
    assert "look that up" in parts_of(result)[0]["text"]


async def test_a_question_is_left_open_and_its_answer_goes_on() -> None:
    async with TestClient(demo.agent) as client:
        asked = await client.run("tool")
        call = parts_of(asked)[-1]
        assert (asked.error, call["toolName"], "result" in call) == (None, "ask_user", False)

        answer = AddToolResult(tool_call_id=call["toolCallId"], tool_name="ask_user", result="cursors")
        done = await client.run(answer, state=asked.state, thread_id=asked.thread_id)

    assert len(done.state["messages"]) == 2
    assert parts_of(done)[1]["result"] == "cursors"
    assert 'You said "cursors"' in parts_of(done)[2]["text"]


async def test_a_question_that_failed_goes_on_without() -> None:
    async with TestClient(demo.agent) as client:
        asked = await client.run("tool")
        answer = AddToolResult(tool_call_id=parts_of(asked)[-1]["toolCallId"], result="no", is_error=True)
        done = await client.run(answer, thread_id=asked.thread_id)
    assert "without it" in parts_of(done)[2]["text"]


async def test_a_title_is_set() -> None:
    async with TestClient(demo.agent) as client:
        assert (await client.run({"type": "set-title", "title": "Cursors"})).state["title"] == "Cursors"
        for title in ("", "x" * 121, 5):
            assert (await client.run({"type": "set-title", "title": title})).code == "invalid_command"


async def test_a_pasted_text_is_what_it_answers_from() -> None:
    text = (
        "The zebrafish regrows its heart within two months of an injury, which few animals can.\n\nAnother paragraph."
    )
    paste = {"type": "paste-text", "name": "fish.txt", "text": text}
    async with TestClient(demo.agent) as client:
        pasted = await client.run(paste, paste)
        done = await client.run("How does the zebrafish heal?", state=pasted.state, thread_id=pasted.thread_id)

    assert [document["name"] for document in pasted.state["documents"]] == ["fish.txt"]
    assert "regrows its heart" in parts_of(done)[0]["text"]
    assert parts_of(done)[1]["title"] == "fish.txt"


async def test_it_is_served_with_its_page() -> None:
    async with TestClient(create_app(demo.agent, page=True)) as client:
        page = await client.get("/")
        assert b"<html" in page.content
        assert "Content-Security-Policy" in page.content.decode()
        assert (await client.get("/client.js")).status == 200
