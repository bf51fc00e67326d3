"""An open database, with its lock and its segments. Everything here may wait, and happens on the store's thread.

Only `portions` is filled from the event loop: what is to be written before anything else is done.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from statecast.stores.key import Key

from . import records, threads
from .backlog import Portion
from .database import OpenFiles, clock_of, era_of, open_file, store_time
from .lock import Lock, sync_folder, write_marker
from .pieces import Pieces
from .recovery import Left, bring_in, left_beside
from .segment import Segment, segment_path
from .writing import Lost, Writing, is_refusal, row_of

__all__ = ["OpenDatabase"]

_T = TypeVar("_T")

_log: Final = logging.getLogger("statecast")

#: Bytes of SQLite's own log at which it is brought into the file.
CHECKPOINT_AT: Final = 2**24

#: Seconds between looks whether the files are still there. A look at one costs more than a word that is appended.
LOOK_EVERY: Final = 0.01

#: Seconds between tries to bring the log into the file, while another program reads it.
AGAIN: Final = 1.0

#: What is written to see whether the file can be written to, in the table `about`.
PROBE: Final = "probe"


class OpenDatabase:
    """A database that is open, and what a process that was killed had left beside it is in it.

    Args:
        place: The file; made if it is not there.
        durable: Whether each commit waits until the disk has it.
        patience: Seconds to wait for other programs.

    Raises:
        StoreUnavailable: Another process has it, or a newer version of Statecast wrote it.
        sqlite3.Error: It is no SQLite file.
        OSError: A segment cannot be made.
    """

    def __init__(self, place: Path, *, durable: bool, patience: float, clock: Callable[[], float]) -> None:
        self._place = place
        self._durable = durable
        self._checkpoint_from = 0.0  #: when the log may be brought into the file again
        self._lock = Lock(place, patience=patience)
        try:
            self.connection = open_file(place, durable=durable, patience=patience)
            try:
                self._files = OpenFiles(place)
                self.clock = clock_of(self.connection, clock)
                self.writing = Writing(self.clock)
                left = self._recover()
                self.pieces = Pieces(place, durable=durable, patience=patience)
                self.segment = self._segment_numbered(left.last_segment + 1)  #: that is appended to
            except BaseException:
                self.connection.close()
                raise
        except BaseException:
            self._lock.release()
            raise
        self._segment_number = left.last_segment + 1
        (last_row,) = self.connection.execute("SELECT ifnull(max(row), 0) FROM threads").fetchone()
        self.last_row: int = max(last_row, left.last_row)  #: the greatest that was ever given to a thread
        self._look_from = 0.0  #: when to look for the files again
        self.portions: deque[Portion] = deque()
        self.older: list[Segment] = []  #: segments, all of which is in `portions` or was

    def _recover(self) -> Left:
        """Bring what older segments hold into the database, and delete them."""
        connection = self.connection
        left = left_beside(connection, self._place)
        for path in left.foreign:
            _log.warning("%s belongs to another database than %s, and is not read", path, self._place)
        if left.damage:
            _log.error(
                "the store %s is damaged, and some threads have lost their last entries: %s",
                self._place,
                "; ".join(left.damage),
            )
        self._unlink(left.leftovers)
        connection.execute("PRAGMA synchronous = FULL")  # for what is deleted below is to be on the disk
        self._generation = bring_in(connection, left)
        connection.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'NORMAL'}")
        self.checkpoint()
        self.era = era_of(connection)
        self._unlink(left.paths)
        return left

    def _unlink(self, segments: Sequence[Path]) -> None:
        for path in segments:
            os.unlink(path)
        if segments:
            sync_folder(self._place.parent)

    def apply(self) -> None:
        """Write the portions to the database."""
        while self.portions:
            self._write(self.portions[0])
            self.portions.popleft()
        self.make_room()

    def _write(self, portion: Portion) -> None:
        if not (portion.others or portion.entries or portion.touched):
            return
        try:
            self._transact(lambda: self.writing.write(self.connection, portion))
        except Exception as error:
            if not is_refusal(error):
                raise
            while True:
                with contextlib.suppress(Lost):
                    self._transact(lambda: self.writing.write(self.connection, portion, carefully=True))
                    return

    def _transact(self, write: Callable[[], None]) -> None:
        """Write something in a transaction."""
        connection = self.idle_connection()
        try:
            connection.execute("BEGIN IMMEDIATE")
            write()
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def idle_connection(self) -> sqlite3.Connection:
        """Return the connection, after rolling back what a failed transaction left open."""
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
        return self.connection

    def append(self, commit: bytes, *, sync: bool = False) -> None:
        """Append a commit to the segment. It happens on the event loop, or on another thread than everything else.

        Args:
            commit: Encoded.
            sync: Whether to wait until the disk has it.

        Raises:
            StoreUnavailable: One of the files was deleted or replaced.
            OSError: The disk is full, or does not work.
        """
        now = time.monotonic()
        if now >= self._look_from:
            self._files.check()
            self.segment.check()
            self._look_from = now + LOOK_EVERY
        self.segment.append(commit, sync=sync)

    def read(self, function: Callable[..., _T], *args: Any) -> _T:
        """Call a function with the connection, after everything in the portions is written."""
        self.apply()
        return function(self.idle_connection(), *args)

    def look_up(self, keys: Iterable[Key]) -> tuple[dict[Key, int | None], frozenset[Key]]:
        """Return the rows of threads, and which of them have a summary."""
        self.apply()
        connection = self.idle_connection()
        rows = {key: row_of(connection, key) for key in keys}
        return rows, frozenset(key for key in rows if records.has_summary(connection, key))

    def idle_for(self, seconds: float, lasting: bool) -> list[Key]:
        """Return the threads that were not written to for so many seconds."""
        self.apply()
        connection = self.idle_connection()
        store_time(connection, self.clock)
        return threads.idle_since(connection, self.clock.now() - seconds, lasting)

    def make_room(self) -> None:
        """Bring SQLite's log into the file, if it is long."""
        if self._files.check() > CHECKPOINT_AT and time.monotonic() > self._checkpoint_from:
            with contextlib.suppress(sqlite3.Error):  # it grows until it can be brought into the file
                self.checkpoint()

    def probe(self) -> None:
        """Write something that nobody reads."""
        self.apply()
        self.idle_connection().execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (PROBE, time.time()))

    def new_segment(self) -> Segment:
        """Return a segment that comes after all others."""
        self._segment_number += 1
        return self._segment_numbered(self._segment_number)

    def _segment_numbered(self, number: int) -> Segment:
        return Segment(segment_path(self._place, number), self._generation)

    def checkpoint(self) -> bool:
        """Bring SQLite's log into the file; return whether it is empty, which it is unless another program reads it."""
        busy, *_ = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self._checkpoint_from = time.monotonic() + AGAIN if busy else 0.0
        return not busy

    def release(self) -> bool:
        """Delete the older segments, if everything in them can be brought into the file; return whether it could.

        Deleted data is overwritten then, wherever it was (`secure_delete`).
        """
        older = self.older.copy()
        for segment in older:
            segment.close()  # nothing is appended any more, and it may stay for long
        self.apply()
        if not self.checkpoint():
            return False
        for segment in older:
            segment.drop()
            self.older.remove(segment)
        if older:
            sync_folder(self._place.parent)
        return True

    def settle(self) -> bool:
        """Bring everything into the file; return whether nothing is left beside it. Nothing can be appended then."""
        if self.segment not in self.older:
            self.older.append(self.segment)
        self._transact(lambda: store_time(self.connection, self.clock))
        return self.release()

    def close(self, *, settled: bool) -> None:
        """Close the database; leave the marker of a clean shutdown if everything is in the file."""
        self.connection.close()
        for segment in self.older:
            segment.close()
        try:
            if settled:
                write_marker(self._place)
        except OSError:
            pass  # no marker: what begins then is a new era
        finally:
            self._lock.release()
