"""`Reloading`: one worker, which starts again when its code changes, and when it dies.

Its sockets stay open all the while, so connections wait for the next worker and none is refused. The worker has the
file of its store open itself: the one before has ended by then.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from .backoff import Backoff
from .sources import Sources
from .worker import Worker
from .writers import Writers

__all__ = ["Reloading"]

#: Seconds that a worker may take to end when its code has changed; then it is killed, and what it did is interrupted.
PATIENCE: Final = 2.0

_log: Final = logging.getLogger("statecast")


class Reloading:
    """Keeps one worker going.

    Args:
        arguments: Those of the command line with which it is started.
        listening: The sockets on which it accepts connections.
        folders: Those of its code.
        on_ready: Called with the names of its agents when it first accepts connections.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        listening: Sequence[socket.socket],
        folders: Iterable[Path],
        on_ready: Callable[[Sequence[str]], None],
    ) -> None:
        self._command = [sys.executable, "-m", "statecast", *arguments]
        self._listening = listening
        self._sources = Sources(folders)
        self._on_ready = on_ready
        self._worker: Worker | None = None
        self._asked = 0  #: how often it was asked to stop

    def run(self) -> int:
        """Serve until asked to stop; return the exit status."""
        return asyncio.run(self._run())

    async def _run(self) -> int:
        loop, serving = asyncio.get_running_loop(), asyncio.ensure_future(self._serve())
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._ask_to_stop, number, serving)
        try:
            return await serving
        except asyncio.CancelledError:
            if not self._asked:
                raise
            return 0
        finally:
            if self._worker is not None:
                await self._worker.stop()

    async def _serve(self) -> int:
        """Start the worker, and start it again whenever it has ended; return its status if it never served."""
        backoff = Backoff()
        has_served = False
        while True:
            worker = self._worker = await Worker.start(self._command, self._listening, Writers({}), again=has_served)
            if await worker.ready():
                if not has_served:
                    self._on_ready(worker.agents)
                has_served = True
                if not await self._until_changed(worker):
                    _log.error("the server ended; restarting it")
                    await backoff.wait()
                continue
            status = await worker.process.ended()
            if not has_served:
                return max(status, 1)
            _log.error("the server did not start; Statecast tries again when a file changes")
            await self._sources.changed()

    async def _until_changed(self, worker: Worker) -> bool:
        """Wait until the code has changed, and end the worker; return False if it has ended by itself."""
        changed = asyncio.ensure_future(self._sources.changed())
        try:
            await asyncio.wait({changed, worker.over}, return_when=asyncio.FIRST_COMPLETED)
            if not changed.done():
                return False
            _log.info("%s changed; restarting the server", changed.result())
            await worker.stop(PATIENCE)
            return True
        finally:
            changed.cancel()

    def _ask_to_stop(self, number: int, serving: asyncio.Future[int]) -> None:
        self._asked += 1
        serving.cancel()
        if self._asked > 1 and number == signal.SIGINT and self._worker is not None:
            self._worker.process.signal(signal.SIGKILL)
