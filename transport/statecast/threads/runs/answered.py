"""What a run has answered: its messages, the tokens of its model calls, and its tool calls, for observers.

The messages are the agent's, and may be any JSON; reading them never raises.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from statecast.protocol import ChunkEntry
from statecast.protocol.messages.state_messages import parts_of
from statecast.threads.log.logged_state import LoggedState
from statecast.threads.observer import Answered, ObservedCall
from statecast_agents import Json
from statecast_agents.chunks import Chunk, MessageFinished, PartStarted, StepFinished, ToolCallPart, ToolResult, Usage
from statecast_agents.metadata import Report, report_of, steps_in

__all__ = ["Place", "answered_since", "place_of"]


class Place(msgspec.Struct, frozen=True):
    """How far a thread was when a run began; the run may continue the last message."""

    revision: int
    messages: int = 0
    parts: int = 0  #: of the last message
    steps: Sequence[Json] = ()  #: likewise
    cost: float | None = None  #: likewise, if the agent has told one


def place_of(thread: LoggedState) -> Place:
    """Return how far a thread is."""
    shown = thread.document.list_at(thread.agent.messages)
    if not shown:
        return Place(thread.log.revision)
    last = shown[-1]
    metadata = _metadata(last)
    cost = _cost(report_of(metadata))
    return Place(thread.log.revision, len(shown), len(parts_of(last)), list(steps_in(metadata)), cost)


def answered_since(thread: LoggedState, place: Place, run_id: str) -> Answered:
    """Return what a run has answered in the messages of its thread since a place, and in its chunks."""
    if thread.gone:
        return Answered()
    messages = thread.document.list_at(thread.agent.messages)[max(place.messages - 1, 0) :]
    continued = place.messages > 0 and len(messages) > 0
    calls: list[ObservedCall] = []
    usages: list[Usage] = []
    steps, costs = 0, list[float]()
    for index, message in enumerate(messages):
        known = place if continued and index == 0 else Place(0)
        calls += [_call(part) for part in parts_of(message)[known.parts :] if part.get("type") == "tool-call"]
        report = report_of(_metadata(message), known.steps)
        if report.usage is not None:
            usages.append(report.usage)
        steps += max(0, len(steps_in(_metadata(message))) - len(known.steps))
        cost = _cost(report)
        if cost is not None and cost != known.cost:
            earlier = known.cost or 0
            costs.append(cost - earlier if cost > earlier else cost)  # a lower one is that of this answer alone
    entries = thread.log.rest(place.revision)
    chunks = [entry.chunk for entry in entries if isinstance(entry, ChunkEntry) and entry.run_id == run_id]
    calls += _calls_in(chunks)
    usages += _usages_in(chunks)
    steps += sum(isinstance(chunk, StepFinished) for chunk in chunks)
    has_grown = continued and len(parts_of(messages[0])) > place.parts
    return Answered(
        usage=sum(usages[1:], usages[0]) if usages else None,
        calls=calls,
        messages=messages if has_grown or not continued else messages[1:],
        steps=steps,
        cost=sum(costs) if costs else None,
    )


def _metadata(message: Json) -> Json:
    return message.get("metadata") if isinstance(message, dict) else None


def _cost(report: Report) -> float | None:
    cost = report.more.get("cost")
    return cost if isinstance(cost, int | float) and not isinstance(cost, bool) else None


def _call(part: dict[str, Json]) -> ObservedCall:
    failed = part.get("isError") is True if "result" in part else None
    return ObservedCall(str(part.get("toolCallId")), str(part.get("toolName")), failed)


def _calls_in(chunks: Sequence[Chunk]) -> list[ObservedCall]:
    results = {chunk.part: chunk.is_error for chunk in chunks if isinstance(chunk, ToolResult)}
    return [
        ObservedCall(chunk.init.tool_call_id, chunk.init.tool_name, results.get(chunk.part))
        for chunk in chunks
        if isinstance(chunk, PartStarted) and isinstance(chunk.init, ToolCallPart)
    ]


def _usages_in(chunks: Sequence[Chunk]) -> list[Usage]:
    """Return the tokens of the model calls: of a message as a whole only where its steps do not tell."""
    steps = [chunk.usage for chunk in chunks if isinstance(chunk, StepFinished)]
    return steps or [chunk.usage for chunk in chunks if isinstance(chunk, MessageFinished)]
