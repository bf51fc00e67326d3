"""`client.js` follows a thread across the end of its credentials, and finds nothing odd in how a stream says so."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from starlette.requests import HTTPConnection

from statecast import AddMessage, Agent, Run, create_app
from tests.clients.client_module import running
from tests.transport.followers import served
from tests.transport.held_agent import until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("socket", [False, True], ids=["events", "socket"])
async def test_the_module_goes_on_with_new_credentials(socket: bool) -> None:
    agent, release, asked = Agent("slow", initial={"messages": []}), anyio.Event(), list[str]()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        message.append_text("begun")
        await release.wait()
        message.append_text(" and went on")

    async def identify(connection: HTTPConnection) -> Any:
        asked.append(connection.url.path)
        return SimpleNamespace(id="ann", expires_at=time.time() + 0.3)

    async with served(create_app(agent, identify=identify)) as server:
        with running() as module:
            thread = await module.thread(f"http://127.0.0.1:{server.port}", socket=socket)  # type: ignore[attr-defined]
            await thread.subscribe()
            await thread.send({"type": "add-message", "message": {"role": "user", "parts": []}})
            followed = [f"/threads/t/{'ws' if socket else 'events'}"]
            await until(lambda: len([path for path in asked if path in followed]) > 3)
            release.set()
            seen = await thread.wait("JSON.stringify(s.state).includes('went on')")

    assert seen["error"] is None
