"""Versions of a memory: its content at each message of the conversation, so that an edit can revert it.

A version stores only the changes since the one before, and of a changed value only the bytes between its unchanged
start and end. So a growing history is stored once, however many versions there are.

A version belongs to the message that was the last when it was written. One that was written after a user message,
before the answer began, belongs to the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, Literal, NamedTuple

import msgspec

__all__ = ["Place", "Record", "Replay", "Value", "Version", "decode", "differences", "encode", "kept", "squash"]

#: Bytes of a version, and of a change in it, beside names and data; about.
VERSION: Final = 32
CHANGE: Final = 16

#: Bytes that are compared in one piece.
PIECE: Final = 4_096


class Value(NamedTuple):
    """What is stored under a name."""

    form: Literal["json", "bytes"]
    data: bytes


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where in the conversation a version was written."""

    id: str | None = None  #: of the message that was the last; None: there was none, or none with an id
    answers: bool = False  #: whether that was the user's, so that the version belongs to the answer
    count: int = 0  #: how many messages there were, that of the answer included


class Change(msgspec.Struct, frozen=True, array_like=True):
    """How the value of a name changed."""

    name: str
    form: Literal["json", "bytes"] | None  #: None: it was deleted
    start: int = 0  #: bytes that stayed at the start of the value
    end: int = 0  #: bytes that stayed at its end
    data: bytes = b""  #: what is between them now


class Version(msgspec.Struct, frozen=True, array_like=True):
    """What changed since the version before."""

    place: Place
    changes: Sequence[Change]

    @property
    def size(self) -> int:
        """Its bytes, about."""
        return VERSION + sum(CHANGE + len(change.name) + len(change.data) for change in self.changes)


class Record(NamedTuple):
    """A version in the order of all: numbers grow, with gaps."""

    number: int
    version: Version


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Version).decode


def differences(before: Mapping[str, Value | None], after: Mapping[str, Value]) -> list[Change]:
    """Return the changes that make `after` of `before`, of the names in `before`; None there: it was not stored."""
    found: list[Change] = []
    for name, old in before.items():
        new = after.get(name)
        if new is None:
            if old is not None:
                found.append(Change(name, None))
        elif new != old:
            was = b"" if old is None else old.data
            start, end = _common(was, new.data)
            found.append(Change(name, new.form, start, end, new.data[start : len(new.data) - end]))
    return found


class Replay:
    """The values after some versions, from the first on. Applying one costs what it has, if values grow at the end."""

    __slots__ = ("_data", "_forms")

    def __init__(self, versions: Iterable[Version] = ()) -> None:
        self._data: dict[str, bytearray] = {}
        self._forms: dict[str, Literal["json", "bytes"]] = {}
        for version in versions:
            self.apply(version)

    def apply(self, version: Version) -> None:
        """Apply the next version."""
        for change in version.changes:
            if change.form is None:
                del self._data[change.name], self._forms[change.name]
            else:
                data = self._data.setdefault(change.name, bytearray())
                data[change.start : len(data) - change.end] = change.data
                self._forms[change.name] = change.form

    def values(self) -> dict[str, Value]:
        """Return copies of all values."""
        return {name: Value(self._forms[name], bytes(data)) for name, data in self._data.items()}

    def merge(self, versions: Sequence[Version]) -> Version:
        """Apply the next versions, and return one that does the same. It belongs to the place of the last."""
        there = set(self._data)
        stays: dict[str, tuple[int, int]] = {}
        for version in versions:
            for change in version.changes:
                start, end = stays.get(change.name, (change.start, change.end))
                stays[change.name] = min(start, change.start), min(end, change.end)  # nothing stays of what was deleted
            self.apply(version)
        changes: list[Change] = []
        for name, (start, end) in stays.items():
            if name in self._data:
                data = self._data[name]
                changes.append(Change(name, self._forms[name], start, end, bytes(data[start : len(data) - end])))
            elif name in there:
                changes.append(Change(name, None))
        return Version(versions[-1].place, changes)


def kept(versions: Sequence[Version], ids: Sequence[Any], keep: int) -> int:
    """Return how many versions stay when the conversation is cut.

    A message of a version may have been renamed or removed by the agent meanwhile. Then the number of messages at that
    time decides, unless a later version is known to stay.

    Args:
        versions: All, in order.
        ids: Those of the messages before the cut.
        keep: How many messages stay.
    """
    places = {id: index + 1 for index, id in enumerate(ids)}
    end, known = len(versions), 0
    for index, version in enumerate(versions):
        place = version.place
        count = places.get(place.id) if place.count else 0
        if count is not None and count + place.answers > keep:
            end = index
            break
        if count is not None:
            known = index + 1
    return next((index for index in range(known, end) if versions[index].place.count > keep), end)


def squash(records: Sequence[Record], *, most: int, most_bytes: int) -> list[Record]:
    """Return the same versions in fewer records.

    Of several that belong to the same message only the last is needed. The oldest become one, if there are more than
    `most`, or the others have more than `most_bytes`.
    """
    groups = [list(group) for _, group in groupby(records, key=lambda record: record.version.place)]
    sizes = [sum(record.version.size for record in group) for group in groups]
    first, size = len(groups) - 1, 0
    while first > 0 and len(groups) - first < most and size + sizes[first] <= most_bytes:
        size += sizes[first]
        first -= 1
    groups = [[record for group in groups[: first + 1] for record in group], *groups[first + 1 :]]
    replay = Replay()
    found: list[Record] = []
    for group in groups:
        merged = replay.merge([record.version for record in group])
        found.append(group[0] if len(group) == 1 else Record(group[-1].number, merged))
    return found


def _common(one: bytes, other: bytes) -> tuple[int, int]:
    """Return how many bytes two values share at their start, and how many of the others at their end."""
    most = min(len(one), len(other))
    start, piece = 0, PIECE
    while piece:
        if start + piece <= most and one[start : start + piece] == other[start : start + piece]:
            start += piece
        else:
            piece //= 2
    end, piece = 0, PIECE
    while piece:
        to, other_to = len(one) - end, len(other) - end
        if start + end + piece <= most and one[to - piece : to] == other[other_to - piece : other_to]:
            end += piece
        else:
            piece //= 2
    return start, end
