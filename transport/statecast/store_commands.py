"""The commands that work on the file of a store: `statecast check FILE`, `statecast backup FILE TO`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, TextIO

import msgspec

from .stores import SavedThread, StoreUnavailable
from .stores.sqlite.maintenance import back_up, damage_in
from .threads.log.restore import restore

__all__ = ["add_commands", "backup", "check"]


def add_commands(commands: Any) -> None:
    """Add the commands to a parser."""
    check = commands.add_parser("check", help="find what is damaged in the file of a store, also of one in use")
    check.add_argument("file", metavar="FILE", type=Path, help="the file, such as statecast.db")
    backup = commands.add_parser("backup", help="copy the file of a store, also of one in use")
    backup.add_argument("file", metavar="FILE", type=Path, help="the file, such as statecast.db")
    backup.add_argument("to", metavar="TO", type=Path, help="the copy; nothing of that name may be there")


def check(path: Path) -> int:
    """Print a line for everything that is damaged in a file; return the exit status: 1 if anything is."""
    found = 0
    try:
        for line in damage_in(path, _read):
            found += 1
            _say(f"{path}: {line}")
    except StoreUnavailable as error:
        _say(f"statecast: {error}", sys.stderr)
        return 1
    if not found:
        _say(f"{path}: nothing is damaged")
    return 1 if found else 0


def backup(path: Path, to: Path) -> int:
    """Copy a file; return the exit status: 1 if there is no copy."""
    try:
        back_up(path, to)
    except (StoreUnavailable, FileExistsError) as error:
        _say(f"statecast: {error}", sys.stderr)
        return 1
    _say(f"{to}: {to.stat().st_size} bytes")
    return 0


def _read(saved: SavedThread) -> None:
    restore(saved)
    for _, batch in saved.inbox:
        msgspec.json.decode(batch)


def _say(line: str, to: TextIO | None = None) -> None:
    stream = to or sys.stdout
    stream.write(f"{line}\n")
    stream.flush()
