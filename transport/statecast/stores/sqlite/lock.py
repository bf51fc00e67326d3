"""Whose the file of the SQLite store is, and whether it is as its last owner left it.

Beside the file are two more. `-lock` is locked by the process that has the store; other programs may read the file
meanwhile. `-stopped` is there only after a clean stop, and describes the file as it was then. Where it is missing, or
describes another file, the end of a log may be lost: the process was killed, the power failed, the file is a copy, it
was restored from a backup, or something else has written to it.

Rule: the mark is removed, for the disk too, before anything is written, and left when everything is on the disk.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from pathlib import Path
from typing import Final

import msgspec

from statecast.stores.errors import StoreUnavailable

__all__ = ["PRIVATE", "Lock", "leave_mark", "make_private", "take_mark"]

#: Only the owner may read or write the files, whatever the umask says: they hold conversations, and keys.
PRIVATE: Final = 0o600


class _Stamp(msgspec.Struct, frozen=True):
    """What tells a file from a copy of it, and from itself after a write. All but `size` are the file system's."""

    number: int
    changed: int  #: nanoseconds; no program can set it
    modified: int
    size: int


class Lock:
    """Keeps other stores from a file.

    SQLite's lock on an empty file beside it: another process is refused, and so is another store of this process; the
    system lets go of it however the process ends.

    Args:
        path: The store's file.
        patience: Seconds to wait for another process to let go of it.

    Raises:
        StoreUnavailable: Another process has it.
        sqlite3.Error: It cannot be made.
    """

    def __init__(self, path: Path, *, patience: float) -> None:
        beside = Path(f"{path}-lock")
        make_private(beside)
        self._connection = sqlite3.connect(beside, timeout=patience, isolation_level=None, check_same_thread=False)
        try:
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode = OFF")  # nothing is ever written
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            self._connection.close()
            if "locked" in str(error):
                message = f"expected {path} to be free, but another process has it open; give each its own file"
                raise StoreUnavailable(message) from error
            raise
        except BaseException:
            self._connection.close()
            raise

    def release(self) -> None:
        """Let other stores have the file."""
        self._connection.close()


def make_private(path: Path) -> None:
    """Make a file if it is not there; either way only its owner may use it from now on.

    A file that is there is never opened for this: to close it again would end SQLite's locks on it.
    """
    with contextlib.suppress(OSError):  # SQLite says what is wrong with the path
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE))
    with contextlib.suppress(OSError):  # it is another user's
        if os.stat(path).st_mode & 0o777 != PRIVATE:
            os.chmod(path, PRIVATE)


def take_mark(path: Path) -> bool:
    """Remove the mark of a clean stop, and return whether it was there and `path` is as it was then."""
    mark = _mark_of(path)
    try:
        described = msgspec.json.decode(mark.read_bytes(), type=_Stamp)
    except (OSError, ValueError):  # `ValueError`: it is no stamp, or was cut off
        described = None
    untouched = described is not None and described == _stamp(path)
    with contextlib.suppress(FileNotFoundError):
        mark.unlink()
        _sync(mark.parent)
    return untouched


def leave_mark(path: Path) -> None:
    """Leave the mark of a clean stop: everything is on the disk, and the file is closed."""
    mark = _mark_of(path)
    part = mark.with_name(f"{mark.name}-part")
    with contextlib.suppress(FileNotFoundError):
        part.unlink()
    file = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE)
    try:
        os.write(file, msgspec.json.encode(_stamp(path)))
        os.fsync(file)
    finally:
        os.close(file)
    os.replace(part, mark)
    _sync(mark.parent)


def _mark_of(path: Path) -> Path:
    return Path(f"{path}-stopped")


def _stamp(path: Path) -> _Stamp:
    found = os.stat(path)
    return _Stamp(found.st_ino, found.st_ctime_ns, found.st_mtime_ns, found.st_size)


def _sync(folder: Path) -> None:
    """Wait until the disk has what was made, renamed and removed in a folder."""
    if sys.platform == "win32":
        return  # folders cannot be opened there
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
