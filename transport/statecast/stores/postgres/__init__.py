"""The PostgreSQL store: see `store`."""

from .store import PostgresStore

__all__ = ["PostgresStore"]
