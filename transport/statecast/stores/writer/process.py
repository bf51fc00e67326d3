"""The writer's process: it has the file of a store open, and serves it to the processes of one server.

Whoever starts it passes a socket that listens, so that processes can connect before it is there, and while it is
started again; and one end of a connection, on which it says that the store is open, or why not. At a signal, or when
the other end of that connection is closed, it ends after the last process has disconnected. In the second case nobody
else is left to remove the socket, so it does that, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from statecast.logs import set_up_logging
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
    logs: Mapping[str, str] = {}  #: the options of `set_up_logging`


def command(settings: Settings) -> Sequence[str]:
    """Return the command that starts a writer's process."""
    return sys.executable, "-m", "statecast.stores.writer", msgspec.json.encode(settings).decode()


def main(arguments: Sequence[str]) -> int:
    """Run a writer's process; return its exit status."""
    settings = msgspec.json.decode(arguments[0], type=Settings)
    set_up_logging(**settings.logs)
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

    listening = socket.socket(fileno=settings.listening)
    place = Path(listening.getsockname())

    async def watch() -> None:
        await reader.read()
        stop.set()

    watching = loop.create_task(watch())
    try:
        await Writer(store).serve(listening, stop)
    finally:
        if watching.done():
            _remove(place)
        watching.cancel()
        answering.close()
        await store.aclose()
    return 0


def _remove(place: Path) -> None:
    """Remove a socket and its folder, if nothing else is there."""
    with contextlib.suppress(OSError):
        place.unlink(missing_ok=True)
        place.parent.rmdir()


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        from uvloop import Loop
    except ImportError:
        return None
    return Loop
