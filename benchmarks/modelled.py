"""AD. The figures of the model, each measured alone; and what it says of one, two and four processes, to the truth."""

from __future__ import annotations

import secrets
import selectors
import sys
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import msgspec

from .client import open_stream
from .elsewhere import follow, joined
from .fanout import ENDS
from .harness import Options, Result, Samples, compare
from .kept import Kept
from .model import Figures, Workload, cores, engine_cores
from .plan import Plan, encode_plan, first_state
from .running import running

__all__ = ["figures", "measure"]

RUNS = 20
PAUSE = 0.02
SECONDS = 4.0
FOLLOWED = 1_000  #: threads, to measure what it costs to ask for them
EACH = 5  #: followers of each thread
PROCESSES = (1, 2, 4)
TARGET = 1.3


class Used(msgspec.Struct, frozen=True):
    """Seconds of cores, for what was counted in a load."""

    owners: float
    others: float
    engine: float
    entries: int
    size: int


def measure(options: Options) -> list[Result]:
    """Check the model: the cores that it says are needed, beside those that were used."""
    results = []
    with running("redis") as url:
        found = figures(url)
        print(msgspec.json.encode(found).decode(), file=sys.stderr)
        for processes in PROCESSES:
            samples: Samples = {"ours": [], "limit": []}
            for _ in range(options.of(2)):
                with ExitStack() as stack:
                    servers = [stack.enter_context(Kept(url)) for _ in range(processes)]
                    used = load(url, servers, servers, EACH)
                workload = Workload(
                    followers=RUNS * EACH,
                    followers_each=EACH,
                    talking=1.0,
                    tokens=1 / PAUSE,
                    machines=1,
                    processes=processes,
                )
                mirrors = min(processes, EACH) - 1
                said = cores(found, workload, mirrors=mirrors) + engine_cores(found, workload, mirrors=mirrors)
                samples["ours"].append(said)
                samples["limit"].append((used.owners + used.engine) / SECONDS)
            title = f"AD. cores of {processes} processes and their engine, predicted vs used"
            results.append(compare(title, "", samples, target=TARGET))
    return results


def figures(url: str) -> Figures:
    """Measure what one of each costs."""
    with Kept(url) as here, Kept(url) as there:
        alone = load(url, [here], [there], 0)
        one = load(url, [here], [there], 1)
        several = load(url, [here], [there], EACH)
        frame = (several.others - one.others) / (several.entries * (EACH - 1))
        with ExitStack() as stack:
            before = there.memory()
            for connection in follow(here, there, FOLLOWED):
                stack.enter_context(connection)
            memory = there.memory() - before
            cpu, engine = there.cpu_seconds(), used_by_redis(url)
            sleep(SECONDS)
            polls = FOLLOWED * SECONDS
            poll, engine_poll = (there.cpu_seconds() - cpu) / polls, (used_by_redis(url) - engine) / polls
    return Figures(
        token=alone.owners / alone.entries,
        entry=max(0.0, one.others / one.entries - frame),
        frame=frame,
        poll=poll,
        engine_token=alone.engine / alone.entries,
        engine_entry=max(0.0, (one.engine - alone.engine) / one.entries),
        engine_poll=engine_poll,
        follower_bytes=memory / FOLLOWED,
        frame_bytes=several.size / (several.entries * EACH),
    )


def load(url: str, owners: list[Kept], others: list[Kept], each: int) -> Used:
    """Run agents in some servers, with so many followers of each thread spread over others; return what was used."""
    count = round(SECONDS / PAUSE)
    opening = 1.0 + RUNS * each * 0.01
    started = perf_counter()
    turns = cycle(range(len(others)))
    with ExitStack() as stack:
        connections = []
        for index in range(RUNS):
            thread = f"modelled-{secrets.token_hex(6)}"
            delay = max(0.0, opening - (perf_counter() - started)) + PAUSE * index / RUNS
            plan = Plan(kind="paced", count=count, pause=PAUSE, delay=delay)
            body = encode_plan(plan, state=first_state(), threadId=thread)
            with open_stream(owners[index % len(owners)].port, body) as connection:
                connection.settimeout(30)
                assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
            connections += [stack.enter_context(joined(others[next(turns)], thread)) for _ in range(each)]
        sleep(max(0.0, opening - 0.1 - (perf_counter() - started)))
        servers = list({id(server): server for server in (*owners, *others)}.values())
        before = [server.cpu_seconds() for server in servers]
        engine = used_by_redis(url)
        if not each:
            sleep(SECONDS + 0.3)
        size = _read(connections)
        used = [server.cpu_seconds() - then for server, then in zip(servers, before, strict=True)]
        engine = used_by_redis(url) - engine
    mine = sum(value for server, value in zip(servers, used, strict=True) if server in owners)
    return Used(mine, sum(used) - mine, engine, RUNS * count, size)


def used_by_redis(url: str) -> float:
    """Return the seconds of a core that Redis has used."""
    from redis import Redis

    found: Any = Redis.from_url(url).info("cpu")
    return float(found["used_cpu_user"] + found["used_cpu_sys"])


def _read(connections: list[Any]) -> int:
    """Read until all have heard that the run has ended; returns how many bytes came."""
    size = 0
    with selectors.DefaultSelector() as ready:
        for connection in connections:
            connection.setblocking(False)
            ready.register(connection, selectors.EVENT_READ)
        while ready.get_map():
            for key, _ in ready.select():
                data = key.fileobj.recv(1 << 18)  # type: ignore[union-attr]  # it is a socket
                size += len(data)
                if data.endswith(ENDS) or not data:
                    ready.unregister(key.fileobj)
    return size


if __name__ == "__main__":
    with running("redis") as place:
        Path(sys.argv[1]).write_bytes(msgspec.json.format(msgspec.json.encode(figures(place))) + b"\n")
