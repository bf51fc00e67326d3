"""Segments: files beside the database, to which commits are appended before SQLite gets them.

A segment begins with a header and continues with records: the length of a commit, a checksum, and the commit. Each
checksum is seeded with the one before, and the first with that of the header, so that the segment ends at the first
byte that is torn, damaged, or left over from another file.

The header names the generation, which is another each time the store is opened: a segment belongs to the database that
names the same one.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from statecast.stores.errors import StoreUnavailable

from .commits import Commit, decode
from .lock import PRIVATE, sync_folder

__all__ = ["Segment", "SegmentReader", "segment_path", "segments_of"]

_MAGIC: Final = b"statecast segment 1\n"
_GENERATION: Final = 16  #: characters
_CHECK: Final = struct.Struct(">I")
_RECORD: Final = struct.Struct(">II")
_HEADER: Final = len(_MAGIC) + _GENERATION + _CHECK.size

_FLAGS: Final = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)


class Segment:
    """A segment that is appended to.

    Args:
        path: The file; nothing of that name may be there.
        generation: Of the database.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, path: Path, generation: str) -> None:
        self.path = path
        header = _MAGIC + generation.encode()
        self._seal = zlib.crc32(header)  #: the checksum of the last record
        self._torn = False  #: whether there may be something behind `size`
        self._closed = False
        self._file = os.open(path, _FLAGS, PRIVATE)
        try:
            self.size = _write(self._file, header + _CHECK.pack(self._seal))
            os.fsync(self._file)
            sync_folder(path.parent)
            found = os.fstat(self._file)
        except BaseException:
            self.drop()
            raise
        self._identity = found.st_dev, found.st_ino

    def check(self) -> None:
        """Check that the file is still there.

        Raises:
            StoreUnavailable: It was deleted or replaced: what is written to it could not be found again.
        """
        try:
            found = os.stat(self.path)
            there = (found.st_dev, found.st_ino) == self._identity
        except FileNotFoundError:
            there = False
        if not there:
            raise StoreUnavailable(
                f"{self.path} was deleted or replaced while it was open; restore it, or restart the server"
            )

    def append(self, commit: bytes, *, sync: bool = False) -> None:
        """Append a commit, all of it or nothing.

        Args:
            commit: Encoded.
            sync: Whether to wait until the disk has it.

        Raises:
            OSError: It is not there: the disk is full, or does not work.
        """
        if self._torn:
            self._cut()
        seal = zlib.crc32(commit, self._seal)
        data = _RECORD.pack(len(commit), seal) + commit
        self._torn = True
        try:
            _write(self._file, data)
            if sync:
                _sync(self._file)
        except OSError:
            with contextlib.suppress(OSError):  # it is tried again
                self._cut()
            raise
        self._torn = False
        self._seal = seal
        self.size += len(data)

    def _cut(self) -> None:
        os.ftruncate(self._file, self.size)
        self._torn = False

    def close(self) -> None:
        """Close the file, which stays. It may be closed already."""
        if not self._closed:
            self._closed = True
            os.close(self._file)

    def drop(self) -> None:
        """Close the file and delete it."""
        self.close()
        with contextlib.suppress(OSError):  # the next start deletes it
            os.unlink(self.path)


class SegmentReader:
    """Reads a segment.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        self._data = memoryview(data)
        header, check = data[: _HEADER - _CHECK.size], data[_HEADER - _CHECK.size : _HEADER]
        self._seal = zlib.crc32(header)
        whole = check == _CHECK.pack(self._seal) and header.startswith(_MAGIC)
        #: of the database that it belongs to; empty if it cannot be read
        self.generation = header[len(_MAGIC) :].decode(errors="replace") if whole else ""
        self.unbegun = not whole and len(data) <= _HEADER  #: whether it ends in its header, as after a loss of power
        self.damaged = False  #: whether it ended, when it was read, at a record that is damaged, not only cut off

    def __iter__(self) -> Iterator[Commit]:
        """Yield the commits, up to the first that cannot be read."""
        at, end, seal = _HEADER, len(self._data), self._seal
        while at + _RECORD.size <= end:
            size, check = _RECORD.unpack_from(self._data, at)
            record = self._data[at + _RECORD.size : at + _RECORD.size + size]
            seal = zlib.crc32(record, seal)
            try:
                if len(record) < size or seal != check:
                    self.damaged = len(record) == size
                    return
                yield decode(record)
            except (msgspec.DecodeError, UnicodeDecodeError):
                self.damaged = True
                return
            at += _RECORD.size + size


def _write(file: int, data: bytes) -> int:
    """Write all of some bytes, and return how many."""
    written = os.write(file, data)
    while written < len(data):  # the next write says why
        written += os.write(file, memoryview(data)[written:])
    return written


def _sync(file: int) -> None:
    if hasattr(os, "fdatasync"):
        os.fdatasync(file)
    else:
        os.fsync(file)


def segments_of(place: Path) -> list[tuple[int, Path]]:
    """Return the numbers and paths of the segments beside a database, in order."""
    pattern = re.compile(re.escape(place.name) + r"-segment-([1-9][0-9]{0,17})")
    found = ((pattern.fullmatch(path.name), path) for path in place.parent.iterdir())
    return sorted((int(match[1]), path) for match, path in found if match is not None)


def segment_path(place: Path, number: int) -> Path:
    """Return the path of a segment."""
    return Path(f"{place}-segment-{number}")
