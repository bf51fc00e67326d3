"""Files in a folder: each has a folder of its own, with its bytes and its description.

Rule 1: the folder of a file is complete or does not exist. It is created under a name that starts with a dot, and
renamed when it is complete; to delete it, it is renamed back first.
Rule 2: only the owner of the process may read what is created here, whatever the umask.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import anyio
import anyio.to_thread
import msgspec

from statecast.stores import StoreUnavailable

from .base import Found
from .names import is_name

__all__ = ["FolderFiles"]

_T = TypeVar("_T")

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600

#: Seconds after which what a process left behind when it was killed is taken away.
LEFT_BEHIND: Final = 86_400.0


class _About(msgspec.Struct, frozen=True):
    """A file but for its bytes."""

    type: str
    owner: str | None


class FolderFiles:
    """Stores files in a folder.

    Args:
        path: The folder; made if it is not there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self._tidy = False

    async def write(self, name: str, type: str, owner: str | None, pieces: AsyncIterator[bytes]) -> int:
        """Write a file, each piece as it comes."""
        assert is_name(name), name
        part = self.path / f".part-{secrets.token_hex(8)}"
        try:
            await self._do(lambda: self._begin(part, _About(type, owner)))
            size = await self._write(part / "data", pieces)
            await self._do(lambda: os.rename(part, self.path / name))
        except BaseException:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(lambda: shutil.rmtree(part, ignore_errors=True))
            raise
        return size

    async def find(self, name: str) -> Found | None:
        """Return a file."""
        return await self._do(lambda: self._find(name)) if is_name(name) else None

    async def read(self, name: str) -> bytes | None:
        """Return the bytes of a file."""
        return await self._do(lambda: self._read(name)) if is_name(name) else None

    async def delete(self, name: str) -> None:
        """Delete a file."""
        if is_name(name):
            await self._do(lambda: self._drop(name))

    async def _do(self, function: Callable[[], _T]) -> _T:
        try:
            return await anyio.to_thread.run_sync(function)
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(f"the folder {self.path} failed: {error}")

    async def _write(self, path: Path, pieces: AsyncIterator[bytes]) -> int:
        size = 0
        file = await self._do(lambda: _created(path))
        try:
            async for piece in pieces:
                size += len(piece)
                await self._do(lambda piece=piece: file.write(piece))  # type: ignore[misc]  # the piece of this turn
            await self._do(lambda: _sync(file.fileno(), file.flush))
        finally:
            with anyio.CancelScope(shield=True):
                await self._do(file.close)
        return size

    def _begin(self, part: Path, about: _About) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.mkdir(FOLDER_MODE, exist_ok=True)
        part.mkdir(FOLDER_MODE)
        with _created(part / "about.json") as file:
            file.write(msgspec.json.encode(about))
        if not self._tidy:
            self._tidy = True
            for left in self.path.glob(".*-*"):
                if left.stat().st_mtime < time.time() - LEFT_BEHIND:
                    shutil.rmtree(left, ignore_errors=True)

    def _find(self, name: str) -> Found | None:
        folder = self.path / name
        try:
            about = msgspec.json.decode((folder / "about.json").read_bytes(), type=_About)
            size = (folder / "data").stat().st_size
        except FileNotFoundError:
            return None
        return Found(name, about.type, about.owner, size, folder / "data")

    def _read(self, name: str) -> bytes | None:
        try:
            return (self.path / name / "data").read_bytes()
        except FileNotFoundError:
            return None

    def _drop(self, name: str) -> None:
        gone = self.path / f".gone-{secrets.token_hex(8)}"
        try:
            os.rename(self.path / name, gone)
        except FileNotFoundError:
            return
        shutil.rmtree(gone, ignore_errors=True)


def _created(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb")


def _sync(file: int, flush: Callable[[], None]) -> None:
    flush()
    os.fsync(file)
