"""Approvals on tool calls: those that a state has on a call, and those that a call of the tool `approval` asks for.

Every protocol that has a form for approvals gets both as the same two events.
Source: docs/protocol/questions.md, "Questions".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeGuard

from statecast_agents import Json, chunks

from .part_events import ApprovalAnswered, ApprovalAsked, Event
from .projection import Projection

__all__ = ["APPROVAL", "ApprovalCalls", "answer_of", "answers_call", "is_answered", "is_asked"]

#: The tool by which an agent asks its user for approval in the middle of a run, see `Run.approval`.
APPROVAL: Final = "approval"


def is_asked(approval: Json) -> TypeGuard[dict[str, Json]]:
    """Return whether the `approval` of a call is open."""
    return isinstance(approval, dict) and isinstance(approval.get("id"), str) and not is_answered(approval)


def is_answered(approval: Json) -> TypeGuard[dict[str, Json]]:
    """Return whether the `approval` of a call has its answer, or was dismissed."""
    return isinstance(approval, dict) and not {"approved", "resolution"}.isdisjoint(approval)


def answers_call(approval: Mapping[str, Json], result: Json) -> bool:
    """Return whether a result that a client has for a call is the answer that its `approval` got: it comes again."""
    if isinstance(result, dict):
        return "approved" in result or "optionId" in result
    if isinstance(result, bool):
        return result is approval.get("approved")
    return result is not None and result in (approval.get("optionId"), approval.get("text"))


def answer_of(result: chunks.ToolResult) -> tuple[bool, dict[str, Json]]:
    """Return whether a user has approved by the result of a call of `approval`, and the reason that was given."""
    given = result.result
    if result.is_error or not isinstance(given, dict):
        return given is True and not result.is_error, {}
    reason = given.get("reason")
    return given.get("approved") is True, {"reason": reason} if isinstance(reason, str) else {}


class ApprovalCalls:
    """The calls of the tool `approval` in a stream, as the events of approvals.

    Args:
        projection: Of the stream.
    """

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self._asking: dict[int, str] = {}  #: by part, the calls whose arguments are still to come
        #: by call, the ids under which the client was asked
        self._asked = {} if projection.client_copy is None else dict(projection.client_copy.approvals)

    def around(self, event: Event) -> Iterator[Event]:
        """Yield an event, and what it says of an approval: the request after its call, the answer before its result."""
        match event:
            case chunks.PartStarted(part=part, init=chunks.ToolCallPart() as call) if call.tool_name == APPROVAL:
                self._asking[part] = call.tool_call_id
            case chunks.ArgsFinished() if event.part in self._asking:
                id = self._asking.pop(event.part)
                yield event
                if not self._projection.cut_off and not self._projection.has_result(id):
                    self._asked[id] = id
                    yield ApprovalAsked(event.part, id, {"id": id})
                return
            case chunks.ToolResult() if self._asked:
                id = self._projection.call_id(event.part) or ""
                name = self._asked.pop(id, None)
                if name is not None:
                    approved, why = answer_of(event)
                    yield ApprovalAnswered(event.part, id, {"id": name, "approved": approved, **why})
            case _:
                pass
        yield event
