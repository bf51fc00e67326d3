"""The lifespan of an app: it starts with its server, and ends at the signal that stops the server.

Servers wait for open responses before they tell the app that they stop. A stream is open as long as its run, so the app
has to hear of the signal first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import signal
import threading
from collections.abc import AsyncIterator, Callable
from types import FrameType
from typing import Any, Final, TypeAlias

from statecast.stores import StoreUnavailable
from statecast.threads import Hub

__all__ = ["GRACE", "serving"]

GRACE: Final = 10.0  #: seconds that runs get to end when the server is asked to stop

#: The signals that stop a server.
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

#: What the log says in a worker process that its server stops without a signal.
NO_SIGNAL: Final = (
    "this server stops its worker process without a signal, so open streams will be cut off; serve from the main "
    "process: hypercorn --workers 0 --graceful-timeout 20"
)

_log: Final = logging.getLogger("statecast")

_Handler: TypeAlias = Callable[[int, FrameType | None], Any]


@contextlib.asynccontextmanager
async def serving(hub: Hub, *, grace: float, chain_signals: bool) -> AsyncIterator[None]:
    """Start a hub, and close it at the end, or at a signal before.

    Args:
        hub: The hub.
        grace: Seconds that its runs get to end after a signal.
        chain_signals: Whether to close it at a signal.

    Raises:
        StoreUnavailable: The store cannot be opened.
    """
    try:
        await hub.start()
    except StoreUnavailable as error:
        raise StoreUnavailable(str(error)) from None  # servers log the traceback: the sentence ends a short one
    signals = SignalChain(lambda: hub.aclose(grace=grace))
    if chain_signals:
        signals.install()
    try:
        yield
    finally:
        signals.restore()
        if signals.closing is not None:
            await signals.closing
        else:
            await hub.aclose()


class SignalChain:
    """Closes an app at the first signal that stops the server, and then calls the server's own handler.

    A second signal is the server's at once. Signals that the server does not handle in Python are left alone, and so
    are those of a server that runs in another than the main thread.

    Args:
        aclose: Closes the app.
    """

    def __init__(self, aclose: Callable[[], Any]) -> None:
        self.closing: asyncio.Task[None] | None = None
        self._aclose = aclose
        self._loop = asyncio.get_running_loop()
        self._server: dict[int, _Handler] = {}  #: the server's handlers
        self._received = False

    def install(self) -> None:
        """Take the place of the server's handlers."""
        if threading.current_thread() is not threading.main_thread():  # Python sets handlers there only
            return
        if multiprocessing.parent_process() is not None and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            _log.warning(NO_SIGNAL)
        for number in SIGNALS:
            handler = signal.getsignal(number)
            if callable(handler) and handler is not signal.default_int_handler:
                self._server[number] = handler
                signal.signal(number, self._handle)

    def restore(self) -> None:
        """Give the server's handlers their place back."""
        for number, handler in self._server.items():
            if signal.getsignal(number) == self._handle:
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._received:
            self._server[number](number, frame)
            return
        self._received = True
        self._loop.call_soon_threadsafe(self._close, number)  # the loop may be waiting

    def _close(self, number: int) -> None:
        self.closing = self._loop.create_task(self._close_first(number), name="statecast stopping")

    async def _close_first(self, number: int) -> None:
        try:
            await self._aclose()
        finally:
            self._server[number](number, None)
