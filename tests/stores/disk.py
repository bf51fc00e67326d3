"""What a disk has of a store's files when the power fails: all that was synced, and any part of the rest.

The process that writes them runs a `Recorder`, which records every sync in a folder elsewhere. When the process has
been killed, `lose_power` takes away what was never synced, of each file by itself: its end, something in its middle, or
all of a file whose folder was not synced since it was made. A file that was removed may come back until its folder is
synced.

SQLite syncs by itself, unseen. Its log counts as synced when a checkpoint begins, which syncs it first, and when a
commit returns that waits for the disk; its main file is only written by a checkpoint, which can be repeated.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final
from unittest.mock import patch

import msgspec

__all__ = ["Recorder", "begin_record", "found_at", "lose_power"]

#: SQLite makes these anew, or they hold nothing.
OF_THE_SYSTEM: Final = ("-shm", "-lock")

#: Bytes that a disk writes at once.
SECTOR: Final = 512


class Synced(msgspec.Struct, tag="synced"):
    """So many bytes of a file are on the disk."""

    name: str
    size: int


class FolderSynced(msgspec.Struct, tag="folder"):
    """These files will be there, and what was removed is gone."""

    names: list[str]


class Removed(msgspec.Struct, tag="removed"):
    """A file was removed. Until its folder is synced, it may come back."""

    name: str


class Renamed(msgspec.Struct, tag="renamed"):
    """A file has another name. Until its folder is synced, it may have the old one again."""

    name: str
    to: str


Line = Synced | FolderSynced | Removed | Renamed

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Line).decode


def _files_of(path: Path) -> dict[str, int]:
    """Return the names and sizes of a store's files."""
    return {name: found.st_size for name, found in found_at(path).items()}


def found_at(path: Path) -> dict[str, os.stat_result]:
    """Return what the system says of a store's files. Another thread may delete one meanwhile."""
    found = {}
    for file in path.parent.glob(f"{path.name}*"):
        with contextlib.suppress(FileNotFoundError):
            found[file.name] = file.stat()
    return found


def begin_record(path: Path, record: Path) -> None:
    """Begin a record, in a folder: what is there now has survived something already."""
    shutil.rmtree(record, ignore_errors=True)
    (record / "removed").mkdir(parents=True)
    sizes = _files_of(path)
    lines = [FolderSynced(list(sizes)), *(Synced(name, size) for name, size in sizes.items())]
    (record / "record").write_bytes(b"".join(_encode(line) + b"\n" for line in lines))


class Recorder:
    """Records which of a store's files are synced, in the process that writes them. Nothing is really synced by Python.

    Args:
        path: The store's file.
        record: The folder in which a record was begun.
    """

    def __init__(self, path: Path, record: Path) -> None:
        self._path = path
        self._removed = record / "removed"
        self._file = os.open(record / "record", os.O_WRONLY | os.O_APPEND)

    def install(self) -> None:
        """Record from now on."""
        unlink, rename, connect = os.unlink, os.replace, sqlite3.connect
        recorder = self

        class Connection(sqlite3.Connection):
            waits = False  #: whether a commit waits for the disk

            def execute(self, statement: str, *args: Any) -> sqlite3.Cursor:
                if "wal_checkpoint" in statement:
                    recorder.log_synced()
                found = super().execute(statement, *args)
                if "synchronous = " in statement:
                    self.waits = statement.endswith("FULL")
                if self.waits and not self.in_transaction:
                    recorder.log_synced()
                return found

        def sync(file: int) -> None:
            self._sync(os.fstat(file))

        def remove(file: Any, *args: Any, **options: Any) -> None:
            name = os.path.basename(file)
            if os.path.dirname(file) == str(self._path.parent) and name.startswith(self._path.name):
                (self._removed / name).unlink(missing_ok=True)
                with contextlib.suppress(FileNotFoundError):
                    os.link(file, self._removed / name)
                unlink(file, *args, **options)
                self._note(Removed(name))
            else:
                unlink(file, *args, **options)

        def replace(file: Any, to: Any) -> None:
            rename(file, to)
            self._note(Renamed(os.path.basename(file), os.path.basename(to)))

        patch("os.fsync", sync).start()
        patch("os.fdatasync", sync, create=True).start()
        patch("os.unlink", remove).start()
        patch("os.remove", remove).start()
        patch("os.replace", replace).start()
        patch("os.rename", replace).start()
        patch("sqlite3.connect", lambda *args, **options: connect(*args, factory=Connection, **options)).start()

    def log_synced(self) -> None:
        """Record that SQLite has synced its log."""
        with contextlib.suppress(FileNotFoundError):
            log = f"{self._path}-wal"
            self._note(Synced(os.path.basename(log), os.stat(log).st_size))

    def _sync(self, found: os.stat_result) -> None:
        folder = self._path.parent
        if os.path.samestat(found, os.stat(folder)):
            self._note(FolderSynced(list(_files_of(self._path))))
            for copy in self._removed.iterdir():
                copy.unlink()
        for name, there in found_at(self._path).items():
            if os.path.samestat(found, there):
                self._note(Synced(name, found.st_size))

    def _note(self, line: Line) -> None:
        os.write(self._file, _encode(line) + b"\n")


def lose_power(path: Path, record: Path, random: Random) -> dict[str, str]:
    """Take away of a store's files what was never synced, or some of it; return what was done to which."""
    synced: dict[str, int] = {}
    there: set[str] = set()
    removed: set[str] = set()
    before: dict[str, str] = {}  #: the names that files had before they were renamed
    for line in (record / "record").read_bytes().splitlines():
        match _decode(line):
            case Synced(name, size):
                synced[name] = size
            case FolderSynced(names):
                there, removed, before = set(names), set(), {}
            case Removed(name):
                removed.add(name)
                synced.pop(name, None)
            case Renamed(name, to):
                synced[to] = synced.pop(name, 0)
                before[to] = name
    done: dict[str, str] = {}
    for name in sorted(removed):
        if random.random() < 0.5 and not (path.parent / name).exists():
            shutil.copy(record / "removed" / name, path.parent / name)
            done[name] = "came back"
    for name, size in sorted(_files_of(path).items()):
        file = path.parent / name
        kept = min(synced.get(name, 0), size)
        if name.endswith(OF_THE_SYSTEM):
            file.unlink()
        elif name == path.name or name in done:
            continue
        elif name not in there and not name.endswith("-wal") and random.random() < 0.3:  # SQLite syncs the folder
            if before.get(name) in there:
                file.rename(path.parent / before[name])
            else:
                file.unlink()
            done[name] = "was not there yet"
        elif kept < size:
            done[name] = random.choice(HARMS)(file, kept, size, random)
    return done


def _cut_off(file: Path, kept: int, size: int, random: Random) -> str:
    end = random.choice([kept, random.randint(kept, size), max(kept, size - random.randint(1, 40))])
    os.truncate(file, end)
    return f"cut off at {end} of {size}, {kept} of them synced"


def _zeros(file: Path, kept: int, size: int, random: Random) -> str:
    """Write zeros where the disk has not written yet, though it has written what comes behind."""
    start = random.randint(kept, size - 1) // SECTOR * SECTOR
    end = min(start + SECTOR * random.choice([1, 2, 8, 20]), size)
    start = max(start, kept)
    with file.open("r+b") as opened:
        opened.seek(start)
        opened.write(bytes(end - start))
    return f"zeros from {start} to {end} of {size}, {kept} of them synced"


def _nothing(file: Path, kept: int, size: int, random: Random) -> str:
    return "left as it was"


HARMS: Final[tuple[Callable[[Path, int, int, Random], str], ...]] = (_cut_off, _cut_off, _zeros, _nothing)
