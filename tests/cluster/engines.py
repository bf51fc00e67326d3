"""The engines that clusters share: each is started for one test, and may be killed, paused and started again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Protocol

from tests.cluster.cluster import Engine
from tests.engines import valkey
from tests.engines.postgres import QUICK, Postgres

__all__ = ["ENGINES"]


class Server(Protocol):
    """What tests start an engine by."""

    port: int

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def signal(self, number: int, /) -> None: ...


class Started:
    """An engine.

    Args:
        server: Its processes.
        url: Of the store, with `{port}` in it.
    """

    def __init__(self, server: Server, url: str) -> None:
        self.port = server.port
        self._server = server
        self._url = url

    def url(self, port: int) -> str:
        return self._url.format(port=port)

    async def kill(self) -> None:
        await asyncio.to_thread(self._server.kill)

    async def start(self) -> None:
        await asyncio.to_thread(self._server.start)

    def pause(self) -> None:
        self._server.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._server.signal(signal.SIGCONT)


@contextmanager
def postgres() -> Iterator[Engine]:
    """Yield PostgreSQL, which syncs nothing: what it has written survives the end of its processes all the same."""
    server = Postgres(*QUICK)
    try:
        yield Started(server, "postgresql://postgres@127.0.0.1:{port}/postgres")
    finally:
        server.remove()


@contextmanager
def redis() -> Iterator[Engine]:
    """Yield Valkey, whose file has everything that its process had when it ended."""
    server = valkey.Server()
    try:
        yield Started(server, "redis://127.0.0.1:{port}")
    finally:
        server.remove()


ENGINES: Final[dict[str, Callable[[], AbstractContextManager[Engine]]]] = {"postgres": postgres, "redis": redis}
