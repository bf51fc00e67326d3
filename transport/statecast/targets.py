"""Targets: what `statecast serve`, `dev` and `types` take: `my_agent.py`, `my_agent` or `my_agent:agent`."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from statecast_agents import Agent

from .http import App

__all__ = ["agents_in", "folder_of", "load"]


def load(target: str) -> Agent | Sequence[Agent] | App:
    """Return what a target names.

    A target without an attribute stands for the app of its module, or, if it has none, for all its agents.

    Raises:
        ImportError, AttributeError: There is no such module, or it has no such attribute.
        TypeError: It is nothing that can be served, or the module has nothing of the kind.
        ValueError: It is no target.
    """
    place, colon, attribute = target.partition(":")
    if not place or (colon and not attribute):
        raise ValueError(f'expected a file or a module, as in "my_agent.py" or "my_agent:agent", got "{target}"')
    module = _module_at(place)
    if not attribute:
        return _served_by(module, place)
    if not hasattr(module, attribute):
        found_there = _found_in(module, place, attribute)
        raise AttributeError(f'the module "{module.__name__}" has no "{attribute}"; {found_there}')
    found: Agent | Sequence[Agent] | App = getattr(module, attribute)
    several = isinstance(found, (list, tuple)) and all(isinstance(item, Agent) for item in found)
    if not (isinstance(found, (Agent, App)) or several):
        raise TypeError(f'expected "{target}" to be an Agent, a list of them, or an App, got {type(found).__name__}')
    return found


def agents_in(found: Agent | Sequence[Agent]) -> Sequence[Agent]:
    """Return the agents in what `load` found."""
    return [found] if isinstance(found, Agent) else found


def folder_of(target: str) -> Path:
    """Return the folder that the module of a target is imported from."""
    place = target.partition(":")[0]
    return _file_at(place)[0] if _is_file(place) else Path.cwd()


def _is_file(place: str) -> bool:
    return place.endswith(".py") or "/" in place or os.sep in place


def _module_at(place: str) -> ModuleType:
    folder, name = _file_at(place) if _is_file(place) else (Path.cwd(), place)
    if not all(name.split(".")):
        raise ValueError(f'expected a Python file or a module, as in "my_agent.py" or "my_agent", got "{place}"')
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module imports one that is missing
        raise ImportError(f'expected a file or a module with an agent, found no "{place}"{_near(place)}') from None


def _file_at(place: str) -> tuple[Path, str]:
    """Return the folder from which a file is imported, and the name of its module, with those of its packages."""
    file = Path(place).resolve()
    if not file.is_file():
        raise ImportError(f'expected a file with an agent, got "{place}", which is not a file{_near(place)}')
    folder, name = file.parent, file.stem
    while (folder / "__init__.py").is_file():
        folder, name = folder.parent, f"{folder.name}.{name}"
    return folder, name.removesuffix(".__init__")


def _near(place: str) -> str:
    """Return the question whether one of the Python files beside a missing one is meant, if one is near."""
    folder = Path(place).parent
    names = [file.stem for file in folder.glob("*.py")] if folder.is_dir() else []
    near = get_close_matches(Path(place).name.removesuffix(".py"), names, 1)
    return f' (did you mean "{folder / near[0]}.py"?)' if near else ""


def _found_in(module: ModuleType, place: str, wanted: str) -> str:
    """Return what the module at a place has that can be served, and which of it may be meant."""
    names = [
        name for name, value in vars(module).items() if isinstance(value, Agent | App) and not name.startswith("_")
    ]
    if not names:
        return "it has no Agent and no App either"
    near = get_close_matches(wanted, names, 1)
    return f"it has {', '.join(names)}" + (f' (did you mean "{place}:{near[0]}"?)' if near else "")


def _served_by(module: ModuleType, place: str) -> Sequence[Agent] | App:
    """Return the app of a module, else its agents."""
    named = [value for name, value in vars(module).items() if not name.startswith("_")]
    apps = {id(value): value for value in named if isinstance(value, App)}
    if len(apps) == 1:
        return next(iter(apps.values()))
    if apps:
        raise TypeError(f'expected one App in "{place}", got {len(apps)}; name the one to serve, as in "{place}:app"')
    agents = {id(value): value for value in named if isinstance(value, Agent)}
    if not agents:
        raise TypeError(
            f'expected an Agent or an App in "{place}", found none: assign one to a name of the module, as in '
            'agent = Agent("my-agent")'
        )
    return list(agents.values())
