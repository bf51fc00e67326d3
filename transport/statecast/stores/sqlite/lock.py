"""The lock of the SQLite store's file, and the marker of a clean shutdown.

Two more files lie beside the store's. `-lock` is locked by the process that has the store open; other programs may read
the store's file meanwhile. `-stopped` exists only after a clean shutdown, and describes the file as it was then. If it
is missing or describes another file, the end of a log may be lost: the process was killed, the power failed, the file
is a copy or was restored from a backup, or another program has written to it.

Rule: the marker is removed, on the disk too, before anything is written, and written when everything is on the disk.
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

__all__ = ["PRIVATE", "Lock", "in_use", "make_private", "remove_marker", "sync_folder", "write_marker"]

#: Only the owner may read or write the files, whatever the umask says: they hold conversations, and keys.
PRIVATE: Final = 0o600


class _Stamp(msgspec.Struct, frozen=True):
    """Identifies a file and its version: a copy has another one, and so has the file after a write."""

    number: int
    changed: int  #: nanoseconds; no program can set it
    modified: int
    size: int


class Lock:
    """Locks a store's file against all other stores, in this process too.

    It is SQLite's lock on an empty file beside it, which the system releases however the process ends.

    Args:
        path: The store's file.
        patience: Seconds to wait for another process to release it.

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
                raise in_use(path) from error
            raise
        except BaseException:
            self._connection.close()
            raise

    def release(self) -> None:
        """Release the lock."""
        self._connection.close()


def in_use(path: Path) -> StoreUnavailable:
    """Return the error of a file that another process has open."""
    problem = f"expected {path} to be free, but another process has it open"
    return StoreUnavailable(f"{problem}; start one process (--workers 1), or give each its own file")


def make_private(path: Path) -> None:
    """Create a file unless it exists, and let only its owner read and write it.

    An existing file is never opened for this: closing it would release SQLite's locks on it.
    """
    with contextlib.suppress(OSError):  # SQLite says what is wrong with the path
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE))
    with contextlib.suppress(OSError):  # it is another user's
        if os.stat(path).st_mode & 0o777 != PRIVATE:
            os.chmod(path, PRIVATE)


def remove_marker(path: Path) -> bool:
    """Remove the marker of a clean shutdown; return whether there was one and `path` is unchanged since."""
    marker = _marker_of(path)
    try:
        found = msgspec.json.decode(marker.read_bytes(), type=_Stamp)
    except (OSError, ValueError):  # `ValueError`: it is no stamp, or was cut off
        found = None
    unchanged = found is not None and found == _stamp(path)
    with contextlib.suppress(FileNotFoundError):
        marker.unlink()
        sync_folder(marker.parent)
    return unchanged


def write_marker(path: Path) -> None:
    """Write the marker of a clean shutdown; everything is on the disk, and the file is closed."""
    marker = _marker_of(path)
    part = marker.with_name(f"{marker.name}-part")
    with contextlib.suppress(FileNotFoundError):
        part.unlink()
    file = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE)
    try:
        os.write(file, msgspec.json.encode(_stamp(path)))
        os.fsync(file)
    finally:
        os.close(file)
    os.replace(part, marker)
    sync_folder(marker.parent)


def _marker_of(path: Path) -> Path:
    return Path(f"{path}-stopped")


def _stamp(path: Path) -> _Stamp:
    found = os.stat(path)
    return _Stamp(found.st_ino, found.st_ctime_ns, found.st_mtime_ns, found.st_size)


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that files created, renamed and removed in it survive a loss of power."""
    if sys.platform == "win32":
        return  # folders cannot be opened there
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
