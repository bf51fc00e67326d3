"""Stopping: runs get a grace, the others are interrupted, streams end, and nothing is left behind."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from statecast import App, create_app
from statecast.testing import TestClient
from tests.transport.followers import served
from tests.transport.held_agent import HOLD, NOTE, held

pytestmark = pytest.mark.anyio

PATH = "/assistant?protocol=assistant-transport"


def posted(*commands: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"commands": list(commands), "threadId": "t", **fields}


async def closing(app: App, grace: float) -> asyncio.Task[None]:
    """Begin to close, and return when nothing more is accepted."""
    task = asyncio.create_task(app.hub.aclose(grace=grace))
    await asyncio.sleep(0)
    return task


async def test_a_run_that_ends_within_the_grace_completes() -> None:
    agent, release = held()
    app = create_app(agent)
    async with TestClient(app) as client, client.stream("POST", PATH, json=posted(HOLD)) as response:
        await response.read_until(b"held")
        thread = await app.hub.find("t")
        closed = await closing(app, 60)
        release.set()
        body = await response.read()
        await closed
        run = thread.last_run

    assert b"went on" in body
    assert body.endswith(b"data: [DONE]\n\n")
    assert run
    assert run.status == "completed"


async def test_a_run_that_does_not_is_interrupted_and_its_stream_says_so() -> None:
    app = create_app(held()[0])
    async with TestClient(app) as client, client.stream("POST", PATH, json=posted(HOLD)) as response:
        await response.read_until(b"held")
        thread = await app.hub.find("t")
        closed = await closing(app, 0.01)
        body = await response.read()
        await closed
        run = thread.last_run

    assert b'"code":"run_interrupted"' in body
    assert run
    assert (run.status, run.error and run.error.code) == ("interrupted", "run_interrupted")


async def test_nothing_more_is_accepted_meanwhile() -> None:
    agent, release = held()
    app = create_app(agent)
    async with TestClient(app) as client, client.stream("POST", PATH, json=posted(HOLD)) as response:
        await response.read_until(b"held")
        closed = await closing(app, 60)
        refused = await client.post("/assistant", json=posted(NOTE))
        release.set()
        await response.read()
        await closed

    assert (refused.status, refused.json()["error"]["code"]) == (503, "server_stopping")
    assert int(refused.headers["retry-after"]) > 0


async def test_nothing_more_is_accepted_afterwards() -> None:
    app = create_app(held()[0])
    async with TestClient(app) as client:
        await app.hub.aclose()
        assert (await client.post("/assistant", json=posted(NOTE))).status == 503


async def test_queued_runs_do_not_begin_any_more() -> None:
    app = create_app(held()[0])
    async with TestClient(app) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        async with client.stream("POST", PATH, json=posted(NOTE)) as second:
            await anext(second)
            closed = await closing(app, 0)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(first.read)
                tasks.start_soon(second.read)
            await closed
    assert b"noted" not in second.content


async def test_a_client_that_stopped_reading_does_not_hold_up_the_end() -> None:
    app = create_app(held()[0])
    async with TestClient(app) as client, client.stream("POST", PATH, json=posted(HOLD)):
        with anyio.fail_after(10):
            await app.hub.aclose()


@pytest.mark.parametrize(
    ("path", "kind"), [("/assistant", "application/json"), ("/attachments?name=a.txt", "text/plain")]
)
async def test_a_body_that_never_comes_does_not_hold_up_the_end_either(
    path: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(create_app(held()[0]), timeout_graceful_shutdown=1) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)  # type: ignore[attr-defined]  # see `served`
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: 9\r\n\r\nhalf"
        writer.write(head.encode())
        while not server.server_state.tasks:  # noqa: ASYNC110  # it is uvicorn's
            await asyncio.sleep(0)
        server.should_exit = True
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b'"server_stopping"' in answer
    assert not [record for record in caplog.records if record.exc_info]


async def test_closing_twice_is_closing_once() -> None:
    app = create_app(held()[0])
    async with TestClient(app) as client:
        await client.run(NOTE, thread_id="t")
        await app.hub.aclose()
        await app.hub.aclose()


async def test_an_app_may_be_started_again() -> None:
    app = create_app(held()[0])
    for _ in range(2):
        async with TestClient(app) as client:
            assert (await client.run(NOTE)).error is None


async def test_an_unhurried_agent_does_not_hold_up_the_end_for_longer_than_its_grace() -> None:
    app = create_app(held(cancel_grace=0.01)[0])
    async with TestClient(app) as client, client.stream("POST", PATH, json=posted(HOLD)) as response:
        await response.read_until(b"held")
        with anyio.fail_after(10):
            await app.hub.aclose()


async def test_nothing_of_a_server_outlives_its_end() -> None:
    before = asyncio.all_tasks()
    async with (
        TestClient(create_app(held()[0])) as client,
        client.stream("POST", PATH, json=posted(HOLD)) as response,
    ):
        await response.read_until(b"held")
    assert asyncio.all_tasks() == before
