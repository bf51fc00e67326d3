"""A journal for what runs still do when another process has their thread: nothing of it is stored or shown."""

from __future__ import annotations

from statecast.stores import Key, SharedChange
from statecast.threads.log.journal import Journal

__all__ = ["DiscardingJournal"]


class DiscardingJournal(Journal):
    """Takes changes, and forgets them."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal.store)
        self.instant = True  # what is done waits for nothing

    def add(self, *changes: SharedChange) -> None:
        """Forget changes."""

    async def wait_stored(self, key: Key | None = None) -> None:
        """Do not wait."""
