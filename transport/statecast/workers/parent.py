"""`Parent`: starts workers, starts those again that die, and passes signals on. SIGHUP replaces one after another.

A worker is replaced when the new one accepts connections. So the address is always served, and where a new one does not
start, the old ones go on.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from .backoff import Backoff
from .listening import stop_listening
from .together import Together
from .worker import Worker
from .writers import Writers

__all__ = ["WORKER_TIMEOUT", "Parent"]

#: Seconds after which a worker is replaced whose event loop does not turn.
WORKER_TIMEOUT: Final = 30.0

_log: Final = logging.getLogger("statecast")


class Parent:
    """The parent of the workers of one server.

    Args:
        arguments: Those of the command line with which a worker is started.
        listening: The sockets on which they accept connections, for each of them.
        on_ready: Called with the names of the agents when all of them do so.
        timeout: Seconds after which a worker is replaced whose event loop does not turn; 0: it never is.
        logs: The options of `set_up_logging` in writers.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        listening: Sequence[list[socket.socket]],
        on_ready: Callable[[Sequence[str]], None] = lambda names: None,
        timeout: float = WORKER_TIMEOUT,
        logs: Mapping[str, str] | None = None,
    ) -> None:
        self._command = [sys.executable, "-m", "statecast", *arguments]
        self._slots = [_Slot(sockets) for sockets in listening]
        self._on_ready = on_ready
        self._timeout = timeout
        self._writers = Writers(logs or {})
        self._together = Together()
        self._workers: set[Worker] = set()
        self._stop = asyncio.Event()
        self._serving = asyncio.Event()  #: set when all workers have accepted connections once
        self._rolling: asyncio.Task[None] | None = None
        self._asked = 0  #: how often it was asked to stop
        self._status = 0
        self._roll_again = False

    def run(self) -> int:
        """Serve until asked to stop; return the exit status."""
        return asyncio.run(self._run())

    async def _run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._ask_to_stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._ask_to_roll)
        try:
            async with asyncio.TaskGroup() as tasks:
                serving = tasks.create_task(self._serve())
                await self._stop.wait()
                serving.cancel()
        finally:
            if self._rolling is not None:
                self._rolling.cancel()
            await asyncio.gather(*(worker.stop() for worker in self._workers))
            await self._writers.aclose()
        return self._status

    async def _serve(self) -> None:
        """Start the first worker, and if it works, the others; then keep each of them going."""
        names: Sequence[str] = ()
        first, *others = self._slots
        for slots in ([first], others):
            started = [await self._start(slot) for slot in slots]
            for worker in started:
                if worker is None:
                    self._status = 1
                    self._stop.set()
                    return
                if not await worker.ready():
                    self._status = max(await worker.process.ended(), 1)
                    self._stop.set()
                    return
                names = worker.agents
        self._serving.set()
        self._on_ready(names)
        async with asyncio.TaskGroup() as tasks:
            for slot in self._slots:
                tasks.create_task(self._keep(slot))

    async def _keep(self, slot: _Slot) -> None:
        """Start the worker of a slot again whenever it has ended by itself."""
        backoff = Backoff()
        while True:
            worker = slot.worker
            assert worker is not None
            status = await worker.process.ended()
            async with slot.changing:
                if slot.worker is worker:
                    _log.error("worker %d ended with status %d", worker.process.pid, status)
                    await self._pause(slot, backoff)
                    while await self._start(slot) is None:
                        await self._pause(slot, backoff)

    async def _pause(self, slot: _Slot, backoff: Backoff) -> None:
        """Wait before the next start. If it is not the first one, other workers get the connections meanwhile."""
        if backoff.seconds:
            stop_listening(slot.listening)
        await backoff.wait()

    async def _start(self, slot: _Slot) -> Worker | None:
        worker = await self._started(slot)
        if worker is not None:
            slot.worker = worker
        return worker

    async def _started(self, slot: _Slot) -> Worker | None:
        """Start a worker; return None if the system has nothing left for it."""
        try:
            worker = await Worker.start(
                self._command, slot.listening, self._writers, together=self._together, timeout=self._timeout
            )
        except OSError as error:
            _log.error("a worker could not be started: %s", error)
            return None
        self._workers.add(worker)
        worker.over.add_done_callback(lambda over: self._workers.discard(worker))
        return worker

    def _ask_to_stop(self, number: int) -> None:
        self._asked += 1
        self._stop.set()
        if self._asked > 1 and number == signal.SIGINT:
            for worker in self._workers:
                worker.process.signal(signal.SIGKILL)

    def _ask_to_roll(self) -> None:
        if self._rolling is not None and not self._rolling.done():
            self._roll_again = True
        elif not self._stop.is_set():
            self._rolling = asyncio.get_running_loop().create_task(self._roll())

    async def _roll(self) -> None:
        """Replace one worker after another, once all have started."""
        await self._serving.wait()
        while True:
            self._roll_again = False
            for slot in self._slots:
                async with slot.changing:
                    old, new = slot.worker, await self._started(slot)
                    if new is None or not await new.ready():
                        _log.error("a new worker did not start, so the old ones stay")
                        return
                    slot.worker = new
                if old is not None:
                    await old.stop()
            _log.info("all workers were replaced")
            if not self._roll_again:
                return


class _Slot:
    """The place of one worker.

    Args:
        listening: The sockets on which it accepts connections.
    """

    def __init__(self, listening: list[socket.socket]) -> None:
        self.listening = listening
        self.worker: Worker | None = None
        self.changing = asyncio.Lock()  #: held while it is replaced
