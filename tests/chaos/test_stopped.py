"""The server is asked to stop, again and again, under load: it ends well, and nothing is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.chaos.crowd import Crowd, repeatable, seeded
from tests.chaos.server_process import ServerProcess
from tests.counts import count

pytestmark = pytest.mark.anyio

STOPS = count("STOPS", 10, long=20)  #: in all
ROUND = 5  #: stops between two quiet moments


@pytest.mark.parametrize(("target", "share"), [("agents", 0.5), ("slow", 0.5)])
async def test_a_server_that_is_asked_to_stop_under_load_loses_nothing(
    tmp_path: Path, target: str, share: float
) -> None:
    stops = round(STOPS * share)
    seed, random = seeded(f"stopped {target}")
    served = ServerProcess(tmp_path, f"tests.chaos.echo_agents:{target}", grace=0.2)
    async with repeatable(seed, served), Crowd(served, random) as crowd:
        try:
            await served.start()
            for number in range(0, stops, ROUND):
                async with crowd.using((f"once-{number}", "once"), (f"again-{number}", "again")):
                    for _ in range(min(ROUND, stops - number)):
                        await served.up()
                        await asyncio.sleep(random.random() * 0.5)
                        assert await served.stop() == 0
                        await served.start()
            await served.up()
            assert await served.stop() == 0
            figures = await crowd.ledger.audit(served.file, crowd.threads)
        finally:
            await served.aclose()
    assert served.errors == b""
    assert figures["completed"] > stops
    print(f"seed {seed}: {figures | {'stops': served.starts, 'commands': len(crowd.ledger.sent)}}")
