"""Random conversations with a LangChain agent: whatever its user does, page and graph have the same conversation."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from statecast.frameworks import LangGraphAgent, page_tools_middleware
from statecast.testing import Result, TestClient
from statecast_agents.frameworks.langgraph.messages import PageMessages
from tests.frameworks.langgraph_model import HANG, ScriptedModel, call

pytestmark = pytest.mark.anyio

TOOLS = {"pick_color": {"parameters": {"type": "object", "properties": {}}}}
CONFIG: Any = {"configurable": {"thread_id": "t"}}


@tool
def add(a: int) -> int:
    """Add one."""
    return a + 1


@tool
def book(a: int) -> str:
    """Book a room."""
    return f"booked {a}"


class Story:
    """One conversation, and what holds in it all the time."""

    def __init__(self, client: TestClient, model: ScriptedModel, graph: Any, pick: random.Random) -> None:
        self.client = client
        self.model = model
        self.graph = graph
        self.pick = pick
        self.count = 0

    async def state(self) -> Any:
        response = await self.client.get("/threads/t/state")
        return response.json()["state"] if response.status == 200 else {"messages": []}

    def answers(self) -> list[Any]:
        """Return what the model says next: a text, or calls, after which it says a text."""
        self.count += 1
        name = self.pick.choice(["add", "book", "pick_color", ""])
        if not name:
            return [[f"text {self.count}"]]
        args = "{}" if name == "pick_color" else f'{{"a": {self.count}}}'
        calls = [
            call(index, args, id=f"c-{self.count}-{index}", name=name) for index in range(self.pick.choice([1, 2]))
        ]
        return [["hm ", *calls], [f"text {self.count}"]]

    async def send(self, *commands: Any) -> Result:
        state = await self.state()
        return await self.client.run(*commands, thread_id="t", tools=TOOLS, state=state)

    def message(self, id: str | None = None) -> dict[str, Any]:
        self.count += 1
        message: dict[str, Any] = {"role": "user", "parts": [{"type": "text", "text": f"say {self.count}"}]}
        return message if id is None else {**message, "id": id}

    async def say(self) -> None:
        self.model.answers[len(self.model.asked) :] = self.answers()
        await self.send({"type": "add-message", "message": self.message()})

    async def stop(self) -> None:
        """Say something, and stop the answer."""
        self.model.hanging.clear()
        self.model.answers[len(self.model.asked) :] = [["begun ", HANG]]
        running = asyncio.create_task(self.send({"type": "add-message", "message": self.message()}))
        await asyncio.wait_for(self.model.hanging.wait(), 10)
        await self.client.post("/cancel", json={"threadId": "t"})
        await running

    async def fail(self) -> None:
        """Say something, and the model fails."""
        self.model.answers[len(self.model.asked) :] = [["begun ", RuntimeError("no")]]
        await self.send({"type": "add-message", "message": self.message()})

    async def edit(self, *, again: bool = False) -> None:
        messages = (await self.state())["messages"]
        places = [place for place, message in enumerate(messages) if message["role"] == "user"]
        if not places:
            return
        place = self.pick.choice(places)
        source = messages[place]
        message = {key: source[key] for key in ("id", "role", "parts")} if again else self.message()
        self.model.answers[len(self.model.asked) :] = self.answers()
        parent = messages[place - 1]["id"] if place else None
        command = {"type": "add-message", "message": message, "parentId": parent, "sourceId": source["id"]}
        await self.send(command)

    async def again(self) -> None:
        await self.edit(again=True)

    async def answer(self) -> None:
        """Answer a question, or a call of the page's tool, if there is one."""
        state = await self.state()
        pending = state.get("pending") or []
        if pending:
            id = self.pick.choice(pending)["id"]
            await self.send({"type": "answer", "answers": {id: self.pick.choice([True, False])}})
            return
        last = state["messages"][-1] if state["messages"] else {"parts": []}
        calls = [part for part in last["parts"] if part.get("toolName") == "pick_color"]
        if calls and "result" not in calls[-1] and "cutOff" not in calls[-1]:
            open_ids = [part["toolCallId"] for part in calls if "result" not in part]
            await self.send({"type": "add-tool-result", "toolCallId": self.pick.choice(open_ids), "result": "blue"})

    async def check(self) -> None:
        shown = [message for message in (await self.state())["messages"] if "status" not in message]
        if self.graph is not None:
            kept = (await self.graph.aget_state(CONFIG)).values.get("messages", [])
            assert [*map(plain, shown)] == [*map(plain, PageMessages().convert(kept))]
        for asked in self.model.asked:
            assert unanswered_in(asked) == []
        if self.model.asked:
            humans = [str(message.text) for message in self.model.asked[-1] if message.type == "human"]
            users = [message["parts"][0]["text"] for message in shown if message["role"] == "user"]
            assert users[: len(humans)] == humans


def plain(message: dict[str, Any]) -> Any:
    """Return what page and graph have in common of a message; a call that was left open has no result in the page."""
    parts: list[Any] = []
    for part in message["parts"]:
        if part["type"] == "tool-call":
            parts.append((part["toolCallId"], part["toolName"], part["args"]))
        else:
            parts.append((part["type"], part["text"]))
    return message["id"], message["role"], parts


def unanswered_in(messages: list[BaseMessage]) -> list[str]:
    """Return the calls that have no result before the next message."""
    missing: list[str] = []
    for message in messages:
        if isinstance(message, ToolMessage):
            missing = [id for id in missing if id != message.tool_call_id]
        elif missing:
            return missing
        elif isinstance(message, AIMessage):
            missing = [str(call["id"]) for call in message.tool_calls]
    return missing


@pytest.mark.parametrize("own", [True, False], ids=["its checkpointer", "the thread's memory"])
@pytest.mark.parametrize("seed", range(8))
async def test_a_page_and_its_graph_have_the_same_conversation(
    seed: int, own: bool, caplog: pytest.LogCaptureFixture
) -> None:
    pick = random.Random(seed)
    model = ScriptedModel(answers=[])
    middleware: list[Any] = [HumanInTheLoopMiddleware(interrupt_on={"book": True}), page_tools_middleware()]
    graph = create_agent(model, [add, book], middleware=middleware, checkpointer=InMemorySaver() if own else None)
    async with TestClient(LangGraphAgent(graph)) as client:
        story = Story(client, model, graph if own else None, pick)
        told: list[str] = []
        for _ in range(10):
            act = pick.choice([story.say, story.stop, story.fail, story.edit, story.again, story.answer, story.answer])
            told.append(act.__name__)
            await act()
            try:
                await story.check()
            except AssertionError as failed:
                raise AssertionError(f"after {', '.join(told)}: {failed}") from failed
