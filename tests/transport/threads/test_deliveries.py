"""What was accepted for a run that listens is handled exactly once, also where the run ends without taking it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from statecast import AddMessage, Agent, Run, UntypedCommand, create_app
from statecast.testing import TestClient
from tests.transport.followers import crashed, posted, store_of, until_status
from tests.transport.held_agent import said

pytestmark = pytest.mark.anyio

PAINT = {"type": "paint"}
RED = {"type": "colour", "name": "red", "id": "c1"}
BLUE = {"type": "colour", "name": "blue", "id": "c2"}

KINDS = ["memory", "sqlite", "shared"]
ENDS = ["ends", "closes", "closes and takes", "fails", "exits", "is cancelled", "is interrupted", "is rolled back"]


def painting(ends: str = "ends", **settings: Any) -> tuple[Agent, anyio.Event]:
    """Return an agent whose run listens, and ends like that once it is let."""
    agent, go = Agent(initial={"seen": [], "messages": []}, commands=["colour"], **settings), anyio.Event()

    @agent.on("paint")
    async def paint(run: Run, command: UntypedCommand) -> None:
        colours = run.listen("colour", AddMessage)
        run.state["painting"] = True
        await go.wait()
        if ends.startswith("closes"):
            colours.close()
        if ends == "closes and takes":
            run.state["seen"] += [f"taken {colour.body['name']}" for colour in colours.drain()]
        if ends == "fails":
            raise LookupError
        if ends == "exits":
            raise SystemExit(1)

    @agent.on("colour")
    async def colour(run: Run, command: UntypedCommand) -> None:
        run.state["seen"].append(command.body["name"])

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.state["seen"].append(command.message.text)

    @agent.on("next")
    async def follows(run: Run, command: UntypedCommand) -> None:
        run.state["seen"].append("next")

    return agent, go


async def deliver(client: TestClient, *commands: dict[str, Any]) -> None:
    """Hand commands to the run that listens, without staying for its end."""
    async with client.stream("POST", "/assistant", json=posted(*commands)) as response:
        assert response.status == 200
        await anext(response)


async def seen(client: TestClient, count: int) -> Any:
    """Return what was handled, once so much was, and nothing is under way."""
    with anyio.fail_after(10):
        while True:
            answer = (await client.get("/threads/t/state")).json()
            if len(answer["state"]["seen"]) >= count and answer["run"]["status"] not in ("queued", "running"):
                return answer["state"]["seen"]
            await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ends", ENDS)
async def test_what_a_run_does_not_take_becomes_a_run(ends: str, kind: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"policy": "rollback"} if ends == "is rolled back" else {}
    agent, go = painting(ends, **settings)
    async with TestClient(create_app(agent, store=store_of(kind, tmp_path))) as client:
        async with client.stream("POST", "/assistant", json=posted(PAINT)) as first:
            await first.read_until(b"painting")
            await deliver(client, RED, BLUE)
            policy = {"is interrupted": "interrupt", "is rolled back": "rollback"}.get(ends, "enqueue")
            async with client.stream("POST", "/assistant", json=posted({"type": "next"}, policy=policy)) as last:
                if ends == "is cancelled":
                    await client.post("/cancel", json={"threadId": "t"})
                go.set()
                await first.read()
                await last.read()
        names = ["taken red", "taken blue"] if ends == "closes and takes" else ["red", "blue"]
        assert await seen(client, 3) == [*names, "next"]
        for command in (RED, BLUE):  # tried again with its id
            await client.run(command, thread_id="t")
        assert await seen(client, 3) == [*names, "next"]


async def test_a_message_that_a_run_does_not_take_is_in_the_messages_once() -> None:
    agent, go = painting()
    async with TestClient(agent) as client, client.stream("POST", "/assistant", json=posted(PAINT)) as first:
        await first.read_until(b"painting")
        await deliver(client, said("hello"))
        go.set()
        await first.read()
        assert await seen(client, 1) == ["hello"]
        state = (await client.get("/threads/t/state")).json()["state"]
    assert [message["role"] for message in state["messages"]] == ["user"]


async def test_a_message_that_was_rolled_back_is_in_the_messages_once() -> None:
    agent, _ = painting(policy="rollback")
    async with TestClient(agent) as client, client.stream("POST", "/assistant", json=posted(PAINT)) as first:
        await first.read_until(b"painting")
        await deliver(client, said("hello"))
        await client.run({"type": "next"}, thread_id="t", policy="rollback")
        await first.read()
        assert await seen(client, 2) == ["hello", "next"]
        state = (await client.get("/threads/t/state")).json()["state"]
    assert [message["role"] for message in state["messages"]] == ["user"]


async def test_what_was_not_taken_before_a_crash_is_handled_after_it(tmp_path: Path) -> None:
    store = store_of("sqlite", tmp_path)
    agent, go = painting()
    async with TestClient(create_app(agent, store=store)) as client:
        async with client.stream("POST", "/assistant", json=posted(PAINT)) as first:
            await first.read_until(b"painting")
            await deliver(client, said("hello"), RED)
            left = crashed(store, tmp_path)  # type: ignore[arg-type]  # it is a SqliteStore
            go.set()
            await first.read()

    async with TestClient(create_app(painting()[0], store=left)) as client:
        assert await seen(client, 2) == ["hello", "red"]
        state = (await client.get("/threads/t/state")).json()["state"]
    assert [message["role"] for message in state["messages"]] == ["user"]


async def test_what_was_taken_before_a_crash_is_not_handled_again(tmp_path: Path) -> None:
    store = store_of("sqlite", tmp_path)
    agent, go = painting("closes and takes")
    async with TestClient(create_app(agent, store=store)) as client:
        async with client.stream("POST", "/assistant", json=posted(PAINT)) as first:
            await first.read_until(b"painting")
            await deliver(client, RED)
            go.set()
            await first.read()
        left = crashed(store, tmp_path)  # type: ignore[arg-type]  # it is a SqliteStore

    async with TestClient(create_app(painting()[0], store=left)) as client:
        await until_status(client, "completed")
        assert await seen(client, 1) == ["taken red"]


async def test_what_is_not_taken_when_the_server_stops_is_handled_when_it_is_back(tmp_path: Path) -> None:
    agent, _ = painting()
    app = create_app(agent, store=store_of("sqlite", tmp_path))
    async with TestClient(app) as client, client.stream("POST", "/assistant", json=posted(PAINT)) as first:
        await first.read_until(b"painting")
        await deliver(client, RED)
        await app.hub.aclose()

    async with TestClient(create_app(painting()[0], store=store_of("sqlite", tmp_path))) as client:
        assert await seen(client, 1) == ["red"]


async def test_a_run_that_has_ended_takes_nothing_any_more() -> None:
    agent = Agent(initial={"seen": []}, commands=["colour"])
    kept: list[Any] = []

    @agent.on("paint")
    async def paint(run: Run, command: UntypedCommand) -> None:
        kept.append(run.listen("colour"))
        run.state["painting"] = True
        await anyio.sleep_forever()

    @agent.on("colour")
    async def colour(run: Run, command: UntypedCommand) -> None:
        run.state["seen"].append(command.body["name"])

    async with TestClient(agent) as client, client.stream("POST", "/assistant", json=posted(PAINT)) as first:
        await first.read_until(b"painting")
        await deliver(client, RED)
        await client.post("/cancel", json={"threadId": "t"})
        assert await seen(client, 1) == ["red"]
        await first.read()
    assert kept[0].drain() == []
