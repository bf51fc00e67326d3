"""The client's view: the messages that an AG-UI client has, and the snapshots that correct them.

A client leaves what a snapshot names where it is, appends what is new to it, and removes the rest; but it keeps its
reasoning, unless the snapshot has some. Source: docs/protocol/ag-ui-events.md, "POST /ag-ui".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["ClientView"]


class ClientView:
    """The messages that a client has.

    Args:
        messages: As they were posted.
        unused: An id that no message has.
        users: To which the ids of the user's messages are added.
    """

    def __init__(self, messages: Iterable[Mapping[str, Any]], unused: str, users: set[str] | None = None) -> None:
        self._unused = unused
        self._ids: dict[str, None] = {}  #: in order
        self._reasoning: dict[str, None] = {}  #: its reasoning, in order
        self._users = set() if users is None else users
        for message in messages:
            id, role = message.get("id"), message.get("role")
            if isinstance(id, str):
                self.begin(id, reasoning=role == "reasoning")
                if role == "user":
                    self._users.add(id)

    def __contains__(self, id: object) -> bool:
        return id in self._ids

    @property
    def reasons(self) -> bool:
        """Whether it has reasoning."""
        return bool(self._reasoning)

    def begin(self, id: str, *, reasoning: bool = False) -> None:
        """Record that the stream begins or continues a message."""
        self._ids.setdefault(id)
        if reasoning:
            self._reasoning.setdefault(id)

    def snapshots(self, messages: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
        """Return the snapshots by which the client has these messages, in their order, and no others."""
        ids = dict.fromkeys(message["id"] for message in messages)
        reasoning = dict.fromkeys(message["id"] for message in messages if message["role"] == "reasoning")
        stays = [id for id in self._ids if id in ids]
        # Reasoning with nothing in it makes it forget the others. It has none of their ids: what is to come under one
        # would be where that was.
        blank = {"id": self._unused, "role": "reasoning", "content": ""} if self._reasoning else None
        self._reasoning = reasoning or ({} if blank is None else {self._unused: None})
        self._ids = ids
        self._users |= {message["id"] for message in messages if message["role"] == "user"}
        snapshots = [messages]
        same = next(
            (at for at, (before, after) in enumerate(zip(stays, ids, strict=False)) if before != after), len(stays)
        )
        if same < len(stays):
            # What it has would stay in front of what is to come before it: so it is to forget that first.
            snapshots.insert(0, messages[:same])
        return [_reasoned(snapshot, blank) for snapshot in snapshots]


def _reasoned(messages: Sequence[dict[str, Any]], blank: dict[str, Any] | None) -> list[dict[str, Any]]:
    has_some = blank is None or any(message["role"] == "reasoning" for message in messages)
    return [*messages] if has_some or blank is None else [*messages, blank]
