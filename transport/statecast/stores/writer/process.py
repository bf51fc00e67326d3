"""The writer's process: it has the file of a store open, and serves it to the processes of one server.

Whoever starts it passes a socket that listens, so that processes can connect before it is there, and while it is
started again; and one end of a connection, on which it says that the store is open, or why not. At a signal, or when
the other end of that connection is closed, it ends after the last process has disconnected.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Final

import msgspec

from statecast.stores.errors import StoreUnavailable
from statecast.stores.sharing import Sharing
from statecast.stores.sqlite import SqliteStore

from .server import Writer

__all__ = ["CLAIMS", "Settings", "command", "main"]

#: Claims of threads that a writer's process may live through. Tokens of the next one are greater than all of them.
CLAIMS: Final = 2**40


class Settings(msgspec.Struct, frozen=True):
    """What a writer's process is given."""

    path: str  #: the store's file
    durable: bool  #: whether a commit waits for the disk
    start: int  #: how many processes were writers of the file for this server before
    listening: int  #: the descriptor of the socket where processes connect
    control: int  #: the descriptor of the connection to whoever started it


def command(settings: Settings) -> Sequence[str]:
    """Return the command that starts a writer's process."""
    return sys.executable, "-m", "statecast.stores.writer", msgspec.json.encode(settings).decode()


def main(arguments: Sequence[str]) -> int:
    """Run a writer's process; return its exit status."""
    settings = msgspec.json.decode(arguments[0], type=Settings)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run(settings))


async def _run(settings: Settings) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    control = socket.socket(fileno=settings.control)
    reader, answering = await asyncio.open_connection(sock=control)
    store = Sharing(SqliteStore(settings.path, durable=settings.durable), tokens=settings.start * CLAIMS)
    try:
        await store.open()
    except StoreUnavailable as error:
        answering.write(f"{error}\n".encode())
        await answering.drain()
        return 1
    answering.write(b"\n")

    async def watch() -> None:
        await reader.read()
        stop.set()

    watching = loop.create_task(watch())
    try:
        await Writer(store).serve(socket.socket(fileno=settings.listening), stop)
    finally:
        watching.cancel()
        answering.close()
        await store.aclose()
    return 0


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        from uvloop import Loop
    except ImportError:
        return None
    return Loop
