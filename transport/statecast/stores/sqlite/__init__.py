"""The SQLite store: one file, nothing to install."""

from .store import SqliteStore

__all__ = ["SqliteStore"]
