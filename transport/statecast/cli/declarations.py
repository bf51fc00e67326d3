"""`statecast types`: TypeScript for what agents declare."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from statecast import typescript
from statecast.http import App, create_app
from statecast.targets import agents_in, load
from statecast_agents import Agent

__all__ = ["add_commands"]


def add_commands(commands: Any) -> None:
    """Add the command to a parser."""
    types = commands.add_parser("types", help="print the TypeScript declarations of agents: states and commands")
    types.add_argument("target", nargs="+", help="module:attribute of an agent, of a list of agents, or of an app")
    types.set_defaults(run=_print_types)


def _print_types(options: argparse.Namespace) -> int:
    try:
        agents: list[Agent] = []
        for target in options.target:
            found = load(target)
            agents += found.hub.agents.values() if isinstance(found, App) else agents_in(found)
        print(typescript.declarations(list(create_app(agents).hub.agents.values())), end="")
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        print(f"statecast: {error}", file=sys.stderr)
        return 2
    return 0
