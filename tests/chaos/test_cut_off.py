"""The network drops, cuts, stalls and resets connections: every client ends where the server is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.crowd import Crowd, repeatable, seeded, within
from tests.chaos.proxy import Proxy
from tests.chaos.server_process import ServerProcess
from tests.counts import count

pytestmark = pytest.mark.anyio

HARMS = count("HARMS", 300, long=600)  #: done to connections, in all
ROUND = 150  #: between two quiet moments


async def test_a_network_that_fails_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    seed, random = seeded("cut off")
    served = ServerProcess(tmp_path)

    async def through() -> str:
        return proxy.url

    async with (
        repeatable(seed, served),
        Proxy(served.up, random) as proxy,
        Crowd(served, random, up=through) as crowd,
    ):
        try:
            await served.start()
            for goal in range(ROUND, HARMS + 1, ROUND):
                async with crowd.using((f"once-{goal}", "once"), (f"again-{goal}", "again")):
                    proxy.rough = True
                    await within(f"{goal} harms", proxy.harmed(goal))
                    proxy.calm()
            assert await served.stop() == 0
            figures = await crowd.ledger.audit(served.file, crowd.threads)
        finally:
            await served.aclose()
    assert served.errors == b""
    assert figures["interrupted"] == 0
    assert all(proxy.harm.values())
    print(f"seed {seed}: {figures | proxy.harm | {'commands': len(crowd.ledger.sent)}}")
