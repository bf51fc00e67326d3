"""F. A client that stops reading: what it costs the server, and whether its agent is held up.

The agent talks the same to a client that reads and to one that stops after the headers, on a fresh server each, and
then waits; the difference in memory is what the client cost that stopped.
"""

from __future__ import annotations

import socket
import threading
import time

from .client import open_stream
from .harness import PEER, Options, Result, Samples, compare, median
from .plan import Plan, encode_plan, first_state
from .serving import Served

__all__ = ["measure"]

ALLOWED = 2.0  #: MB that a client may cost
#: glibc otherwise keeps some freed memory, more or less of it by chance, and the difference would be that.
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
PLANS = {
    "state, 50 MB replaced": Plan(kind="pages", count=5_000, size=10_000),
    "message parts, 50 MB": Plan(kind="parts", count=50_000, size=1_000),
}


def measure(options: Options) -> list[Result]:
    """Measure both ways to talk."""
    results = []
    for title, plan in PLANS.items():
        cost: Samples = {"ours": [], "limit": [], PEER: []}
        rate: Samples = {"ours": [], "limit": [], "peer": []}
        for _ in range(options.of(5)):
            for name, app in (("ours", "ours"), (PEER, "peer")):
                reading, usual = _talk(app, plan, stalls=False)
                stalled, alone = _talk(app, plan, stalls=True)
                cost[name].append((stalled - reading) / 1e6)
                if name == "ours":
                    rate["ours"].append(plan.count / alone)
                    rate["limit"].append(plan.count / usual)
            cost["limit"].append(ALLOWED)
        results.append(compare(f"F. a client that stopped reading, {title}", "MB", cost, target=1.0))
        results.append(
            compare("F. its agent's speed, vs with a client that reads", "/s", rate, target=0.95, better="more")
        )
    return results


def _talk(app: str, plan: Plan, *, stalls: bool) -> tuple[float, float]:
    """Return the bytes of memory in use when the agent has talked, and how many seconds that took."""
    with (
        Served(app, **ENVIRONMENT) as server,
        open_stream(server.port, encode_plan(plan, state=first_state())) as connection,
    ):
        if stalls:
            connection.recv(64)
        else:
            threading.Thread(target=_drain, args=[connection], daemon=True).start()
        seconds = float(server.line("talked"))
        time.sleep(0.3)  # until what is on its way has arrived
        return median(_memory(server) for _ in range(3)), seconds


def _memory(server: Served) -> int:
    time.sleep(0.05)
    return server.memory()


def _drain(connection: socket.socket) -> None:
    try:
        while connection.recv(1 << 20):
            pass
    except OSError:
        pass
