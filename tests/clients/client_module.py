"""`client.js` in Node, step by step: `thread.mjs` beside this file, driven from tests that are async themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anyio import to_thread

from tests.clients.driver import Json
from tests.clients.scenario import Scenario

__all__ = ["MODULE", "Module", "Thread", "running"]

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "transport" / "statecast" / "browser" / "client.js"


@dataclass(frozen=True)
class Module:
    """A process of Node with the module in it."""

    scenario: _Node
    console: list[str] = field(default_factory=list)

    async def thread(self, url: str, thread: str | None = "t", *, name: str = "thread", **options: Json) -> Thread:
        """Connect to a thread; `socket` for a WebSocket, and the options of `connect`."""
        made = Thread(self, name)
        made.id = (await made.do("connect", url=url, thread=thread, **options))["id"]
        return made

    def apply(self, initial: Json, batches: Sequence[Sequence[Json]]) -> Json:
        """Apply batches of operations: `{state, refused, wrong}`."""
        return self.scenario.step("apply", initial=initial, batches=[list(batch) for batch in batches])


@dataclass
class Thread:
    """A thread that the module is connected to."""

    module: Module
    name: str
    id: str = ""  #: known once it is connected

    async def do(self, step: str, **fields: Json) -> Any:
        """Do a step of `thread.mjs`, and return what it saw."""
        return await to_thread.run_sync(lambda: self.module.scenario.step(step, name=self.name, **fields))

    async def subscribe(self) -> Thread:
        await self.do("subscribe")
        return self

    async def send(self, *commands: Json, **fields: Json) -> Json:
        """Send commands; returns what the promise came to: `value`, or `refused` and more, or `failed`."""
        return await self.do("send", commands=list(commands), fields=fields)

    async def wait(self, what: str) -> Json:
        """Wait until a snapshot, `s`, is so; returns it. `f` has all that was told."""
        return (await self.do("wait", **{"for": f"(s, f) => {what}"}))["snapshot"]

    async def snapshot(self) -> Json:
        return (await self.do("snapshot"))["snapshot"]

    async def told(self) -> Json:
        """Return what its subscriber was told, checked: `{told, frames}`."""
        seen = await self.do("told")
        assert seen["wrong"] == []
        return seen


@dataclass(frozen=True)
class _Report:
    console: list[Json]  #: {level, text}
    uncaught: list[str]


class _Node(Scenario[_Report]):
    script = "thread.mjs"
    realm = "module"
    reported = _Report


@contextmanager
def running() -> Iterator[Module]:
    """Run a Node with the module, where nothing is left uncaught; `console` is what it said in the end."""
    with _Node({"module": MODULE.as_uri()}) as scenario:
        module = Module(scenario)
        yield module
        report = scenario.report()
        module.console.extend(line["text"] for line in report.console)
        assert report.uncaught == []
