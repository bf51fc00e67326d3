"""Segments: how the history of a thread is stored, as records: stretches of its log, and an index of them.

Each segment is a record of a kind of its own, so that it is read without the others. A segment begins where the one
before it ends.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

import msgspec

from statecast.stores import Key, RecordErased, RecordWritten

from .stretch import Stretch

__all__ = ["INDEX", "Segment", "pack", "pack_within", "read_index", "segment_kind", "unpack", "with_segment"]

#: The kind of the record that is the index. What follows it in the kind of a segment's record is where that begins.
INDEX: Final = "history"

_encode: Final = msgspec.msgpack.Encoder().encode
_stretch: Final = msgspec.msgpack.Decoder(Stretch).decode


class Segment(msgspec.Struct, frozen=True, array_like=True):
    """A stretch of a log that is stored as history."""

    begin: int  #: the revision whose state it begins with
    end: int
    entries: int
    size: int  #: bytes as stored


_index: Final = msgspec.msgpack.Decoder(list[Segment]).decode


def segment_kind(begin: int) -> str:
    """Return the kind of the record of the segment that begins there."""
    return f"{INDEX} {begin}"


def pack(stretch: Stretch) -> bytes:
    """Return a stretch as it is stored."""
    return zlib.compress(_encode(stretch), 1)


def pack_within(stretch: Stretch, *, most: int, most_bytes: int) -> tuple[Stretch, bytes]:
    """Return as much of the end of a stretch as a history may have, and that as it is stored.

    Args:
        stretch: The stretch.
        most: Entries.
        most_bytes: Bytes; one entry with the state before it may take more.
    """
    stretch = stretch.last(most)
    data = pack(stretch)
    while len(data) > most_bytes and len(stretch.entries) > 1:
        stretch = stretch.last(len(stretch.entries) // 2)
        data = pack(stretch)
    return stretch, data


def unpack(data: bytes) -> Stretch:
    """Read what `pack` wrote. Damage raises any exception."""
    return _stretch(zlib.decompress(data))


def read_index(records: Sequence[tuple[str, bytes]]) -> list[Segment]:
    """Return the segments that the records of the index name, oldest first. Damage raises any exception."""
    return _index(records[0][1]) if records else []


def with_segment(
    key: Key, index: Sequence[Segment], stretch: Stretch, data: bytes, *, most: int, most_bytes: int
) -> list[RecordWritten | RecordErased]:
    """Return the changes that add a stretch to a history, and remove the oldest segments where that is too long.

    Args:
        key: The thread's.
        index: What there is.
        stretch: What follows it; if it does not, all before it goes.
        data: The stretch, as `pack` returns it.
        most: Entries that the history may have.
        most_bytes: Bytes that it may take.
    """
    new = Segment(stretch.revision, stretch.end, len(stretch.entries), len(data))
    follows = bool(index) and index[-1].end == new.begin
    kept = [*index, new] if follows else [new]
    while kept and (sum(one.entries for one in kept) > most or sum(one.size for one in kept) > most_bytes):
        del kept[0]
    changes: list[RecordWritten | RecordErased] = [
        RecordErased(key, segment_kind(one.begin), "") for one in index if one not in kept and one.begin != new.begin
    ]
    if new in kept:
        changes.append(RecordWritten(key, segment_kind(new.begin), "", data))
    return [*changes, RecordWritten(key, INDEX, "", _encode(kept))]
