"""Changes of a batch, apart by thread: what belongs to one thread is written or refused together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from .base import Moved
from .key import Key

__all__ = ["by_thread"]


class _Change(Protocol):
    @property
    def key(self) -> Key: ...


_C = TypeVar("_C", bound=_Change)


def by_thread(changes: Iterable[_C]) -> list[list[_C]]:
    """Return the changes of each thread in order; threads that a move connects share a group."""
    groups: dict[Key, list[_C]] = {}
    for change in changes:
        group = groups.setdefault(change.key, [])
        if isinstance(change, Moved):
            to = Key(change.owner, change.key.thread_id)
            other = groups.setdefault(to, group)
            if other is not group:
                group += other  # what was before, on either of the two
                groups.update(dict.fromkeys((key for key, known in groups.items() if known is other), group))
        group.append(change)
    return list({id(group): group for group in groups.values()}.values())
