"""V. A run on a thread of 10 MB, in process: its first look at the state, its end, and what a posted state costs.

The requests go to the hub, so that neither a body is read nor a snapshot sent: what is left is what a run costs a
thread. Processor time of all the process's threads is counted, because large states are offloaded to one of them.
"""

from __future__ import annotations

import asyncio
import gc
import json
from time import process_time
from typing import Any

import msgspec

from statecast import Agent, Limits, Run, UntypedCommand
from statecast.protocol import Cursor
from statecast.threads import Hub
from statecast.threads.rules import Posted

from .harness import Options, Result, Samples, within
from .posted import messages

__all__ = ["figures_of", "measure"]

MESSAGES = 20_000  #: 10 MB of them
ALLOWED = 5.0  #: milliseconds
AFTER = 0.2  #: seconds in which a run that is over is surely at rest
THREAD = "large"
TITLES = {
    "look": "to the first look of its run",
    "end": "to the end of its run",
    "equal": "comparing an equal state",
    "spaced": "comparing an equal state, written with spaces",
    "less": "comparing a state that lacks the last message",
}


def measure(options: Options) -> list[Result]:
    """Measure each part; the limit is what is allowed."""
    figures = figures_of(messages(MESSAGES), options.of(5))
    return [
        within(f"V. 10 MB of state, {title}", "ms", figures[what], ALLOWED, scale=1e3) for what, title in TITLES.items()
    ]


def figures_of(state: Any, rounds: int) -> Samples:
    """Return the processor seconds of each part, on a thread with that state."""
    return asyncio.run(_figures_of(state, rounds))


async def _figures_of(state: Any, rounds: int) -> Samples:
    agent = Agent("benchmark", commands=["touch"])
    looked: list[tuple[float, float]] = []

    @agent.on("touch")
    async def touch(run: Run, command: UntypedCommand) -> None:
        part = run.state["messages"][-1]["parts"][0]
        before = process_time()
        part.append_text("text", "tok ")
        await asyncio.sleep(0)
        looked.append((before, process_time()))

    hub = Hub({agent.name: agent}, limits=Limits(state=1 << 26))
    await hub.start()
    figures: Samples = {what: [] for what in TITLES}
    try:
        claim = msgspec.json.encode(state)
        command = msgspec.json.encode({"type": "touch"})
        thread = (await hub.submit(Posted(agent=agent, commands=[command], thread_id=THREAD, claim=claim))).thread
        for index in range(rounds + 1):
            await asyncio.sleep(AFTER)
            found = {}
            revision, text = thread.snapshot()
            value = json.loads(text)
            claims = {"equal": bytes(bytearray(text)), "spaced": json.dumps(value, ensure_ascii=False).encode()}
            del value["messages"][-1]
            claims["less"] = msgspec.json.encode(value)
            for name, posted in claims.items():
                gc.collect()
                started = process_time()
                accepted = await hub.submit(Posted(agent=agent, thread_id=THREAD, claim=posted))
                found[name] = process_time() - started
                assert accepted.snapshot == (name == "less"), f"{name}: a snapshot only for another state"
            gc.collect()
            looked.clear()
            started = process_time()
            await hub.submit(
                Posted(agent=agent, commands=[command], thread_id=THREAD, since=Cursor(thread.epoch, revision))
            )
            await asyncio.sleep(AFTER)
            ended = process_time()
            ((before, after),) = looked
            assert thread.active is None, "the run is over"
            found |= {"look": before - started, "end": ended - after}
            for what, seconds in found.items():
                if index:
                    figures[what].append(seconds)
    finally:
        await hub.aclose()
    return figures
