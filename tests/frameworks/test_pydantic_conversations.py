"""Random conversations with a Pydantic AI agent: what the page shows and what the model reads stay one conversation."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_ai import Agent as PydanticAIAgent
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from statecast.frameworks import PydanticAgent
from statecast.testing import Result, TestClient

Json = Any

PAGE_TOOLS = {"pick": {"parameters": {"type": "object"}}}

#: What an answer of the model calls, one after the other; its next answer is a text, or more calls.
CALLS = st.lists(st.sampled_from(["look", "book", "pick"]), max_size=3)

STEPS = st.one_of(
    st.tuples(st.just("say"), st.just(0)),
    st.tuples(st.sampled_from(["yes", "no", "pick", "edit"]), st.integers(0, 2)),
)


class Talk:
    """A conversation, and what the model was asked."""

    def __init__(self, plan: Sequence[Sequence[str]]) -> None:
        self.plan = iter(plan)
        self.asked: list[ModelMessage] = []
        self.booked: list[str] = []
        self.state: Json = None
        self.numbers = itertools.count()
        framework = PydanticAIAgent(FunctionModel(stream_function=self._stream), tools=[self.look])
        framework.tool_plain(requires_approval=True)(self.book)
        self.agent = PydanticAgent(framework)

    def look(self) -> str:
        """Look around."""
        return "nothing"

    def book(self, room: str) -> str:
        """Book a room."""
        self.booked.append(room)
        return f"booked {room}"

    async def _stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        self.asked = list(messages)
        yield f"Answer {next(self.numbers)}. "
        for index, name in enumerate(next(self.plan, ()), 1):
            id = f"call_{next(self.numbers)}"
            args = f'{{"room": "{id}"}}' if name == "book" else "{}"
            yield {index: DeltaToolCall(name=name, json_args=args, tool_call_id=id)}

    async def play(self, client: TestClient, step: str, place: int) -> None:
        """Do what a page can do now; what it cannot, it does not."""
        match step:
            case "say":
                await self.send(client, _message(f"Say {next(self.numbers)}"))
            case "yes" | "no" if place < len(self.pending):
                answer = {"type": "answer", "answers": {self.pending[place]["id"]: step == "yes"}}
                await self.send(client, answer)
            case "pick" if place < len(self.picks):
                call = self.picks[place]
                await self.send(client, {"type": "add-tool-result", "toolCallId": call["toolCallId"], "result": "blue"})
            case "edit" if place < len(self.users):
                source = self.users[place]
                at = self.state["messages"].index(source)
                edited = _message(f"Edit {next(self.numbers)}")
                edited["parentId"] = self.state["messages"][at - 1]["id"] if at else None
                await self.send(client, {**edited, "sourceId": source["id"]})

    async def send(self, client: TestClient, command: Json) -> None:
        known = {} if self.state is None else {"state": self.state}
        result: Result = await client.run(command, thread_id="t", tools=PAGE_TOOLS, **known)
        assert result.error is None, command
        self.state = result.state

    @property
    def users(self) -> list[Json]:
        return [message for message in (self.state or {}).get("messages", ()) if message["role"] == "user"]

    @property
    def pending(self) -> list[Json]:
        return (self.state or {}).get("pending", [])

    @property
    def open_calls(self) -> list[Json]:
        parts = [part for message in (self.state or {}).get("messages", ()) for part in message["parts"]]
        return [part for part in parts if part["type"] == "tool-call" and "result" not in part]

    @property
    def picks(self) -> list[Json]:
        return [call for call in self.open_calls if call["toolName"] == "pick"]

    def check(self) -> None:
        """Check that page and model have one conversation."""
        waiting = {question["callId"] for question in self.pending}
        answered = [
            call for call in self.open_calls if call["toolName"] == "book" and call["toolCallId"] not in waiting
        ]
        if not self.picks and not waiting:
            assert answered == [], "nothing waits, so everything has its result"
        texts = [message["parts"][0]["text"] for message in self.users]
        assert [_text(part) for one in self.asked for part in one.parts if part.part_kind == "user-prompt"] == texts
        for place, one in enumerate(self.asked):
            if isinstance(one, ModelResponse):
                calls = {part.tool_call_id for part in one.parts if part.part_kind == "tool-call"}
                later = itertools.takewhile(lambda one: not isinstance(one, ModelResponse), self.asked[place + 1 :])
                returned = [
                    part.tool_call_id for each in later for part in each.parts if part.part_kind == "tool-return"
                ]
                assert sorted(returned) == sorted(calls), "each call has one result"
        assert len(set(self.booked)) == len(self.booked), "nothing is done twice"


def _message(text: str) -> dict[str, Json]:
    return {"type": "add-message", "message": {"role": "user", "parts": [{"type": "text", "text": text}]}}


def _text(part: Any) -> str:
    return part.content if isinstance(part.content, str) else "".join(part.content)


async def _play(plan: Sequence[Sequence[str]], steps: Sequence[tuple[str, int]]) -> None:
    talk = Talk(plan)
    async with TestClient(talk.agent) as client:
        await talk.play(client, "say", 0)
        for step, place in steps:
            talk.check()
            await talk.play(client, step, place)
        talk.check()


@pytest.mark.slow
@settings(max_examples=30)
@given(st.lists(CALLS, max_size=6), st.lists(STEPS, max_size=8))
def test_the_page_and_the_model_have_one_conversation(plan: list[list[str]], steps: list[tuple[str, int]]) -> None:
    """Only random orders of answers, messages and edits find the ones that nobody thought of."""
    asyncio.run(_play(plan, steps))
