"""`statecast serve module:agent` and `statecast demo`: a server in this process, or in several."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import uvicorn

from statecast.http import GRACE
from statecast.logs import FORMATS, LEVELS, set_up_logging
from statecast.server import Server, config_for
from statecast.stores import Store, StoreUnavailable, is_shared
from statecast.stores.here import convert_stores
from statecast.workers import Parent, attached, listening_at

from .arguments import port, seconds, workers
from .settings import STORES, add_settings, app_of

__all__ = ["ARGUMENTS", "SEPARATOR", "add_commands"]

ARGUMENTS: Final = "_STATECAST_ARGUMENTS"  #: the environment variable that gives the children of `--reload` theirs
SEPARATOR: Final = "\n"

NOT_SHARED: Final = (
    "expected a store that several workers can share, got one in memory: give --store sqlite:///statecast.db, "
    "postgresql://… or redis://…, or serve with one worker"
)


def add_commands(commands: Any) -> None:
    """Add the commands to a parser."""
    serve = commands.add_parser("serve", help="serve your agents")
    serve.add_argument("target", nargs="+", help="module:attribute of an agent, of a list of agents, or of an app")
    serve.add_argument(
        "--workers",
        type=workers,
        default=1,
        metavar="NUMBER",
        help="processes; more than one share a store in a file or a database (default: %(default)s)",
    )
    demo = commands.add_parser("demo", help="serve the demo, with its page")
    demo.set_defaults(workers=1)
    for name, command in {"serve": serve, "demo": demo}.items():
        command.set_defaults(run=_serve)
        _add_options(command)
        add_settings(command, store=STORES[name])


def _add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the process, which no argument of `create_app` stands for."""
    command.add_argument("--host", default="127.0.0.1", help="address to bind to (default: %(default)s)")
    command.add_argument("--port", type=port, default=8000, help="port; 0 for any (default: %(default)s)")
    command.add_argument("--reload", action="store_true", help="restart when the code changes")
    command.add_argument(
        "--proxy",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="believe what a proxy at this address or network says of whose requests it passes on",
    )
    command.add_argument(
        "--grace",
        type=seconds,
        default=GRACE,
        metavar="SECONDS",
        help="how long runs get to end when the server is asked to stop (default: %(default)g)",
    )
    command.add_argument(
        "--log-level", choices=LEVELS, default="info", help="info: a line for each run (default: %(default)s)"
    )
    command.add_argument(
        "--log-format", choices=FORMATS, default="text", help="json: an object a line (default: %(default)s)"
    )


def _serve(options: argparse.Namespace) -> int:
    set_up_logging(level=options.log_level, format=options.log_format)
    parent = attached()
    if parent is not None:
        convert_stores(parent.store)
    elif options.workers > 1:
        return _serve_workers(options)
    try:
        app = app_of(options)
        if parent is not None and not is_shared(app.hub.registry.store):
            raise ValueError(NOT_SHARED)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        print(f"statecast: {error}", file=sys.stderr)
        return 2
    if options.reload:
        return _serve_reloading(options)
    try:
        asyncio.run(_try(app.hub.registry.store))
    except StoreUnavailable as error:
        print(f"statecast: {error}", file=sys.stderr)
        return 1

    def announce(port: int) -> None:
        if parent is not None:
            parent.ready(list(app.hub.agents), server.stopping_seconds)
            return
        _announce(app.hub.agents, options.host, port)

    try:
        config = config_for(
            app,
            host=options.host,
            port=options.port,
            proxies=options.proxy,
            log_config=None,  # uvicorn's records go where all others go
            log_level="error" if options.log_level == "error" else "warning",
        )
        server = Server(config, app, grace=options.grace, on_started=announce)
    except (TypeError, ValueError) as error:
        print(f"statecast: {error}", file=sys.stderr)
        return 2
    server.run(None if parent is None else parent.listening)
    return 0 if server.started else 1


def _serve_workers(options: argparse.Namespace) -> int:
    if options.reload:
        print("statecast: expected one worker with --reload, which has a process of its own", file=sys.stderr)
        return 2
    try:
        with listening_at(options.host, options.port, options.workers) as listening:
            port = listening[0][0].getsockname()[1]
            return Parent(
                options.arguments,
                listening=listening,
                on_ready=lambda names: _announce(names, options.host, port),
                logs={"level": options.log_level, "format": options.log_format},
            ).run()
    except (OSError, ValueError) as error:
        print(f"statecast: {error}", file=sys.stderr)
        return 1


def _serve_reloading(options: argparse.Namespace) -> int:
    os.environ[ARGUMENTS] = SEPARATOR.join(options.arguments)
    uvicorn.run(
        "statecast.cli:reloading_app",
        factory=True,
        host=options.host,
        port=options.port,
        reload=True,
        reload_dirs=[str(Path.cwd())],
        ws="wsproto",
        ws_per_message_deflate=False,
        log_level="info",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    return 0


async def _try(store: Store) -> None:
    """Open a store and close it again, so that a problem is reported in one line before anything starts."""
    await store.open()
    await store.aclose()


def _announce(names: Iterable[str], host: str, port: int) -> None:
    print(f"Statecast serves {', '.join(names)} on http://{_shown(host)}:{port}", flush=True)


def _shown(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # shown
