"""The command line: `statecast serve module:agent`, `statecast demo`."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import uvicorn

from statecast_agents import Agent

from . import demo
from .http import App, create_app
from .server import GRACE, Server, config_for

__all__ = ["main", "reloading_app"]

_TARGET: Final = "_STATECAST_TARGET"  #: how `--reload` tells its child processes what to serve
_SEPARATOR: Final = "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    try:
        app = _app(options)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        print(f"statecast: {error}", file=sys.stderr)
        return 2
    if options.reload:
        return _serve_reloading(options)

    def announce(port: int) -> None:
        print(f"Statecast serves {', '.join(app.hub.agents)} on http://{_shown(options.host)}:{port}", flush=True)

    config = config_for(app, host=options.host, port=options.port, log_level="warning")
    server = Server(config, app, grace=options.grace, on_started=announce)
    server.run()
    return 0 if server.started else 1


def reloading_app() -> App:
    """Make the app that `--reload` asked for; called in each child process."""
    return _app(_parser().parse_args(os.environ[_TARGET].split(_SEPARATOR)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="statecast", description="Stream the state of AI agents to user interfaces.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve your agents")
    serve.add_argument("target", nargs="+", help="module:attribute of an agent, of a list of agents, or of an app")
    show = commands.add_parser("demo", help="serve the demo, with its page")
    for command in (serve, show):
        command.add_argument("--host", default="127.0.0.1", help="address to bind to (default: %(default)s)")
        command.add_argument("--port", type=_port, default=8000, help="port; 0 for any (default: %(default)s)")
        command.add_argument("--reload", action="store_true", help="restart when the code changes")
        command.add_argument(
            "--store",
            default="memory" if command is show else "sqlite:///statecast.db",
            metavar="URL",
            help="where threads are kept: memory, sqlite:///relative.db, sqlite:////absolute.db (default: %(default)s)",
        )
        command.add_argument("--debug", action="store_true", help="show errors of the agent's code to clients")
        command.add_argument(
            "--cors-origin",
            action="append",
            default=[],
            metavar="ORIGIN",
            help="let pages of this origin in; * for any",
        )
        command.add_argument(
            "--allowed-host", action="append", default=[], metavar="NAME", help="answer under this name; * for any"
        )
        command.add_argument(
            "--on-disconnect",
            choices=["continue", "cancel"],
            default="continue",
            help="what a lost connection does to its run (default: %(default)s)",
        )
        command.add_argument(
            "--grace",
            type=float,
            default=GRACE,
            metavar="SECONDS",
            help="how long runs get to end when the server is asked to stop (default: %(default)g)",
        )
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {port}")
    return port


def _app(options: argparse.Namespace) -> App:
    agents: list[Agent] = []
    if options.command == "demo":
        agents.append(demo.agent)
    else:
        for target in options.target:
            found = _load(target)
            if isinstance(found, App):
                return found
            agents += [found] if isinstance(found, Agent) else found
    return create_app(
        agents,
        cors_origins=options.cors_origin,
        allowed_hosts=[*options.allowed_host, options.host],
        on_disconnect=options.on_disconnect,
        store=options.store,
        page=demo.PAGE if options.command == "demo" else None,
        debug=options.debug,
    )


def _load(target: str) -> Any:
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        raise ValueError(f'expected module:attribute, as in "my_agent:agent", got "{target}"')
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    module = importlib.import_module(module_name)
    if not hasattr(module, attribute):
        raise AttributeError(f'the module "{module_name}" has no "{attribute}"')
    found = getattr(module, attribute)
    several = isinstance(found, (list, tuple)) and all(isinstance(item, Agent) for item in found)
    if not (isinstance(found, (Agent, App)) or several):
        raise TypeError(f'expected "{target}" to be an Agent, a list of them, or an App, got {type(found).__name__}')
    return found


def _serve_reloading(options: argparse.Namespace) -> int:
    arguments = sys.argv[1:]
    os.environ[_TARGET] = _SEPARATOR.join(arguments)
    uvicorn.run(
        "statecast.cli:reloading_app",
        factory=True,
        host=options.host,
        port=options.port,
        reload=True,
        reload_dirs=[str(Path.cwd())],
        ws="wsproto",
        log_level="info",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    return 0


def _shown(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # shown


if __name__ == "__main__":
    sys.exit(main())
