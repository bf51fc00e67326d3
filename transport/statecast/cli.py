"""The command line: `statecast serve module:agent`, `demo`, `types`, `send`, `watch`, `check` and `backup`."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import uvicorn

from statecast_agents import Agent

from . import demo, store_commands, typescript
from .http import GRACE, App, Cloud, Traces, create_app
from .logs import FORMATS, LEVELS, set_up_logging
from .server import Server, config_for
from .stores import Store, StoreUnavailable, is_shared, store_of
from .stores.here import convert_stores
from .targets import agents_in, load
from .workers import Parent, attached, listening_at

__all__ = ["main", "reloading_app"]

_TARGET: Final = "_STATECAST_TARGET"  #: how `--reload` tells its child processes what to serve
_SEPARATOR: Final = "\n"

API_KEYS: Final = "STATECAST_API_KEYS"  #: the environment variable: keys of the cloud API, with commas between

NOT_SHARED: Final = (
    "expected a store that several workers can share, got one in memory: give --store sqlite:///statecast.db, "
    "postgresql://… or redis://…, or serve with one worker"
)

#: The environment variable, as other instrumentations have it: whether spans have what users and agents wrote.
TRACE_CONTENT: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

METRICS_TOKEN: Final = "STATECAST_METRICS_TOKEN"  #: the environment variable: what scrapers send

STORES: Final = {"demo": "memory", "serve": "sqlite:///statecast.db"}  #: by command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options = _parser().parse_args(arguments)
    if options.command in ("send", "watch"):
        return _run_client(options)
    if options.command == "check":
        return store_commands.check(options.file)
    if options.command == "backup":
        return store_commands.backup(options.file, options.to)
    if options.command == "types":
        return _print_types(options.target)
    set_up_logging(level=options.log_level, format=options.log_format)
    parent = attached()
    if parent is not None:
        convert_stores(parent.store)
    elif options.workers > 1:
        return _serve_workers(options, sys.argv[1:] if arguments is None else arguments)
    try:
        app = _app(options)
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


def _serve_workers(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    if options.reload:
        print("statecast: expected one worker with --reload, which has a process of its own", file=sys.stderr)
        return 2
    try:
        with listening_at(options.host, options.port, options.workers) as listening:
            port = listening[0][0].getsockname()[1]
            return Parent(
                arguments,
                listening=listening,
                on_ready=lambda names: _announce(names, options.host, port),
                logs={"level": options.log_level, "format": options.log_format},
            ).run()
    except (OSError, ValueError) as error:
        print(f"statecast: {error}", file=sys.stderr)
        return 1


def _announce(names: Iterable[str], host: str, port: int) -> None:
    print(f"Statecast serves {', '.join(names)} on http://{_shown(host)}:{port}", flush=True)


def _run_client(options: argparse.Namespace) -> int:
    try:
        from . import console  # what it draws with is an extra
    except ImportError as error:
        print(f"statecast: {error}", file=sys.stderr)
        return 2
    if options.command == "send":
        commands = [options.text] if options.text is not None else options.json
        return console.run(console.send(options.url, options.thread, options.agent, commands))
    return console.run(console.watch(options.url, options.thread, once=options.once, lines=options.json))


def _print_types(targets: Sequence[str]) -> int:
    """Print the TypeScript declarations of what the targets declare."""
    try:
        agents: list[Agent] = []
        for target in targets:
            found = load(target)
            agents += found.hub.agents.values() if isinstance(found, App) else agents_in(found)
        print(typescript.declarations(list(create_app(agents).hub.agents.values())), end="")
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        print(f"statecast: {error}", file=sys.stderr)
        return 2
    return 0


async def _try(store: Store) -> None:
    """Open a store and close it again, so that a problem is reported in one line before anything starts."""
    await store.open()
    await store.aclose()


def reloading_app() -> App:
    """Make the app for `--reload`; uvicorn calls this in each child process."""
    options = _parser().parse_args(os.environ[_TARGET].split(_SEPARATOR))
    set_up_logging(level=options.log_level, format=options.log_format)
    return _app(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="statecast", description="Stream the state of AI agents to user interfaces.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('statecast')}")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve your agents")
    serve.add_argument("target", nargs="+", help="module:attribute of an agent, of a list of agents, or of an app")
    serve.add_argument(
        "--workers",
        type=_workers,
        default=1,
        metavar="NUMBER",
        help="processes; more than one share a store in a file or a database (default: %(default)s)",
    )
    show = commands.add_parser("demo", help="serve the demo, with its page")
    show.set_defaults(workers=1)
    for command in (serve, show):
        command.add_argument("--host", default="127.0.0.1", help="address to bind to (default: %(default)s)")
        command.add_argument("--port", type=_port, default=8000, help="port; 0 for any (default: %(default)s)")
        command.add_argument("--reload", action="store_true", help="restart when the code changes")
        command.add_argument(
            "--store",
            metavar="URL",
            help="where threads are kept: memory, sqlite:///relative.db, sqlite:////absolute.db "
            f"(default: {STORES[command.prog.split()[-1]]})",
        )
        command.add_argument(
            "--durable",
            action="store_true",
            help="wait for the disk with every commit, so that what was shown survives the loss of power",
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
            "--proxy",
            action="append",
            default=[],
            metavar="ADDRESS",
            help="believe what a proxy at this address or network says of whose requests it passes on",
        )
        command.add_argument(
            "--on-disconnect",
            choices=["continue", "cancel"],
            default="continue",
            help="what a lost connection does to its run (default: %(default)s)",
        )
        command.add_argument(
            "--open-list",
            action="store_true",
            help="list all threads to whoever asks directly, and not through a proxy",
        )
        command.add_argument(
            "--cloud",
            action="store_true",
            help=f"serve the cloud API, to whoever asks; with keys for your own servers in {API_KEYS}",
        )
        command.add_argument(
            "--metrics",
            action="store_true",
            help=f"serve /metrics for Prometheus: to scrapers that send the token in {METRICS_TOKEN}, or, without one, "
            "to whoever asks directly",
        )
        command.add_argument(
            "--traces",
            action="store_true",
            help=f"trace runs with OpenTelemetry; with what is said in them if {TRACE_CONTENT} is true",
        )
        command.add_argument(
            "--grace",
            type=_seconds,
            default=GRACE,
            metavar="SECONDS",
            help="how long runs get to end when the server is asked to stop (default: %(default)g)",
        )
        command.add_argument(
            "--log-level",
            choices=LEVELS,
            default="info",
            help="info: a line for each run (default: %(default)s)",
        )
        command.add_argument(
            "--log-format",
            choices=FORMATS,
            default="text",
            help="json: an object a line (default: %(default)s)",
        )
    types = commands.add_parser("types", help="print the TypeScript declarations of agents: states and commands")
    types.add_argument("target", nargs="+", help="module:attribute of an agent, of a list of agents, or of an app")
    _add_client_commands(commands)
    store_commands.add_commands(commands)
    return parser


def _add_client_commands(commands: Any) -> None:
    send = commands.add_parser("send", help="send a message or commands, and show the answer as it comes")
    watch = commands.add_parser("watch", help="show a thread's state as it changes")
    for command in (send, watch):
        command.add_argument("--url", default="http://127.0.0.1:8000", help="the server (default: %(default)s)")
    send.add_argument("--thread", metavar="ID", help="the thread (default: a new one)")
    send.add_argument("--agent", metavar="NAME", help="who answers (default: the server's first agent)")
    what = send.add_mutually_exclusive_group(required=True)
    what.add_argument("text", nargs="?", metavar="TEXT", help="a message of the user")
    what.add_argument(
        "--command", dest="json", action="append", type=_command, metavar="JSON", help="a command; may be repeated"
    )
    watch.add_argument("thread", metavar="THREAD", help="the thread; one that is not there yet is waited for")
    watch.add_argument("--once", action="store_true", help="show the state as it is, and end")
    watch.add_argument("--json", action="store_true", help="a line of JSON for each change, as into a pipe")


def _command(text: str) -> dict[str, Any]:
    try:
        command = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected JSON: {error}") from None
    if not isinstance(command, dict) or not isinstance(command.get("type"), str):
        raise argparse.ArgumentTypeError(f'expected an object with a "type", got {text}')
    return command


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of seconds, 0 or more, got {text}")
    return seconds


def _workers(text: str) -> int:
    workers = int(text)
    if workers < 1:
        raise argparse.ArgumentTypeError(f"expected 1 process or more, got {workers}")
    return workers


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
            found = load(target)
            if isinstance(found, App):
                _check_settings(options, target)
                return found
            agents += agents_in(found)
    return create_app(
        agents,
        cors_origins=options.cors_origin,
        allowed_hosts=[*options.allowed_host, options.host],
        on_disconnect=options.on_disconnect,
        store=store_of(STORES[options.command] if options.store is None else options.store, durable=options.durable),
        open_list=options.open_list,
        cloud=_cloud() if options.cloud else False,
        page=demo.PAGE if options.command == "demo" else None,
        traces=Traces(content=os.environ.get(TRACE_CONTENT, "").lower() == "true") if options.traces else False,
        metrics=options.metrics and (os.environ.get(METRICS_TOKEN) or True),
        debug=options.debug,
    )


def _cloud() -> Cloud:
    return Cloud(api_keys=[key.strip() for key in os.environ.get(API_KEYS, "").split(",") if key.strip()])


def _check_settings(options: argparse.Namespace, target: str) -> None:
    given = {
        "--cors-origin": options.cors_origin,
        "--allowed-host": options.allowed_host,
        "--store": options.store,
        "--durable": options.durable,
        "--open-list": options.open_list,
        "--cloud": options.cloud,
        "--metrics": options.metrics,
        "--traces": options.traces,
        "--debug": options.debug,
        "--on-disconnect": options.on_disconnect != "continue",
    }
    names = [name for name, value in given.items() if value]
    if names:
        raise ValueError(
            f'"{target}" is an app, which has its own settings: give create_app what {", ".join(names)} says'
        )


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
        ws_per_message_deflate=False,
        log_level="info",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    return 0


def _shown(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # shown


if __name__ == "__main__":
    sys.exit(main())
