"""Check the arguments of adapters when an agent is created, rather than in its first run."""

from __future__ import annotations

from collections.abc import Sequence

from statecast_agents.agent import Agent
from statecast_agents.settings import check_path

__all__ = ["check_functions", "check_places"]


def check_functions(takes: str = "run", /, **functions: object) -> None:
    """Check that arguments are functions, or None.

    Args:
        takes: The names of the functions' parameters, for the error's text.
        functions: The arguments, by their names.

    Raises:
        TypeError: One is something else, such as the value that the function was to return.
    """
    for name, function in functions.items():
        if function is not None and not callable(function):
            example = f"lambda {takes}: …" if takes else "lambda: …"
            raise TypeError(f"expected a function as {name}, got {function!r:.80}; write {name}={example}")


def check_places(agent: Agent, **places: str | Sequence[str] | None) -> None:
    """Check that what an adapter shows in the state does not replace the messages or the open questions.

    Args:
        agent: Whose messages and questions they are.
        places: The arguments that say where something goes, by their names; None: nowhere.

    Raises:
        TypeError: One is no key, and no list of keys.
        ValueError: One is the state itself, or overlaps the messages or the open questions.
        NotJson: A state cannot have one of the keys.
    """
    for name, place in places.items():
        path = check_path(name, place)
        if path is None:
            continue
        for taken, by in ((agent.messages, "messages"), (agent.pending, "open questions")):
            if taken is not None and path[: len(taken)] == taken[: len(path)]:
                raise ValueError(f"expected a place apart from the {by} as {name}, got {list(path)}")
