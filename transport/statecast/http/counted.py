"""Counts: what the processes of one server have counted, each for itself, and all together.

Rule: nothing here needs what the extra `metrics` installs: the parent of workers passes counts on, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

import msgspec

__all__ = ["Counted", "Counts", "Processes", "count_with", "processes_here", "summed", "sums"]

#: Levels of which the highest counts, and not their sum.
HIGHEST: Final = frozenset({"statecast_follower_lag_entries", "statecast_store_failing"})

#: How the names of samples end that say when counting began: the earliest counts.
CREATED: Final = "_created"


class Counted(msgspec.Struct, frozen=True):
    """A metric, as Prometheus has it."""

    name: str
    what: str
    kind: str  #: `counter`, `gauge` or `histogram`
    samples: list[tuple[str, dict[str, str], float]]  #: names, labels and values


Counts = Sequence[Counted]


class Processes(Protocol):
    """The processes of one server, to one of them."""

    def offer(self, own: Callable[[], list[Counted]]) -> None:
        """Have the others ask for what this process has counted."""

    async def others(self) -> Sequence[Counts]:
        """Return what the others have counted, those included that have ended."""


_here: list[Processes] = []


def count_with(processes: Processes) -> None:
    """Count together with other processes in this one from now on."""
    _here.append(processes)


def processes_here() -> Processes | None:
    """Return the processes that this one counts together with; None: it counts alone."""
    return _here[-1] if _here else None


def summed(processes: Iterable[Counts]) -> list[Counted]:
    """Return what processes have counted together."""
    families: dict[str, Counted] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for counts in processes:
        for family in counts:
            families.setdefault(family.name, family)
            found = values.setdefault(family.name, {})
            for name, labels, value in family.samples:
                place = name, tuple(sorted(labels.items()))
                found[place] = _together(family.name, name, found[place], value) if place in found else value
    return [
        msgspec.structs.replace(
            family, samples=[(name, dict(labels), value) for (name, labels), value in values[family.name].items()]
        )
        for family in families.values()
    ]


def sums(counts: Counts) -> list[Counted]:
    """Return what still counts when its process has ended: everything but the levels of a moment."""
    return [family for family in counts if family.kind != "gauge"]


def _together(family: str, name: str, one: float, other: float) -> float:
    if family in HIGHEST:
        return max(one, other)
    return min(one, other) if name.endswith(CREATED) else one + other
