"""Convert the page's messages and tools for ADK.

To ADK, a frontend tool is a long-running tool: a call to it ends the run, and the page's answer starts the next one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Any

from google.adk.events import Event
from google.adk.plugins import BasePlugin
from google.adk.tools.base_tool import BaseTool
from google.genai.types import Blob, Content, FileData, FunctionCall, FunctionDeclaration, FunctionResponse, Part

from statecast_agents.frameworks.adapter.conversation import File, files, rounds
from statecast_agents.frameworks.adapter.tools import Tool
from statecast_agents.message import Message

__all__ = ["PageTools", "past_events", "response", "user_content"]


def user_content(messages: Sequence[Message]) -> Content:
    """Return messages of the user as one content. Parts that a model cannot read are left out."""
    parts = [part for message in messages for each in files(message) if (part := _part(each)) is not None]
    return Content(role="user", parts=parts or [Part(text="")])


def response(call_id: str, name: str, result: Any, *, is_error: bool = False) -> Part:
    """Return the result of a call."""
    key = "error" if is_error else "result"
    return Part(function_response=FunctionResponse(id=call_id, name=name, response={key: result}))


def past_events(message: Message, author: str) -> Iterator[Event]:
    """Yield a message that the page has and the session has not, as events.

    Args:
        message: The message.
        author: The agent that is to have written it, if it is not the user's.
    """
    if message.role == "user":
        yield Event(author="user", content=user_content([message]), invocation_id=message.id)
        return
    for one in rounds(message):
        parts = [Part(text=text) for text in one.texts]
        parts += [Part(function_call=FunctionCall(id=call.id, name=call.name, args=call.args)) for call in one.calls]
        yield Event(author=author, content=Content(role="model", parts=parts), invocation_id=message.id)
        if one.calls:
            parts = [response(call.id, call.name, call.result, is_error=call.is_error) for call in one.calls]
            yield Event(author=author, content=Content(role="user", parts=parts), invocation_id=message.id)


class PageTools(BasePlugin):
    """A plugin that offers the page's tools to the agents of a conversation; their own keep their names.

    Args:
        tools: The page's tools.
        session_id: Of the conversation: an agent that works as a tool has a session of its own, which cannot wait.
    """

    def __init__(self, tools: Sequence[Tool], session_id: str) -> None:
        super().__init__("statecast_page_tools")
        self._tools = [_PageTool(tool) for tool in tools]
        self._session_id = session_id

    async def before_model_callback(self, *, callback_context: Any, llm_request: Any) -> None:
        """Add the tools to a request of the model."""
        if callback_context.session.id == self._session_id and "@" not in (callback_context.branch or ""):
            llm_request.append_tools([tool for tool in self._tools if tool.name not in llm_request.tools_dict])


class _PageTool(BaseTool):
    """A tool of the page, as ADK sees it."""

    def __init__(self, tool: Tool) -> None:
        super().__init__(name=tool.name, description=tool.description, is_long_running=True)
        self._parameters = tool.parameters

    def _get_declaration(self) -> FunctionDeclaration:
        return FunctionDeclaration(
            name=self.name, description=self.description, parameters_json_schema=self._parameters
        )

    async def run_async(self, *, args: dict[str, Any], tool_context: Any) -> None:
        """Return nothing: ADK then ends the run with the call open."""


def _part(given: str | File) -> Part | None:
    if isinstance(given, str):
        return Part(text=given)
    if given.data is None:
        return Part(file_data=FileData(file_uri=given.url, mime_type=given.mime_type)) if "://" in given.url else None
    try:
        return Part(inline_data=Blob(data=base64.b64decode(given.data, validate=True), mime_type=given.mime_type))
    except (binascii.Error, ValueError):
        return None
