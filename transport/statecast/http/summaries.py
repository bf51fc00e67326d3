"""Summaries as clients write and list them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from statecast.protocol.errors import InvalidRequest
from statecast.stores import Key, Summary, SummaryChanged
from statecast.threads import MAX_FIELD
from statecast.threads.errors import FieldTooLarge
from statecast_agents import Json

__all__ = ["MOST", "check_title", "fitting", "limit_of", "seconds", "summary_change", "timestamp"]

#: Things in an answer, at most.
MOST: Final = 200

#: Bytes of an answer that lists things, after which it ends early: about, and for clients that can ask for the rest.
MOST_BYTES: Final = 2**20

#: Characters of a title, and of an app's own id.
MAX_TITLE: Final = 1_000
MAX_EXTERNAL_ID: Final = 500


def summary_change(
    key: Key,
    *,
    title: str | UnsetType | None = UNSET,
    external_id: str | UnsetType | None = UNSET,
    custom: Json | UnsetType = UNSET,
    archived: bool | UnsetType = UNSET,
    last: float | UnsetType = UNSET,
) -> SummaryChanged:
    """Return the change of a summary that a client asks for.

    Raises:
        RequestError: `invalid_request` for what is too long; `field_too_large`.
    """
    data = UNSET if custom is UNSET else msgspec.json.encode(custom)
    if isinstance(data, bytes) and len(data) > MAX_FIELD:
        message = (
            f"expected at most {MAX_FIELD} bytes of custom data for a thread, got {len(data)}; use the state for more"
        )
        raise FieldTooLarge(message, limit=MAX_FIELD)
    check_title(title)
    if isinstance(external_id, str):
        _check_length("external id", external_id, MAX_EXTERNAL_ID)
    return SummaryChanged(
        key=key,
        at=time.time(),
        title=title,
        external_id=external_id,
        custom=data,
        archived=archived,
        last=last,
    )


def check_title(title: str | UnsetType | None) -> None:
    """Check that a title is no longer than lists can show.

    Raises:
        RequestError: `invalid_request`.
    """
    if isinstance(title, str):
        _check_length("title", title, MAX_TITLE)


def _check_length(name: str, value: str, most: int) -> None:
    if len(value) > most:
        message = f"expected the {name} to have at most {most} characters, got {len(value)}"
        raise InvalidRequest(message, limit=most)


def fitting(summaries: Sequence[Summary]) -> Sequence[Summary]:
    """Return the first summaries, as many as fit into an answer, and one at least."""
    size = 0
    for at, summary in enumerate(summaries):
        size += len(summary.custom)
        if size > MOST_BYTES and at:
            return summaries[:at]
    return summaries


def limit_of(given: str | None, default: int) -> int:
    """Return a query's limit.

    Raises:
        RequestError: `invalid_request`.
    """
    if given is None:
        return default
    if not given.isascii() or not given.isdigit() or not 1 <= int(given[:9]) <= MOST:
        message = f'expected a limit of 1 to {MOST}, got "{given[:20]}"'
        raise InvalidRequest(message, limit=MOST)
    return int(given)


def timestamp(when: float) -> str:
    """Format a time (seconds since the epoch) as JavaScript's `toISOString()`: some clients parse no other format."""
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(text: str) -> float:
    """Parse a client's time, no later than now, as seconds since the epoch.

    Raises:
        RequestError: `invalid_request`.
    """
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None and found.year >= 1970:
            return min(found.timestamp(), time.time())
    except (ValueError, OverflowError):
        pass
    message = f'expected a time such as "2026-01-02T03:04:05.678Z", got "{text[:40]}"'
    raise InvalidRequest(message)
