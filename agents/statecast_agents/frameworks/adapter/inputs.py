"""Inputs: the commands of a run, as a framework needs them.

The engine has already applied the commands to the messages. This module finds those messages again, with their ids in
the state, so a framework can use the same ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec import UNSET

from statecast_agents.commands import AddMessage, AddToolResult
from statecast_agents.message import Message, ToolCall
from statecast_agents.run import Run
from statecast_agents.values import Json

__all__ = ["Inputs", "inputs"]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """A run's commands, as a framework needs them."""

    messages: Sequence[Message]  #: the new messages, as they are in the state
    after: str | None  #: the id of the message that the first new one follows; None: it is the first
    forks: bool  #: whether messages after `after` were taken out, so that a framework's history ends there, too
    again: bool  #: whether the last message is one that was answered before, and is to be answered again
    results: Mapping[str, AddToolResult]  #: results of tool calls that the page has run, by their ids
    #: the answers that questions have got, by the questions' ids, see `Run.answers`; none while the thread `waits`
    answers: Mapping[str, Mapping[str, Json]]
    #: whether the run was begun by an answer or a result, and others are still missing: a framework that needs all of
    #: them at once has nothing to do yet
    waits: bool
    tools: Mapping[str, Json]  #: the frontend's tools: name → `{"description"?, "parameters": JSON Schema}`


def inputs(run: Run) -> Inputs:
    """Return the run's commands as a framework needs them. Takes the answers, if none is missing."""
    added = [command for command in run.commands if isinstance(command, AddMessage)]
    places = _places(run, added)
    first = places[0] if places else len(run.messages)
    edits = [command for command in added if command.source_id is not None]
    dropped = run.messages.dropped
    after = run.messages[first - 1].id if first else None
    again = bool(edits) and not any(
        entry["parentId"] == after and entry["message"].get("role") == "user" for entry in dropped
    )
    waits = not added and (bool(run.pending) or any(map(_needs_page, run.messages.open_calls())))
    return Inputs(
        messages=[run.messages[place] for place in places],
        after=after,
        forks=bool(edits or dropped),
        again=again,
        results={command.tool_call_id: command for command in run.commands if isinstance(command, AddToolResult)},
        answers={} if waits else run.answers,
        waits=waits,
        tools=run.request.tools,
    )


def _needs_page(call: ToolCall) -> bool:
    """Return whether an open call gets its result from the page: nobody was asked for approval of it."""
    return "approval" not in call.part


def _places(run: Run, added: Sequence[AddMessage]) -> list[int]:
    """Return the indexes of the messages that commands have added, in order; an edit may have taken some out again."""
    found: list[int] = []
    place = len(run.messages)
    for command in reversed(added):
        at = next((index for index in range(place - 1, -1, -1) if _is_of(run.messages[index], command)), None)
        if at is not None:
            found.append(at)
            place = at
    return found[::-1]


def _is_of(message: Message, command: AddMessage) -> bool:
    """Return whether a message may be the one that a command has added."""
    given = command.message
    known = given.id is not UNSET and message.id == given.id
    return known or (message.role == given.role and message.parts == given.parts)
