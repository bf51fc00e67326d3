"""AB. A process that runs agents is killed: how long until a follower in another process sees how its run goes on.

Then processes are paused for a second, again and again: how often another one takes their threads all the same. That
depends on where in the owner's renewals a pause falls, and on nothing older than the last renewal; so the pauses of an
hour are made in minutes, several processes at a time, each paused again once it has surely renewed.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import statistics
import threading
import time
from contextlib import ExitStack
from socket import socket

import httpx

from .client import open_stream
from .elsewhere import joined
from .harness import Options, Result, within
from .kept import Kept
from .plan import Plan, encode_plan, first_state
from .running import ENGINES, running

__all__ = ["measure"]

KILLS = 30
AT_ONCE = 5  #: processes that are killed in a round, one shortly after the other
ALLOWED = 3.0  #: seconds
PAUSED = 6  #: processes that are paused
PAUSES = 360  #: an hour's, if there is one every ten seconds
RENEWED = 0.8  #: seconds in which a process has renewed its leases: more than a third of a lease
TALK = Plan(kind="paced", count=100_000, pause=0.05)


def measure(options: Options) -> list[Result]:
    """Measure on each engine."""
    results = []
    for engine in ENGINES:
        with running(engine) as url:
            kills = options.of(KILLS)
            waits: list[float] = []
            with Kept(url) as observer:
                while len(waits) < kills:
                    waits += _killed(url, observer, min(AT_ONCE, kills - len(waits)))
            waits.sort()
            title = f"AB. {engine}, from a kill to the next entry elsewhere, of {len(waits)}"
            results.append(within(f"{title}, median", "s", [statistics.median(waits)], ALLOWED))
            results.append(within(f"{title}, the longest", "s", [waits[-1]], ALLOWED))
            pauses, lost = _paused(url, PAUSES if options.rounds is None else options.rounds * PAUSED)
            results.append(within(f"AB. {engine}, takeovers after {pauses} pauses of a second", "", [lost], 1.0))
    return results


def _killed(url: str, observer: Kept, processes: int) -> list[float]:
    """Return how long it took until the run of each process that was killed had another entry."""
    with ExitStack() as stack:
        victims = [stack.enter_context(Kept(url)) for _ in range(processes)]
        followers = []
        for victim in victims:
            thread = f"killed-{secrets.token_hex(6)}"
            _start(victim, thread)
            followers.append(stack.enter_context(joined(observer, thread)))
        waits: list[float] = []
        reading = [
            threading.Thread(target=lambda victim=victim, follower=follower: waits.append(_taken(victim, follower)))
            for victim, follower in zip(victims, followers, strict=True)
        ]
        for reader in reading:
            reader.start()
        for reader in reading:
            reader.join()
        return waits


def _taken(victim: Kept, follower: socket) -> float:
    """Kill a process at a random moment, and return the seconds until its run is said to have ended."""
    time.sleep(random.random())
    os.kill(victim.pid, signal.SIGKILL)
    killed = time.perf_counter()
    follower.settimeout(30)
    data = b""
    while b'"interrupted"' not in data:
        piece = follower.recv(1 << 16)
        assert piece, "the observer ended the stream"
        data = (data + piece)[-4_096:]
    return time.perf_counter() - killed


def _paused(url: str, pauses: int) -> tuple[int, float]:
    """Pause processes for a second, at random moments; return how often, and how many runs that cost."""
    threads = [f"paused-{secrets.token_hex(6)}" for _ in range(PAUSED)]
    with ExitStack() as stack:
        others = stack.enter_context(Kept(url))
        owners = [stack.enter_context(Kept(url)) for _ in threads]
        for owner, thread in zip(owners, threads, strict=True):
            _start(owner, thread)
        pausing = [threading.Thread(target=_pause, args=(owner, pauses // PAUSED)) for owner in owners]
        for each in pausing:
            each.start()
        for each in pausing:
            each.join()
        lost = 0
        for thread in threads:
            status = httpx.get(f"http://127.0.0.1:{others.port}/status/{thread}", timeout=30).json()["status"]
            lost += status != "running"
    return pauses // PAUSED * PAUSED, float(lost)


def _pause(owner: Kept, times: int) -> None:
    for _ in range(times):
        time.sleep(RENEWED + random.random() * RENEWED)
        os.kill(owner.pid, signal.SIGSTOP)
        time.sleep(1.0)
        os.kill(owner.pid, signal.SIGCONT)


def _start(server: Kept, thread: str) -> None:
    """Start a run that talks for as long as it may."""
    body = encode_plan(TALK, state=first_state(), threadId=thread)
    with open_stream(server.port, body) as connection:
        connection.settimeout(30)
        begun = connection.recv(1 << 16)
        assert begun.startswith(b"HTTP/1.1 200"), begun
