"""Show ADK's events in the thread.

Events with the same id are one message: first pieces of its text, then the whole text again. The branch of an event
names the call that a sub-agent works for. ADK asks questions as calls to tools that do not exist.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from statecast_agents.chunks import FinishReason, Usage
from statecast_agents.frameworks.adapter.plain import attribute, counts
from statecast_agents.frameworks.adapter.turn import Turn
from statecast_agents.values import Json

from .options import Options

if TYPE_CHECKING:
    from google.adk.events import Event
    from google.genai.types import FunctionCall, FunctionResponse

__all__ = ["CONFIRMATION", "INPUT", "Events"]

#: The tools whose calls are ADK's questions.
CONFIRMATION: Final = "adk_request_confirmation"
INPUT: Final = "adk_request_input"

#: How the question of ADK itself begins, which says nothing that the call does not, and is not for users.
_HINT: Final = "Please approve or reject the tool call "

#: The session's keys that are not the thread's own: those of the user, of the app, of a single run, and ADK's.
_HIDDEN: Final = ("user:", "app:", "temp:", "_adk")

_FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content-filter",
    "BLOCKLIST": "content-filter",
    "PROHIBITED_CONTENT": "content-filter",
    "SPII": "content-filter",
}


class Events:
    """Copies the events of a run into the thread.

    Args:
        turn: The turn that shows them.
        options: How the agent is run.
    """

    def __init__(self, turn: Turn, options: Options) -> None:
        self._turn = turn
        self._run = turn.run
        self._options = options
        self.asked: dict[str, str] = {}  #: the names of ADK's questions, by their ids
        self.invocation: str | None = None  #: ADK's id of what the events belong to
        self.error: str | None = None  #: the code of the last event, if it reports an error

    def copy(self, event: Event) -> None:
        """Copy one event."""
        ns = (event.branch or "").rpartition("@")[2] if "@" in (event.branch or "") else ""
        if ns and self._turn.find_call(ns) is None:
            return
        self.error, self.invocation = event.error_code, event.invocation_id
        if event.partial:
            self._grow(event, ns)
            return
        self._replace(event, ns)
        for response in event.get_function_responses():
            if response.id not in event.actions.requested_tool_confirmations:
                self._set_result(response, ns)
        self._show(event, ns)

    def _grow(self, event: Event, ns: str) -> None:
        for part in (event.content and event.content.parts) or ():
            if part.text and part.thought:
                self._turn.reasoning(event.id, part.text, ns=ns)
            elif part.text:
                self._turn.text(event.id, part.text, ns=ns)

    def _replace(self, event: Event, ns: str) -> None:
        """Show all of a message, whose pieces may have been shown before."""
        for call in event.get_function_calls():
            if call.name in (CONFIRMATION, INPUT):
                self._ask(call, ns)
        parts = [*_parts(event)]
        if not parts:
            return
        self._turn.replace(event.id, parts, ns)
        usage, reason = event.usage_metadata, event.finish_reason
        self._turn.message(event.id, ns).set_metadata(
            usage=None if usage is None else _usage(usage),
            model=event.model_version,
            finish_reason=None if reason is None else _FINISH_REASONS.get(reason.name, "other"),
        )
        self._turn.finish(event.id, ns)

    def _set_result(self, response: FunctionResponse, ns: str) -> None:
        given: Any = response.response or {}
        is_error = [*given] == ["error"]
        result = given[next(iter(given))] if [*given] in (["result"], ["error"]) else given
        self._turn.result(response.id or "", result, is_error=is_error, ns=ns)

    def _ask(self, question: FunctionCall, ns: str) -> None:
        id, given = question.id or "", question.args or {}
        if question.name == INPUT:
            schema = given.get("response_schema") or given.get("responseSchema")
            kind: Any = "text" if schema is None else "input"
            details = given.get("payload")
            self._run.ask(given.get("message") or "?", kind=kind, schema=schema, details=details, id=id)
        else:
            confirmation: Any = given.get("toolConfirmation") or {}
            original: Any = given.get("originalFunctionCall") or {}
            hint, payload = confirmation.get("hint") or "", confirmation.get("payload")
            prompt = None if hint.startswith(_HINT) else hint
            asked: dict[str, Any] = {"id": id, "details": payload, "schema": None if payload is None else {}}
            call = self._turn.find_call(original.get("id") or "", ns)
            if call is None:
                self._run.ask(prompt or f"May the agent call {original.get('name')}?", **asked)
            else:
                call.ask(prompt or None, **asked)
        self.asked[id] = question.name or ""

    def _show(self, event: Event, ns: str) -> None:
        """Show who works, and what the event changes in the session's state."""
        run, shown, values = self._run, self._options.shown, self._options.values
        if shown is not None and not ns and event.author and isinstance(run.state, dict):
            name = event.actions.transfer_to_agent or event.author
            if run.state.get(shown) != name:
                run.state[shown] = name
        if values is not None:
            for key, value in event.actions.state_delta.items():
                if not key.startswith(_HIDDEN):
                    run.put((values, key), value)


def _parts(event: Event) -> Iterator[dict[str, Json]]:
    """Yield the parts of a message; results and ADK's questions are none."""
    for part in (event.content and event.content.parts) or ():
        call = part.function_call
        if part.text:
            yield {"type": "reasoning" if part.thought else "text", "text": part.text}
        elif part.inline_data is not None and part.inline_data.data:
            data = base64.b64encode(part.inline_data.data).decode()
            yield {"type": "file", "data": data, "mimeType": part.inline_data.mime_type or "application/octet-stream"}
        elif call is not None and call.name not in (CONFIRMATION, INPUT):
            yield {"type": "tool-call", "toolCallId": call.id, "toolName": call.name, "args": call.args or {}}


def _usage(usage: Any) -> Usage:
    written, thought = attribute(usage, "candidates_token_count"), attribute(usage, "thoughts_token_count")
    return Usage(
        **counts(
            input_tokens=attribute(usage, "prompt_token_count"),
            output_tokens=(written or 0) + (thought or 0),
            reasoning_tokens=thought,
            cached_input_tokens=attribute(usage, "cached_content_token_count"),
        )
    )
