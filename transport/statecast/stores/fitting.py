"""Whether changes fit what a store holds: a store refuses those that do not, before it writes any."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .base import Change, Deleted, Moved
from .errors import ChangeRefused
from .key import Key
from .log import Created
from .records import RecordErased, RecordWritten, SummaryChanged

__all__ = ["check_fit"]


def check_fit(changes: Sequence[Change], has_thread: Callable[[Key], bool], has_summary: Callable[[Key], bool]) -> None:
    """Check that changes fit, one after the other.

    Args:
        changes: The changes.
        has_thread: Returns whether there is a thread, before the changes.
        has_summary: Likewise, whether there is a summary; asked only for what a thread is moved to.

    Raises:
        ChangeRefused: One of them does not.
    """
    threads: dict[Key, bool] = {}
    summaries: dict[Key, bool] = {}

    def has(key: Key) -> bool:
        return threads[key] if key in threads else has_thread(key)

    def summarized(key: Key) -> bool:
        return summaries[key] if key in summaries else has_summary(key)

    for change in changes:
        key = change.key
        match change:
            case Created():
                if has(key):
                    raise ChangeRefused(f"the store has a thread {key.thread_id!r} already")
                threads[key] = True
            case Deleted():
                threads[key] = summaries[key] = False
            case SummaryChanged():
                summaries[key] = True
            case RecordWritten() | RecordErased():
                pass
            case Moved():
                to = Key(change.owner, key.thread_id)
                if has(to) or summarized(to):
                    raise ChangeRefused(f"the store has a thread {key.thread_id!r} of that owner already")
                threads[to], summaries[to] = has(key), summarized(key)
                threads[key] = summaries[key] = False
            case _:
                if not has(key):
                    raise ChangeRefused(f"the store has no thread {key.thread_id!r} to write to")
