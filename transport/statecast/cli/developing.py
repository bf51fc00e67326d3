"""`statecast dev my_agent.py` and `statecast demo`: a server for whoever writes an agent, with a page.

It starts again when the code changes, shows clients the errors of the agent's code, and lists all threads.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from .serving import TARGET, add_options, serve_agents
from .settings import STORES

__all__ = ["add_commands"]

DEV = """
  statecast dev my_agent.py
  statecast dev my_agent:agent other.py --port 9000
"""
DEMO = """
  statecast demo
  statecast demo --port 9000
"""

#: Seconds that runs get to end when the server is asked to stop.
GRACE: Final = 1.0

_log: Final = logging.getLogger("statecast")


def add_commands(commands: Any) -> None:
    """Add the commands to a parser."""
    dev = commands.add_parser(
        "dev",
        help="serve your agents with a page, and restart when the code changes",
        examples=DEV,
        environment=True,
    )
    dev.add_argument("target", nargs="+", help=TARGET)
    dev.add_argument(
        "--page",
        action="store_true",
        help="serve the page also if other machines can reach the server; needs an app with `identify`",
    )
    demo = commands.add_parser("demo", help="run dev with the demo agent", examples=DEMO, environment=True)
    demo.set_defaults(page=False)
    for name, command in {"dev": dev, "demo": demo}.items():
        command.add_argument(
            "--reload",
            action=argparse.BooleanOptionalAction,
            default=sys.platform != "win32",  # where processes cannot share a socket
            help="restart when the code changes or the server crashes (default: yes)",
        )
        add_options(command, store=STORES[name])
        command.set_defaults(workers=1, grace=GRACE)
    dev.set_defaults(run=serve_agents)
    demo.set_defaults(run=_serve_demo)


def _serve_demo(options: argparse.Namespace) -> int:
    """Serve the demo; unless a store is named, its threads are in a file that lives as long as it does."""
    if options.store is not None:
        return serve_agents(options)
    with tempfile.TemporaryDirectory(prefix="statecast-demo-", ignore_cleanup_errors=True) as folder:
        options.store = f"sqlite:///{Path(folder, 'demo.db').as_posix()}"
        options.arguments = [*options.arguments, "--store", options.store]
        return serve_agents(options)
