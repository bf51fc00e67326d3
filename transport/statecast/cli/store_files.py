"""The commands that work on the file of a store: `statecast check FILE`, `statecast backup FILE TO`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import msgspec

from statecast.stores import SavedThread, StoreUnavailable
from statecast.stores.sqlite.maintenance import back_up, damage_in
from statecast.threads.log.restore import restore

from .failures import fail

__all__ = ["add_commands"]

CHECK = """
  statecast check statecast.db
"""
BACKUP = """
  statecast backup statecast.db backup.db
"""


def add_commands(commands: Any) -> None:
    """Add the commands to a parser."""
    check = commands.add_parser("check", help="check the file of a store for damage, even while in use", examples=CHECK)
    check.set_defaults(run=_check)
    check.add_argument("file", metavar="FILE", type=Path, help="the file, such as statecast.db")
    backup = commands.add_parser("backup", help="copy the file of a store, even while in use", examples=BACKUP)
    backup.set_defaults(run=_backup)
    backup.add_argument("file", metavar="FILE", type=Path, help="the file, such as statecast.db")
    backup.add_argument("to", metavar="TO", type=Path, help="the copy; must not exist yet")


def _check(options: argparse.Namespace) -> int:
    """Print a line for everything that is damaged in a file; return the exit status: 1 if anything is."""
    found = 0
    try:
        for line in damage_in(options.file, _read):
            found += 1
            print(f"{options.file}: {line}", flush=True)
    except StoreUnavailable as error:
        return fail(error, status=1)
    if not found:
        print(f"{options.file}: nothing is damaged")
    return 1 if found else 0


def _backup(options: argparse.Namespace) -> int:
    """Copy a file; return the exit status: 1 if there is no copy."""
    try:
        back_up(options.file, options.to)
    except (StoreUnavailable, FileExistsError) as error:
        return fail(error, status=1)
    print(f"{options.to}: {options.to.stat().st_size} bytes")
    return 0


def _read(saved: SavedThread) -> None:
    restore(saved)
    for _, batch in saved.inbox:
        msgspec.json.decode(batch)
