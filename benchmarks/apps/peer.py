"""assistant-stream, as its own documentation sets it up: `create_run` in an `AssistantTransportResponse`."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from assistant_stream import RunController, create_run
from assistant_stream.serialization import AssistantTransportResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.plan import ANSWER, PART, PATH, Plan, read_plan, report, stamp, ticks, token

_KEYS = [int(key) if key.isdigit() else key for key in PATH]


async def assistant(request: Request) -> Response:
    body = await request.json()
    state = body.get("state")
    plan = read_plan(await request.body())

    async def callback(controller: RunController) -> None:
        if plan.kind == "answer":
            _answer(controller, body["commands"][0]["message"])
        else:
            await _talk(controller, plan)

    return AssistantTransportResponse(create_run(callback, state=state))


async def _talk(controller: RunController, plan: Plan) -> None:
    match plan.kind:
        case "tokens":
            await _tokens(controller, plan)
        case "paced":
            async for _ in ticks(plan):
                controller.append_state_text(_KEYS, stamp())
        case "pages" | "parts":
            text = "x" * (plan.size - 12)
            started = time.perf_counter()
            for index in range(plan.count):
                if plan.kind == "pages":
                    _state(controller)["page"] = f"{index:012d}{text}"
                else:
                    controller.append_text(f"{index:012d}{text}")
                await asyncio.sleep(0)
            report(time.perf_counter() - started)
            await asyncio.Event().wait()
        case "wait":
            await asyncio.Event().wait()
        case "nothing":
            pass


def _answer(controller: RunController, message: Any) -> None:
    messages = _state(controller)["messages"]
    messages.append(message)
    messages.append({"role": "assistant", "parts": [{"type": "text", "text": ""}]})
    controller.append_state_text(["messages", len(messages) - 1, "parts", 0, "text"], ANSWER)


async def _tokens(controller: RunController, plan: Plan) -> None:
    if plan.way == "add":
        for index in range(plan.count):
            at = _state(controller)
            for key in PART:
                at = at[key]
            at["text"] += token(index)
            await asyncio.sleep(0)
        return
    for index in range(plan.count):
        controller.append_state_text(_KEYS, token(index))
        if plan.burst > 1:
            controller.flush()
        if index % plan.burst == plan.burst - 1:
            for _ in range(plan.turns):
                await asyncio.sleep(0)


def _state(controller: RunController) -> Any:
    return controller.state


app = Starlette(routes=[Route("/assistant", assistant, methods=["POST"])])
