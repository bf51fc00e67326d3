"""What a process that was killed left in its segments, and how it comes into SQLite when the store is opened again.

SQLite has all changes but entries up to a commit, whose number it knows. The changes of the commits after it follow, up
to the first commit that is missing. Entries are written later than other changes, so those of all commits are looked
at, and of each thread those that follow on what SQLite has.
"""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path

import msgspec

from statecast.stores.log import Kind

from . import entries
from .backlog import Portion
from .commits import KINDS, Commit, Inserted, Other
from .database import applied_of, begin_era, begin_generation, clock_of, generations_of
from .segment import SegmentReader, segments_of
from .writing import Lost, Writing

__all__ = ["Left", "bring_in", "left_beside"]


class Left(msgspec.Struct):
    """What the segments beside a database hold."""

    number: int  #: of the last commit
    others: list[Other] = []  #: changes that SQLite does not have
    entries: dict[int, list[tuple[int, Kind, bytes]]] = {}  #: all that can be read, by row
    paths: list[Path] = []  #: the segments, which are of no use once all of this is in SQLite
    leftovers: list[Path] = []  #: segments of which all is in SQLite
    foreign: list[Path] = []  #: segments of other databases
    damage: list[str] = []  #: what cannot be read, a line each
    last_row: int = 0  #: the greatest that is named
    last_segment: int = 0  #: the greatest number


def left_beside(connection: sqlite3.Connection, place: Path) -> Left:
    """Read the segments beside a database, in whose transaction the caller is."""
    generation, before = generations_of(connection)
    applied = applied_of(connection)
    left = Left(applied)
    goes_on = True
    follows: int | None = None  #: the number of the next commit; None before the first
    for left.last_segment, path in segments_of(place):
        try:
            reader = SegmentReader(path)
        except FileNotFoundError:  # a server deleted it meanwhile: all of it is in SQLite
            continue
        if reader.unbegun or (reader.generation and reader.generation == before):
            left.leftovers.append(path)
            continue
        if not reader.generation or reader.generation != generation:
            left.foreign.append(path)
            continue
        left.paths.append(path)
        for commit in reader if goes_on else ():
            if commit.number != follows and (follows is not None or commit.number > applied + 1):
                left.damage.append(f"{path.name}: a commit is missing before number {commit.number}")
                goes_on = False
                break
            follows = commit.number + 1
            _add(left, commit, applied=commit.number <= applied)
        if reader.damaged:
            left.damage.append(f"{path.name}: the commits after number {left.number} cannot be read")
            goes_on = False
    return left


def _add(left: Left, commit: Commit, *, applied: bool) -> None:
    """Add a commit to what is left."""
    left.number = max(left.number, commit.number)
    for row, revision, code, data in commit.entries:
        left.entries.setdefault(row, []).append((revision, KINDS[code], data))
    left.last_row = max([left.last_row, *(row for row, *_ in commit.entries)])
    if not applied:
        left.others += commit.others
        rows = (other.row for other in commit.others if isinstance(other, Inserted))
        left.last_row = max([left.last_row, *rows])


def bring_in(connection: sqlite3.Connection, left: Left) -> str:
    """Write what is left into a database, and return the name of a new generation of segments.

    A new era begins if something cannot be read.
    """
    writing = Writing(clock_of(connection))
    while True:
        connection.execute("BEGIN IMMEDIATE")
        try:
            _write(connection, left, writing, clock_of(connection).now())
            if left.damage:
                begin_era(connection)
            generation = begin_generation(connection)
            connection.execute("COMMIT")
            return generation
        except Lost:
            connection.execute("ROLLBACK")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _write(connection: sqlite3.Connection, left: Left, writing: Writing, now: float) -> None:
    others = [(None, now, other) for other in left.others]
    writing.write(connection, Portion(left.number, others, [], {}, 0), carefully=True)
    follow: list[entries.Taken] = []

    def look_at(row: int) -> None:
        follow.extend(entries.following(connection, {row: left.entries[row]}))

    for row in left.entries:
        if row not in writing.refused:
            writing.attempt(connection, row, f"entries of row {row}", partial(look_at, row))
    touched = dict.fromkeys((row for row, _ in follow), now)
    writing.write(connection, Portion(left.number, [], follow, touched, 0), carefully=True)
