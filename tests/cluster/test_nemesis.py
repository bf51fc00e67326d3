"""Servers over one engine while a nemesis is at them: nothing visible is lost, and nothing is done twice."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.chaos.crowd import seeded
from tests.cluster.checker import check, takeovers
from tests.cluster.cluster import Cluster
from tests.cluster.crowd import Crowd
from tests.cluster.engines import ENGINES
from tests.cluster.history import save
from tests.cluster.nemesis import KINDS, Nemesis
from tests.cluster.recorder import Recorder
from tests.counts import LONG, count

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

DEEDS = count("DEEDS", 3, long=300)  #: on each engine
ROUND = 9  #: between two quiet moments
FIRST = 10  #: commands that are accepted before anything is done to anybody, so that all servers have had requests
#: What is done: in `make test`, what operators do to processes, and processes to themselves.
DONE = KINDS if LONG else ("kill", "stop")
LEASE = 2.2  #: seconds, the default


@pytest.mark.parametrize("engine", ENGINES)
async def test_nothing_is_lost_and_nothing_happens_twice_whatever_is_done_to_a_cluster(
    tmp_path: Path, engine: str
) -> None:
    seed, random = seeded(f"nemesis {engine}")
    print(f"repeat with STATECAST_SEED={seed}")
    recorder = Recorder()
    began = time.monotonic()
    with ENGINES[engine]() as shared:
        async with (
            recorder.pulse(),
            Cluster(tmp_path, shared, random) as cluster,
            Crowd(cluster, recorder, random) as crowd,
        ):
            nemesis = Nemesis(cluster, recorder, random, lease=LEASE)
            async with crowd.using(("first", "once")):
                await crowd.accepted(FIRST)
            cluster.measure(recorder, "before")
            for number in range(0, DEEDS, ROUND):
                async with crowd.using((f"once-{number}", "once"), (f"again-{number}", "again")):
                    await nemesis.go(min(ROUND, DEEDS - number), DONE)
            await cluster.calm(recorder)
            said = cluster.errors
    save(recorder.events, tmp_path / "history")
    found = check(recorder.events, lease=LEASE, patience=1.0 if LONG else None)
    assert found == [], f"see {tmp_path / 'history'}; the servers said {said[-5_000:].decode(errors='replace')}"
    took = sorted(seconds for _, seconds in takeovers(recorder.events))
    print(f"{len(recorder.events)} events in {time.monotonic() - began:.0f} s, takeovers {took}")
