"""Show an agent's updates in the thread.

An agent's whole answer to one message is one message of the thread, with consecutive parts. In a workflow, each agent
has its own message. The ids of the framework's messages repeat, so they are not used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from statecast_agents.chunks import FinishReason, Usage
from statecast_agents.frameworks.adapter.explain import TEXTS
from statecast_agents.frameworks.adapter.plain import counts
from statecast_agents.frameworks.adapter.turn import Turn
from statecast_agents.ids import new_id
from statecast_agents.message import ToolCall
from statecast_agents.values import Json

if TYPE_CHECKING:
    from agent_framework import AgentResponseUpdate, Content

__all__ = ["Updates", "working"]

_FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool-calls",
    "content_filter": "content-filter",
}


class Updates:
    """Copies the updates of one conversation into the thread, or into the call that it belongs to.

    Args:
        turn: The turn that shows it.
        message_id: The id of the message that the first agent writes.
        ns: The id of the call; "": the thread.
    """

    def __init__(self, turn: Turn, message_id: str, ns: str = "") -> None:
        self._turn = turn
        self._ns = ns
        self._first: str | None = message_id
        self._ids: dict[str | None, str] = {}  #: of the messages, by the names of the agents
        self._id = ""
        self._streaming: list[tuple[str, ToolCall]] = []  #: calls whose arguments are not complete, with their messages
        self._said: dict[str, Usage] = {}  #: what the framework has counted in all, by message
        self._copiers: Mapping[str, Callable[[Any], None]] = {
            "text": self._text,
            "text_reasoning": self._reasoning,
            "data": self._file,
            "uri": self._file,
            "function_call": self._call,
            "function_result": self._result,
            "usage": self._usage,
        }

    def copy(self, update: AgentResponseUpdate) -> None:
        """Copy one update. Contents that show nothing are skipped."""
        if update.author_name not in self._ids:
            self._ids[update.author_name] = self._first or new_id("msg")
            self._first = None
        self._id = self._ids[update.author_name]
        for content in update.contents:
            copier = self._copiers.get(content.type)
            if copier is not None:
                copier(content)
        reason, model = update.finish_reason, getattr(update.raw_representation, "model", None)
        if reason or model:
            finish_reason = _FINISH_REASONS.get(reason, "other") if reason else None
            self._turn.message(self._id, self._ns).set_metadata(
                finish_reason=finish_reason, model=model if isinstance(model, str) else None
            )
        if reason:
            self.finish_args()

    def finish_args(self) -> None:
        """Read the arguments of the calls that have been streamed."""
        for id, call in self._streaming:
            self._turn.finish_args(id, call.id, self._ns)
        self._streaming.clear()

    def finish(self) -> None:
        """Note that all messages are complete."""
        self.finish_args()
        for id in self._ids.values():
            self._turn.finish(id, self._ns)

    def _text(self, content: Content) -> None:
        if content.merge_mode == "replace":
            self._replace("text", content.text)
        else:
            self._turn.text(self._id, content.text, ns=self._ns)

    def _reasoning(self, content: Content) -> None:
        if content.merge_mode == "replace":
            self._replace("reasoning", content.text)
        else:
            self._turn.reasoning(self._id, content.text, ns=self._ns)

    def _replace(self, kind: str, text: str | None) -> None:
        message = self._turn.message(self._id, self._ns)
        part = next((part for part in reversed(message.parts) if part["type"] == kind), None)
        if part is None:
            message.add_part({"type": kind, "text": text or ""})
        elif part["text"] != text:
            part["text"] = text or ""

    def _file(self, content: Content) -> None:
        if content.uri:
            self._turn.message(self._id, self._ns).add_file(
                content.uri.partition(",")[2] if content.uri.startswith("data:") else content.uri,
                content.media_type or "application/octet-stream",
            )

    def _call(self, content: Content) -> None:
        if content.user_input_request:  # it has been shown, and now waits for the page
            return
        call = self._streaming[-1][1] if self._streaming and not content.call_id else self._find(content)
        if isinstance(content.arguments, str) and content.arguments and call.open:
            call.append_args(content.arguments)

    def _find(self, content: Content) -> ToolCall:
        """Return the call that a content begins or continues."""
        id, args = content.call_id or new_id("call"), content.arguments
        known = next((call for _, call in self._streaming if call.id == id), None)
        if known is not None:
            return known
        given: Json = dict(args) if isinstance(args, Mapping) else UNSET
        call = self._turn.call(self._id, id, content.name or "", given, part=id, ns=self._ns)
        if given is UNSET:
            self._streaming.append((self._id, call))
        return call

    def _result(self, content: Content) -> None:
        self.finish_args()
        call = self._turn.find_call(content.call_id or "", self._ns)
        if call is None or not call.open:
            return
        approval = call.part.get("approval")
        denied = isinstance(approval, dict) and approval.get("approved") is False
        failed = content.exception is not None
        result = TEXTS["tool_failed"] if failed else content.result
        self._turn.result(call.id, result, is_error=failed or denied, ns=self._ns)

    def _usage(self, content: Content) -> None:
        """Add what a call of the model took. The framework counts up the calls of a run."""
        given: Any = content.usage_details or {}
        used = Usage(
            **counts(
                input_tokens=given.get("input_token_count"),
                output_tokens=given.get("output_token_count"),
                reasoning_tokens=given.get("reasoning_output_token_count"),
                cached_input_tokens=given.get("cache_read_input_token_count"),
            )
        )
        before, total = self._said.get(self._id), content.merge_mode == "replace"
        self._said[self._id] = used if total or before is None else before + used
        message = self._turn.message(self._id, self._ns)
        metadata: Json = message.message.get("metadata") or {}
        steps = [_usage_of(step["usage"]) for step in metadata.get("steps") or ()]
        message.set_metadata(steps=[*steps, _difference(used, before) if total and before is not None else used])


#: What shows the agents that work for the call that the caller performs.
working: Final[ContextVar[Updates | None]] = ContextVar("statecast_agent_framework", default=None)


def _usage_of(fields: Mapping[str, Any]) -> Usage:
    return Usage(
        **counts(
            input_tokens=fields.get("inputTokens"),
            output_tokens=fields.get("outputTokens"),
            reasoning_tokens=fields.get("reasoningTokens"),
            cached_input_tokens=fields.get("cachedInputTokens"),
        )
    )


def _difference(total: Usage, before: Usage) -> Usage:
    """Return the tokens of the last call of several."""
    fields = {}
    for name in ("input_tokens", "output_tokens", "reasoning_tokens", "cached_input_tokens"):
        now, then = getattr(total, name), getattr(before, name)
        if isinstance(now, int):
            fields[name] = max(now - then, 0) if isinstance(then, int) else now
    return Usage(**fields)
