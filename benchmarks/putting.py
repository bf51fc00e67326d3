"""P. A framework's state of 1 MB put into the thread's, and a token of a sub-agent, in process.

The limit of a put is to encode the value with the standard library's `json`, which is the least that sending it whole
would cost. The limit of the sub-agent's token is one of the main conversation.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from time import process_time
from typing import Any

from statecast_agents import Document, Run

from .harness import Options, Result, Samples, compare, interleave
from .operations import append, cost_of
from .posted import messages, values

__all__ = ["measure"]

TEXTS, TABLE = "2,000 messages", "96,000 small values"


def measure(options: Options) -> list[Result]:
    """Measure a put of two kinds of values, unchanged and changed, and a sub-agent's token."""
    results: list[Result] = []
    for title, make in ((TEXTS, messages), (TABLE, values)):
        for what, change in (("unchanged", _nothing), ("a text grown, an item added", _little)):
            samples = _put(make(), change, options.of(15))
            results.append(compare(f"P. put of 1 MB, {title}, {what}", "ms", samples, scale=1e3))
    return [*results, _token(options)]


def _put(value: Any, change: Callable[[Any, int], None], rounds: int) -> Samples:
    document = Document({})
    run = Run(id="run", thread_id="thread", document=document)
    run.put("state", value)
    document.flush()
    count = 0

    def ours() -> float:
        nonlocal count
        count += 1
        change(value, count)
        started = process_time()
        run.put("state", value)
        document.flush()
        return process_time() - started

    def limit() -> float:
        started = process_time()
        json.dumps(value)
        return process_time() - started

    return interleave({"ours": ours, "limit": limit}, rounds)


def _nothing(value: Any, count: int) -> None:
    """Leave a value as it is."""


def _little(value: Any, count: int) -> None:
    rows = value["rows"] if "rows" in value else value["messages"]
    value["title"] = value.get("title", "") + " more"
    rows.append({"id": f"row_{count}", "parts": [{"type": "text", "text": "new"}]})


def _token(options: Options) -> Result:
    """Measure a token of a sub-agent beside one of the main conversation."""
    below = {"messages": [_message("parts", _call(_message("content")))]}
    sides = {
        "ours": lambda: cost_of(append_below, below),
        "limit": lambda: cost_of(append, {"messages": [_message("parts")]}),
    }
    samples = interleave(sides, options.of(9))
    return compare("P. a token of a sub-agent, vs one of the agent", "µs", samples, target=1.2, scale=1e6)


def append_below(state: Any, index: int) -> None:
    """Append a token to what a sub-agent says."""
    call = state["messages"][-1]["parts"][0]
    call["messages"][-1]["content"][0].append_text("text", "tok ")


def _message(field: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"id": "m", "role": "assistant", field: list(parts) or [{"type": "text", "text": "x"}]}


def _call(*conversation: dict[str, Any]) -> dict[str, Any]:
    return {"type": "tool-call", "toolCallId": "c", "toolName": "ask", "messages": list(conversation)}
