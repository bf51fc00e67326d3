"""Answers of so many tokens, and agents that write them by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple

from statecast import AddMessage, Agent, Run

from .plan import token

__all__ = ["Pair", "Tokens", "by_hand"]


class Tokens:
    """What a model answers: a text in one piece, then tokens, each in a turn of the event loop.

    Args:
        count: How many tokens.
        before: Characters of the text.
    """

    def __init__(self, count: int, before: int = 0) -> None:
        self.count = count
        self.before = before

    def __iter__(self) -> Iterator[str]:
        if self.before:
            yield "x" * self.before
        yield from map(token, range(self.count))

    async def __aiter__(self) -> AsyncIterator[str]:
        for piece in self:
            await asyncio.sleep(0)  # as a network does
            yield piece


class Pair(NamedTuple):
    """The two agents of a framework."""

    adapter: Callable[[Tokens], Agent]
    by_hand: Callable[[Tokens], Agent]
    flat: bool = True  #: whether a token costs the framework itself as much in a long answer as in a short one


def by_hand(read: Callable[[Run, Any], AsyncIterator[str]]) -> Agent:
    """Return an agent that writes the texts that `read` yields for a run and the user's message."""
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        async for delta in read(run, command.message):
            message.append_text(delta)

    return agent
