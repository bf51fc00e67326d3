"""Had: what a client has of an answer already, so that a stream that goes on with it shows only what is new.

A client that holds the messages itself posts them with every request, and with them the answer as far as it has come:
with the results of tools in it, or because its stream was cut off. What the thread has beyond that is new to it.
Source: docs/protocol.md, "Projections".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from statecast_agents import Json

from .shown import BETWEEN, GROWING, Part

__all__ = ["Had"]


class Had:
    """The parts of an answer, in the order in which a client has them.

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
        self._left = [dict(part) for part in parts or ()]

    def take(self, part: Part, value: Mapping[str, Any]) -> bool:
        """Note on `part` how much the client has of a part of the state; whether it has any of it."""
        if self._everything or (self._carries is not None and part.kind not in self._carries):
            _shown_whole(part, value)
            return True
        if part.kind in ("text", "reasoning"):
            return self._take_text(part, str(value.get("text") or ""))
        for index, known in enumerate(self._left):
            if part.fits(str(known.get("type")), known):
                del self._left[index]
                _shown_whole(part, known)
                if part.identity in self._unconfirmed:
                    part.result = None
                part.early = part.result is not None
                return True
        return False

    def _take_text(self, part: Part, text: str) -> bool:
        """Take a text of the state from the client's; one side may have in pieces what is one text on the other."""
        shown = ""
        while shown != text:
            index = next((at for at, known in enumerate(self._left) if known.get("type") == part.kind), None)
            if index is None:
                break
            has, rest = str(self._left[index].get("text") or ""), text[len(shown) :]
            if not (rest.startswith(has) or has.startswith(rest)):
                has = has.removeprefix(BETWEEN)  # it has several texts of ours as one
            if rest.startswith(has):
                del self._left[index]
                shown += has
            elif has.startswith(rest):
                self._left[index]["text"] = has[len(rest) :]
                shown += rest
            else:
                break
        part.set_text(shown)
        return bool(shown)


def _shown_whole(part: Part, value: Mapping[str, Json]) -> None:
    field = GROWING.get(part.kind)
    if field is not None:
        part.set_text(str(value.get(field) or ""))
    part.args_open = False
    part.data = value.get("data")
    if isinstance(name := value.get("id"), str) and part.kind == "data":
        part.name = name
    part.note_result(value)
