"""Copy the events of a Pydantic AI run into a turn.

One object copies one conversation: the agent's own, or a sub-agent's inside the call that runs it. The model's
responses to one prompt are parts of one message. Calls to output tools are not shown: their arguments are the run's
output.

Pydantic AI ends a part when the next one begins, even if the part's arguments continue. So the arguments of a call are
read when the call is made. A response has ended when its last part ends without a following part.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from msgspec import UNSET
from pydantic_ai.messages import (
    AgentStreamEvent,
    BaseToolCallPart,
    BaseToolReturnPart,
    CustomEvent,
    ModelMessage,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    ToolCallEvent,
    ToolResultEvent,
)

from statecast_agents.frameworks.adapter.turn import Turn
from statecast_agents.message import AssistantMessage, ToolCall
from statecast_agents.values import Json

from .metadata import record_responses
from .values import as_json

__all__ = ["Events"]

#: Where Pydantic AI's own MCP client puts what a page needs to show an MCP app, in the metadata of a result.
MCP_APP: Final = "mcp_app"


class Events:
    """The events of one conversation, copied into a message.

    Args:
        turn: The turn.
        message_id: The message's id.
        output_tools: The names of output tools; they may come to be known later.
        ns: The call that the conversation belongs to; "": it is the thread's own.
    """

    def __init__(self, turn: Turn, message_id: str, output_tools: Collection[str], ns: str = "") -> None:
        self._turn = turn
        self._id = message_id
        self._output_tools = output_tools
        self._ns = ns
        self._response = 0
        self._ended = False  #: whether the response has ended, so that the next part begins another
        self._streaming: dict[str, ToolCall] = {}  #: calls whose arguments are not complete, by the part's key
        self._copiers: Mapping[str, Callable[[Any], None]] = {
            "part_start": self._start,
            "part_delta": self._grow,
            "part_end": self._end,
            "function_tool_call": self._call,
            "function_tool_result": self._result,
            "output_tool_call": self._output_call,
            "custom": self._custom,
        }
        self._output_tool: str | None = None  #: the output tool that was called last

    def record(self, history: Sequence[ModelMessage]) -> None:
        """Record the responses that the message shows in its metadata.

        Args:
            history: All messages of the agent.
        """
        message = self._turn.run.messages.find(self._id)
        if isinstance(message, AssistantMessage):
            record_responses(message, history)

    @property
    def size(self) -> int:
        """How many parts the message has."""
        message = self._turn.run.messages.find(self._id)
        return 0 if message is None else len(message.parts)

    def copy(self, event: AgentStreamEvent) -> None:
        """Copy one event. Events that show nothing are skipped."""
        copier = self._copiers.get(event.event_kind)
        if copier is not None:
            copier(event)

    def show_output(self, output: Any) -> None:
        """Show the run's output as a data part, named after its output tool. An output in the text is shown already."""
        if self._output_tool is not None:
            self._turn.message(self._id, self._ns).add_data(self._output_tool, as_json(output))

    def _start(self, event: PartStartEvent) -> None:
        if self._ended:
            self._response += 1
            self._ended = False
        part = event.part
        key = self._key(event.index)
        if part.part_kind == "text":
            self._turn.text(self._id, part.content, part=key, ns=self._ns)
        elif part.part_kind == "thinking":
            self._turn.reasoning(self._id, part.content, part=key, ns=self._ns)
        elif part.part_kind == "tool-call" or part.part_kind == "builtin-tool-call":
            self._add_call(key, part)
        elif part.part_kind == "builtin-tool-return":
            self._settle(part)
        elif part.part_kind == "file":
            self._turn.message(self._id, self._ns).add_file(part.content.base64, part.content.media_type)

    def _grow(self, event: PartDeltaEvent) -> None:
        delta = event.delta
        key = self._key(event.index)
        if delta.part_delta_kind == "text":
            self._turn.text(self._id, delta.content_delta, part=key, ns=self._ns)
        elif delta.part_delta_kind == "thinking":
            self._turn.reasoning(self._id, delta.content_delta, part=key, ns=self._ns)
        elif delta.part_delta_kind == "tool_call" and isinstance(delta.args_delta, str):
            call = self._streaming.get(key)
            if call is not None:
                call.append_args(delta.args_delta)

    def _end(self, event: PartEndEvent) -> None:
        self._ended = event.next_part_kind is None
        if event.part.part_kind == "builtin-tool-call":
            self._finish(event.part)

    def _call(self, event: ToolCallEvent) -> None:
        self._finish(event.part)

    def _output_call(self, event: ToolCallEvent) -> None:
        self._output_tool = event.part.tool_name

    def _result(self, event: ToolResultEvent) -> None:
        self._settle(event.part)

    def _custom(self, event: CustomEvent) -> None:
        if event.ui:
            self._turn.message(self._id, self._ns).add_data(event.name, as_json(event.to_payload()))

    def _key(self, index: int) -> str:
        return f"{self._response}.{index}"

    def _add_call(self, key: str, part: BaseToolCallPart[Any]) -> None:
        if part.tool_name in self._output_tools:
            return
        call = self._turn.call(self._id, part.tool_call_id, part.tool_name, part=key, ns=self._ns)
        self._streaming[key] = call
        if isinstance(part.args, str):
            call.append_args(part.args)

    def _finish(self, part: BaseToolCallPart[Any]) -> None:
        key = next((key for key, call in self._streaming.items() if call.id == part.tool_call_id), None)
        if key is None:
            return  # of a response that an earlier run has shown
        del self._streaming[key]
        if isinstance(part.args, dict):
            self._turn.call(self._id, part.tool_call_id, part.tool_name, as_json(part.args), part=key, ns=self._ns)
        else:
            self._turn.finish_args(self._id, part=key, ns=self._ns)

    def _settle(self, part: BaseToolReturnPart[Any]) -> None:
        call = self._turn.find_call(part.tool_call_id, self._ns)
        if call is None or call.settled:
            return  # the page itself has given the result
        result = as_json(part.content)
        artifact: Json = UNSET if part.metadata is None else as_json(part.metadata)
        app = artifact.get(MCP_APP) if isinstance(artifact, dict) else None
        if isinstance(app, dict):  # the app reads the server's own result
            named = {"resourceUri": app.get("resource_uri"), "serverId": app.get("toolset_id")}
            call.part["mcp"] = {"app": {name: value for name, value in named.items() if value is not None}}
            result = app.get("result", result)
        failed = part.outcome != "success"
        self._turn.result(part.tool_call_id, result, is_error=failed, artifact=artifact, ns=self._ns)
