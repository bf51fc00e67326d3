"""Rows that go bad: bytes of one thread are changed in the file of a server that has stopped."""

from __future__ import annotations

from pathlib import Path
from random import Random

__all__ = ["damage"]


def damage(file: Path, mark: str, random: Random) -> int:
    """Spoil every place where a text of the victim's stands in a file; returns how many there were.

    The bytes are those of a row, and no longer UTF-8, as a bad block leaves them: the database itself stays whole.
    """
    data = bytearray(file.read_bytes())
    found = 0
    at = data.find(mark.encode())
    while at >= 0:
        for _ in range(random.randint(1, 4)):
            data[at + random.randrange(len(mark))] = 0xFF
        found += 1
        at = data.find(mark.encode(), at + len(mark))
    file.write_bytes(data)
    return found
