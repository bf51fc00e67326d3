"""Workers are replaced and killed, and so is their writer, while a crowd uses their threads.

Nothing is lost, nothing happens twice, and all clients see the same.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path

import pytest

from tests.chaos.crowd import Crowd, repeatable, seeded, within
from tests.chaos.server_process import ServerProcess
from tests.counts import count

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROUNDS = count("ROLLS", 1, long=10)  #: in each, all workers are replaced, one is killed, and the writer is killed


class Fate:
    """What happens to a server's processes.

    Args:
        served: The server.
    """

    def __init__(self, served: ServerProcess) -> None:
        self._served = served

    async def roll(self) -> None:
        """Replace all workers."""
        before = self._count(r"INFO: all workers were replaced")
        os.kill(self._served.pid, signal.SIGHUP)
        await self._until(r"INFO: all workers were replaced", before + 1)

    async def kill_worker(self) -> None:
        """Kill a worker, and wait until there is another one."""
        pattern = r"INFO: worker (\d+) accepts connections"
        workers = re.findall(pattern, self._served.errors.decode())
        os.kill(int(workers[-1]), signal.SIGKILL)
        await self._until(pattern, len(workers) + 1)

    async def kill_writer(self) -> None:
        """Kill the writer, and wait until there is another one."""
        pattern = r"INFO: process (\d+) writes "
        writers = re.findall(pattern, self._served.errors.decode())
        os.kill(int(writers[-1]), signal.SIGKILL)
        await self._until(pattern, len(writers) + 1)

    def _count(self, pattern: str) -> int:
        return len(re.findall(pattern, self._served.errors.decode()))

    async def _until(self, pattern: str, times: int) -> None:
        async def said() -> None:
            while self._count(pattern) < times:  # noqa: ASYNC110  # it is another process's
                await asyncio.sleep(0.02)

        await within(f"{pattern} to be said {times} times", said())


@pytest.mark.parametrize("fate", ["roll", "kill_worker", "kill_writer"])
async def test_whatever_happens_to_processes_under_load_nothing_is_lost(tmp_path: Path, fate: str) -> None:
    seed, random = seeded(f"workers {fate}")
    served = ServerProcess(tmp_path, grace=0.2, workers=2)
    async with repeatable(seed, served), Crowd(served, random) as crowd:
        try:
            await served.start()
            await served.up()
            for number in range(ROUNDS):
                async with crowd.using((f"once-{number}", "once"), (f"again-{number}", "again")):
                    await asyncio.sleep(random.random() * 0.5)
                    await getattr(Fate(served), fate)()
            assert await served.stop() == 0
            figures = await crowd.ledger.audit(served.file, crowd.threads)
        finally:
            await served.aclose()
    assert b"Traceback" not in served.errors, served.errors.decode()
    assert figures["completed"] > 0
    print(f"seed {seed}: {figures | {'losses': crowd.world.losses, 'commands': len(crowd.ledger.sent)}}")
