"""Apply edits to sessions that are not stored with the thread.

ADK records a rewind as an event of the session, and skips the events that it removes.
"""

from __future__ import annotations

from collections.abc import Sequence

from google.adk.events import Event

__all__ = ["first_after", "live"]


def live(events: Sequence[Event]) -> list[Event]:
    """Return the events that no rewind has taken out."""
    kept: list[Event] = []
    for event in events:
        before = event.actions.rewind_before_invocation_id
        if before is None:
            kept.append(event)
        else:
            kept = kept[: next((at for at, one in enumerate(kept) if one.invocation_id == before), len(kept))]
    return kept


def first_after(events: Sequence[Event], invocation_id: str | None) -> str | None:
    """Return the id of the invocation that follows another one; None if there is none.

    Args:
        events: The session's, as far as they are live.
        invocation_id: The other one; None: the first is returned.
    """
    known = [at for at, event in enumerate(events) if event.invocation_id == invocation_id]
    later = events[known[-1] + 1 :] if known else events if invocation_id is None else ()
    return next((event.invocation_id for event in later if event.invocation_id), None)
