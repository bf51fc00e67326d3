"""Import strings, as in `statecast serve my_agent:agent`."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from statecast_agents import Agent

from .http import App

__all__ = ["agents_in", "load"]


def load(target: str) -> Agent | Sequence[Agent] | App:
    """Return what an import string names.

    Raises:
        ImportError, AttributeError: There is no such module, or it has no such attribute.
        TypeError: It is nothing that can be served.
        ValueError: It is no import string.
    """
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        raise ValueError(f'expected module:attribute, as in "my_agent:agent", got "{target}"')
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    module = importlib.import_module(module_name)
    if not hasattr(module, attribute):
        raise AttributeError(f'the module "{module_name}" has no "{attribute}"')
    found: Agent | Sequence[Agent] | App = getattr(module, attribute)
    several = isinstance(found, (list, tuple)) and all(isinstance(item, Agent) for item in found)
    if not (isinstance(found, (Agent, App)) or several):
        raise TypeError(f'expected "{target}" to be an Agent, a list of them, or an App, got {type(found).__name__}')
    return found


def agents_in(found: Agent | Sequence[Agent]) -> Sequence[Agent]:
    """Return the agents in what `load` found."""
    return [found] if isinstance(found, Agent) else found
