"""The parser of all commands, and what runs them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version

from . import clients, declarations, developing, serving, store_files

__all__ = ["main", "parser"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = parser().parse_args(given)
    options.arguments = given
    status: int = options.run(options)
    return status


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line. What it returns has `run`, which takes the options."""
    parser = argparse.ArgumentParser(prog="statecast", description="Stream the state of AI agents to user interfaces.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('statecast')}")
    commands = parser.add_subparsers(dest="command", required=True)
    for group in (developing, serving, declarations, clients, store_files):
        group.add_commands(commands)
    return parser
