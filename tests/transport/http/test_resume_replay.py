"""`Aui-Replay-Content-Length`: how many bytes of a resumed stream repeat what happened before.

A client takes those, and the state that it was handed, for history, and runs no tools for the calls there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from statecast import AddMessage, Agent, Limits, Run, UntypedCommand, create_app
from statecast.stores import Change
from statecast.testing import TestClient
from tests.clients.node import Accumulator, Protocol
from tests.stores.committing_store import CommittingStore
from tests.transport.followers import PATH, posted, state_of, store_of
from tests.transport.held_agent import HOLD, held, note, said
from tests.transport.resuming_client import RESUME, chunks_in, first_step, is_snapshot, replay_of, second_step

pytestmark = pytest.mark.anyio


def cut_at_frames(body: bytes, protocol: str) -> list[int]:
    """Return where a body may be cut."""
    end = b"\n\n" if protocol == "assistant-transport" else b"\n"
    return [0, *(place + len(end) for place in range(len(body)) if body.startswith(end, place))]


@pytest.mark.parametrize("steps", ["two steps", "one step"])
@pytest.mark.parametrize("protocol", ["assistant-transport", "data-stream"])
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_the_replay_is_all_that_happened_and_ends_with_a_frame(
    kind: str, protocol: str, steps: str, tmp_path: Path
) -> None:
    agent = Agent(initial={"text": ""})
    begin, release = anyio.Event(), anyio.Event()

    @agent.on("talk")
    async def talk(run: Run, command: UntypedCommand) -> None:
        run.append_text(["text"], "begun ")
        run.parts.append_text("begun ")
        await begin.wait()
        for number in range(200):
            run.parts.append_text(f"part {number} ")
            run.append_text(["text"], f"word {number} ")
            await asyncio.sleep(0)
        await release.wait()
        run.append_text(["text"], "and more")
        run.parts.append_text("and more")

    app = create_app(agent, store=store_of(kind, tmp_path), limits=Limits(send_bytes=150))
    async with TestClient(app) as client, client.stream("POST", PATH, json=posted({"type": "talk"})) as first:
        await first.read_until(b"begun ")
        body = second_step(await first_step(client)) if steps == "two steps" else {"threadId": "t", "state": {}}
        begin.set()
        await first.read_until(b"word 199 ")
        async with client.stream("POST", f"/resume?protocol={protocol}", json=body) as again:
            await again.read_until(b"word 199 ")
            release.set()
            await again.read()
        await first.read()

    replay = replay_of(again)
    assert len(replay) in cut_at_frames(again.content, protocol)
    assert b"word 199 " in replay
    assert b"part 199 " in replay
    assert b"and more" not in replay
    assert again.content[len(replay) :].count(b"and more") == 2


async def test_the_replay_waits_for_the_store(tmp_path: Path) -> None:
    """A snapshot is of the state now, which a slow store does not have yet: it is a replay all the same."""
    agent = Agent(initial={"n": 0})
    stop = anyio.Event()

    @agent.on("race")
    async def race(run: Run, command: UntypedCommand) -> None:
        while not stop.is_set():
            run.state["n"] += 1
            await asyncio.sleep(0)

    class Late(CommittingStore):
        async def commit(self, changes: Sequence[Change]) -> None:
            await asyncio.sleep(0.005)
            await super().commit(changes)

    app = create_app(agent, store=Late(tmp_path / "threads.db"))
    async with TestClient(app) as client, client.stream("POST", PATH, json=posted({"type": "race"})) as first:
        await first.read_until(b'"n"')
        for _ in range(3):
            async with client.stream("POST", RESUME, json={"threadId": "t"}) as again:
                await again.read_until(b"\n\n")
            [snapshot] = chunks_in(replay_of(again))[:1]
            assert is_snapshot(snapshot)
        stop.set()
        await first.read()


@pytest.mark.parametrize("protocol", ["assistant-transport", "data-stream"])
async def test_where_nothing_has_happened_since_the_replay_is_an_empty_frame(
    protocol: Protocol, accumulator: Accumulator
) -> None:
    agent, release = held()
    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        handed = await first_step(client)
        async with client.stream("POST", f"/resume?protocol={protocol}", json=second_step(handed)) as again:
            await anext(again)
            release.set()
            await again.read()
        await first.read()

    assert replay_of(again) == (b": \n\n" if protocol == "assistant-transport" else b"\n")
    decoded = accumulator.decode(protocol, again.content, initial=handed["state"])
    assert (decoded.final, decoded.error, decoded.warnings) == ({"notes": ["held", "went on"]}, None, [])


def asking(release: anyio.Event | None) -> Agent:
    """Return an agent that calls a tool, and notes the result; where `release` is given, beside other work."""
    agent = Agent()

    @agent.on(AddMessage)
    async def ask(run: Run, command: AddMessage) -> None:
        if release is not None:
            run.start_soon(release.wait)
        note(run, await run.call_tool("add", {"a": 1}))

    return agent


async def test_what_a_run_waits_for_is_in_no_replay() -> None:
    async with TestClient(asking(None)) as client:
        await client.post(PATH, json=posted(said("hello")))
        resumed = await client.post(RESUME, json={"threadId": "t"})

    assert "aui-replay-content-length" not in resumed.headers
    assert b"tool-call" in resumed.content


async def test_what_a_run_asks_beside_its_work_is_in_no_replay_until_it_is_answered() -> None:
    release = anyio.Event()
    async with TestClient(asking(release)) as client:
        async with client.stream("POST", PATH, json=posted(said("hello"))) as first:
            await first.read_until(b"tool-call")
            for body in ({"threadId": "t"}, second_step(await first_step(client))):
                async with client.stream("POST", RESUME, json=body) as asked:
                    assert "aui-replay-content-length" not in asked.headers
            call = (await state_of(client))["messages"][-1]["parts"][-1]
            answer = {"type": "add-tool-result", "toolCallId": call["toolCallId"], "result": "three"}
            async with client.stream("POST", PATH, json=posted(answer)) as answered:
                await answered.read_until(b'"notes"')
                for body in ({"threadId": "t"}, second_step(await first_step(client))):
                    async with client.stream("POST", RESUME, json=body) as settled:
                        await anext(settled)
                    assert replay_of(settled)
                release.set()
                await answered.read()
            await first.read()
