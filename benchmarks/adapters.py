"""Q. Adapters: what an answer costs in processor time, beside a handler that appends the framework's tokens itself.

Rule: a token is measured as the difference between a long answer and a short one. So what happens once an answer, such
as sending the conversation to the model, is no part of it; an answer has rows of its own, in which it is.
Rule: the garbage collector is off during an answer, because when it runs depends on what else the process holds.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from functools import partial
from time import process_time
from typing import Any

import msgspec

from statecast import Agent
from statecast.testing import ASGIApp, TestClient

from .answers import PAIRS
from .harness import Options, Result, compare, interleave
from .tokens import Tokens

__all__ = ["measure"]

ANSWER = 500  #: tokens of a whole answer
SHORT = 100  #: tokens of the answer whose cost is taken off that of one with `MORE`
MORE = 2_000

Make = Callable[[Tokens], Agent]


def measure(options: Options) -> list[Result]:
    """Measure each adapter."""
    gc.freeze()  # between answers, the collector need not walk over what the frameworks have loaded
    try:
        return [result for name in PAIRS for result in measure_adapter(name, options)]
    finally:
        gc.unfreeze()


def measure_adapter(name: str, options: Options) -> list[Result]:
    """Measure one adapter."""
    adapter, by_hand, flat = PAIRS[name]
    sides: dict[str, Callable[[], float]] = {
        "ours": partial(cost_of_answer, adapter),
        "limit": partial(cost_of_answer, by_hand),
    }
    if flat:
        sides |= {
            "10 KB": partial(cost_of_token, adapter, before=10_000),
            "1 MB": partial(cost_of_token, adapter, before=1_000_000),
            "20": partial(cost_of_token, adapter, messages=20),
            "2,000": partial(cost_of_token, adapter, messages=2_000),
        }
    samples = interleave(sides, options.of(5))

    def line(title: str, target: float, ours: str = "ours", limit: str = "limit") -> Result:
        return compare(f"Q. {name}, {title}", "µs", samples, target=target, ours=ours, limit=limit, scale=1e6)

    results = [line(f"a token in an answer of {ANSWER}, vs appending by hand", 1.3)]
    if flat:
        results.append(line("a token after 1 MB of text, vs after 10 KB", 1.2, "1 MB", "10 KB"))
        results.append(line("a token after 2,000 messages, vs after 20", 1.2, "2,000", "20"))
    return results


def cost_of_answer(make: Make) -> float:
    """Return the processor seconds per token of a whole answer, from the request to the end of the response."""
    return cost(make, Tokens(ANSWER)) / ANSWER


def cost_of_token(make: Make, *, before: int = 0, messages: int = 0) -> float:
    """Return the processor seconds of a token behind so many characters, after so many messages."""
    short, long = (cost(make, Tokens(count, before), messages) for count in (SHORT, SHORT + MORE))
    return (long - short) / MORE


def cost(make: Make, tokens: Tokens, messages: int = 0) -> float:
    """Return the processor seconds of an answer."""
    return asyncio.run(_cost(make(tokens), tokens, messages))


async def _cost(agent: Agent, tokens: Tokens, messages: int) -> float:
    body = msgspec.json.encode(
        {
            "commands": [{"type": "add-message", "message": message(messages, "user")}],
            "state": {"messages": [message(index, ("user", "assistant")[index % 2]) for index in range(messages)]},
            "protocol": "assistant-transport",
        }
    )
    async with TestClient(agent) as client:
        gc.disable()
        try:
            started = process_time()
            size = await post(client.app, body)
            seconds = process_time() - started
        finally:
            gc.enable()
    assert size > tokens.before + tokens.count * len("t000 "), "the whole answer"
    return seconds


def message(index: int, role: str) -> dict[str, Any]:
    return {"id": f"m-{index}", "role": role, "parts": [{"type": "text", "text": f"Message {index}"}]}


async def post(app: ASGIApp, body: bytes) -> int:
    """Post a body, and return how many bytes came back. They are counted and dropped: a client costs nothing here."""
    size = 0
    parts = [{"type": "http.request", "body": body, "more_body": False}]
    over = asyncio.Event()

    async def receive() -> Any:
        if not parts:
            await over.wait()
        return parts.pop() if parts else {"type": "http.disconnect"}

    async def send(part: Any) -> None:
        nonlocal size
        size += len(part.get("body", b""))

    head = {"content-type": "application/json", "host": "127.0.0.1"}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/assistant",
        "raw_path": b"/assistant",
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in head.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    over.set()
    return size
