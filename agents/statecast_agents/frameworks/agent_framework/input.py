"""Convert the page's messages and tools for the framework."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from agent_framework import Content, FunctionInvocationContext, FunctionMiddleware, FunctionTool, Message

from statecast_agents.frameworks.adapter.conversation import files, result_text, rounds
from statecast_agents.frameworks.adapter.tools import page_tools
from statecast_agents.frameworks.adapter.turn import Turn
from statecast_agents.ids import new_id
from statecast_agents.message import Message as Shown
from statecast_agents.message import ToolCall
from statecast_agents.values import Json

from .updates import Updates, working

__all__ = ["Activities", "converted", "offered", "options_with", "result_message"]


def offered(declared: Mapping[str, Json]) -> list[FunctionTool]:
    """Return the page's tools: without a function, so that the framework leaves their calls to whoever runs the agent.

    Args:
        declared: As in `run.request.tools`.
    """
    return [
        FunctionTool(name=one.name, description=one.description, input_model=one.parameters)
        for one in page_tools(declared)
    ]


def converted(message: Shown) -> Iterator[Message]:
    """Yield a message of the page as messages of the framework. Parts that a model cannot read are left out."""
    if message.role == "user":
        contents: list[Content] = [
            Content.from_text(part)
            if isinstance(part, str)
            else Content.from_uri(part.url, media_type=part.mime_type, name=part.name)
            for part in files(message)
        ]
        yield Message("user", contents or [Content.from_text("")], message_id=message.id)
        return
    for one in rounds(message):
        said = [Content.from_text(text) for text in one.texts]
        calls = [Content.from_function_call(call.id, call.name, arguments=call.args) for call in one.calls]
        yield Message("assistant", [*said, *calls])
        if one.calls:
            yield Message("tool", [Content.from_function_result(call.id, result=call.result) for call in one.calls])


def result_message(call: ToolCall) -> Message:
    """Return the result that a call has in the thread."""
    return Message("tool", [Content.from_function_result(call.id, result=result_text(call))])


class Activities(FunctionMiddleware):
    """Makes each tool a part of the run of its own, and shows the agents that work for its call.

    Args:
        turn: The turn that shows them.
    """

    def __init__(self, turn: Turn) -> None:
        self._turn = turn

    async def process(self, context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]) -> None:
        """Perform one call."""
        call = self._turn.find_call(str(context.metadata.get("call_id") or ""))
        updates = None if call is None else Updates(self._turn, new_id("msg"), call.id)
        before = working.set(updates)
        try:
            with self._turn.run.activity():
                await call_next()
        finally:
            working.reset(before)
        if updates is not None:
            updates.finish()


def options_with(given: Mapping[str, Any], **more: list[Any]) -> dict[str, Any]:
    """Return arguments of an agent's `run` with further items of their lists."""
    return {**given, **{name: [*(given.get(name) or ()), *items] for name, items in more.items() if items}}
