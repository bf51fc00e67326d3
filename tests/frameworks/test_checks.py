"""What an adapter refuses when its agent is made."""

from __future__ import annotations

import pytest

from statecast import Agent
from statecast.frameworks import CallbackAgent, SmolagentsAgent
from statecast_agents.frameworks.adapter.checks import check_functions, check_places


def test_a_value_where_a_function_makes_it_is_refused() -> None:
    check_functions(deps=None, context=str)
    with pytest.raises(TypeError, match=r"expected a function as deps, got \{\}; write deps=lambda run: …"):
        check_functions(deps={})


def test_an_agent_where_a_function_makes_it_is_refused() -> None:
    with pytest.raises(TypeError, match="write make=lambda: …"):
        SmolagentsAgent(object())  # type: ignore[arg-type]  # that is the mistake
    with pytest.raises(TypeError, match="write function=lambda run, emit: …"):
        CallbackAgent("echo")  # type: ignore[arg-type]  # that is the mistake


@pytest.mark.parametrize("place", ["messages", ["messages", "shown"], [], "pending"], ids=str)
def test_a_place_that_is_taken_is_refused(place: str | list[str]) -> None:
    with pytest.raises(ValueError, match="expected a place apart from the"):
        check_places(Agent(), values=place)


def test_a_place_of_its_own_is_accepted() -> None:
    check_places(Agent(), values=["work", "graph"], custom=None, shown="agent")
    check_places(Agent(messages=["chat", "messages"]), values=["chat", "graph"])


def test_a_place_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="expected shown to be a key"):
        check_places(Agent(), shown=3)  # type: ignore[arg-type]  # that is the mistake
