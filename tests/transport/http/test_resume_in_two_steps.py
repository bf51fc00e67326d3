"""Resuming in two steps: `/initial-state` hands out the state, and `/resume` sends what came after it, and no more.

The `runId` of the first is what the second is told: which run, and how far. It is exact for any client and at any time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from statecast import Agent, AgentError, App, Limits, Run, UntypedCommand, create_app
from statecast.protocol.assistant_transport import data_stream
from statecast.stores import SqliteStore
from statecast.testing import TestClient
from tests.transport.followers import PATH, crashed, posted, state_of, store_of, until_status
from tests.transport.held_agent import HOLD, NOTE, held, note
from tests.transport.resuming_client import RESUME, after, chunks_in, first_step, is_snapshot, replay_of, second_step

pytestmark = pytest.mark.anyio

COUNT = {"type": "count"}


class Counting:
    """An agent that appends the next number whenever it is let, up to `last`."""

    def __init__(self, last: int = 5, **settings: Any) -> None:
        self.agent = Agent(initial={"numbers": [], "long": "x" * 10_000}, **settings)
        self.steps = [anyio.Event() for _ in range(last + 1)]

        @self.agent.on("count")
        async def count(run: Run, command: UntypedCommand) -> None:
            for number, step in enumerate(self.steps):
                await step.wait()
                run.state["numbers"].append(number)

    async def go_to(self, number: int, client: TestClient) -> None:
        """Let it count up to a number."""
        for step in self.steps[: number + 1]:
            step.set()
        with anyio.fail_after(10):
            while number not in (await state_of(client))["numbers"]:  # noqa: ASYNC110  # asked over HTTP
                await anyio.sleep(0.001)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_whoever_was_handed_the_state_gets_what_came_after_it_and_nothing_else(kind: str, tmp_path: Path) -> None:
    counting = Counting()
    app = create_app(counting.agent, store=store_of(kind, tmp_path))
    async with TestClient(app) as client, client.stream("POST", PATH, json=posted(COUNT)) as first:
        handed = []
        for number in range(5):
            await counting.go_to(number, client)
            handed.append(await first_step(client))
        assert [one["state"]["numbers"] for one in handed] == [list(range(number + 1)) for number in range(5)]

        for body in [*handed, *reversed(handed)]:  # whoever comes first, and as often as it likes
            async with client.stream("POST", RESUME, json=second_step(body)) as response:
                await response.read_until(b"\n\n")
            assert len(response.content) < 1_000
        async with client.stream("POST", RESUME, json=second_step(handed[2])) as last:
            await counting.go_to(5, client)
            await last.read()
        await first.read()

    assert after(handed[2]["state"], last.content) == {"numbers": [0, 1, 2, 3, 4, 5], "long": "x" * 10_000}
    assert not any(map(is_snapshot, chunks_in(last.content)))
    assert after(handed[2]["state"], replay_of(last))["numbers"] == [0, 1, 2, 3, 4]
    assert last.headers["statecast-run-id"] == first.headers["statecast-run-id"]
    assert last.headers["statecast-cursor"] == handed[2]["runId"].partition("@")[2]


async def test_a_run_that_has_ended_between_the_two_steps_is_shown_to_its_end() -> None:
    counting = Counting()
    async with TestClient(counting.agent) as client, client.stream("POST", PATH, json=posted(COUNT)) as first:
        handed = []
        for number in range(5):
            await counting.go_to(number, client)
            handed.append(await first_step(client))
        await counting.go_to(5, client)
        await first.read()
        for body in handed:
            response = await client.post(RESUME, json=second_step(body))
            assert after(body["state"], response.content)["numbers"] == [0, 1, 2, 3, 4, 5]
            assert len(response.content) < 1_000
            assert response.content.endswith(b"data: [DONE]\n\n")
            assert response.headers["x-stream-status"] == "completed"
            assert response.headers["statecast-run-id"] == first.headers["statecast-run-id"]


@pytest.mark.parametrize("protocol", ["assistant-transport", "data-stream"])
async def test_a_run_that_has_failed_between_the_two_steps_says_so(protocol: str) -> None:
    agent = Agent()
    release = anyio.Event()

    @agent.on("fail")
    async def fail(run: Run, command: UntypedCommand) -> None:
        note(run, "tried")
        await release.wait()
        raise AgentError("No luck.", code="unlucky")

    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted({"type": "fail"})) as first:
        await first.read_until(b"tried")
        handed = await first_step(client)
        release.set()
        await first.read()
        response = await client.post(f"/resume?protocol={protocol}", json=second_step(handed))

    assert response.headers["x-stream-status"] == "failed"
    assert b"No luck." in response.content


@pytest.mark.parametrize("ends", [False, True], ids=["under way", "over"])
@pytest.mark.parametrize("protocol", ["assistant-transport", "data-stream"])
async def test_message_parts_come_from_their_beginning(protocol: str, *, ends: bool) -> None:
    agent, release = held()

    @agent.on("speak")
    async def speak(run: Run, command: UntypedCommand) -> None:
        run.parts.append_text(f"{command.body['text']}, once upon ")
        run.state = {"notes": ["spoke"]}
        run.flush()
        await release.wait()
        run.parts.append_text("a time")

    path = f"/resume?protocol={protocol}"
    async with TestClient(agent) as client:
        release.set()
        await client.run({"type": "speak", "text": "Earlier"}, thread_id="t")
        release = anyio.Event()
        async with client.stream("POST", PATH, json=posted({"type": "speak", "text": "Now"})) as first:
            await first.read_until(b"spoke")
            handed = await first_step(client)
            if ends:
                release.set()
                await first.read()
            async with client.stream("POST", path, json=second_step(handed)) as again:
                await again.read_until(b"upon")
                release.set()
                await again.read()
            await first.read()

    if protocol == "assistant-transport":
        found = chunks_in(again.content)
        texts = [chunk["textDelta"] for chunk in found if chunk["type"] == "text-delta"]
        assert [chunk["part"]["type"] for chunk in found if chunk["type"] == "part-start"] == ["text"]
    else:
        texts = [value for code, value in data_stream.decode(again.content) if code == "0"]
    assert texts == ["Now, once upon ", "a time"]
    assert b"upon" in replay_of(again)
    assert (b"a time" in replay_of(again)) == ends
    assert b"spoke" not in again.content


async def test_what_the_log_does_not_reach_back_to_is_a_snapshot() -> None:
    counting = Counting(40)
    app = create_app(counting.agent, limits=Limits(keep_entries=4))
    async with TestClient(app) as client, client.stream("POST", PATH, json=posted(COUNT)) as first:
        await counting.go_to(0, client)
        handed = await first_step(client)
        await counting.go_to(39, client)
        async with client.stream("POST", RESUME, json=second_step(handed)) as again:
            await counting.go_to(40, client)
            await again.read()
        await first.read()

    assert is_snapshot(chunks_in(again.content)[0])
    assert after({"stale": 1}, again.content)["numbers"] == list(range(41))


@pytest.mark.parametrize(
    "place", ["", "@", "@x", "@-1", "@1.5", "@999999", "@" + "9" * 400, "@\u0661", "@2@3", "@e-1", "@-2"]
)
async def test_a_run_without_a_place_in_its_log_is_a_snapshot(place: str) -> None:
    agent, release = held()
    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        body = {"threadId": "t", "runId": first.headers["statecast-run-id"] + place}
        async with client.stream("POST", RESUME, json=body) as again:
            await again.read_until(b"held")
            release.set()
            assert after({"stale": 1}, await again.read()) == {"notes": ["held", "went on"]}
        await first.read()


async def test_a_state_beside_it_counts_more_than_the_place() -> None:
    agent, release = held()
    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        body = second_step(await first_step(client), state={"stale": 1})
        async with client.stream("POST", RESUME, json=body) as again:
            await again.read_until(b"held")
            release.set()
            assert after({"stale": 1}, await again.read()) == {"notes": ["held", "went on"]}
        await first.read()


async def test_the_place_in_a_run_that_another_has_followed_is_a_snapshot() -> None:
    agent, release = held()
    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        handed = await first_step(client)
        release.set()
        await first.read()
        second = await client.run(NOTE, thread_id="t")
        response = await client.post(RESUME, json=second_step(handed))

    assert response.headers["statecast-run-id"] == second.headers["statecast-run-id"]
    assert after({"stale": 1}, response.content) == second.state


async def test_another_runs_place_is_refused() -> None:
    counting = Counting(1)
    async with TestClient(counting.agent) as client:
        async with client.stream("POST", PATH, json=posted(COUNT)) as first:
            await counting.go_to(0, client)
            handed = await first_step(client)
            await counting.go_to(1, client)
            await first.read()
        counting.steps[:] = [anyio.Event()]
        async with client.stream("POST", PATH, json=posted(COUNT)) as second:
            await until_status(client, "running")
            refused = await client.post(RESUME, json=second_step(handed))
            not_cancelled = await client.post("/cancel", json=second_step(handed))
            counting.steps[0].set()
            await second.read()

    for answer in (refused, not_cancelled):
        assert (answer.status, answer.json()["error"]["code"]) == (409, "run_mismatch")
        assert answer.json()["error"]["runId"] == second.headers["statecast-run-id"]
    assert refused.headers["x-stream-status"] == "run_mismatch"


async def test_a_run_is_stopped_by_the_name_it_was_handed_out_by() -> None:
    async with TestClient(held()[0]) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        answer = await client.post("/cancel", json=second_step(await first_step(client)))
        await first.read()

    run_id = first.headers["statecast-run-id"]
    assert answer.json() == {"threadId": "t", "runId": run_id, "cancelled": True}


async def test_after_a_crash_a_place_leads_to_the_state_and_to_how_the_run_has_ended(tmp_path: Path) -> None:
    """The end of the log may be lost, and the revision by now be another entry's."""
    store = SqliteStore(tmp_path / "threads.db")
    counting = Counting()
    async with TestClient(create_app(counting.agent, store=store)) as client:
        async with client.stream("POST", PATH, json=posted(COUNT)) as first:
            handed = []
            for number in range(3):
                await counting.go_to(number, client)
                handed.append(await first_step(client))
            left = crashed(store, tmp_path)
            await counting.go_to(5, client)
            await first.read()
    async with TestClient(create_app(Counting().agent, store=left)) as client:
        for body in handed:
            response = await client.post(RESUME, json=second_step(body))
            assert after(body["state"], response.content)["numbers"] == [0, 1, 2]
            assert is_snapshot(chunks_in(response.content)[0])
            assert chunks_in(response.content)[-1]["code"] == "run_interrupted"
            assert response.headers["x-stream-status"] == "interrupted"


async def test_a_place_outlives_a_server_that_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "threads.db"
    counting = Counting()
    async with TestClient(create_app(counting.agent, store=SqliteStore(path))) as client:
        async with client.stream("POST", PATH, json=posted(COUNT)) as first:
            await counting.go_to(2, client)
            handed = await first_step(client)
            await app_of(client).hub.aclose()
            await first.read()
    async with TestClient(create_app(Counting().agent, store=SqliteStore(path))) as client:
        response = await client.post(RESUME, json=second_step(handed))
    assert not any(map(is_snapshot, chunks_in(response.content)))
    assert after(handed["state"], response.content)["numbers"] == [0, 1, 2]


def app_of(client: TestClient) -> App:
    assert isinstance(client.app, App)
    return client.app


async def test_a_run_that_waits_is_not_handed_out() -> None:
    agent = Agent(commands=["go"])

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        note(run, "asks")
        await run.wait_for("go")

    async with TestClient(agent) as client:
        await client.post(PATH, json=posted({"type": "work"}))
        assert (await client.post("/initial-state", json={"threadId": "t"})).status == 204
        await client.post(PATH, json=posted({"type": "go"}))
        assert (await client.post("/initial-state", json={"threadId": "t"})).status == 204
        await client.run(NOTE, thread_id="t")
