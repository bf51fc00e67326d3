"""Every server is stopped and started again, one after the other, under live streams: nobody notices but by a pause."""

from __future__ import annotations

import statistics
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from tests.chaos.crowd import seeded
from tests.cluster.checker import check
from tests.cluster.cluster import Cluster, Engine, Member
from tests.cluster.crowd import Crowd
from tests.cluster.engines import ENGINES
from tests.cluster.history import Ended, Fault, Saw
from tests.cluster.recorder import Recorder
from tests.counts import count

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

STREAMS = count("STREAMS", 20, long=200)
GRACE = 30.0  #: seconds in which a run ends by itself, on a machine however slow
LEASE = 2.2


@pytest.mark.parametrize("engine", ENGINES)
async def test_all_servers_are_restarted_under_live_streams_and_nothing_fails(tmp_path: Path, engine: str) -> None:
    _, random = seeded(f"rolling {engine}")
    recorder = Recorder()

    def patient(name: str, folder: Path, shared: Engine) -> Member:
        return Member(name, folder, shared, grace=GRACE)

    with ENGINES[engine]() as shared:
        async with (
            recorder.pulse(),
            Cluster(tmp_path, shared, random, make=patient) as cluster,
            Crowd(cluster, recorder, random) as crowd,
            crowd.streaming(STREAMS, "once"),
        ):
            await crowd.accepted(STREAMS)
            for member in cluster.members:
                begin = recorder.now
                assert await member.stop() == 0
                await member.start()
                recorder.events.append(Fault(begin, recorder.now, "stopped", member.name))
                await crowd.accepted(STREAMS)
        assert b"Traceback" not in cluster.errors
    assert check(recorder.events, lease=LEASE, patience=None) == []
    assert {event.how for event in recorder.events if isinstance(event, Ended)} == {"completed"}
    pauses = sorted(longest(recorder))
    print(f"{STREAMS} streams, pauses p50 {statistics.median(pauses):.3f} s, the longest {pauses[-1]:.3f} s")


def longest(recorder: Recorder) -> list[float]:
    """Return the longest time for which each reader saw nothing new."""
    seen: dict[str, list[float]] = defaultdict(list)
    for event in recorder.events:
        if isinstance(event, Saw):
            seen[event.reader].append(event.at)
    return [max(later - earlier for earlier, later in pairwise(times)) for times in seen.values() if len(times) > 1]
