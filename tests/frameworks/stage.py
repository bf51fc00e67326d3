"""The stage of the conformance tests: a rig's agent, served from a store that survives the server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from statecast import create_app
from statecast.testing import Result, TestClient
from statecast_agents import Agent, Json

from .provider import PATIENCE, SECRET, Provider, Step
from .tools import PAGE_TOOLS, Tools

__all__ = ["Rig", "Scene", "Stage"]

THREAD = "talk"


class Rig(Protocol):
    """What a framework brings to the conformance tests: a module of `tests/frameworks/rigs/`.

    It imports its framework in `agent` only, so that the table of gaps can be read without it.
    """

    __name__: str
    TITLE: str  #: of its column in the table
    GAPS: Mapping[str, str]  #: why a case cannot be, by the case's name

    def agent(self, provider: Provider, tools: Tools) -> Agent:
        """Return an agent whose model is played by `provider`.

        It has the tools `weather`, `book` (which needs approval), `fails` and `block`, and those of the page. The tool
        `expert(question)` is a sub-agent with no tools, whose model is `provider` too.
        """


class Stage:
    """Servers one after the other, on one store.

    Args:
        rig: The framework's.
        folder: Where the store is.
    """

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.rig = rig
        self.folder = folder
        self._store = f"sqlite:///{folder}/threads.db"

    @contextlib.asynccontextmanager
    async def serve(self, *script: Sequence[Step]) -> AsyncIterator[Scene]:
        """Serve an agent whose model has these answers, until the block is left."""
        provider, tools = Provider(list(script)), Tools()
        app = create_app(self.rig.agent(provider, tools), store=self._store)
        async with TestClient(app) as client:
            yield Scene(client, provider, tools)


class Scene:
    """One server, and a page that talks with it on one thread."""

    def __init__(self, client: TestClient, provider: Provider, tools: Tools) -> None:
        self.client = client
        self.provider = provider
        self.tools = tools
        self.seen = b""  #: everything that a client has received

    # What the page does

    async def say(self, text: str, *, id: str | None = None) -> Result:
        """Send a message of the user."""
        message: dict[str, Json] = {"role": "user", "parts": [{"type": "text", "text": text}]}
        if id is not None:
            message["id"] = id
        return await self.send({"type": "add-message", "message": message})

    async def edit(self, source: Json, text: str) -> Result:
        """Edit a message of the user; with its own text, it is answered again."""
        messages = await self.messages()
        place = [message["id"] for message in messages].index(source["id"])
        parts = [{"type": "text", "text": text}]
        command = {
            "type": "add-message",
            "message": {"role": "user", "parts": parts, "id": source["id"]},
            "parentId": messages[place - 1]["id"] if place else None,
            "sourceId": source["id"],
        }
        return await self.send(command)

    async def answer(self, answers: Mapping[str, Json]) -> Result:
        """Answer questions, by the ids of their calls."""
        ids = {question["callId"]: question["id"] for question in await self.pending()}
        return await self.send({"type": "answer", "answers": {ids[call]: value for call, value in answers.items()}})

    async def settle(self, call_id: str, result: Json) -> Result:
        """Answer a call of the page's tool."""
        return await self.send({"type": "add-tool-result", "toolCallId": call_id, "result": result})

    async def send(self, command: Json) -> Result:
        """Send a command, and read the response to its end."""
        state = await self.state()
        known = {} if state is None else {"state": state}
        result = await self.client.run(command, thread_id=THREAD, tools=PAGE_TOOLS, **known)
        self.seen += str(result.chunks).encode() + str(result.error).encode()
        return result

    @contextlib.asynccontextmanager
    async def saying(self, text: str) -> AsyncIterator[asyncio.Task[Result]]:
        """Send a message, and do something else while it is answered."""
        task = asyncio.create_task(self.say(text))
        try:
            yield task
        finally:
            async with asyncio.timeout(PATIENCE):
                await task

    async def stop(self) -> None:
        """Stop the run, and wait until it has ended."""
        response = await self.client.post("/cancel", json={"threadId": THREAD})
        assert response.json()["cancelled"] is True
        await self.over("cancelled", "failed")

    async def over(self, *statuses: str) -> None:
        """Wait until no run is under way, and the last one has ended with one of these statuses, if some are given."""

        async def ended() -> bool:
            status = await self.status()
            return status["status"] in statuses if statuses else not status["isRunning"]

        await self.eventually(ended)

    async def hears(self, text: str) -> None:
        """Wait until the last answer has a text."""

        async def heard() -> bool:
            return (await self.said())[-1] == ("assistant", text)

        await self.eventually(heard)

    async def eventually(self, fact: Callable[[], Awaitable[bool]]) -> None:
        """Wait for a fact."""
        async with asyncio.timeout(PATIENCE):
            while not await fact():  # noqa: ASYNC110  # what is asked is the server
                await asyncio.sleep(0.002)

    # What the page sees

    async def state(self) -> Any:
        """Return the thread's state as a page that connects now gets it; None for a new thread."""
        response = await self.client.get(f"/threads/{THREAD}/state")
        self.seen += response.content
        return response.json()["state"] if response.status == 200 else None

    async def status(self) -> dict[str, Json]:
        """Return the status of the thread."""
        status: dict[str, Json] = (await self.client.get(f"/status/{THREAD}")).json()
        return status

    async def messages(self) -> list[Any]:
        """Return the messages."""
        state = await self.state()
        return [] if state is None else list(state["messages"])

    async def pending(self) -> list[Any]:
        """Return the open questions."""
        return list((await self.state()).get("pending") or ())

    async def said(self) -> list[tuple[str, str]]:
        """Return role and text of every message; the texts of neighbouring answers are one."""
        found: list[tuple[str, str]] = []
        for message in await self.messages():
            text = "".join(part["text"] for part in message["parts"] if part["type"] == "text")
            if message["role"] == "assistant" and found and found[-1][0] == "assistant":
                text = found.pop()[1] + text
            found.append((message["role"], text))
        return found

    async def call(self, id: str) -> Any:
        """Return a tool call of the conversation."""
        parts = [part for message in await self.messages() for part in message["parts"]]
        (found,) = [part for part in parts if part["type"] == "tool-call" and part["toolCallId"] == id]
        return found

    def keeps_the_secret(self) -> None:
        """Check that no client has received the secret."""
        assert SECRET.encode() not in self.seen
