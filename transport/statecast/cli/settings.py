"""The options that stand for arguments of `create_app`, and the app that they make."""

from __future__ import annotations

import argparse
import ipaddress
import os
import shlex
from collections.abc import Sequence
from typing import Final

from statecast import demo
from statecast.http import App, Cloud, Traces, add_restart, create_app
from statecast.stores import store_of
from statecast.targets import agents_in, load
from statecast_agents import Agent

__all__ = [
    "API_KEYS",
    "METRICS_TOKEN",
    "STORES",
    "TRACE_CONTENT",
    "add_settings",
    "app_of",
    "has_page",
    "is_here",
    "page_hint",
]

API_KEYS: Final = "STATECAST_API_KEYS"  #: the environment variable: keys of the cloud API, with commas between

#: The environment variable, as other instrumentations have it: whether spans have what users and agents wrote.
TRACE_CONTENT: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

METRICS_TOKEN: Final = "STATECAST_METRICS_TOKEN"  #: the environment variable: what scrapers send

#: Where a command keeps threads, unless it is told.
STORES: Final = {"dev": "sqlite:///statecast.db", "serve": "sqlite:///statecast.db", "demo": "a temporary file"}


def add_settings(command: argparse.ArgumentParser, *, store: str) -> None:
    """Add the options to a command that keeps threads in `store` by default."""
    command.add_argument(
        "--store",
        metavar="URL",
        help="where threads are stored: memory, sqlite:///relative.db, sqlite:////absolute.db, postgresql://…, "
        f"redis://… (default: {store})",
    )
    command.add_argument(
        "--durable",
        action="store_true",
        help="wait for the disk on every commit, so that a power failure loses no confirmed change",
    )
    command.add_argument("--debug", action="store_true", help="send clients the errors of the agent's code")
    command.add_argument(
        "--cors-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="allow pages from this origin; * for any",
    )
    command.add_argument(
        "--allowed-host", action="append", default=[], metavar="NAME", help="answer to this host name; * for any"
    )
    command.add_argument(
        "--on-disconnect",
        choices=["continue", "cancel"],
        default="continue",
        help="what happens to a run when its connection is lost (default: %(default)s)",
    )
    command.add_argument(
        "--open-list",
        action="store_true",
        help="list threads without a user to anyone who connects directly, not through a proxy",
    )
    command.add_argument(
        "--cloud",
        action="store_true",
        help=f"serve the cloud API, with anonymous users; {API_KEYS} has the API keys of your own servers",
    )
    command.add_argument(
        "--metrics",
        action="store_true",
        help=f"serve /metrics for Prometheus, to scrapers that send the token in {METRICS_TOKEN}, or, without a token, "
        "to anyone who connects directly",
    )
    command.add_argument(
        "--traces",
        action="store_true",
        help=f"trace runs with OpenTelemetry, with the content of messages if {TRACE_CONTENT} is true",
    )


def app_of(options: argparse.Namespace) -> App:
    """Return the app that the options of a command describe.

    Raises:
        ImportError, AttributeError: A target names nothing.
        TypeError, ValueError: A target can't be served, or a setting makes no sense.
    """
    app: App | None = None
    agents: list[Agent] = []
    for found in [demo.agent] if options.command == "demo" else map(load, options.target):
        if isinstance(found, App):
            app = found
        else:
            agents += agents_in(found)
    if app is None:
        app = _new_app(options, agents)
    else:
        _check_settings(options, options.target)
        if has_page(options):
            app.add_page()
    if options.command != "serve" and options.page and not is_here(options) and not app.hub.knows_owners:
        raise ValueError(
            f"expected an app with `identify` for --page on {options.host}, which other machines reach; or bind to "
            "127.0.0.1, where the page is on"
        )
    if is_here(options) and options.reload:
        add_restart(app)
    return app


def has_page(options: argparse.Namespace) -> bool:
    """Return whether a command serves the page: by an option, or for whoever writes an agent on this machine."""
    return options.page or is_here(options)


def page_hint(options: argparse.Namespace) -> str:
    """Return the line that says where the page is, or would be."""
    if has_page(options):
        return "Open it in a browser to chat, and to watch state, operations and runs"
    if options.command == "serve":
        return f"To try them in a page: statecast dev {shlex.join(options.target)}"
    return "The page is off, because other machines reach this address; --page turns it on for apps with `identify`"


def is_here(options: argparse.Namespace) -> bool:
    """Return whether it is `dev` or `demo`, on an address that only this machine reaches."""
    host = options.host
    try:
        return options.command != "serve" and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False


def _new_app(options: argparse.Namespace, agents: Sequence[Agent]) -> App:
    default = "memory" if options.command == "demo" else STORES[options.command]
    store = default if options.store is None else options.store
    return create_app(
        agents,
        cors_origins=options.cors_origin,
        allowed_hosts=[*options.allowed_host, options.host],
        on_disconnect=options.on_disconnect,
        store=store_of(store, durable=options.durable),
        open_list=options.open_list or is_here(options),
        cloud=_cloud() if options.cloud else False,
        page=has_page(options),
        traces=Traces(content=os.environ.get(TRACE_CONTENT, "").lower() == "true") if options.traces else False,
        metrics=options.metrics and (os.environ.get(METRICS_TOKEN) or True),
        debug=options.debug or is_here(options),
    )


def _cloud() -> Cloud:
    return Cloud(api_keys=[key.strip() for key in os.environ.get(API_KEYS, "").split(",") if key.strip()])


def _check_settings(options: argparse.Namespace, targets: Sequence[str]) -> None:
    """Check that no option says what the app of a target says itself.

    Raises:
        ValueError: One does, or there are further targets.
    """
    if len(targets) > 1:
        raise ValueError(f"expected one app, or only agents, got {' '.join(targets)}")
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
        "--page": options.page and options.command == "serve",
        "--on-disconnect": options.on_disconnect != "continue",
    }
    names = [name for name, value in given.items() if value]
    if names:
        raise ValueError(
            f'"{targets[0]}" is an app, which has its own settings: give create_app what {", ".join(names)} says'
        )
