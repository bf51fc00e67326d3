"""D. One stream of 20,000 tokens over a real socket: tokens per second at the client.

The same tokens in the same frames from all, except assistant-stream's own form of them.
"""

from __future__ import annotations

from contextlib import ExitStack
from time import perf_counter

from .client import body_of, open_stream, read_stream
from .harness import PEER, Options, Result, compare, interleave
from .plan import Plan, encode_plan, first_state
from .serving import Served

__all__ = ["measure"]

COUNT = 20_000
BURST = 16  #: frames that an agent flushes in one turn, faster than a socket takes them one by one


def measure(options: Options) -> list[Result]:
    """Measure both ways to grow a text, and an agent that outruns the socket."""
    append = Plan(kind="tokens", count=COUNT)
    add = Plan(kind="tokens", count=COUNT, way="add")
    burst = Plan(kind="tokens", count=COUNT, burst=BURST)
    with ExitStack() as stack:
        ours, limit, peer = (stack.enter_context(Served(name)) for name in ("ours", "limit", "peer"))
        assert _bodies(ours, append) == _bodies(limit, append), "the same frames"
        sides = {
            "ours": lambda: _rate(ours, append),
            "limit": lambda: _rate(limit, append),
            PEER: lambda: _rate(peer, append),
            "ours +=": lambda: _rate(ours, add),
            "peer +=": lambda: _rate(peer, add),
            "ours, outrun": lambda: _rate(ours, burst),
            "limit, outrun": lambda: _rate(limit, burst),
            "direct": lambda: _rate(limit, append, path="/direct"),
            "peer, outrun": lambda: _rate(peer, burst),
        }
        samples = interleave(sides, options.of(7))

    def line(title: str, ours: str, peer: str, target: float | None, limit: str = "limit") -> Result:
        return compare(title, "tokens/s", samples, target=target, better="more", ours=ours, peer=peer, limit=limit)

    return [
        line("D. one stream, append, a frame per turn", "ours", PEER, 0.85),
        line("D. one stream, +=, a frame per turn", "ours +=", "peer +=", 0.85),
        line("D. append, vs a producer that sends itself", "ours", PEER, None, "direct"),
        line(f"D. the agent outruns the socket ({BURST} frames per turn)", "ours, outrun", "peer, outrun", 2.0),
        line(
            f"D. the same, vs a limit with {BURST} frames per turn",
            "ours, outrun",
            "peer, outrun",
            None,
            "limit, outrun",
        ),
    ]


def _rate(server: Served, plan: Plan, *, path: str = "/assistant") -> float:
    started = perf_counter()
    response = _response(server, plan, path)
    seconds = perf_counter() - started
    assert response.count(b"append-text") == plan.count or plan.burst > 1, "a frame per token"
    return plan.count / seconds


def _response(server: Served, plan: Plan, path: str) -> bytes:
    with open_stream(server.port, encode_plan(plan, state=first_state()), path=path) as connection:
        return read_stream(connection)


def _bodies(server: Served, plan: Plan) -> bytes:
    return body_of(_response(server, plan, "/assistant"))
