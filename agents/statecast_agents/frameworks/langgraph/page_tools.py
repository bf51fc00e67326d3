"""Offer the page's frontend tools to a LangChain agent (`page_tools_middleware`).

The model sees them together with the agent's own tools. A call to one interrupts the graph. The page executes it, and
the graph continues with the result in another run, possibly in another process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from langchain.agents.middleware import AgentMiddleware
from langchain.agents.middleware.types import ModelRequest, ModelResponse, ToolCallRequest
from langchain_core.messages import ToolMessage
from langgraph.types import Command, interrupt

from statecast_agents.arguments import arguments_text
from statecast_agents.run import Run, current_run
from statecast_agents.values import Json

from .messages import PAGE_CALL

__all__ = ["PageTools"]

#: The slot that holds the tools of the page that sent some last: a run that goes on may come from another page.
SLOT: Final = "langgraph.tools"


class PageTools(AgentMiddleware[Any, Any]):
    """A middleware that offers the page's tools to the model."""

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """Add the page's tools to those of the agent, whose own come first."""
        known = {_name(tool) for tool in request.tools}
        tools = [_function(name, tool) for name, tool in _tools(current_run()).items() if name not in known]
        return await handler(request.override(tools=[*request.tools, *tools]))

    async def awrap_tool_call(
        self,
        request: ToolCallRequest,
        handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]],
    ) -> ToolMessage | Command[Any]:
        """Leave the call of a page's tool to the page."""
        call = request.tool_call
        if request.tool is not None or call["name"] not in _tools(current_run()):
            return await handler(request)
        answer = interrupt({PAGE_CALL: call["id"], "name": call["name"], "args": call["args"]})
        result = answer["result"]
        content = result if isinstance(result, str) else arguments_text(result)
        status: Any = "error" if answer["isError"] else "success"
        mark = {PAGE_CALL: call["id"]}
        return ToolMessage(content, tool_call_id=call["id"], name=call["name"], status=status, response_metadata=mark)


def _tools(run: Run) -> Mapping[str, Json]:
    """Return the page's tools, and keep them for runs of pages that send none."""
    tools = run.request.tools
    if not tools:
        return run.memory.get(SLOT) or {}
    if run.memory.get(SLOT) != tools:
        run.memory[SLOT] = tools
    return tools


def _function(name: str, tool: Json) -> dict[str, Any]:
    """Return a tool of the page as the function that a model sees."""
    fields = tool if isinstance(tool, dict) else {}
    parameters = fields.get("parameters") or {"type": "object", "properties": {}}
    function = {"name": name, "description": fields.get("description") or "", "parameters": parameters}
    return {"type": "function", "function": function}


def _name(tool: Any) -> str | None:
    if isinstance(tool, dict):
        function = tool.get("function")
        return function.get("name") if isinstance(function, dict) else tool.get("name")
    return getattr(tool, "name", None)
