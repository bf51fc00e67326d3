"""Which statements the changes of a batch come to, once the rows of their threads are locked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec

from statecast.stores.base import Deleted, Moved
from statecast.stores.key import Key
from statecast.stores.log import (
    Appended,
    Assigned,
    BatchAccepted,
    BatchApplied,
    BatchChanged,
    BatchSettled,
    Compacted,
    Created,
    Renewed,
)
from statecast.stores.records import RecordErased, RecordWritten, SummaryChanged
from statecast.stores.shared import PostTaken, SharedChange

from . import statements
from .columns import names, owner_name, pack, write_text

__all__ = ["Locked", "Step", "keys_of", "steps_of"]

Step = tuple[str, Sequence[object] | Mapping[str, object]]  #: a statement and its values


class Locked(msgspec.Struct):
    """The row of a thread, which nobody else can change."""

    row: int
    token: int
    exists: bool  #: whether there is a thread, and not only a claim
    mark: int  #: of what was written last, but for entries
    held: bool  #: whether a claim of it has not ended
    revision: int = 0  #: of the last entry, or of the snapshot


class _Sum:
    """What the changes of one thread have come to, which its row is to say."""

    def __init__(self, locked: Locked) -> None:
        self.row = locked.row
        self.revision = locked.revision if locked.exists else 0  #: of the last entry
        self.open: bool | None = None
        self.versions = 0


def keys_of(change: SharedChange) -> tuple[Key, ...]:
    """Return the threads that a change concerns."""
    return (change.key, Key(change.owner, change.key.thread_id)) if isinstance(change, Moved) else (change.key,)


def steps_of(
    group: Sequence[SharedChange], locked: Mapping[Key, Locked], now: float, *, again: bool, mark: int
) -> list[Step]:
    """Return the steps that write the changes of one thread, or of those that a move connects.

    Args:
        group: The changes.
        locked: The rows of their threads.
        now: The store's time.
        again: Whether entries that are there already may be among them, which are left out.
        mark: Recognizes a repetition of the group.
    """
    steps: list[Step] = []
    sums: dict[Key, _Sum] = {}
    for (key, kind), run in groupby(group, lambda change: (change.key, type(change))):
        row = locked.get(key)
        sum = None if row is None else sums.setdefault(key, _Sum(row))
        if kind is Appended:
            assert sum is not None, "a thread that exists has a row"
            entries = [change for change in run if isinstance(change, Appended)]
            steps += _append(sum, entries, again=again)
        else:
            for change in run:
                steps += _steps(change, sum, locked, sums, now)
    for sum in sums.values():
        steps.append((statements.TOUCH, (sum.open, sum.versions, mark, now, sum.row)))
    return steps


def _append(sum: _Sum, entries: Sequence[Appended], *, again: bool) -> list[Step]:
    if again:
        entries = [entry for entry in entries if entry.revision > sum.revision]
    for entry in entries:
        sum.open = sum.open if entry.open is None else entry.open
    if not entries:
        return []
    sum.revision = entries[-1].revision
    return [(statements.PUT_ENTRIES, (sum.row, sum.revision, pack(entries)))]


def _steps(
    change: SharedChange, sum: _Sum | None, locked: Mapping[Key, Locked], sums: dict[Key, _Sum], now: float
) -> list[Step]:
    match change:
        case SummaryChanged():
            return [_summarize(change, now)]
        case RecordWritten(key, kind, id, data):
            return [(statements.WRITE_RECORD, (*names(key), write_text(kind), write_text(id), data))]
        case RecordErased(key, kind, id):
            return [(statements.ERASE_RECORD, (*names(key), write_text(kind), write_text(id)))]
        case PostTaken(key, id, _, reply):
            return [(statements.TAKE, (*names(key), id, reply))]
        case Deleted(key):
            return _delete(key, sum)
    assert sum is not None, "a thread that exists has a row"
    row = sum.row
    match change:
        case Created():
            sum.revision, sum.open = 0, False
            values = (write_text(change.agent), write_text(change.epoch), change.lasting, change.state, now, row)
            return [(statements.CREATE, values)]
        case BatchAccepted(_, run_id, data):
            sum.versions += 1
            return [(statements.ACCEPT, (row, write_text(run_id), data))]
        case BatchChanged(_, run_id, data):
            sum.versions += 1
            return [(statements.CHANGE_BATCH, (data, row, write_text(run_id)))]
        case BatchSettled(_, run_id):
            sum.versions += 1
            return [(statements.SETTLE, (row, write_text(run_id)))]
        case BatchApplied(_, command_id, digest, run_id):
            return [(statements.APPLY, (row, write_text(command_id), digest, write_text(run_id)))]
        case Compacted(_, revision, state, run):
            sum.revision = max(revision, sum.revision)
            return [(statements.COMPACT, (revision, state, run, row)), (statements.DROP_ENTRIES, (row, revision))]
        case Assigned(_, agent):
            sum.versions += 1
            return [(statements.ASSIGN, (write_text(agent), row))]
        case Renewed(_, epoch):
            return [(statements.RENEW_EPOCH, (write_text(epoch), row))]
        case Moved(key, owner):
            return _move(key, owner, sum, locked, sums)
    raise AssertionError(f"expected a change, got {change!r}")


def _delete(key: Key, sum: _Sum | None) -> list[Step]:
    steps: list[Step] = [(statement, names(key)) for statement in statements.ERASE_OF_KEY]
    if sum is not None:
        sum.revision, sum.open = 0, False
        sum.versions += 1
        steps.append((statements.ERASE, (sum.row,)))
        steps += [(statement, (sum.row,)) for statement in statements.ERASE_OF_ROW]
    return steps


def _move(key: Key, owner: str | None, source: _Sum, locked: Mapping[Key, Locked], sums: dict[Key, _Sum]) -> list[Step]:
    to = Key(owner, key.thread_id)
    target = sums[to] = _Sum(locked[to])
    target.revision, target.open = source.revision, source.open
    steps: list[Step] = [(statements.CLEAR_RECORDS, names(to))]
    steps.append((statements.MOVE, (target.row, source.row)))
    steps += [(statement, (target.row, source.row)) for statement in statements.MOVE_OF_ROW]
    steps += [(statement, (owner_name(owner), *names(key))) for statement in statements.MOVE_OF_KEY]
    source.revision, source.open = 0, False
    source.versions += 1
    steps.append((statements.ERASE, (source.row,)))
    return steps


def _summarize(change: SummaryChanged, now: float) -> Step:
    owner, thread_id = names(change.key)
    values: dict[str, Any] = {"owner": owner, "thread_id": thread_id, "at": change.at, "used": now}
    defaults = {"last": change.at, "archived": False, "title": None, "external_id": None, "custom": b"null"}
    for name, default in defaults.items():
        value = getattr(change, name)
        values[f"has_{name}"] = value is not msgspec.UNSET
        value = default if value is msgspec.UNSET else value
        values[name] = write_text(value) if isinstance(value, str) else value
    return statements.SUMMARIZE, values
