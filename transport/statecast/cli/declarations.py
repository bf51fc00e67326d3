"""`statecast types`: TypeScript for what agents declare."""

from __future__ import annotations

import argparse
from typing import Any

from statecast import typescript
from statecast.http import App, create_app
from statecast.targets import agents_in, load
from statecast_agents import Agent

from .failures import fail_loading

__all__ = ["add_commands"]

EXAMPLES = """
  statecast types agent.py > page/src/agent-types.ts
"""


def add_commands(commands: Any) -> None:
    """Add the command to a parser."""
    types = commands.add_parser(
        "types", help="print TypeScript types of an agent's state and commands", examples=EXAMPLES
    )
    types.add_argument(
        "target", nargs="+", help="my_agent.py, or my_agent:agent: an agent, a list of agents, or an app"
    )
    types.set_defaults(run=_print_types)


def _print_types(options: argparse.Namespace) -> int:
    try:
        agents: list[Agent] = []
        for target in options.target:
            found = load(target)
            agents += found.hub.agents.values() if isinstance(found, App) else agents_in(found)
        print(typescript.declarations(list(create_app(agents).hub.agents.values())), end="")
    except Exception as error:  # importing runs the user's code, which may raise anything
        return fail_loading(error)
    return 0
