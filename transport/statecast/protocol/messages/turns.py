"""Turns: a user message and what follows it, up to the next. A client's tool calls are matched to a thread's by turn.

A model may reuse call ids in each turn, or in each step of one, so a call's id alone does not identify it.

Source: docs/protocol/message-protocols.md, "Conversations".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from statecast_agents import Json

__all__ = ["Call", "calls_in", "paired"]


class Call(msgspec.Struct, frozen=True):
    """A tool call and its position."""

    turn: int  #: how many messages of the user came before
    message: Json  #: the id of the message that has it
    part: Mapping[str, Any]

    @property
    def id(self) -> Json:
        """The call's id."""
        return self.part.get("toolCallId")

    @property
    def open(self) -> bool:
        """Whether the call has no result yet."""
        return "result" not in self.part and "cutOff" not in self.part


def calls_in(messages: Iterable[tuple[Json, Json, Sequence[Any]]]) -> Iterator[Call]:
    """Yield the tool calls in messages, given as (role, id, parts)."""
    turn = 0
    for role, id, parts in messages:
        turn += role == "user"
        for part in parts:
            if isinstance(part, dict) and part.get("type") == "tool-call":
                yield Call(turn, id, part)


def paired(
    client_calls: Sequence[Call], thread_calls: Sequence[Call], turns: Mapping[int, int | None]
) -> Iterator[tuple[Call, Call]]:
    """Yield each of a client's calls with the matching call of the thread.

    Args:
        client_calls: The client's, in their order.
        thread_calls: The thread's, in their order.
        turns: By the client's turns, which of the thread's it is; None: any. Of one that is not named nothing is known:
            a call of it is found by its id, if no other has that.
    """
    by_turn: dict[tuple[int | None, Json], list[Call]] = {}
    for call in thread_calls:
        for turn in (call.turn, None):
            by_turn.setdefault((turn, call.id), []).append(call)
    for call in reversed(client_calls):
        known = call.turn in turns
        found = by_turn.get((turns[call.turn] if known else None, call.id))
        if found and (known or len(found) == 1):
            yield call, found.pop() if known else found[0]
