"""The demo's agent: the words that steer it, and its commands."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from statecast import AddToolResult, create_app, demo
from statecast.demo import library, trips
from statecast.testing import Result, TestClient
from statecast_agents.document import to_json

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


async def approve(client: TestClient, asked: Result, *, approved: bool = True) -> Result:
    call = parts_of(asked)[-1]
    assert call["toolName"] == "approval"
    answer = AddToolResult(tool_call_id=call["toolCallId"], tool_name="approval", result={"approved": approved})
    return await client.run(answer, thread_id=asked.thread_id)


async def test_a_trip_is_found_with_three_tools_and_booked_when_the_user_agrees() -> None:
    async with TestClient(demo.agent) as client:
        asked = await client.run("Plan a weekend trip for 350 euros", thread_id="t")
        done = await approve(client, asked)

    calls = [part for part in parts_of(asked) if part["type"] == "tool-call"]
    assert [call["toolName"] for call in calls] == ["find_trains", "find_hotels", "find_sights", "approval"]
    assert [call["result"] for call in calls[:3]] == [{"found": 14, "cities": 7}] * 3
    everything = list(trips.trips(trips.trains(), trips.hotels(), trips.sights()))
    assert asked.state["table"] == [to_json(trip) for trip in everything if trip.total <= 350]
    assert {bar["label"]: bar["value"] for bar in asked.state["chart"]} == {
        city: min(trip.total for trip in everything if trip.city == city) for city in {trip.city for trip in everything}
    }
    chosen = trips.best(everything, 350)
    assert chosen is not None
    assert asked.state["choice"] == to_json(chosen)
    assert (asked.state["budget"], asked.state["progress"]["done"]) == (350, len(everything))
    assert done.state["booking"] == {
        "city": chosen.city,
        "hotel": chosen.hotel,
        "total": chosen.total,
        "left": 350 - chosen.total,
    }
    assert {step["status"] for step in done.state["plan"]} == {"done"}
    assert "choice" not in done.state


async def test_a_trip_that_the_user_refuses_is_not_booked() -> None:
    async with TestClient(demo.agent) as client:
        asked = await client.run("trip", thread_id="t")
        done = await approve(client, asked, approved=False)

    assert "booking" not in done.state
    assert "book nothing" in parts_of(done)[-1]["text"]


async def test_a_budget_that_changes_meanwhile_changes_the_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    async with TestClient(demo.agent) as client:
        rich = await client.run("trip for 900 euros", thread_id="rich")
        monkeypatch.setattr(MODULE, "PACE", 0.002)
        asking = asyncio.create_task(client.run("trip for 900 euros", thread_id="t"))
        await until(client, lambda state: len(state.get("table", [])) > 2)
        changed = await client.post(
            "/assistant", json={"threadId": "t", "commands": [{"type": "set-budget", "euros": 240}]}
        )
        asked = await asking

    assert changed.status == 200
    assert rich.state["choice"]["total"] > 240 >= asked.state["choice"]["total"]
    assert max(trip["total"] for trip in asked.state["table"]) <= 240
    assert "The budget is 240 euros now, so I compare again. The best is" in str(parts_of(asked))


async def test_a_budget_for_which_there_is_no_trip_is_said() -> None:
    async with TestClient(demo.agent) as client:
        done = await client.run("trip for 60 euros", thread_id="t")

    assert (done.error, done.state["table"]) == (None, [])
    assert "No trip is as cheap as 60 euros" in parts_of(done)[-1]["text"]


async def test_an_approval_after_a_restart_is_as_good(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/threads.db"
    async with TestClient(create_app(demo.agent, store=store)) as client:
        asked = await client.run("trip", thread_id="t")
    async with TestClient(create_app(demo.agent, store=store)) as client:
        done = await approve(client, asked)

    assert done.state["booking"]["city"] == asked.state["choice"]["city"]


async def test_it_says_what_to_try() -> None:
    async with TestClient(demo.agent) as client:
        (described,) = (await client.get("/agents")).json()["agents"]

    assert len(described["suggestions"]) == 3
    assert all(suggestion["prompt"] and suggestion["hint"] for suggestion in described["suggestions"])


async def until(client: TestClient, fact: Callable[[Any], bool]) -> None:
    """Wait until something is so of the state of the thread `t`."""
    with anyio.fail_after(30):
        while True:
            answer = await client.get("/threads/t/state")
            if answer.status == 200 and fact(answer.json()["state"]):
                return
            await anyio.sleep(0.001)


async def test_it_is_served_with_its_page() -> None:
    async with TestClient(create_app(demo.agent, page=True)) as client:
        page = await client.get("/")
        assert b"<html" in page.content
        assert "Content-Security-Policy" in page.content.decode()
        assert (await client.get("/client.js")).status == 200


def test_a_list_is_one_passage_without_its_dashes() -> None:
    found = library.passages(
        "list.md", "- The first item is a sentence.\n- The second one is, too.\n\n```\n- code\n```\n"
    )
    assert [passage.text for passage in found] == ["The first item is a sentence. The second one is, too."]
