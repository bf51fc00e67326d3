"""`Attached`: a worker's side of its connection to the parent."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence

import msgspec

from statecast.stores import SqliteStore, Store, StoreUnavailable
from statecast.stores.writer import WriterStore

from .control import ENVIRONMENT, Ready, Started, WriterAt, WriterNeeded, encode

__all__ = ["Attached", "attached"]


class Attached:
    """The parent, to a worker.

    Args:
        started: What the parent has given to this process.
    """

    def __init__(self, started: Started) -> None:
        for number in (*started.listening, started.control):
            os.set_inheritable(number, False)
        self.listening = [socket.socket(fileno=number) for number in started.listening]
        self._control = socket.socket(fileno=started.control)
        self._lines = self._control.makefile("rb")

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
        self._send(Ready(list(agents), stopping))
        threading.Thread(target=self._watch, name="statecast parent", daemon=True).start()

    def _writer(self, needed: WriterNeeded) -> str:
        self._send(needed)
        answer = self._lines.readline()
        if not answer:
            raise StoreUnavailable("the parent of this process has ended")
        found = msgspec.json.decode(answer, type=WriterAt)
        if found.problem:
            raise StoreUnavailable(found.problem)
        return found.path

    def _send(self, message: Ready | WriterNeeded) -> None:
        try:
            self._control.sendall(encode(message) + b"\n")
        except OSError:
            self._stop()

    def _watch(self) -> None:
        try:
            self._lines.read()
        except OSError:
            pass
        self._stop()

    def _stop(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


def attached() -> Attached | None:
    """Return the parent of this process; None unless it is a worker. Programs that it starts are none."""
    given = os.environ.pop(ENVIRONMENT, None)
    if given is None:
        return None
    started = msgspec.json.decode(given, type=Started)
    sys.path[:] = started.path
    return Attached(started)
