"""The options that stand for arguments of `create_app`, and the app that they make."""

from __future__ import annotations

import argparse
import os
from typing import Final

from statecast import demo
from statecast.http import App, Cloud, Traces, create_app
from statecast.stores import store_of
from statecast.targets import agents_in, load
from statecast_agents import Agent

__all__ = ["API_KEYS", "METRICS_TOKEN", "STORES", "TRACE_CONTENT", "add_settings", "app_of"]

API_KEYS: Final = "STATECAST_API_KEYS"  #: the environment variable: keys of the cloud API, with commas between

#: The environment variable, as other instrumentations have it: whether spans have what users and agents wrote.
TRACE_CONTENT: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

METRICS_TOKEN: Final = "STATECAST_METRICS_TOKEN"  #: the environment variable: what scrapers send

STORES: Final = {"demo": "memory", "serve": "sqlite:///statecast.db"}  #: by command


def add_settings(command: argparse.ArgumentParser, *, store: str) -> None:
    """Add the options to a command that keeps threads in `store` by default."""
    command.add_argument(
        "--store",
        metavar="URL",
        help=f"where threads are kept: memory, sqlite:///relative.db, sqlite:////absolute.db (default: {store})",
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


def app_of(options: argparse.Namespace) -> App:
    """Return the app that the options of a command describe.

    Raises:
        ImportError, AttributeError: A target names nothing.
        TypeError, ValueError: A target can't be served, or a setting makes no sense.
    """
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
        page=options.command == "demo",
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
