"""Serve an ASGI application on a free port of this machine, in a thread, for clients that need a real socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from statecast import App
from statecast.server import Server, config_for

PATIENCE = 20  # seconds to start, and to stop


class _Server(Server):
    """Says when it is ready, instead of being asked again and again."""

    def __init__(self, app: Any) -> None:
        super().__init__(config_for(app, log_level="warning"), app if isinstance(app, App) else None, grace=0)
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.settled.set()


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Yield the base URL of `app`, like `http://127.0.0.1:51234`; stop it, and what still runs, afterwards."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = _Server(app)

    def run() -> None:
        try:
            server.run(sockets=[listener])
        finally:
            server.settled.set()

    thread = threading.Thread(target=run, name="served")
    thread.start()
    try:
        assert server.settled.wait(PATIENCE), f"the server did not start within {PATIENCE} s"
        assert server.started, "the server did not start; see its log"
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        listener.close()
        assert not thread.is_alive(), f"the server did not stop within {PATIENCE} s"
