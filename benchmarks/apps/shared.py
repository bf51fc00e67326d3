"""Statecast with an agent that talks when it is told to, so that everyone who is to follow is there by then."""

from __future__ import annotations

import asyncio
import os

import msgspec

from benchmarks.apps.ours import talk
from benchmarks.plan import PART, Plan, stamp
from statecast import Agent, Limits, Run, UntypedCommand, create_app

agent = Agent("benchmark", commands=["hold", "go", "talk"])
agent.on("talk")(talk)

_gate = asyncio.Event()


@agent.on("hold")
async def hold(run: Run, command: UntypedCommand) -> None:
    plan = msgspec.convert(command.body, Plan)
    _gate.clear()
    await _gate.wait()
    if plan.kind == "pages":
        text = "x" * (plan.size - 12)
        for index in range(plan.count):
            run.state["page"] = f"{index:012d}{text}"
            await asyncio.sleep(plan.pause)
        return
    part = run.state
    for key in PART:
        part = part[key]
    for _ in range(plan.count):
        part.append_text("text", stamp())
        await asyncio.sleep(plan.pause)


@agent.on("go")
async def go(run: Run, command: UntypedCommand) -> None:
    _gate.set()


app = create_app(agent, store=os.environ.get("STORE", "memory"), limits=Limits(runs=100_000))
