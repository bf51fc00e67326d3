"""`Attached`: a worker's side of its connection to the parent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from statecast.http.counted import Counted, Counts
from statecast.stores import SqliteStore, Store, StoreUnavailable
from statecast.stores.writer import WriterStore

from .control import (
    ENVIRONMENT,
    Beat,
    CountsAre,
    CountsNeeded,
    CountsOfOthers,
    Ready,
    Said,
    Started,
    TellCounts,
    WriterAt,
    WriterNeeded,
    decode_told,
    encode,
)

__all__ = ["Attached", "attached"]

#: Seconds that the parent may take to collect the counts of all workers.
COLLECTING: Final = 3.0


class Attached:
    """The parent, to a worker. It is the `Processes` that the worker counts together with.

    Args:
        started: What the parent has given to this process.
    """

    def __init__(self, started: Started) -> None:
        for number in (*started.listening, started.control):
            os.set_inheritable(number, False)
        self.listening = [socket.socket(fileno=number) for number in started.listening]
        self._control = socket.socket(fileno=started.control)
        self.again = started.again  #: whether another process has served before this one
        self._seconds = started.beat
        self._sending = threading.Lock()
        self._writers: queue.SimpleQueue[WriterAt | None] = queue.SimpleQueue()  #: None: the parent has ended
        self._loop: asyncio.AbstractEventLoop | None = None  #: once connections are accepted
        self._own: Callable[[], list[Counted]] = list
        self._others: Sequence[Counts] = ()  #: as the parent said last
        self._asked: asyncio.Future[None] | None = None  #: done when it has said so again
        threading.Thread(target=self._listen, name="statecast parent", daemon=True).start()

    def store(self, store: Store) -> Store:
        """Return what a store is in a worker: a file is in the writer, and all others are what they are."""
        if isinstance(store, SqliteStore):
            path, durable = os.path.realpath(store.path), store.durable

            async def place() -> str:
                return await asyncio.to_thread(self._writer, WriterNeeded(path, durable))

            return WriterStore(place)
        return store

    def ready(self, agents: Sequence[str], stopping: float) -> None:
        """Say that this process accepts connections; from now on it stops when the parent ends.

        Args:
            agents: The names of those it serves.
            stopping: Seconds that it takes to end after SIGTERM.
        """
        self._loop = asyncio.get_running_loop()
        self._send(Ready(list(agents), stopping))
        self._beat()

    def say_counts(self) -> None:
        """Say what this process has counted so far; at last, too, since it counts when the process has ended."""
        self._send(CountsAre(self._own()))

    def offer(self, own: Callable[[], list[Counted]]) -> None:
        """Have the other workers ask for what this one has counted."""
        self._own = own

    async def others(self) -> Sequence[Counts]:
        """Return what the other workers have counted; as of the last time if the parent does not answer."""
        if self._asked is None or self._asked.done():
            self._asked = asyncio.get_running_loop().create_future()
            self._send(CountsNeeded(self._own()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(COLLECTING):
                await asyncio.shield(self._asked)
        return self._others

    def _beat(self) -> None:
        """Say from time to time that the event loop turns. If the parent does not read, nothing waits for it."""
        assert self._loop is not None
        self._loop.call_later(self._seconds, self._beat)
        if self._sending.acquire(blocking=False):
            try:
                self._control.send(_line(Beat()), socket.MSG_DONTWAIT)
            except OSError:
                pass  # if the parent has ended, `_listen` knows
            finally:
                self._sending.release()

    def _writer(self, needed: WriterNeeded) -> str:
        self._send(needed)
        found = self._writers.get()
        if found is None:
            raise StoreUnavailable("the parent of this process has ended")
        if found.problem:
            raise StoreUnavailable(found.problem)
        return found.path

    def _send(self, message: Said) -> None:
        try:
            with self._sending:
                self._control.sendall(_line(message))
        except OSError:
            self._stop()

    def _listen(self) -> None:
        """Receive what the parent says, in a thread, until it ends."""
        with contextlib.suppress(OSError), self._control.makefile("rb") as lines:
            for line in lines:
                match decode_told(line):
                    case WriterAt() as found:
                        self._writers.put(found)
                    case TellCounts():
                        self._in_loop(self.say_counts)
                    case CountsOfOthers(others):
                        self._in_loop(self._collected, others)
        self._writers.put(None)
        if self._loop is not None:
            self._stop()

    def _in_loop(self, work: Callable[..., None], *arguments: object) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has been closed
                self._loop.call_soon_threadsafe(work, *arguments)

    def _collected(self, others: Sequence[Counts]) -> None:
        self._others = others
        if self._asked is not None and not self._asked.done():
            self._asked.set_result(None)

    def _stop(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


def _line(message: Said) -> bytes:
    return encode(message) + b"\n"


def attached() -> Attached | None:
    """Return the parent of this process; None unless it is a worker. Programs that it starts are none."""
    given = os.environ.pop(ENVIRONMENT, None)
    if given is None:
        return None
    started = msgspec.json.decode(given, type=Started)
    sys.path[:] = started.path
    return Attached(started)
