"""Plan: what the agent of one stream does. It travels in the request, so that one server serves every measure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Literal

import msgspec

__all__ = [
    "ANSWER",
    "PART",
    "PATH",
    "Plan",
    "encode_message",
    "encode_plan",
    "first_state",
    "read_plan",
    "report",
    "stamp",
    "ticks",
    "token",
]

#: Where the growing text is in the state.
PATH = ("messages", "0", "parts", "0", "text")
PART = ("messages", 0, "parts", 0)

#: What is said to a message.
ANSWER = "Well said."


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One stream.

    `tokens`: `count` tokens, `burst` of them in each turn of the event loop. `paced`: a token every `pause` seconds,
    each with the time it was made. `pages`: the state is replaced by a text of `size` bytes, `count` times. `parts`:
    `count` deltas of `size` bytes outside the state. `wait`: nothing, for as long as the client stays. `nothing`:
    nothing, and the stream ends. `answer`: one text, to the user's message that the command is.
    """

    kind: Literal["tokens", "paced", "pages", "parts", "wait", "nothing", "answer"]
    way: Literal["append", "add"] = "append"  #: the explicit append, or `+=`
    count: int = 0
    burst: int = 1
    turns: int = 1  #: turns of the event loop from a token, or burst, to the next
    pause: float = 0.0  #: seconds
    delay: float = 0.0  #: seconds before the first token
    size: int = 0  #: bytes


class _Body(msgspec.Struct):
    commands: list[Plan]


_body = msgspec.json.Decoder(_Body)


def encode_plan(plan: Plan, **fields: Any) -> bytes:
    """Return the body of a request: the plan as a command, beside the request's other fields."""
    command = {"type": "talk", **msgspec.to_builtins(plan)}
    return msgspec.json.encode({"commands": [command], "protocol": "assistant-transport", **fields})


def encode_message(text: str, **fields: Any) -> bytes:
    """Return the body of a request whose command is a message of the user, for `kind` "answer"."""
    message = {"role": "user", "parts": [{"type": "text", "text": text}]}
    command = {"type": "add-message", "kind": "answer", "message": message}
    return msgspec.json.encode({"commands": [command], "protocol": "assistant-transport", **fields})


def read_plan(body: bytes) -> Plan:
    """Return the plan in the body of a request, for servers that do nothing else with it."""
    return _body.decode(body).commands[0]


def first_state() -> dict[str, Any]:
    """Return the state that every stream starts with."""
    return {"messages": [{"role": "assistant", "parts": [{"type": "text", "text": "Well: "}]}], "page": ""}


def token(index: int) -> str:
    """Return the token of that number: about as long as those of a language model."""
    return f"t{index % 1000:03d} "


def stamp() -> str:
    """Return a token that tells when it was made, to the microsecond, on the clock all processes share."""
    return f"{time.perf_counter():.6f} "


async def ticks(plan: Plan) -> AsyncIterator[None]:
    """Yield when a token is due, `count` times.

    By the clock rather than by sleeping for the pause: streams whose pauses begin when a token is done fall into step,
    and then wait for one another with the processor idle.
    """
    due = time.perf_counter() + plan.delay
    for _ in range(plan.count):
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        yield
        due += plan.pause


def report(seconds: float) -> None:
    """Tell the process that measures how long the agent took; it reads this process's output."""
    print(f"talked {seconds:.6f}", flush=True)
