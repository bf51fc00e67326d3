"""Servers whose threads are kept in a store, and whose processor time is that of all their threads of execution."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .serving import Served

__all__ = ["STORES", "Kept", "kept_server"]

STORES = ("memory", "sqlite")


class Kept(Served):
    """A server with a store, until the `with` block ends.

    Args:
        store: The store's URL.
        app: A module of `benchmarks.apps` that reads the URL from `STORE`.
    """

    def __init__(self, store: str = "memory", app: str = "kept", **environment: str) -> None:
        super().__init__(app, STORE=store, **environment)

    def __enter__(self) -> Kept:
        super().__enter__()
        return self

    def cpu_seconds(self) -> float:
        """Return the processor time it has used: a store may write on a thread of its own."""
        clocks = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        nanoseconds = sum(int(clock.read_text().split()[0]) for clock in clocks)
        return nanoseconds / 1e9 if nanoseconds else super().cpu_seconds()


@contextlib.contextmanager
def kept_server(store: str, file: str = "threads.db") -> Iterator[Kept]:
    """Serve with a store out of `STORES`, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        url = store if store == "memory" else f"sqlite:///{folder}/{file}"
        with Kept(url) as server:
            yield server
