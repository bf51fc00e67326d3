"""`statecast serve my_agent.py`: a server in this process, or in several."""

from __future__ import annotations

import argparse
import asyncio
import logging
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from statecast.http import GRACE, unloaded_app
from statecast.http.counted import count_with
from statecast.logs import FORMATS, LEVELS, set_up_logging
from statecast.server import Server, config_for
from statecast.stores import Store, StoreUnavailable, is_shared
from statecast.stores.here import convert_stores
from statecast.targets import folder_of
from statecast.workers import WORKER_TIMEOUT, Attached, Parent, Reloading, attached, listening_at

from .arguments import port, seconds, workers
from .failures import check_port, fail, fail_loading, loading_failure
from .settings import STORES, add_settings, app_of, is_here, page_hint

__all__ = ["TARGET", "add_commands", "add_options", "serve_agents"]

TARGET: Final = "my_agent.py, or my_agent:agent: an agent, a list of agents, or an app"

EXAMPLES: Final = """
  statecast serve my_agent.py
  statecast serve my_agent:app --host 0.0.0.0 --workers 4
  STATECAST_STORE=postgresql://user@host/database statecast serve my_agent.py

  Each option can be set by an environment variable: --log-level by STATECAST_LOG_LEVEL. Options override variables.
"""

NOT_SHARED: Final = (
    "expected a store that several workers can share, got one in memory: give --store sqlite:///statecast.db, "
    "postgresql://… or redis://…, or serve with one worker"
)

_log: Final = logging.getLogger("statecast")


def add_commands(commands: Any) -> None:
    """Add the commands to a parser."""
    serve = commands.add_parser("serve", help="serve your agents", examples=EXAMPLES, environment=True)
    serve.add_argument("target", nargs="+", help=TARGET)
    serve.add_argument(
        "--workers",
        type=workers,
        default=1,
        metavar="NUMBER",
        help="number of processes; more than one need a store in a file or a database (default: %(default)s)",
    )
    serve.add_argument(
        "--worker-timeout",
        type=seconds,
        default=WORKER_TIMEOUT,
        metavar="SECONDS",
        help="replace a worker whose event loop is blocked for this long; 0: never (default: %(default)g)",
    )
    serve.add_argument(
        "--reload", action="store_true", help="restart when the code changes, or when the server crashes"
    )
    serve.add_argument("--page", action="store_true", help="serve the page for every agent at /")
    add_options(serve, store=STORES["serve"])
    serve.set_defaults(run=serve_agents)


def add_options(command: argparse.ArgumentParser, *, store: str) -> None:
    """Add the options of all commands that serve; `store` is where one keeps threads by default."""
    add_settings(command, store=store)
    command.add_argument("--host", default="127.0.0.1", help="address to bind to (default: %(default)s)")
    command.add_argument("--port", type=port, default=8000, help="port; 0 for any that is free (default: %(default)s)")
    command.add_argument(
        "--proxy",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="trust the forwarding headers of a proxy at this address or network",
    )
    command.add_argument(
        "--grace",
        type=seconds,
        default=GRACE,
        metavar="SECONDS",
        help="how long runs may take to finish when the server stops (default: %(default)g)",
    )
    command.add_argument(
        "--log-level",
        choices=LEVELS,
        default="info",
        help="what is logged; info: one line per run (default: %(default)s)",
    )
    command.add_argument(
        "--log-format", choices=FORMATS, default="text", help="json: one object per line (default: %(default)s)"
    )


def serve_agents(options: argparse.Namespace) -> int:
    """Serve until asked to stop; return the exit status."""
    set_up_logging(level=options.log_level, format=options.log_format)
    parent = attached()
    if parent is None and (taken := check_port(options.host, options.port)) is not None:
        return fail(taken, status=1)
    is_one_of_several = parent is not None and not options.reload
    if parent is not None and is_one_of_several:
        convert_stores(parent.store)
        count_with(parent)
    elif parent is None and options.workers > 1:
        return _serve_workers(options)
    elif parent is None and options.reload:
        return _serve_reloading(options)
    try:
        app = app_of(options)
        if is_one_of_several and not is_shared(app.hub.registry.store):
            raise ValueError(NOT_SHARED)
    except Exception as error:  # importing runs the user's code, which may raise anything
        status = fail_loading(error)
        if parent is None or not parent.again or not is_here(options):
            return status
        return _serve_failure(error, options, parent)
    try:
        asyncio.run(_try(app.hub.registry.store))
    except StoreUnavailable as error:
        return fail(error, status=1)

    def announce(port: int) -> None:
        if parent is not None:
            parent.ready(list(app.hub.agents), server.stopping_seconds)
            return
        _announce(app.hub.agents, options, port)

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
        return fail(error)
    server.run(None if parent is None else parent.listening)
    if parent is not None:
        parent.say_counts()
    return 0 if server.started else 1


def _serve_failure(error: Exception, options: argparse.Namespace, parent: Attached) -> int:
    """Serve the page with the reason why the code does not load, until the parent ends this process."""
    reason, trace = loading_failure(error)
    raised = traceback.format_exception_only(error)[-1].strip() if trace else ""
    message = f"{reason}: {raised}" if raised else reason
    app = unloaded_app(message, trace, allowed_hosts=[*options.allowed_host, options.host])

    def announce(port: int) -> None:
        parent.ready([], 0.0)
        _log.error("the code does not load; Statecast tries again when a file changes")

    config = config_for(app, host=options.host, port=options.port, log_config=None, log_level="warning")
    server = Server(config, grace=0.0, on_started=announce)
    server.run(parent.listening)
    return 0 if server.started else 1


def _serve_workers(options: argparse.Namespace) -> int:
    if options.reload:
        return fail(f"expected one worker with --reload, got --workers {options.workers}")
    try:
        with listening_at(options.host, options.port, options.workers) as listening:
            port = listening[0][0].getsockname()[1]
            return Parent(
                options.arguments,
                listening=listening,
                on_ready=lambda names: _announce(names, options, port),
                timeout=options.worker_timeout,
                logs={"level": options.log_level, "format": options.log_format},
            ).run()
    except (OSError, ValueError) as error:
        return fail(error, status=1)


def _serve_reloading(options: argparse.Namespace) -> int:
    try:
        folders = [Path.cwd(), *(folder_of(target) for target in getattr(options, "target", []))]
    except ImportError as error:
        return fail(error)
    try:
        with listening_at(options.host, options.port, 1) as (listening,):
            port = listening[0].getsockname()[1]
            return Reloading(
                options.arguments,
                listening=listening,
                folders=folders,
                on_ready=lambda names: _announce(names, options, port),
            ).run()
    except (ImportError, OSError, ValueError) as error:
        return fail(error, status=1)


async def _try(store: Store) -> None:
    """Open a store and close it again, so that a problem is reported in one line before anything starts."""
    await store.open()
    await store.aclose()


def _announce(names: Iterable[str], options: argparse.Namespace, port: int) -> None:
    print(f"Statecast serves {', '.join(names)} on http://{_shown(options.host)}:{port}", flush=True)
    if options.log_format == "text":  # for people
        print(page_hint(options), flush=True)


def _shown(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # shown
