"""`statecast send` and `statecast watch`: a client of a server, on a terminal."""

from __future__ import annotations

import argparse
from typing import Any

from .arguments import URL, command
from .failures import fail

__all__ = ["add_commands"]

SEND = """
  statecast send What is an epoch
  statecast send --thread t-1 --agent shop "Buy tea"
  statecast send --thread t-1 --command '{"type": "set-title", "title": "Tea"}'
"""
WATCH = """
  statecast watch t-1
  statecast watch t-1 --once --json | jq .state
"""


def add_commands(commands: Any) -> None:
    """Add the commands to a parser."""
    send = commands.add_parser(
        "send", help="send a message or commands, and print the answer as it arrives", examples=SEND
    )
    watch = commands.add_parser("watch", help="show a thread's state as it changes", examples=WATCH)
    for one in (send, watch):
        one.add_argument("--url", **URL)
        one.set_defaults(run=_run)
    send.add_argument("--thread", metavar="ID", help="the thread (default: a new one)")
    send.add_argument("--agent", metavar="NAME", help="the agent (default: the server's first one)")
    what = send.add_mutually_exclusive_group(required=True)
    what.add_argument("text", nargs="*", default=[], metavar="TEXT", help="the user's message; several words are one")
    what.add_argument(
        "--command", dest="json", action="append", type=command, metavar="JSON", help="a command; may be repeated"
    )
    watch.add_argument("thread", metavar="THREAD", help="the thread's id; waits for a thread that does not exist yet")
    watch.add_argument("--once", action="store_true", help="print the current state and exit")
    watch.add_argument("--json", action="store_true", help="one line of JSON per change, as when piped")


def _run(options: argparse.Namespace) -> int:
    try:
        from statecast import console  # what it draws with is an extra
    except ImportError as error:
        return fail(error)
    if options.command == "send":
        commands = [" ".join(options.text)] if options.text else options.json
        return console.run(console.send(options.url, options.thread, options.agent, commands))
    return console.run(console.watch(options.url, options.thread, once=options.once, lines=options.json))
