"""How `make load` shows what it sees: a curve for each figure on a terminal, and a line for each interval elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO

import msgspec

__all__ = ["Gauges", "Lines", "Reading"]

WIDTH = 60  #: intervals that a curve shows
_BARS = " ▁▂▃▄▅▆▇█"


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen in one interval."""

    seconds: float  #: since the load began
    tokens: float  #: a second, at the clients of the streams
    streams: tuple[float, float] | None  #: seconds that a token waited: median and 99th percentile
    followers: tuple[float, float] | None
    cpu: float  #: cores that the server used
    memory: int  #: bytes that the server holds


class Lines:
    """A line for each interval."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        print("   s   tokens/s   streams p50     p99   followers p50     p99     CPU   memory", file=out, flush=True)

    def show(self, reading: Reading) -> None:
        """Print what was seen."""
        streams, followers = (_pair(waits) for waits in (reading.streams, reading.followers))
        print(
            f"{reading.seconds:4.0f} {reading.tokens:10,.0f}   {streams[0]:>11} {streams[1]:>7}   {followers[0]:>13} "
            f"{followers[1]:>7} {reading.cpu:7.0%} {reading.memory / 1e6:5.0f} MB",
            file=self._out,
            flush=True,
        )


class Gauges:
    """A curve for each figure, drawn anew in place."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self._seen: list[Reading] = []

    def show(self, reading: Reading) -> None:
        """Draw all curves up to what was seen."""
        if self._seen:
            print(f"\x1b[{len(_FIGURES) + 1}F\x1b[J", end="", file=self._out)
        self._seen = [*self._seen, reading][-WIDTH:]
        print(f"{reading.seconds:.0f} s", file=self._out)
        for title, figure, form in _FIGURES:
            values = [figure(seen) for seen in self._seen]
            print(f"{title:>14} {curve(values):<{WIDTH}} {form(values[-1])}", file=self._out)
        self._out.flush()


def curve(values: list[float]) -> str:
    """Return values as bars, of which the largest is full."""
    most = max(values) or 1.0
    return "".join(_BARS[min(len(_BARS) - 1, round(value / most * (len(_BARS) - 1)))] for value in values)


def _waited(which: int, place: int) -> Callable[[Reading], float]:
    def figure(reading: Reading) -> float:
        waits = (reading.streams, reading.followers)[which]
        return waits[place] if waits else 0.0

    return figure


def _pair(waits: tuple[float, float] | None) -> tuple[str, str]:
    return ("–", "–") if waits is None else (_milliseconds(waits[0]), _milliseconds(waits[1]))


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"


#: Title, figure, and how its last value is written.
_FIGURES: tuple[tuple[str, Callable[[Reading], float], Callable[[float], str]], ...] = (
    ("tokens/s", lambda reading: reading.tokens, "{:,.0f}".format),
    ("streams p50", _waited(0, 0), _milliseconds),
    ("streams p99", _waited(0, 1), _milliseconds),
    ("followers p50", _waited(1, 0), _milliseconds),
    ("followers p99", _waited(1, 1), _milliseconds),
    ("CPU", lambda reading: reading.cpu, "{:.0%}".format),
    ("memory", lambda reading: reading.memory, lambda size: f"{size / 1e6:.0f} MB"),
)
