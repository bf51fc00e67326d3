"""`serve`: uvicorn, set up for long streams."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, Final, Unpack, overload

import uvicorn

from statecast_agents import Agent
from statecast_agents.settings import check_number

from .connections import HttpProtocol, ServerConfig, SocketProtocol
from .http import GRACE, App, AppSettings, create_app
from .shutdown import ShutdownTimer
from .targets import load
from .threads import Hub
from .workers import WORKER_TIMEOUT, Parent, listening_at

__all__ = ["Server", "config_for", "serve"]

#: Seconds beyond those of its runs that stopping may take, and those of it that connections get to end.
STOPPING: Final = 10.0
CONNECTIONS: Final = 5

#: Seconds in which requests on their way have to arrive, where other processes share the store; and between two looks.
ON_THEIR_WAY: Final = 0.5
LOOK: Final = 0.01

_log: Final = logging.getLogger("statecast")


class Server(uvicorn.Server):
    """uvicorn's server, with four differences.

    It would wait for open streams before it tells the app to stop: here the app goes first. It would end the process by
    the signal that asked it to stop: here that is a success, and `run` returns. It would end when anything raises
    `SystemExit`: here only a signal ends it. And it would wait for whatever blocks: `run` ends in time, and at a second
    Ctrl+C the process ends at once.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        app: App | None = None,
        *,
        grace: float = GRACE,
        on_started: Callable[[int], None] = lambda port: None,
    ) -> None:
        check_number("grace", grace, least=0)
        super().__init__(config)
        self._app = app
        if app is not None:
            app.chain_signals = False  # `shutdown` closes it
        self._grace = grace
        self._on_started = on_started  #: called with the port, once it is bound
        self._shutdown_timer: ShutdownTimer | None = None

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until the process is asked to stop."""
        if threading.current_thread() is threading.main_thread():  # signals come there
            self._shutdown_timer = ShutdownTimer(self.stopping_seconds)
        try:
            with asyncio.Runner(loop_factory=self.config.get_loop_factory()) as runner:
                serving = runner.get_loop().create_task(self.serve(sockets))
                while not serving.done():
                    try:
                        runner.get_loop().run_until_complete(serving)
                    except (SystemExit, KeyboardInterrupt):
                        if serving.done() or not self.started:
                            raise
                        _log.exception("an exception that would have ended the server was caught; the server continues")
                if self._shutdown_timer is not None:
                    self._shutdown_timer.drained()
        finally:
            if self._shutdown_timer is not None:
                self._shutdown_timer.stop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Shut down at a signal; exit at a second Ctrl+C."""
        if self._shutdown_timer is not None:
            if self._shutdown_timer.started and sig == signal.SIGINT:
                self._shutdown_timer.exit_now(128 + sig)
            self._shutdown_timer.start()
        super().handle_exit(sig, frame)

    @property
    def stopping_seconds(self) -> float:
        """The seconds that a shutdown takes at most, unless something blocks."""
        agents = self._app.hub.agents.values() if self._app is not None else ()
        return self._grace + max((agent.cancel_grace + agent.cancel_seconds for agent in agents), default=0) + STOPPING

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM as requests to stop."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Bind the socket, and print the address."""
        if isinstance(self.config, ServerConfig):
            self.config.sockets.fit()
        await super().startup(sockets)
        if self.started:
            bound = sockets or [bound for server in self.servers for bound in server.sockets]
            self._on_started(bound[0].getsockname()[1])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, let runs end, end the streams, and only then wait for connections."""
        for server in getattr(self, "servers", []):
            server.close()
        for listening in sockets or []:
            listening.close()
        if self._app is not None:
            if self._app.hub.shared:
                await self._drain(self._app.hub)
            await self._app.hub.aclose(grace=self._grace)
        await super().shutdown(sockets)

    async def _drain(self, hub: Hub) -> None:
        """Answer the requests that are on their way, because nobody else can; new ones come to other processes."""
        hub.drain()
        until = asyncio.get_running_loop().time() + ON_THEIR_WAY
        while asyncio.get_running_loop().time() < until:
            connections = [one for one in self.server_state.connections if isinstance(one, HttpProtocol)]
            on_their_way = sum(one.drain() for one in connections)
            if not on_their_way:
                return
            await asyncio.sleep(LOOK)


def config_for(
    app: Any, *, host: str = "127.0.0.1", port: int = 8000, proxies: Sequence[str] = (), **options: Any
) -> ServerConfig:
    """Return the uvicorn configuration that suits this server.

    Args:
        app: An ASGI app, or the import string of one.
        host: The address to bind to; the default can be reached from this machine only.
        port: The port; 0 for any that is free.
        proxies: Addresses or networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
        options: Further options of `uvicorn.Config`.

    Raises:
        TypeError, ValueError: A setting makes no sense; the text names it.
    """
    check_number("port", port, whole=True, least=0, most=65_535)
    if not isinstance(host, str) or not host or host != host.strip():
        raise ValueError(f'expected host to be an address or a name such as "127.0.0.1", got {host!r}')
    return ServerConfig(
        app,
        host=host,
        port=port,
        proxies=proxies,
        **{
            "http": HttpProtocol,
            "ws": SocketProtocol,
            "server_header": False,
            "date_header": False,
            "access_log": False,
            "timeout_graceful_shutdown": CONNECTIONS,
            **options,
        },
    )


@overload
def serve(
    agents: str,
    *,
    host: str = ...,
    port: int = ...,
    grace: float = ...,
    proxies: Sequence[str] = ...,
    workers: int = ...,
    worker_timeout: float = ...,
) -> None: ...
@overload
def serve(
    agents: App, *, host: str = ..., port: int = ..., grace: float = ..., proxies: Sequence[str] = ...
) -> None: ...
@overload
def serve(
    agents: Agent | Sequence[Agent],
    *,
    host: str = ...,
    port: int = ...,
    grace: float = ...,
    proxies: Sequence[str] = ...,
    **settings: Unpack[AppSettings],
) -> None: ...
def serve(
    agents: Agent | Sequence[Agent] | App | str,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    grace: float = GRACE,
    proxies: Sequence[str] = (),
    workers: int = 1,
    worker_timeout: float = WORKER_TIMEOUT,
    **settings: Unpack[AppSettings],
) -> None:
    """Serve agents until the process is asked to stop.

    Args:
        agents: One agent, several, the app that `create_app` made of them, or the import string of one of these.
        host: The address to bind to; the default can be reached from this machine only.
        port: The port.
        grace: Seconds that runs get to end when the server is asked to stop.
        proxies: Addresses or networks of proxies, which say in `X-Forwarded-For` whose requests they pass on.
        workers: Processes that serve them, each of which imports them; so more than one needs an import string, and a
            store that processes can share. A module that names itself needs `if __name__ == "__main__":` around this.
        worker_timeout: Seconds after which a worker is replaced whose event loop stands still; 0: never.
        settings: As for `create_app`.

    Raises:
        ImportError, AttributeError: The import string names nothing.
        OSError: Several processes cannot listen at the address.
        TypeError, ValueError: A setting makes no sense; the text names it.
    """
    check_number("workers", workers, whole=True, least=1)
    check_number("worker_timeout", worker_timeout, least=0)
    if workers > 1:
        if not isinstance(agents, str) or settings:
            raise TypeError(
                'expected the import string of an app for several workers, as in serve("my_agent:app", workers=4), and '
                "its settings in create_app"
            )
        options = ["--grace", str(grace), *(option for proxy in proxies for option in ("--proxy", proxy))]
        with listening_at(host, port, workers) as listening:
            Parent(["serve", agents, "--host", host, *options], listening=listening, timeout=worker_timeout).run()
        return
    if isinstance(agents, str):
        agents = load(agents)
    if isinstance(agents, App) and settings:
        raise TypeError(f"expected the app's own settings in create_app, got {', '.join(settings)} beside an app")
    app = agents if isinstance(agents, App) else create_app(agents, **settings)
    Server(config_for(app, host=host, port=port, proxies=proxies), app, grace=grace).run()
