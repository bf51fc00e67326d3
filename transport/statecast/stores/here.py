"""What becomes of a store in this process.

In a worker, a store that one process has open is the connection to that process. Its app is made by code that knows
nothing of workers, so it is the process that knows.
"""

from __future__ import annotations

from collections.abc import Callable

from .base import Store

__all__ = ["convert_stores", "store_here"]

_conversions: list[Callable[[Store], Store]] = []


def convert_stores(convert: Callable[[Store], Store]) -> None:
    """Convert all stores that are opened in this process from now on."""
    _conversions.append(convert)


def store_here(store: Store) -> Store:
    """Return what a store is in this process."""
    for convert in _conversions:
        store = convert(store)
    return store
