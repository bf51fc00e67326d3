"""`statecast.testing.Client` itself: what it takes for a lost connection, a slow reader, and the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from statecast import AddMessage, Agent, AgentError, Run, create_app
from statecast.testing import TestClient

pytestmark = pytest.mark.anyio


async def test_an_agent_is_tested_in_three_lines() -> None:
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text(f"You said {command.message.text}")

    async with TestClient(agent) as client:
        result = await client.run("hello")
    assert result.state["messages"][-1]["parts"] == [{"type": "text", "text": "You said hello"}]
    assert result.error is None


async def test_a_result_carries_the_failure_and_the_refusal() -> None:
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        raise AgentError("No luck.", code="no_luck")

    async with TestClient(agent) as client:
        failed = await client.run("hello")
        refused = await client.run({"type": "unheard-of"})
    assert (failed.status, failed.error) == (200, {"code": "no_luck", "message": "No luck."})
    assert (refused.status, refused.code) == (422, "unknown_command")


async def test_the_next_request_goes_on_from_the_state_of_the_last() -> None:
    agent = Agent()
    async with TestClient(agent) as client:
        first = await client.run("one")
        second = await client.run("two", state=first.state, thread_id=first.thread_id)
    assert [message["parts"][0]["text"] for message in second.state["messages"]] == ["one", "two"]
    assert not any(operation["path"] == [] for chunk in second.chunks for operation in chunk["operations"])


async def stubborn(scope: Any, receive: Any, send: Any) -> None:
    """Send numbers for ever, until the client has gone."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Many", b"1"), (b"x-many", b"2")]})
    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            tasks.cancel_scope.cancel()

        tasks.start_soon(watch)
        number = 0
        while True:
            await send({"type": "http.response.body", "body": b"%d " % number, "more_body": True})
            number += 1
            scope["state"].append(number)


async def test_an_endless_stream_is_read_as_far_as_one_likes() -> None:
    async with TestClient(_with_state(stubborn, []), lifespan=False) as client, client.stream("GET", "/") as response:
        assert await response.read_until(b"12") == b"0 1 2 3 4 5 6 7 8 9 10 11 12 "
    assert response.headers["x-many"] == "1, 2"


async def test_a_client_that_stops_reading_holds_the_app_up() -> None:
    sent: list[int] = []
    async with TestClient(_with_state(stubborn, sent), lifespan=False) as client, client.stream("GET", "/") as response:
        assert [await anext(response) for _ in range(3)] == [b"0 ", b"1 ", b"2 "]
        await anyio.wait_all_tasks_blocked()
        assert sent == [1, 2, 3]


async def test_a_body_arrives_in_its_pieces() -> None:
    async def echo(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            await send({"type": "http.response.body", "body": message["body"] + b"|", "more_body": more})

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async with TestClient(echo, lifespan=False) as client:
        assert (await client.post("/", content=pieces())).content == b"one|two||"
        assert (await client.post("/", content=b"whole")).content == b"whole||"


async def test_what_the_app_raises_is_raised_here() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("lost")

    async with TestClient(broken, lifespan=False) as client:
        with pytest.raises(EOFError, match="got none") as caught:
            await client.get("/")
    assert isinstance(caught.value.__cause__, LookupError)


async def test_a_response_without_its_end_is_an_error() -> None:
    async def cut(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    async with TestClient(cut, lifespan=False) as client:
        with pytest.raises(EOFError, match="the end"):
            await client.get("/")


async def test_a_silent_app_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await receive()

    async def deaf(scope: Any, receive: Any, send: Any) -> None:
        await anyio.sleep_forever()

    monkeypatch.setattr("statecast.testing.asgi.PATIENCE", 0.01)
    for app in (silent, deaf):
        async with TestClient(app, lifespan=False) as client:
            with pytest.raises(TimeoutError):
                await client.get("/")


async def test_the_lifespan_runs_around_the_requests() -> None:
    app = create_app(Agent())
    async with TestClient(app) as client:
        assert (await client.get("/health")).json()["status"] == "ok"
        supervisor = app.hub._supervisor._task
        assert supervisor is not None
    assert supervisor.done()


async def test_an_app_that_does_not_start_is_an_error() -> None:
    async def dead(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(RuntimeError, match="no database"):
        async with TestClient(dead):
            raise AssertionError("it started")


def _with_state(app: Any, state: Any) -> Any:
    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": state}, receive, send)

    return wrapped
