"""Agents of smolagents, beside what the conformance tests drive: code agents, plans, tools that fail, whole answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statecast import Agent, Run
from statecast.frameworks import SmolagentsAgent, run_smolagents
from statecast.testing import TestClient
from statecast_agents.frameworks.smolagents import StringArgument
from tests.frameworks.provider import SECRET

if TYPE_CHECKING:
    from smolagents import MultiStepAgent
    from smolagents.models import ChatMessage, ChatMessageStreamDelta

pytestmark = pytest.mark.anyio

Json = Any


def fake(*answers: Sequence[ChatMessageStreamDelta], asked: list[str] | None = None) -> Any:
    """Return a model with these answers, each as deltas."""
    from smolagents import Model
    from smolagents.models import agglomerate_stream_deltas

    script = [*answers]

    class FakeModel(Model):
        def generate_stream(self, messages: list[ChatMessage], **options: Any) -> Iterator[ChatMessageStreamDelta]:
            if asked is not None:
                asked.append(str(messages))
            yield from script.pop(0)

        def generate(self, messages: list[ChatMessage], **options: Any) -> ChatMessage:
            return agglomerate_stream_deltas([*self.generate_stream(messages, **options)])

    return FakeModel(model_id="fake")


def says(*texts: str) -> list[ChatMessageStreamDelta]:
    from smolagents.models import ChatMessageStreamDelta

    return [ChatMessageStreamDelta(content=text) for text in texts]


def calls(id: str, name: str, *args: str) -> list[ChatMessageStreamDelta]:
    from smolagents.models import ChatMessageStreamDelta
    from smolagents.models import ChatMessageToolCallFunction as Function
    from smolagents.models import ChatMessageToolCallStreamDelta as CallDelta

    functions = [Function(name=name, arguments=""), *(Function(name="", arguments=text) for text in args)]
    ids = [id, *[None] * len(args)]
    return [
        ChatMessageStreamDelta(tool_calls=[CallDelta(index=0, id=id, function=function)])
        for id, function in zip(ids, functions, strict=True)
    ]


def tool_agent(model: Any, *tools: Any, **options: Any) -> Callable[[], MultiStepAgent]:
    from smolagents import LogLevel, ToolCallingAgent

    options = {"stream_outputs": True, **options}
    return lambda: ToolCallingAgent(tools=[*tools], model=model, verbosity_level=LogLevel.OFF, **options)


async def answered(agent: Agent) -> list[Json]:
    """Return the parts of the answer to a question."""
    async with TestClient(agent) as client:
        result = await client.run("Sum?", thread_id="t")
    assert result.error is None, result.error
    _, message = result.state["messages"]
    parts: list[Json] = message["parts"]
    return parts


async def test_thoughts_are_reasoning_and_the_answer_is_text() -> None:
    model = fake([*says("I know ", "it."), *calls("c1", "final_answer", '{"ans', 'wer": "It is \\u00', 'e9.\\n"}')])
    parts = await answered(SmolagentsAgent(tool_agent(model)))

    assert parts == [{"type": "reasoning", "text": "I know it."}, {"type": "text", "text": "It is é.\n"}]


async def test_an_answer_that_comes_whole_is_shown_when_it_is_there() -> None:
    model = fake(calls("c1", "final_answer", '{"answer": "Two."}'))

    assert await answered(SmolagentsAgent(tool_agent(model, stream_outputs=False))) == [
        {"type": "text", "text": "Two."}
    ]


async def test_an_answer_that_is_no_text_is_shown_as_python_writes_it() -> None:
    model = fake(calls("c1", "final_answer", '{"answer": 42}'))

    assert await answered(SmolagentsAgent(tool_agent(model))) == [{"type": "text", "text": "42"}]


async def test_the_code_of_a_code_agent_is_a_call_with_what_it_printed() -> None:
    from smolagents import CodeAgent, LogLevel

    model = fake(says("Add. <code>\n", "print(1 + 1)\n</code>"), says("<code>\nfinal_answer(2)\n</code>"))
    parts = await answered(
        SmolagentsAgent(lambda: CodeAgent(tools=[], model=model, stream_outputs=True, verbosity_level=LogLevel.OFF))
    )

    first, code, second, more, answer = parts
    assert (first["type"], second["type"], answer) == ("reasoning", "reasoning", {"type": "text", "text": "2"})
    assert (code["toolName"], code["args"]) == ("python_interpreter", {"code": "print(1 + 1)"})
    assert "2" in code["result"]
    assert more["args"] == {"code": "final_answer(2)"}


async def test_a_plan_is_reasoning() -> None:
    model = fake(says("1. Add."), calls("c1", "final_answer", '{"answer": "2"}'))
    plan, answer = await answered(SmolagentsAgent(tool_agent(model, planning_interval=1)))

    assert (plan["type"], plan["text"]) == ("reasoning", "1. Add.")
    assert answer["text"] == "2"


async def test_a_tool_that_fails_shows_no_exception_and_the_agent_tries_again() -> None:
    from smolagents import tool

    @tool
    def lookup() -> str:
        """Look it up."""
        raise RuntimeError(SECRET)

    asked: list[str] = []
    model = fake(calls("c1", "lookup", "{}"), calls("c2", "final_answer", '{"answer": "No."}'), asked=asked)
    call, answer = await answered(SmolagentsAgent(tool_agent(model, lookup)))

    assert (call["result"], call["isError"], answer["text"]) == ("The tool failed.", True, "No.")
    assert SECRET in asked[1], "the model is told why"


async def test_a_model_that_fails_after_the_last_step_shows_no_exception() -> None:
    def fail(*args: Any, **options: Any) -> ChatMessage:
        raise RuntimeError(SECRET)

    model = fake(says("Hm."))
    model.generate = fail
    async with TestClient(SmolagentsAgent(tool_agent(model, max_steps=1))) as client:
        result = await client.run("Sum?", thread_id="t")

    assert result.error is not None
    assert result.error["code"] == "step_limit_reached"
    assert SECRET not in str(result.state)


async def test_it_runs_in_a_handler_and_does_nothing_without_a_message() -> None:
    agent = Agent(commands=["poke"])
    made: list[int] = []

    def make() -> MultiStepAgent:
        made.append(1)
        return tool_agent(fake(calls("c1", "final_answer", '{"answer": "2"}')))()

    @agent.batch
    async def work(run: Run) -> None:
        await run_smolagents(run, make)

    async with TestClient(agent) as client:
        await client.run({"type": "poke"}, thread_id="t")
        assert made == []
        result = await client.run("Sum?", thread_id="t")
    assert result.state["messages"][1]["parts"] == [{"type": "text", "text": "2"}]


# The answer, read out of the arguments while they come


@given(st.text(), st.data())
def test_an_argument_is_read_however_its_text_is_cut(text: str, data: st.DataObject) -> None:
    written = json.dumps({"answer": text}, ensure_ascii=data.draw(st.booleans()))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(written)))))
    pieces = [written[start:end] for start, end in zip([0, *cuts], [*cuts, len(written)], strict=True)]
    argument = StringArgument("answer")

    assert "".join(map(argument.add, pieces)) == argument.text == text


@pytest.mark.parametrize("written", ['{"answer": 42}', '{"other": "answer"}', "[]", '{"answer": ["a"]}'])
def test_an_argument_that_is_no_string_is_empty(written: str) -> None:
    argument = StringArgument("answer")

    assert (argument.add(written), argument.text) == ("", "")
