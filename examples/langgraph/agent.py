"""A travel planner in LangChain: a plan, a sub-agent, progress of a tool, and a booking that the user approves.

statecast serve examples.langgraph.agent:agent      in the root of the checkout
python -m examples.langgraph.agent                  the same

With MODEL and a key in the environment, such as MODEL=openai:gpt-5 (pip install langchain-openai), it asks that model.
Without, it plays the part of one, so that there is something to see offline.
"""

from __future__ import annotations

import os
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware, TodoListMiddleware
from langchain.chat_models import init_chat_model
from langchain_core.tools import tool
from langgraph.config import get_stream_writer

from examples.langgraph.offline import Guide, Planner
from statecast import serve
from statecast.frameworks import LangGraphAgent

name = os.environ.get("MODEL")

guide = create_agent(
    init_chat_model(name) if name else Guide(),
    [],
    system_prompt="You know every city. Name the three best sights, in one sentence.",
    name="guide",
)


@tool
async def ask_guide(city: str) -> str:
    """Ask a guide for the best sights of a city."""
    answer = await guide.ainvoke({"messages": [{"role": "user", "content": city}]})
    return str(answer["messages"][-1].text)


@tool
async def search_trains(city: str) -> list[dict[str, Any]]:
    """Search trains to a city."""
    show = get_stream_writer()
    trains = []
    for index, hour in enumerate((7, 9, 13), 1):
        trains.append({"to": city, "leaves": f"{hour:02d}:05", "price": 30 + 10 * index})
        show({"search": {"to": city, "done": index, "of": 3}})
    return trains


@tool
async def book_train(city: str, leaves: str) -> str:
    """Book a train."""
    return f"Booked the {leaves} to {city}."


middleware: list[Any] = [TodoListMiddleware(), HumanInTheLoopMiddleware(interrupt_on={"book_train": True})]

graph = create_agent(
    init_chat_model(name) if name else Planner(),
    [ask_guide, search_trains, book_train],
    middleware=middleware,
    system_prompt="You plan trips: write a plan, ask the guide, search trains, and book the first one.",
)

agent = LangGraphAgent(graph, "travel", values="agent", select=["todos"])

if __name__ == "__main__":
    serve(agent)
