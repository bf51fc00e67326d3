"""`Sources`: the Python files below some folders, looked at again and again for what has changed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

__all__ = ["Sources"]

#: Seconds between two looks.
LOOK: Final = 0.3

#: Folders in which nobody writes an agent; those with a dot in front, and virtual environments, are left out as well.
OTHERS: Final = frozenset({"__pycache__", "node_modules", "site-packages"})


class Sources:
    """The Python files below some folders.

    Args:
        folders: The folders.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = list(dict.fromkeys(folders))
        self._seen = self._times()

    async def changed(self) -> Path:
        """Wait until a file has been written, added or deleted since the last look, and return it."""
        while True:
            await asyncio.sleep(LOOK)
            before, self._seen = self._seen, await asyncio.to_thread(self._times)
            if before != self._seen:
                files = sorted(before.keys() | self._seen.keys())
                return Path(next(file for file in files if before.get(file) != self._seen.get(file)))

    def _times(self) -> dict[str, int]:
        """Return when each file was last written."""
        times: dict[str, int] = {}
        for folder in self._folders:
            for file in _files_in(folder):
                try:
                    times[file] = os.stat(file).st_mtime_ns
                except OSError:
                    continue  # it was deleted meanwhile
        return times


def _files_in(top: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(top):
        if "pyvenv.cfg" in files:
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".") and name not in OTHERS]
        yield from (os.path.join(folder, name) for name in files if name.endswith(".py"))
