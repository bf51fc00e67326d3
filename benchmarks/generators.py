"""R. Generators and agents of smolagents: what their adapters cost per token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from time import process_time
from typing import Any

from smolagents import LogLevel, Model, ToolCallingAgent
from smolagents.models import ChatMessage, ChatMessageStreamDelta, ChatMessageToolCallFunction
from smolagents.models import ChatMessageToolCallStreamDelta as CallDelta

from statecast import AddMessage, Agent, Run
from statecast.frameworks import GeneratorAgent, SmolagentsAgent
from statecast.testing import TestClient

from .harness import Options, Result, compare, interleave
from .plan import token

__all__ = ["measure"]

MANY = 2_000  #: tokens of an answer
LONG = 20_000  #: of a long one
QUESTIONS = 20  #: before an answer with a history
FEW = 300  #: tokens of an answer of smolagents, which draws the whole answer anew with each


async def tokens(count: int) -> AsyncIterator[str]:
    for index in range(count):
        await asyncio.sleep(0)
        yield token(index)


def yields_async(count: int) -> Agent:
    async def answer(run: Run) -> AsyncIterator[str]:
        async for text in tokens(count):
            yield text

    return GeneratorAgent(answer)


def by_hand(count: int) -> Agent:
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        async for text in tokens(count):
            message.append_text(text)

    return agent


def yields(count: int) -> Agent:
    def answer(run: Run) -> Iterator[str]:
        for index in range(count):
            yield token(index)

    return GeneratorAgent(answer)


def by_hand_in_thread(count: int) -> Agent:
    agent = Agent()

    @agent.on(AddMessage)
    def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        for index in range(count):
            message.append_text(token(index))

    return agent


class Tokens(Model):
    """A model that answers with so many tokens."""

    def __init__(self, count: int) -> None:
        super().__init__(model_id="tokens")
        self.count = count

    def generate_stream(self, messages: list[ChatMessage], **options: Any) -> Iterator[ChatMessageStreamDelta]:
        def delta(text: str, id: str | None = None) -> ChatMessageStreamDelta:
            function = ChatMessageToolCallFunction(name="final_answer" if id else "", arguments=text)
            return ChatMessageStreamDelta(tool_calls=[CallDelta(index=0, id=id, function=function)])

        yield delta('{"answer": "', "c1")
        for index in range(self.count):
            yield delta(token(index))
        yield delta('"}')


def make(count: int) -> ToolCallingAgent:
    agent = ToolCallingAgent(tools=[], model=Tokens(count), stream_outputs=True, verbosity_level=LogLevel.OFF)
    agent.logger.console.quiet = True
    return agent


def smolagent_by_hand(count: int) -> Agent:
    agent = Agent()

    @agent.on(AddMessage)
    def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        for event in make(count).run(command.message.text, stream=True):
            if isinstance(event, ChatMessageStreamDelta):
                message.append_text(event.tool_calls[0].function.arguments)

    return agent


def measure(options: Options) -> list[Result]:
    """Measure each adapter beside the same tokens written by hand."""

    def side(agent: Agent, count: int, before: int = 0) -> Callable[[], float]:
        return lambda: asyncio.run(time_of(agent, count, before))

    pairs: dict[str, tuple[Agent, Agent, int, int]] = {
        "an async generator": (yields_async(MANY), by_hand(MANY), MANY, 0),
        f"the same, {LONG:,} tokens": (yields_async(LONG), by_hand(LONG), LONG, 0),
        f"the same, after {QUESTIONS} answers": (yields_async(MANY), by_hand(MANY), MANY, QUESTIONS),
        "a generator in a thread": (yields(MANY), by_hand_in_thread(MANY), MANY, 0),
        "smolagents": (SmolagentsAgent(lambda: make(FEW)), smolagent_by_hand(FEW), FEW, 0),
    }
    sides = {
        f"{which} {name}": side(agent, count, before)
        for name, (ours, limit, count, before) in pairs.items()
        for which, agent in (("ours", ours), ("limit", limit))
    }
    samples = interleave(sides, options.of(9))
    return [
        compare(
            f"R. a token of {name}, to one by hand" if "same" not in name else f"R. {name}",
            "µs",
            samples,
            target=1.3,
            ours=f"ours {name}",
            limit=f"limit {name}",
            scale=1e6,
        )
        for name in pairs
    ]


async def time_of(agent: Agent, count: int, before: int) -> float:
    """Return the seconds of processor time per token of an answer, after other answers."""
    async with TestClient(agent) as client:
        for question in range(before):
            await client.run(f"Question {question}?", thread_id="t")
        started = process_time()
        result = await client.run("The question?", thread_id="t")
        seconds = process_time() - started
    assert result.error is None, result.error
    return seconds / count
