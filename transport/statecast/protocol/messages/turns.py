"""Turns: what follows one message of the user, up to the next. By them a client's tool calls are found in a thread.

A model may number its calls anew in each turn, or in each round of one, so the id of a call alone does not tell which
is meant. Source: docs/protocol.md, "Conversations".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from statecast_agents import Json

__all__ = ["Call", "calls_in", "paired"]


class Call(msgspec.Struct, frozen=True):
    """A tool call, and where it is."""

    turn: int  #: how many messages of the user came before
    message: Json  #: the id of the message that has it
    part: Mapping[str, Any]

    @property
    def id(self) -> Json:
        """The call's id."""
        return self.part.get("toolCallId")

    @property
    def open(self) -> bool:
        """Whether a result may still come."""
        return "result" not in self.part and "cutOff" not in self.part


def calls_in(messages: Iterable[tuple[Json, Json, Sequence[Any]]]) -> Iterator[Call]:
    """Yield the tool calls of messages, each given by its role, its id and its parts."""
    turn = 0
    for role, id, parts in messages:
        turn += role == "user"
        for part in parts:
            if isinstance(part, dict) and part.get("type") == "tool-call":
                yield Call(turn, id, part)


def paired(
    theirs: Sequence[Call], ours: Sequence[Call], turns: Mapping[int, int | None]
) -> Iterator[tuple[Call, Call]]:
    """Yield a client's calls, each with the thread's own.

    Args:
        theirs: The client's, in their order.
        ours: The thread's, in theirs.
        turns: By the client's turns, which of the thread's it is; None: any. Of one that is not named nothing is known:
            a call of it is found by its id, if no other has that.
    """
    by_turn: dict[tuple[int | None, Json], list[Call]] = {}
    for call in ours:
        for turn in (call.turn, None):
            by_turn.setdefault((turn, call.id), []).append(call)
    for call in reversed(theirs):
        known = call.turn in turns
        found = by_turn.get((turns[call.turn] if known else None, call.id))
        if found and (known or len(found) == 1):
            yield call, found.pop() if known else found[0]
