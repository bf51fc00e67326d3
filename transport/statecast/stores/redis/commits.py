"""Changes as the engine is sent them: entries alone as one command, everything else as a call of a script.

An entry of the stream holds what one thread appends in one batch: for each line its kind and its data. Its id is the
token and the revision of the last line.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from typing import Final, assert_never

import msgspec

from statecast.stores.base import Deleted, Moved
from statecast.stores.key import Key
from statecast.stores.log import (
    MEMORY,
    Appended,
    Assigned,
    BatchAccepted,
    BatchApplied,
    BatchChanged,
    BatchSettled,
    Compacted,
    Created,
    Kind,
    Renewed,
)
from statecast.stores.records import RecordErased, RecordWritten, SummaryChanged
from statecast.stores.shared import PostTaken, SharedChange

from .keys import Keys
from .scripts import WRITE, Argument, Command

__all__ = [
    "KINDS",
    "PLACE",
    "as_entries",
    "as_script",
    "fields_of",
    "is_plain",
    "mark_of",
    "place_in_order",
    "record_field",
]

#: Lines of an entry of the stream, and bytes of their data, about; more are several entries, which a script writes.
LINES: Final = 600
BYTES: Final = 262_144

#: Bytes before the value of a hash whose fields are in an order.
PLACE: Final = 12

_LETTERS: Final[dict[Kind, bytes]] = {"operations": b"o", "chunk": b"c", "run": b"r"}
KINDS: Final[dict[bytes, Kind]] = {letter: kind for kind, letter in _LETTERS.items()}  #: of an entry's lines

_msgpack: Final = msgspec.msgpack.Encoder().encode
_json: Final = msgspec.json.Encoder().encode


def is_plain(changes: Sequence[SharedChange]) -> bool:
    """Return whether changes of a thread are entries that follow one another, begin and end no run, and are few."""
    if len(changes) > LINES:
        return False
    size, expected = 0, 0
    for change in changes:
        if type(change) is not Appended or change.open is not None or change.revision != (expected or change.revision):
            return False
        expected = change.revision + 1
        size += len(change.data)
    return size <= BYTES


def as_entries(log: bytes, token: int, changes: Sequence[Appended]) -> Command:
    """Return the command that appends plain changes. It is refused if the log is another token's, or not there."""
    return ("XADD", log, "NOMKSTREAM", b"%d-%d" % (token, changes[-1].revision), *_lines(changes))


def as_script(
    keys: Keys,
    changes: Sequence[SharedChange],
    claims: Mapping[Key, tuple[int, int, int]],
    *,
    time: float,
    only_check: bool = False,
) -> Command:
    """Return the command that writes changes of one partition, all or none.

    Args:
        keys: Names the keys.
        changes: The changes.
        claims: The tokens, the numbers of the batches that scripts wrote under them last, and this one's.
        time: The store's.
        only_check: Whether to find out only whether they fit.
    """
    threads: dict[Key, int] = {}
    for change in changes:
        threads.setdefault(change.key, len(threads) + 1)
        if isinstance(change, Moved):
            threads.setdefault(Key(change.owner, change.key.thread_id), len(threads) + 1)
    places = {key: keys.of(key) for key in threads}
    partition = keys.partitions[next(iter(places.values())).partition]
    names: list[bytes] = [*partition[1:]]
    arguments: list[Argument] = ["check" if only_check else "write", repr(time), len(threads)]
    for key, place in places.items():
        names += place[2:]
        token, last, number = claims.get(key, ("", "", ""))
        arguments += (place.name, key.thread_id, "" if key.owner is None else "1", token, last, number)
    replies: dict[str, int] = {}
    for change in changes:
        if isinstance(change, PostTaken) and change.process not in replies:
            names.append(keys.in_partition(partition.number, b"replies", change.process.encode()))
            replies[change.process] = len(names)
    at = 0
    while at < len(changes):
        lines = _together(changes, at)
        change = changes[at]
        values = _appended(lines) if lines else _values(change, threads, replies)
        kind = _NAMES.get(type(change), type(change).__name__)
        arguments += (kind, threads[change.key], len(values), *values)
        at += len(lines) or 1
    return WRITE(names, *arguments)


#: Records of a memory and all others are written alike.
_NAMES: Final = {RecordWritten: "Written", RecordErased: "Erased"}


def _together(changes: Sequence[SharedChange], at: int) -> list[Appended]:
    """Return the changes from a place on that are lines of one entry."""
    lines: list[Appended] = []
    size = 0
    for change in changes[at : at + LINES]:
        if not isinstance(change, Appended) or (
            lines and (change.key != lines[0].key or change.revision != lines[-1].revision + 1 or size > BYTES)
        ):
            break
        lines.append(change)
        size += len(change.data)
    return lines


def _appended(lines: Sequence[Appended]) -> Sequence[Argument]:
    open = next((line.open for line in reversed(lines) if line.open is not None), None)
    return (lines[-1].revision, "" if open is None else int(open), *_lines(lines))


def _lines(changes: Sequence[Appended]) -> list[bytes]:
    lines: list[bytes] = []
    for change in changes:
        lines.append(_LETTERS[change.kind])
        lines.append(change.data)
    return lines


def _values(change: SharedChange, threads: Mapping[Key, int], replies: Mapping[str, int]) -> Sequence[Argument]:
    match change:
        case Created(_, agent, epoch, lasting, state):
            return agent, epoch, int(lasting), state
        case BatchAccepted(_, run_id, data) | BatchChanged(_, run_id, data):
            return run_id, data
        case BatchSettled(_, run_id):
            return (run_id,)
        case BatchApplied(_, command_id, digest, run_id):
            return command_id, _msgpack((digest, run_id))
        case Compacted(_, revision, state, run):
            return revision, state, run
        case Assigned(_, agent):
            return (agent,)
        case Renewed(_, epoch):
            return (epoch,)
        case RecordWritten(_, kind, id, data):
            return "memory" if kind == MEMORY else "records", record_field(kind, id), data
        case RecordErased(_, kind, id):
            return "memory" if kind == MEMORY else "records", record_field(kind, id)
        case SummaryChanged():
            return _summary(change)
        case Moved(key, owner):
            return (threads[Key(owner, key.thread_id)],)
        case Deleted():
            return ()
        case PostTaken(_, id, process, reply):
            return replies[process], id, reply
        case Appended():
            raise AssertionError("entries go together")
    assert_never(change)


def record_field(kind: str, id: str) -> bytes:
    """Return the field of a record in its hash, in which all records of a memory are of one kind."""
    return id.encode() if kind == MEMORY else _json((kind, id))


def fields_of(kind: str) -> bytes:
    """Return what the fields of the records of a kind begin with, of those that are not in a memory."""
    return _json((kind,))[:-1] + b","


def _summary(change: SummaryChanged) -> list[Argument]:
    last = None if change.last is msgspec.UNSET else change.last
    values: list[Argument] = [repr(change.at), place_in_order(change.at)]
    values += ("", "") if last is None else (repr(last), place_in_order(last))
    fields: dict[str, Argument | msgspec.UnsetType | None] = {
        "title": change.title,
        "external": change.external_id,
        "mark": mark_of(change.external_id) if isinstance(change.external_id, str) else change.external_id,
        "custom": change.custom,
        "archived": change.archived if change.archived is msgspec.UNSET else int(change.archived),
    }
    for name, value in fields.items():
        if value is not msgspec.UNSET:
            values += ("del", name, "") if value is None else ("set", name, value)
    return values


def place_in_order(number: float) -> bytes:
    """Return bytes that are in the order of the numbers."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", number))
    return struct.pack(">Q", bits ^ (2**64 - 1 if bits >> 63 else 2**63))


def mark_of(external_id: str) -> bytes:
    """Return what an app's id is found by; it may be long."""
    return hashlib.sha256(external_id.encode()).digest()[:16]
