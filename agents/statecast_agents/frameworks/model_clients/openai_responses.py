"""Read the events of OpenAI's Responses API, which the OpenAI Agents SDK passes on whatever the model.

Tools that OpenAI runs itself (web search, code interpreter, MCP servers, …) appear as calls with a result. Custom
tools, whose input is text rather than JSON, appear as calls with the arguments `{"input": text}`.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, Final

from statecast_agents.arguments import arguments_text
from statecast_agents.chunks import FinishReason
from statecast_agents.errors import AgentError
from statecast_agents.frameworks.adapter.answer import Answer
from statecast_agents.frameworks.adapter.explain import failure
from statecast_agents.frameworks.adapter.plain import attribute, counts, plain
from statecast_agents.message import ToolCall
from statecast_agents.values import Json

__all__ = ["ResponsesReader"]

_INCOMPLETE: Final[Mapping[str, FinishReason]] = {"max_output_tokens": "length", "content_filter": "content-filter"}

#: Items that a message expresses: any other must be sent back with the next request as it is.
_EXPRESSED: Final = frozenset({"message", "function_call"})

#: Fields of a hosted tool's item that are no part of its result.
_ARGUMENTS: Final = ("action", "queries", "code", "arguments", "server_label")
_NOT_RESULT: Final = frozenset({"id", "type", "name", "status", *_ARGUMENTS})


class ResponsesReader:
    """Copy the events of one response into an answer.

    Args:
        answer: The answer.
        hidden: The names of functions whose calls are not shown.
        keeps: Whether to keep what the next request needs; if not, someone else does.
    """

    def __init__(self, answer: Answer, *, hidden: Container[str] = (), keeps: bool = True) -> None:
        self.answer = answer
        self._hidden = hidden
        self._keeps = keeps
        self._output: list[Any] = []  #: the items, once the response is complete
        self._calls: dict[int, ToolCall] = {}  #: by the places of their items in the output
        self._summary: tuple[int, int] | None = None  #: the last part of the reasoning's summary: item, part

    def read(self, event: Any) -> None:
        """Copy one event.

        Raises:
            AgentError: "rate_limited", "model_unavailable": the response failed.
        """
        match event.type:
            case "response.output_text.delta" | "response.refusal.delta":
                self.answer.append_text(event.delta)
            case "response.reasoning_summary_text.delta":
                self._read_reasoning(event.delta, (event.output_index, event.summary_index))
            case "response.reasoning_text.delta":
                self._read_reasoning(event.delta, (event.output_index, event.content_index))
            case "response.function_call_arguments.delta" if event.output_index in self._calls:
                self._calls[event.output_index].append_args(event.delta)
            case "response.output_item.added":
                self._begin_item(event.output_index, event.item)
            case "response.output_item.done":
                self._finish_item(event.output_index, event.item)
            case "response.output_text.annotation.added":
                annotation = plain(event.annotation)
                self.answer.add_source(annotation.get("url"), annotation.get("title"))
            case "response.completed" | "response.incomplete":
                self._finish(event.response)
            case "response.failed":
                raise _failed(event.response.error)
            case "error":
                raise _failed(event)

    def close(self) -> list[ToolCall]:
        """Finish the answer, and return the calls to answer.

        Raises:
            AgentError: "model_cut_off".
        """
        calls = self.answer.close()
        if self._keeps and any(item.type not in _EXPRESSED for item in self._output):
            self.answer.keep("responses", plain(self._output))
        return calls

    def _read_reasoning(self, delta: str, part: tuple[int, int]) -> None:
        if self._summary is not None and self._summary[0] == part[0] and self._summary != part:
            self.answer.append_reasoning("\n\n")
        self._summary = part
        self.answer.append_reasoning(delta)

    def _begin_item(self, index: int, item: Any) -> None:
        if item.type == "function_call" and item.name not in self._hidden:
            self._calls[index] = self.answer.add_call(item.name, item.call_id)

    def _finish_item(self, index: int, item: Any) -> None:
        if item.type == "function_call":
            if index not in self._calls:
                self._begin_item(index, item)
            call = self._calls.get(index)
            if call is not None and not call.args_text:
                call.append_args(item.arguments)
        elif item.type == "custom_tool_call":
            self.answer.add_call(item.name, item.call_id).append_args(arguments_text({"input": item.input}))
        elif item.type == "image_generation_call":
            if item.result:
                self.answer.message.add_part({"type": "image", "image": f"data:image/png;base64,{item.result}"})
        elif item.type == "mcp_call" or (item.type.endswith("_call") and not getattr(item, "call_id", None)):
            self._add_hosted(plain(item))

    def _add_hosted(self, item: dict[str, Json]) -> None:
        args = {name: item[name] for name in _ARGUMENTS if name in item}
        call = self.answer.add_hosted_call(item.get("name") or item["type"].removesuffix("_call"), item.get("id"))
        call.append_args(item["arguments"] if isinstance(item.get("arguments"), str) else arguments_text(args))
        call.finish_args()
        failed = item.get("status") == "failed" or "error" in item
        call.set_result({name: value for name, value in item.items() if name not in _NOT_RESULT}, is_error=failed)

    def _finish(self, response: Any) -> None:
        details = response.incomplete_details
        self.answer.model = response.model
        self._output = response.output
        if details is not None:
            self.answer.finish_reason = _INCOMPLETE.get(details.reason or "", "other")
        else:
            self.answer.finish_reason = "tool-calls" if self._calls else "stop"
        usage = response.usage
        self.answer.usage = counts(
            input_tokens=attribute(usage, "input_tokens"),
            output_tokens=attribute(usage, "output_tokens"),
            cached_input_tokens=attribute(usage, "input_tokens_details", "cached_tokens"),
            reasoning_tokens=attribute(usage, "output_tokens_details", "reasoning_tokens"),
        )


def _failed(error: Any) -> AgentError:
    """Return what users read of a response's error, whose own text goes to the log."""
    limited = attribute(error, "code") == "rate_limit_exceeded"
    known = failure("rate_limited" if limited else "model_unavailable")
    known.__cause__ = RuntimeError(f"the response failed: {plain(error)}")
    return known
