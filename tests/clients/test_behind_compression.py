"""Streams behind the npm middleware `compression`, of Express and Next.js: they arrive while they are made."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from typing import Any, Final

import anyio
import httpx
import pytest

from statecast import AddMessage, Agent, App, Run, create_app
from tests.clients.installed import DRIVERS, environment, need_node
from tests.transport.followers import served

pytestmark = pytest.mark.anyio

TEXT: Final = [{"type": "text", "text": "Hello"}]
SAID: Final = {"commands": [{"type": "add-message", "message": {"role": "user", "parts": TEXT}}], "threadId": "t"}
TOLD: Final = {"messages": [{"role": "user", "content": "Hello"}]}
AG_UI: Final = {"threadId": "t", "runId": "r", "messages": [{"id": "u", "role": "user", "content": "Hello"}]}

STREAMS: Final[dict[str, dict[str, Any]]] = {
    "/assistant?protocol=data-stream": SAID,
    "/assistant?protocol=assistant-transport": SAID,
    "/chat": {"id": "t", "messages": [{"id": "u", "role": "user", "parts": TEXT}]},
    "/chat?protocol=data-stream": TOLD,
    "/ag-ui": {**AG_UI, "tools": [], "context": []},
    "/text": TOLD,
    "/sse": TOLD,
    "/sse?form=events": TOLD,
    "/v1/chat/completions": {"model": "agent", "stream": True, **TOLD},
}


def speaking(go_on: asyncio.Event) -> App:
    """Return an app whose agent says one word, and another when it may."""
    agent = Agent(initial={"messages": []})

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        message.append_text("first")
        run.flush()
        await go_on.wait()
        message.append_text("last")

    return create_app(agent)


@contextlib.asynccontextmanager
async def behind_compression(app: App) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of an app behind the middleware; it asks for compressed responses, as browsers do."""
    async with served(app) as server:
        port = server.port  # type: ignore[attr-defined]  # see `served`
        proxy = await asyncio.create_subprocess_exec(
            need_node(),
            str(DRIVERS / "proxy.mjs"),
            f"http://127.0.0.1:{port}",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
        )
        assert proxy.stdin
        assert proxy.stdout
        try:
            with anyio.fail_after(30):
                address = f"http://127.0.0.1:{int(await proxy.stdout.readline())}"
            async with httpx.AsyncClient(base_url=address, headers={"accept-encoding": "gzip"}) as client:
                yield client
        finally:
            proxy.stdin.close()
            await proxy.wait()


@pytest.mark.parametrize("path", STREAMS)
async def test_a_stream_arrives_while_it_is_made(path: str) -> None:
    go_on = asyncio.Event()
    async with behind_compression(speaking(go_on)) as client:
        async with client.stream("POST", path, json=STREAMS[path], timeout=10) as response:
            assert "content-encoding" not in response.headers
            said = b""
            async for piece in response.aiter_raw():
                said += piece
                if b"first" in said:
                    go_on.set()
    assert b"last" in said


async def test_the_events_of_a_thread_arrive_while_nothing_happens_to_it() -> None:
    go_on = asyncio.Event()
    go_on.set()
    async with behind_compression(speaking(go_on)) as client:
        await client.post("/assistant", json=SAID)
        async with client.stream("GET", "/threads/t/events", timeout=10) as response:
            async for piece in response.aiter_raw():
                assert b"last" in piece
                break


async def test_everything_else_is_compressed() -> None:
    """What only it can find: that the middleware is at work at all."""
    async with behind_compression(speaking(asyncio.Event())) as client:
        document = await client.get("/openapi.json")
        assert (document.status_code, document.headers["content-encoding"]) == (200, "gzip")
        assert document.json()["openapi"]
