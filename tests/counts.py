"""How often random tests try: seldom in `make test`, and often in `make test-long`.

STATECAST_TEST_LONG=1 stands for often. A variable of its own, such as STATECAST_KILLS, sets one count by itself.
"""

from __future__ import annotations

import os

from hypothesis import settings

__all__ = ["LONG", "count", "examples"]

LONG = os.environ.get("STATECAST_TEST_LONG") == "1"


def count(name: str, usual: int, *, long: int) -> int:
    """Return how often to try: $STATECAST_<name>, or one of the two counts."""
    return int(os.environ.get(f"STATECAST_{name}") or (long if LONG else usual))


def examples(long: int) -> settings:
    """Return the settings of a property that is tried on that many examples in `make test-long`, else on a third."""
    return settings(max_examples=long if LONG else -(-long // 3), deadline=None)
