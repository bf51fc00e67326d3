"""Statecast."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec

from benchmarks.plan import ANSWER, PART, Plan, report, stamp, ticks, token
from statecast import AddMessage, Agent, Limits, Run, UntypedCommand, create_app

agent = Agent("benchmark", commands=["talk"])


@agent.on("talk")
async def talk(run: Run, command: UntypedCommand) -> None:
    plan = msgspec.convert(command.body, Plan)
    match plan.kind:
        case "tokens":
            await _tokens(run, plan)
        case "paced":
            part = _part(run)
            async for _ in ticks(plan):
                part.append_text("text", stamp())
        case "pages" | "parts":
            text = "x" * (plan.size - 12)
            started = time.perf_counter()
            for index in range(plan.count):
                if plan.kind == "pages":
                    run.state["page"] = f"{index:012d}{text}"
                else:
                    run.parts.append_text(f"{index:012d}{text}")
                await asyncio.sleep(0)
            report(time.perf_counter() - started)
            await asyncio.Event().wait()
        case "wait":
            await asyncio.Event().wait()
        case "nothing":
            pass


@agent.on(AddMessage)
async def answer(run: Run, command: AddMessage) -> None:
    run.messages.assistant().append_text(ANSWER)


async def _tokens(run: Run, plan: Plan) -> None:
    part = _part(run)
    if plan.way == "add":
        for index in range(plan.count):
            part["text"] += token(index)
            await asyncio.sleep(0)
    elif plan.burst == 1:
        for index in range(plan.count):
            part.append_text("text", token(index))
            for _ in range(plan.turns):
                await asyncio.sleep(0)
    else:
        for index in range(plan.count):
            part.append_text("text", token(index))
            run.flush()
            if index % plan.burst == plan.burst - 1:
                await asyncio.sleep(0)


def _part(run: Run) -> Any:
    at = run.state
    for key in PART:
        at = at[key]
    return at


# Threads of one request each are let go soon, so that a long series of large states does not fill the memory.
app = create_app(agent, limits=Limits(runs=100_000, resume_seconds=1.0, idle_seconds=5.0, heartbeat_seconds=15.0))
