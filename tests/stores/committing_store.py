"""A SQLite store for tests that override `commit`: everything goes through it."""

from __future__ import annotations

from collections.abc import Sequence

from statecast.stores import Change, SqliteStore

__all__ = ["CommittingStore"]


class CommittingStore(SqliteStore):
    """Leaves everything to `commit`."""

    def append_nowait(self, changes: Sequence[Change]) -> bool:
        return False
