"""Tools made of Python functions: their schemas, and how arguments are checked."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import pydantic
import pytest

from statecast import Run, ToolCall
from statecast_agents.frameworks.adapter.tools import FunctionTool, InvalidArguments, page_tools, tool

from .runs import run_on, said

pytestmark = pytest.mark.anyio


@dataclass
class Place:
    city: str
    zone: Literal["UTC", "CET"] = "UTC"


class Order(pydantic.BaseModel):
    jars: int = pydantic.Field(description="How many.", ge=1)


def a_call() -> tuple[Run, ToolCall]:
    run = run_on(said("u", "Hi"))
    return run, run.messages.assistant().add_tool_call("tool")


async def test_a_function_is_called_with_its_arguments_in_their_types_and_with_the_run_and_the_call() -> None:
    @tool
    async def weather(
        place: Place, run: Run, call: ToolCall, days: Annotated[int, msgspec.Meta(description="How far.")] = 1
    ) -> Any:
        """Tell the weather.

        Made up.
        """
        return place, run, call, days

    run, call = a_call()

    assert (weather.name, weather.description) == ("weather", "Tell the weather.\n\nMade up.")
    assert weather.parameters["properties"]["days"] == {"type": "integer", "description": "How far.", "default": 1}
    assert weather.parameters["required"] == ["place"]
    assert await weather.call(run, call, {"place": {"city": "Bern"}}) == (Place("Bern"), run, call, 1)


async def test_a_plain_function_is_called_in_a_worker_thread() -> None:
    def thread() -> int:
        return threading.get_ident()

    here = FunctionTool(thread)
    assert await here.call(*a_call(), {}) != threading.get_ident()


async def test_parameters_may_be_pydantic_models() -> None:
    @tool
    def order(order: Order, note: str | None = None) -> Any:
        return order, note

    run, call = a_call()
    assert order.parameters["$defs"]["Order"]["properties"]["jars"]["description"] == "How many."
    assert await order.call(run, call, {"order": {"jars": 2}}) == (Order(jars=2), None)
    with pytest.raises(InvalidArguments, match=r"order\.jars: Input should be greater than or equal to 1"):
        await order.call(run, call, {"order": {"jars": 0}})


@pytest.mark.parametrize("args", [{}, {"n": "one"}, {"n": 1, "m": 2}], ids=["missing", "wrong type", "unknown"])
async def test_arguments_that_do_not_fit_are_refused(args: dict[str, Any]) -> None:
    @tool
    def count(n: int) -> int:
        return n

    with pytest.raises(InvalidArguments):
        await count.call(*a_call(), args)


def test_parameters_that_no_model_could_pass_are_refused_where_the_tool_is_made() -> None:
    def wild(*words: str) -> None: ...

    with pytest.raises(TypeError, match="that have a name"):
        tool(wild)

    def strange(value: threading.Lock) -> None: ...

    with pytest.raises(TypeError):
        tool(strange)


def test_whether_a_call_needs_approval_may_depend_on_its_arguments() -> None:
    @tool(needs_approval=lambda args: args["n"] > 3)
    def spend(n: int) -> None: ...

    assert (spend.must_ask({"n": 3}), spend.must_ask({"n": 4})) == (False, True)


def test_the_tools_of_the_page_are_offered_whatever_it_says_of_them() -> None:
    schema = {"type": "object", "properties": {"q": {"type": "string"}}}
    tools = {"ask": {"description": "Ask.", "parameters": schema}, "plain": {}, "odd": None}
    ask, plain, odd = page_tools(tools)

    assert (ask.name, ask.description, ask.parameters) == ("ask", "Ask.", schema)
    assert plain.parameters == odd.parameters == {"type": "object", "properties": {}}
