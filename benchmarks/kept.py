"""Servers whose threads are kept in a store, and whose processor time is that of all their threads of execution."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .serving import Served

__all__ = ["STORES", "Kept", "kept_server"]

PATIENCE = 5.0  #: seconds that a server has for what it does when nobody asks it for anything

STORES = ("memory", "sqlite")


class Kept(Served):
    """A server with a store, until the `with` block ends.

    Args:
        store: The store's URL.
        app: A module of `benchmarks.apps` that reads the URL from `STORE`.
    """

    def __init__(self, store: str = "memory", app: str = "kept", **environment: str) -> None:
        super().__init__(app, STORE=store, **environment)
        self.folder: Path | None = None  #: of the store's files, where `kept_server` made one

    def __enter__(self) -> Kept:
        super().__enter__()
        return self

    def cpu_seconds(self) -> float:
        """Return the processor time it has used: a store may write on a thread of its own."""
        clocks = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        nanoseconds = sum(int(clock.read_text().split()[0]) for clock in clocks)
        return nanoseconds / 1e9 if nanoseconds else super().cpu_seconds()

    def settle(self) -> None:
        """Wait until the server has nothing left to do: a store may go on when the streams have ended."""
        deadline = time.monotonic() + PATIENCE
        used = self.cpu_seconds()
        while time.monotonic() < deadline:
            time.sleep(0.25)
            before, used = used, self.cpu_seconds()
            if used - before < 0.002:
                return

    def written(self) -> tuple[int, int]:
        """Return the bytes it has handed to `write`, those of sockets included, and those that are for a disk."""
        counts = self._usage.io_counters()
        return int(counts.write_chars), int(counts.write_bytes)


@contextlib.contextmanager
def kept_server(store: str, file: str = "threads.db", app: str = "kept") -> Iterator[Kept]:
    """Serve with a store out of `STORES`, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        url = store if store == "memory" else f"sqlite:///{folder}/{file}"
        with Kept(url, app) as server:
            server.folder = Path(folder)
            yield server
