"""The history of a Pydantic AI agent in a thread, and the input of the next run.

The history is private, in `run.memory`, because it contains data that the messages of a page lack, such as signatures
and provider details. After a crash, or in a thread that is new to the server, the page's messages may contain more than
the history. The rest is then added to the history as texts, files and calls.

A call that waits for its approval or its result ends the run. The next run continues when all answers are there. If the
user writes a message instead, it continues as well, and the calls without an answer are denied.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from pydantic_ai import DeferredToolRequests, DeferredToolResults, ToolApproved, ToolDenied, ToolReturn
from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
    repair_messages,
)

from statecast_agents.calls import DISMISSED
from statecast_agents.commands import AddToolResult
from statecast_agents.frameworks.adapter.conversation import UNANSWERED, denied, result_text, rounds
from statecast_agents.frameworks.adapter.turn import Turn
from statecast_agents.message import Message, ToolCall
from statecast_agents.questions import Kind
from statecast_agents.run import Run
from statecast_agents.values import Json, plain_copy

from .input import user_content

__all__ = ["History", "Request"]

#: `{"last": the id of the last user message in the history, "waiting": {call id: {"kind", "question"?: its id}},
#: "running"?: while the agent has more to do, how many parts of its message the history has}`.
PROGRESS: Final = "pydantic_ai"

_log: Final = logging.getLogger("statecast")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the agent is given."""

    history: Sequence[ModelMessage]
    prompt: str | Sequence[UserContent] | None  #: None: the agent goes on from the history
    results: DeferredToolResults | None  #: answers to the calls that the history ends with
    parts: int | None = None  #: after a crash, how many parts of the message the history has; the rest is said again


class History:
    """The history of one thread.

    Each run stores its messages under a name of their own, so that a long history is not written again for a short
    answer. What a run changes of earlier messages, such as by summing them up, is written with its own.

    Args:
        run: The run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        progress: Mapping[str, Any] = run.memory.get(PROGRESS) or {}
        try:
            self._stored = [*_stored(run.memory)]
        except ValidationError:  # of another version of Pydantic AI, perhaps
            _log.exception("cannot read the history of thread %s; continuing from its messages", run.thread_id)
            self._stored, progress = [], {}
        self._last: str | None = progress.get("last")
        self._waiting: dict[str, dict[str, Json]] = dict(progress.get("waiting") or {})
        self._running: int | None = progress.get("running")

    def request(self) -> Request | None:
        """Return what the agent is given; None if there is nothing to do yet."""
        history = [message for messages in self._stored for message in messages]
        earlier, prompt = self._unread()
        results = None
        if self._waiting:
            if prompt is None and any(map(self._is_open, self._waiting)):
                return None
            results = self._results()
        elif prompt is not None:
            history = repair_messages(history)
        elif self._running is None and not self._was_answered(earlier):
            return None
        self._last = next((message.id for message in reversed(self._run.messages) if message.role == "user"), None)
        self._waiting = {}
        parts = self._running if prompt is None and results is None else None
        return Request(history=[*history, *earlier], prompt=prompt, results=results, parts=parts)

    def save(self, messages: Sequence[ModelMessage], *, running: int | None = None) -> None:
        """Store the history.

        Args:
            messages: All of it.
            running: While the agent has more to do, how many parts of its message the history has; None: it has ended.
        """
        memory = self._run.memory
        same, start = 0, 0
        for stored in self._stored:
            if [*messages[start : start + len(stored)]] != stored:
                break
            same, start = same + 1, start + len(stored)
        for place in itertools.takewhile(lambda place: _name(place) in memory, itertools.count(same)):
            del memory[_name(place)]
        if start < len(messages):
            memory[_name(same)] = ModelMessagesTypeAdapter.dump_json([*messages[start:]])
        memory[PROGRESS] = {"last": self._last, "waiting": self._waiting, "running": running}

    def ask(self, turn: Turn, requests: DeferredToolRequests) -> None:
        """Ask the user for what the agent waits for. Calls of the page's tools are left open, for the page to answer.

        The metadata of a call may have the `prompt`, the `options` and the `schema` of its question.
        """
        for part in [*requests.approvals, *requests.calls]:
            kind = requests.kind(part.tool_call_id)
            entry: dict[str, Json] = {"kind": kind}
            if kind != "external":
                given = requests.metadata.get(part.tool_call_id) or {}
                asked: dict[str, Any] = {name: given[name] for name in ("prompt", "options", "schema") if name in given}
                asked["kind"] = _question_kind(kind, asked)
                call = turn.find_call(part.tool_call_id)
                asks = self._run.ask if call is None else call.ask
                entry["question"] = asks(**{"prompt": part.tool_name, **asked} if call is None else asked)
            self._waiting[part.tool_call_id] = entry

    def _unread(self) -> tuple[list[ModelMessage], str | Sequence[UserContent] | None]:
        """Return what the history lacks of the page's messages: earlier ones, and the prompt, if there is one."""
        unread: list[Message] = []
        for message in reversed(self._run.messages):
            if message.role == "user" and message.id == self._last:
                break
            unread.append(message)
        unread.reverse()
        first = next((place for place, message in enumerate(unread) if message.role == "user"), len(unread))
        after = len(unread)
        while after > first and unread[after - 1].role == "user":
            after -= 1
        parts = [part for message in unread[after:] for part in message.parts]
        prompt = user_content(parts) if after < len(unread) else None
        return [one for message in unread[first:after] for one in _converted(message)], prompt

    def _was_answered(self, earlier: Sequence[ModelMessage]) -> bool:
        """Return whether the page has answered the last call of a thread whose history is not here.

        Args:
            earlier: What the page knows of the history.
        """
        answered = any(isinstance(command, AddToolResult) for command in self._run.commands)
        ends = bool(earlier) and isinstance(earlier[-1], ModelRequest)
        return answered and ends and not self._run.messages.open_calls()

    def _is_open(self, call_id: str) -> bool:
        """Return whether a call that the agent waits for can still be answered."""
        entry = self._waiting[call_id]
        if entry["kind"] != "external":
            return any(question["id"] == entry["question"] for question in self._run.pending)
        call = self._run.messages.find_tool_call(call_id)
        return call is not None and call.open

    def _results(self) -> DeferredToolResults:
        """Return the answers to all calls that the agent waits for."""
        answers = self._run.answers  # reading them takes them
        results = DeferredToolResults()
        for call_id, entry in self._waiting.items():
            if entry["kind"] == "external":
                results.calls[call_id] = _result_of(self._run.messages.find_tool_call(call_id))
                continue
            answer = answers.get(entry["question"], {"dismissed": True})
            if entry["kind"] == "approval":
                results.approvals[call_id] = _approval_of(answer)
            else:
                results.calls[call_id] = _answer_of(answer)
        return results


def _name(place: int) -> str:
    """Return the name in `run.memory` of the messages of a run, as Pydantic AI encodes them."""
    return f"pydantic_ai:{place}"


def _stored(memory: Mapping[str, Any]) -> Iterator[list[ModelMessage]]:
    """Yield the messages of each run.

    Raises:
        ValidationError: Pydantic AI cannot read them.
    """
    for place in itertools.count():
        encoded = memory.get(_name(place))
        if encoded is None:
            return
        yield ModelMessagesTypeAdapter.validate_json(encoded)


def _question_kind(kind: str, asked: Mapping[str, Json]) -> Kind:
    if kind == "approval":
        return "approval"
    return "input" if "schema" in asked else "choice" if "options" in asked else "text"


def _approval_of(answer: Mapping[str, Json]) -> ToolApproved | ToolDenied:
    if answer.get("approved") is True:
        edited = answer.get("value")
        return ToolApproved(override_args=edited if isinstance(edited, dict) else None)
    return ToolDenied(UNANSWERED if answer.get("dismissed") else denied(answer))


def _answer_of(answer: Mapping[str, Json]) -> ToolReturn[Any] | ToolFailed:
    if answer.get("approved") is not True:
        return ToolFailed(UNANSWERED if answer.get("dismissed") else denied(answer))
    return ToolReturn(next((answer[name] for name in ("value", "text", "optionId") if name in answer), True))


def _result_of(call: ToolCall | None) -> ToolReturn[Any] | ToolFailed:
    if call is None or not call.settled or call.result == DISMISSED:
        return ToolFailed(UNANSWERED)
    if call.part.get("isError"):
        return ToolFailed(result_text(call))
    return ToolReturn(result_text(call) if "modelContent" in call.part else plain_copy(call.result))


def _converted(message: Message) -> Iterator[ModelMessage]:
    """Yield a message of the page as messages of a history, as far as texts, files and calls say it."""
    if message.role == "user":
        yield ModelRequest(parts=[UserPromptPart(user_content(message.parts))])
        return
    for one in rounds(message):
        texts = [TextPart(text) for text in one.texts]
        yield ModelResponse(parts=[*texts, *(ToolCallPart(call.name, call.args, call.id) for call in one.calls)])
        if one.calls:
            yield ModelRequest(
                parts=[
                    ToolReturnPart(call.name, call.result, call.id, outcome="failed" if call.is_error else "success")
                    for call in one.calls
                ]
            )
