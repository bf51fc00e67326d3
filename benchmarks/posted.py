"""H. A posted state of 1 MB: how long until the first byte, beside an app that reads the same body and answers.

A thread that is not known adopts the state; one that is known compares it with its own. The agent does nothing.
"""

from __future__ import annotations

import json
import random
import secrets
import statistics
from time import perf_counter
from typing import Any

from .client import open_stream, read_stream
from .harness import PEER, Options, Result, Samples, compare
from .plan import Plan, encode_plan
from .serving import Served

__all__ = ["measure"]

SIZE = 1_000_000  #: bytes of the state as JSON
REQUESTS = 15  #: of each kind, in each round

_WORDS = ["state", "agent", "document", "mutation", "operation", "client", "of", "the", "is", "a", "in"]


def messages(count: int = 2_000) -> dict[str, Any]:
    """Return a conversation: messages with a text each, about 500 bytes."""
    pick = random.Random(1)
    texts = [" ".join(pick.choices(_WORDS, k=77)) for _ in range(count)]
    return {
        "messages": [
            {
                "id": f"msg_{index:05d}",
                "role": ("user", "assistant")[index % 2],
                "parts": [{"type": "text", "text": text}],
            }
            for index, text in enumerate(texts)
        ]
    }


def values() -> dict[str, Any]:
    """Return a table: many small numbers, flags and words."""
    pick = random.Random(2)
    rows = [
        {
            "id": index,
            "x": pick.randrange(1000),
            "y": round(pick.random(), 4),
            "on": index % 3 == 0,
            "tag": pick.choice(_WORDS),
        }
        for index in range(19_000)
    ]
    return {"rows": rows, "messages": []}


def measure(options: Options) -> list[Result]:
    """Measure each state on threads that are not known and on one that is."""
    results = []
    for title, state, wanted in (("2,000 messages", messages(), 1.5), ("96,000 small values", values(), 2.0)):
        # As a page posts it: JSON.stringify writes neither spaces nor escapes that are not needed.
        text = json.dumps(state, separators=(",", ":"), ensure_ascii=False)
        assert 0.9 * SIZE < len(text) < 1.1 * SIZE, f"{title}: {len(text)} bytes"
        with Served("ours") as ours, Served("limit") as limit, Served("peer") as peer:
            samples = _times(text, ours, limit, peer, options.of(5))
        for kind in ("new thread, adopted", "known thread, compared"):
            line = {"ours": samples[kind], "limit": samples["limit"], PEER: samples[PEER]}
            target = wanted if kind.startswith("new") else 2.5
            results.append(compare(f"H. 1 MB of state, {title}, {kind}", "ms", line, target=target, scale=1e3))
            tail = statistics.quantiles(samples[kind], n=10)[8]
            results.append(
                Result(
                    measure="H. the same, p90 to p50",
                    unit="ms",
                    ours=tail * 1e3,
                    limit=statistics.median(samples[kind]) * 1e3,
                    ratio=tail / statistics.median(samples[kind]),
                    target=2.5,
                )
            )
    return results


def _times(text: str, ours: Served, limit: Served, peer: Served, rounds: int) -> Samples:
    samples: Samples = {"new thread, adopted": [], "known thread, compared": [], "limit": [], PEER: []}
    known = _post(ours, text, "known")[1]
    for index in range(rounds + 1):
        for _ in range(REQUESTS):
            for name, sample in (
                ("new thread, adopted", lambda: _post(ours, text, f"new-{secrets.token_hex(6)}")),
                ("known thread, compared", lambda: _post(ours, text, "known", known)),
                ("limit", lambda: _post(limit, text, "any", path="/undecoded")),
                (PEER, lambda: _post(peer, text, "any")),
            ):
                seconds, connection = sample()
                if connection is not known:
                    connection.close()
                if index:
                    samples[name].append(seconds)
    return samples


def _post(
    server: Served, text: str, thread: str, connection: Any = None, path: str = "/assistant"
) -> tuple[float, Any]:
    """Return the seconds to the first byte, and the connection."""
    plan = encode_plan(Plan(kind="nothing"), threadId=thread)
    body = plan[:-1] + b',"state":' + text.encode() + b"}"
    started = perf_counter()
    connection = open_stream(server.port, body, path=path, connection=connection)
    first = connection.recv(1)
    seconds = perf_counter() - started
    response = first + read_stream(connection)
    assert response.startswith(b"HTTP/1.1 200"), response[:500]
    return seconds, connection
