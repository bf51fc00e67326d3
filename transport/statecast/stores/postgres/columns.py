"""What the columns of the PostgreSQL store hold: names, texts, and the entries of one write, packed.

PostgreSQL's text cannot carry U+0000. It is written as U+0001 U+0001, and U+0001 as U+0001 U+0002, which keeps the
order of texts. Other texts are as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from statecast.stores.errors import Damaged
from statecast.stores.key import Key
from statecast.stores.log import Appended, Kind
from statecast.stores.shared import SharedChange

__all__ = [
    "array_of",
    "columns_of",
    "key_of",
    "mark_of",
    "names",
    "owner_name",
    "owner_of",
    "pack",
    "read_text",
    "unpack",
    "write_text",
]

_Entry = tuple[int, Kind, bytes]

_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(list[_Entry]).decode


def write_text(text: str) -> str:
    """Return a text as a column holds it."""
    if "\x00" in text or "\x01" in text:
        return text.replace("\x01", "\x01\x02").replace("\x00", "\x01\x01")
    return text


def read_text(column: str) -> str:
    """Return the text of a column."""
    if "\x01" in column:
        return column.replace("\x01\x01", "\x00").replace("\x01\x02", "\x01")
    return column


def names(key: Key) -> tuple[str, str]:
    """Return a key's columns."""
    return owner_name(key.owner), write_text(key.thread_id)


def owner_name(owner: str | None) -> str:
    """Return an owner's column: no owner is "", and an owner starts with "=" so that none is mistaken for it."""
    return "" if owner is None else f"={write_text(owner)}"


def owner_of(column: str) -> str | None:
    """Return the owner of a column."""
    return None if column == "" else read_text(column[1:])


def key_of(owner: str, thread_id: str) -> Key:
    """Return the key of two columns."""
    return Key(owner_of(owner), read_text(thread_id))


def columns_of(keys: Iterable[Key]) -> tuple[list[str], list[str]]:
    """Return the columns of several keys."""
    pairs = [names(key) for key in keys]
    return [owner for owner, _ in pairs], [thread_id for _, thread_id in pairs]


def array_of(numbers: Iterable[int]) -> str:
    """Return numbers as an array in text, whose type does not depend on how large they are."""
    return "{" + ",".join(map(str, numbers)) + "}"


def pack(changes: Iterable[Appended]) -> bytes:
    """Return entries as a row holds them."""
    return _pack([(change.revision, change.kind, change.data) for change in changes])


def unpack(rows: Iterable[bytes], after: int) -> list[_Entry]:
    """Return the entries after a revision in some rows, each once.

    A write whose reply was lost may have been repeated with more entries: then a row begins with what another has.

    Raises:
        Damaged: A row cannot be read.
    """
    found: list[_Entry] = []
    reached = after
    for row in rows:
        try:
            entries = _unpack(row)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Damaged(f"the entries after {reached}: {error}") from None
        for entry in entries:
            if entry[0] > reached:
                found.append(entry)
                reached = entry[0]
    return found


def mark_of(changes: Sequence[SharedChange]) -> int:
    """Return a number for the changes of a thread, by which a repetition of them is recognized."""
    digest = hashlib.blake2b(_pack(changes), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
