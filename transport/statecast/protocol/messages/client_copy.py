"""Client copy: the parts of an answer that a client already holds, so that a resumed stream sends only the rest.

A client that holds the messages itself posts them with every request, including the answer as far as it has come:
with the results of tools in it, or because its stream was cut off. What the thread has beyond that is new to it.
Source: docs/protocol/message-protocols.md, "Projections".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from statecast_agents import Json

from .sent import BETWEEN, GROWING, Part, likeness

__all__ = ["ClientCopy"]

#: The types of parts that have nothing but their text.
_TEXTS: Final = ("text", "reasoning")


class ClientCopy:
    """The parts of an answer that a client holds, in its order.

    Args:
        parts: In the shape that a state has; None: everything that is there when the stream starts.
        carries: The types of parts that such a client can tell of; None: all. Of others it is taken to have all.
        approvals: By tool call, the ids under which the client was asked to approve them.
        unconfirmed: Tool calls whose result the client has sent, and that wait to hear it from the thread.
    """

    def __init__(
        self,
        parts: Sequence[Mapping[str, Any]] | None = None,
        *,
        carries: Collection[str] | None = None,
        approvals: Mapping[str, str] | None = None,
        unconfirmed: Collection[str] = (),
    ) -> None:
        self.approvals = dict(approvals or {})
        self._everything = parts is None
        self._carries = carries
        self._unconfirmed = unconfirmed
        self._texts: dict[str, deque[str]] = {kind: deque() for kind in _TEXTS}  #: that are left, by kind
        self._matched = dict.fromkeys(_TEXTS, 0)  #: characters of the first of them that are matched already
        self._others: dict[tuple[str, str], deque[Mapping[str, Any]]] = {}  #: the other parts, by what tells them apart
        for part in parts or ():
            kind = str(part.get("type"))
            if kind in _TEXTS:
                self._texts[kind].append(str(part.get("text") or ""))
            else:
                self._others.setdefault(likeness(kind, part), deque()).append(part)

    def match(self, part: Part, value: Mapping[str, Any]) -> bool:
        """Record on `part` how much the client has of a part of the state; return whether it has any of it."""
        # A part that its messages cannot carry counts as known: else every stream would send it once more.
        if self._everything or (self._carries is not None and part.kind not in self._carries):
            _mark_sent(part, value)
            return True
        if part.kind in _TEXTS:
            return self._take_text(part, str(value.get("text") or ""))
        left = self._others.get(part.likeness)
        if not left:
            return False
        _mark_sent(part, left.popleft())
        if part.identity in self._unconfirmed:
            part.result = None  # so that the thread's result is sent, which the client waits for
            asked = part.approval or {}
            part.approval = {"id": asked["id"]} if "id" in asked else None
        part.early = part.result is not None
        return True

    def _take_text(self, part: Part, text: str) -> bool:
        """Match a text of the state against the client's texts; either side may have split it."""
        left, at = self._texts[part.kind], 0
        while at < len(text) and left:
            shared = _shared(left[0], self._matched[part.kind], text, at)
            if shared is None:
                break
            start, size = shared
            at += size
            if start + size < len(left[0]):
                self._matched[part.kind] = start + size
            else:
                left.popleft()
                self._matched[part.kind] = 0
        part.set_text(text[:at])
        return at > 0


def _shared(client_text: str, matched: int, thread_text: str, at: int) -> tuple[int, int] | None:
    """Return where the client's text and the thread's overlap, as (start, length); None if neither is a prefix.

    What is left of both counts, past `matched` and `at`. A client may have several texts of the thread as one, with
    `BETWEEN` before this one.
    """
    for start in (matched, matched + len(BETWEEN)) if client_text.startswith(BETWEEN, matched) else (matched,):
        size = min(len(client_text) - start, len(thread_text) - at)
        shorter = thread_text[at:] if len(thread_text) - at == size else client_text[start:]
        if client_text.startswith(shorter, start) and thread_text.startswith(shorter, at):
            return start, size
    return None


def _mark_sent(part: Part, value: Mapping[str, Json]) -> None:
    field = GROWING.get(part.kind)
    if field is not None:
        part.set_text(str(value.get(field) or ""))
    part.args_open = False
    part.data = value.get("data")
    if isinstance(name := value.get("id"), str) and part.kind == "data":
        part.name = name
    part.record_result(value)
    approval = value.get("approval")
    part.approval = approval if isinstance(approval, dict) else None
