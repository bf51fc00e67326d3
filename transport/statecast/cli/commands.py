"""The parser of all commands, and what runs them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from statecast.http import App
from statecast.logs import set_up_logging

from . import clients, declarations, serving, store_files
from .settings import app_of

__all__ = ["main", "parser", "reloading_app"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = parser().parse_args(given)
    options.arguments = given
    status: int = options.run(options)
    return status


def reloading_app() -> App:
    """Make the app for `--reload`; uvicorn calls this in each child process."""
    options = parser().parse_args(os.environ[serving.ARGUMENTS].split(serving.SEPARATOR))
    set_up_logging(level=options.log_level, format=options.log_format)
    return app_of(options)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line. What it returns has `run`, which takes the options."""
    parser = argparse.ArgumentParser(prog="statecast", description="Stream the state of AI agents to user interfaces.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('statecast')}")
    commands = parser.add_subparsers(dest="command", required=True)
    for group in (serving, declarations, clients, store_files):
        group.add_commands(commands)
    return parser
