"""The parser of all commands, and what runs them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version

from . import clients, completion, declarations, developing, new, serving, store_files, threads
from .failures import USAGE
from .parser import CommandParser

__all__ = ["main", "parser"]

EXAMPLES = """
  statecast demo                        see what it is
  statecast new shop                    make a project
  statecast dev agent.py                write an agent, and try it in a page
  statecast serve agent.py              serve it to your own app
  statecast COMMAND --help              options and examples of a command
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    commands = parser()
    if not given:
        commands.print_help(sys.stderr)
        return USAGE
    options = commands.parse_args(given)
    options.arguments, options.parser = given, commands
    status: int = options.run(options)
    return status


def parser() -> CommandParser:
    """Return the parser of the command line. What it returns has `run`, which takes the options."""
    parser = CommandParser(
        prog="statecast",
        description="Stream the state of AI agents to user interfaces.",
        examples=EXAMPLES,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('statecast')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for group in (new, developing, serving, clients, threads, declarations, store_files, completion):
        group.add_commands(commands)
    return parser
