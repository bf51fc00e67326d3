"""Scenes for pages that resume: a server with an agent that is held in mid-run, and pages that are used again."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx

from statecast import AddMessage, AddToolResult, Agent, AssistantMessage, Run, UntypedCommand
from tests.clients.node import Json, Protocol, Transport, TransportReport
from tests.clients.transport_checks import PATIENCE, check, said, settings

#: Where the text of the first answer is.
TEXT = ["messages", 1, "parts", 0, "text"]

ADD: Json = {"description": "Add two numbers.", "parameters": {"type": "object"}}
#: The page's tools: one that answers, and one that never does.
BY_ITSELF: Json = {"add": {**ADD, "execute": "async ({a, b}) => ({sum: a + b})"}}
NEVER: Json = {"add": {**ADD, "execute": "() => new Promise(() => {})"}}

#: The agent as a module, for a server that runs elsewhere: the tests are beside the project, not in it.
MODULE = f"""
import sys

sys.path.insert(0, {str(Path(__file__).parents[2])!r})

from tests.clients.scenes import Gates, scripted

agent = scripted(Gates())
"""


class Gates:
    """What tests open in their own thread, and others wait for, by name."""

    def __init__(self) -> None:
        self._gates: defaultdict[str, threading.Event] = defaultdict(threading.Event)

    def __getitem__(self, name: str) -> threading.Event:
        return self._gates[name]

    async def passed(self, name: str) -> None:
        """Wait until a gate is open; a stop does not wait for it."""
        await anyio.to_thread.run_sync(self[name].wait, PATIENCE, abandon_on_cancel=True)


Script = Callable[[Run, AssistantMessage], Awaitable[None]]


def scripted(gates: Gates) -> Agent:
    """Return an agent that does what the user's message is the name of."""
    agent = Agent(commands=["go"])
    scripts: dict[str, Script] = {}

    def script(function: Script) -> Script:
        scripts[function.__name__] = function
        return function

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        await scripts[command.message.text](run, run.messages.assistant())

    @agent.on(AddToolResult)
    def settle(run: Run, command: AddToolResult) -> None:
        run.state["settled"] = "by a run of its own"

    @agent.on("note")
    def note(run: Run, command: UntypedCommand) -> None:
        run.state.setdefault("notes", []).append([command.body["text"], run.state["messages"][1]["parts"][-1]["text"]])

    @script
    async def short(run: Run, message: AssistantMessage) -> None:
        message.append_text("whole")

    @script
    async def half(run: Run, message: AssistantMessage) -> None:
        message.append_text("half")
        await gates.passed(f"{run.thread_id}/half")
        message.append_text(" and half")

    @script
    async def count(run: Run, message: AssistantMessage) -> None:
        message.append_text("one")
        for word in ("two", "three"):
            await gates.passed(f"{run.thread_id}/{word}")
            for letter in f" {word}":
                message.append_text(letter)
                await asyncio.sleep(0)

    @script
    async def wait(run: Run, message: AssistantMessage) -> None:
        message.append_text("half")
        await run.wait_for("go")
        message.append_text(" and half")

    @script
    async def add(run: Run, message: AssistantMessage) -> None:
        sum_ = await run.call_tool("add", {"a": 1, "b": 2}, message=message)
        message.append_text(f"got {json.dumps(sum_)}")

    @script
    async def add_beside(run: Run, message: AssistantMessage) -> None:
        run.start_soon(gates.passed, f"{run.thread_id}/beside")
        await add(run, message)

    @script
    async def ask(run: Run, message: AssistantMessage) -> None:
        approved = await run.approval("Delete it?", path="/tmp/x")
        message.append_text("deleted" if approved else "kept")

    return agent


class Holding:
    """An app that holds requests to `/resume`, where their header `x-hold` names a gate, until it is open."""

    def __init__(self, app: Any, gates: Gates) -> None:
        self._app = app
        self._gates = gates

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        name = dict(scope.get("headers", ())).get(b"x-hold")
        if name is not None and scope["path"] == "/resume":
            self._gates[f"{name.decode()} reached"].set()
            await self._gates.passed(name.decode())
        await self._app(scope, receive, send)


@dataclass
class Scene:
    """One thread of a server, and who looks at it."""

    url: str
    protocol: Protocol
    thread_id: str
    gates: Gates = field(default_factory=Gates)

    def config(self, steps: str = "one step", **more: Json) -> dict[str, Json]:
        """Return the settings of a page that can resume."""
        resume = f"{self.url}/resume?protocol={self.protocol}"
        config = settings(self.url, self.protocol, threadId=self.thread_id, resumeApi=resume, **more)
        return {**config, "resumeStateApi": f"{self.url}/initial-state"} if steps == "two steps" else config

    def gate(self, name: str) -> threading.Event:
        """Return what the thread's runs wait for."""
        return self.gates[f"{self.thread_id}/{name}"]

    def post(self, path: str, **body: Json) -> httpx.Response:
        """Send a request of another client."""
        return httpx.post(f"{self.url}{path}", json={"threadId": self.thread_id, **body}, timeout=PATIENCE)

    @contextmanager
    def said_elsewhere(self, text: str) -> Iterator[None]:
        """Let another client say something, and read its answer until the block ends."""
        message = {"role": "user", "parts": [{"type": "text", "text": text}]}
        body = {"threadId": self.thread_id, "commands": [{"type": "add-message", "message": message}]}
        accepted = threading.Event()

        def read() -> None:
            with httpx.stream("POST", f"{self.url}/assistant", json=body, timeout=PATIENCE) as response:
                for _ in response.iter_raw():
                    accepted.set()

        thread = threading.Thread(target=read)
        thread.start()
        assert accepted.wait(PATIENCE)
        yield
        thread.join(PATIENCE)
        assert not thread.is_alive()

    def status(self) -> Json:
        """Return what the thread is doing."""
        return httpx.get(f"{self.url}/status/{self.thread_id}").json()

    def told(self, page: Transport, *, errors: int = 0) -> TransportReport:
        """Return what a page did, when it has nothing to complain of but so many errors, and the server's state."""
        report = page.told()
        assert len(report.errors) == errors, report.errors
        check(report, self.url, errors=[error["message"] for error in report.errors])
        return report


def until(page: Transport, condition: Json) -> None:
    """Wait until a condition is true in a page."""
    page.step("wait", **{"for": condition})


def texts(report: TransportReport) -> list[str]:
    """Return what was said, in order."""
    return [text for _, text in said(report.final_state) if isinstance(text, str)]


def cut(response: Json) -> tuple[str, str]:
    """Return what of a response is a replay, and what comes after it."""
    body = response["body"].encode()
    length = int(response["headers"].get("aui-replay-content-length", 0))
    return body[:length].decode(), body[length:].decode()
