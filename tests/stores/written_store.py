"""A store that a writer serves, as in a process of its own, and on a socket as there, but in this process."""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from statecast.stores import Sharing, SqliteStore
from statecast.stores.writer import Writer, WriterStore

__all__ = ["WriterHere", "WrittenStore"]


class WriterHere:
    """A writer in this process, for as long as a store is open.

    Args:
        file: The store's file.
        clock: By which threads are idle.
    """

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._clock = clock
        self._folder: str | None = None
        self._users = 0
        self._starts = 0
        self._stop = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    @property
    def path(self) -> str:
        """Where it listens."""
        return f"{self._folder}/socket"

    async def enter(self) -> str:
        """Start it, if it is not there for another; return its path."""
        self._users += 1
        if self._users == 1:
            self._folder = tempfile.mkdtemp(prefix="statecast-")  # a socket's path has to be short
            await self.start()
        return self.path

    async def leave(self) -> None:
        """Stop it after the last one."""
        self._users -= 1
        if self._users == 0 and self._serving is not None:
            self._stop.set()
            await self._serving
            shutil.rmtree(self.path.removesuffix("/socket"))

    async def start(self) -> None:
        """Start it once more."""
        store = Sharing(SqliteStore(self._file, clock=self._clock), tokens=self._starts * 1_000)
        self._starts += 1
        await store.open()
        Path(self.path).unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(self.path)
        listening.listen()
        self._stop = asyncio.Event()
        self._serving = asyncio.create_task(self._serve(store, listening))

    async def end(self) -> None:
        """End it, whoever is connected."""
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.wait({self._serving})

    async def _serve(self, store: Sharing, listening: socket.socket) -> None:
        try:
            await Writer(store).serve(listening, self._stop)
        finally:
            await store.aclose()


class WrittenStore(WriterStore):
    """A store whose writer is in this process.

    Args:
        writer: The writer.
    """

    def __init__(self, writer: WriterHere) -> None:
        self._writer = writer
        self._open = False
        super().__init__(self._place)

    async def _place(self) -> str:
        self._open = True
        return await self._writer.enter()

    async def aclose(self) -> None:
        await super().aclose()
        if self._open:
            self._open = False
            await self._writer.leave()
