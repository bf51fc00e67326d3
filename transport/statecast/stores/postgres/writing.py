"""Writes batches to the PostgreSQL store.

Entries, which is what most batches are, are appended in one statement: one round trip, and one commit for all threads
of the batch. All else takes a transaction that locks the rows of its threads, learns which may be written, and writes
all of those: two round trips, and one commit.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from statecast.stores.base import Change, Moved
from statecast.stores.by_thread import by_thread
from statecast.stores.errors import ChangeRefused, Damaged, Fenced
from statecast.stores.fitting import check_fit
from statecast.stores.key import Key
from statecast.stores.log import Appended, Created
from statecast.stores.records import RecordErased, RecordWritten, SummaryChanged
from statecast.stores.shared import PostTaken, SharedChange

from . import statements
from .batches import Locked, Step, keys_of, steps_of
from .columns import array_of, columns_of, mark_of, names, pack
from .connections import Connection, Connections

__all__ = ["COARSE", "Writing"]

Group = Sequence[SharedChange]  #: the changes of one thread, or of those that a move connects

#: Seconds for which entries do not record that their thread is written to, once it is recorded.
COARSE: Final = 10.0

#: Seconds after which the server ends a transaction that waits for its next statement.
ABANDONED: Final = "3s"


class _Claim:
    """What is known of a thread that this process has claimed."""

    __slots__ = ("row", "touched")

    def __init__(self, row: int) -> None:
        self.row = row
        self.touched = -math.inf  #: when it was last recorded that the thread is written to


class Writing:
    """Writes changes.

    Args:
        connections: To the server.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._claims: dict[Key, _Claim] = {}
        #: Of each thread, the changes of which nobody knows whether they were written, since the reply was lost.
        self._unsure: dict[Key, tuple[int, Group]] = {}

    async def commit(self, changes: Sequence[Change], now: float) -> None:
        """Write changes, all or none, whoever holds their threads.

        Raises:
            StoreUnavailable: They may have been written, or not.
            ChangeRefused: None was written.
        """
        try:
            failed = await self._transact([changes] if changes else [], {}, now)
        except Damaged as error:
            raise ChangeRefused(str(error)) from error
        for refused in failed.values():
            raise refused

    async def write(
        self, changes: Sequence[SharedChange], tokens: Mapping[Key, int], now: float
    ) -> dict[Key, Exception]:
        """Write changes under tokens, all or none of each thread; return the threads of which none was written.

        Raises:
            StoreUnavailable: Some may have been written.
        """
        groups: list[Sequence[SharedChange]] = list(by_thread(changes))
        plain = [group for group in groups if all(type(change) is Appended for change in group)]
        if len(plain) == len(groups):
            groups = await self._append(plain, tokens, now)
        try:
            return await self._transact(groups, tokens, now) if groups else {}
        except (ChangeRefused, Damaged) as error:
            if len(groups) == 1:
                return {key: error for change in groups[0] for key in keys_of(change)}
        failed: dict[Key, Exception] = {}
        for group in groups:
            try:
                failed |= await self._transact([group], tokens, now)
            except (ChangeRefused, Damaged) as error:
                failed |= {key: error for change in group for key in keys_of(change)}
        return failed

    def claimed(self, key: Key, row: int) -> None:
        """Take note of a claim. What may have been written before is what the claim found."""
        self._claims[key] = _Claim(row)
        self._unsure.pop(key, None)

    def forget(self, keys: Iterable[Key]) -> None:
        """Forget threads that are not claimed any more."""
        for key in keys:
            self._claims.pop(key, None)
            self._unsure.pop(key, None)

    async def _append(self, groups: Sequence[Group], tokens: Mapping[Key, int], now: float) -> list[Group]:
        """Append entries to threads, and return the groups of those that were not written so."""
        given: dict[int, Group] = {}  #: by row
        columns: list[tuple[int, int, int, bytes, bool, bool | None]] = []
        others: list[Group] = []
        for group in groups:
            entries = [change for change in group if isinstance(change, Appended)]
            key = entries[0].key
            claim = self._claims.get(key)
            if claim is None or key not in tokens or key in self._unsure:
                others.append(group)
                continue
            goes_on = next((entry.open for entry in reversed(entries) if entry.open is not None), None)
            touch = goes_on is not None or claim.touched < now - COARSE
            columns.append((claim.row, tokens[key], entries[-1].revision, pack(entries), touch, goes_on))
            given[claim.row] = group
        if not given:
            return others
        columns.sort()  # rows are locked in their order
        rows, numbers, lasts, packed, touches, opens = zip(*columns, strict=True)
        values: list[object] = [array_of(rows), array_of(numbers), array_of(lasts), list(packed)]
        touched = any(touches)
        if touched:
            values += [list(touches), list(opens), now]
        try:
            statement = statements.APPEND_AND_TOUCH if touched else statements.APPEND
            written = {row for (row,) in await self._connections.fetch(statement, values)}
        except (ChangeRefused, Damaged):
            return [*others, *given.values()]
        for row, *_, touch, _ in columns:
            if touch and row in written:
                self._claims[given[row][0].key].touched = now
        return [*others, *(group for row, group in given.items() if row not in written)]

    async def _transact(self, groups: Sequence[Group], tokens: Mapping[Key, int], now: float) -> dict[Key, Exception]:
        """Write groups of changes in one transaction, but for those that are fenced, or do not fit."""
        failed: dict[Key, Exception] = {}
        marks: dict[Key, tuple[int, Group]] = {}
        groups = sorted(groups, key=_first)
        async with self._connections.borrow() as connection:
            locked, summarized = await self._lock(connection, groups, tokens)
            steps: list[Step] = []
            for group in groups:
                mark = mark_of(group) if group[0].key in tokens and not all(map(_is_beside, group)) else 0
                try:
                    fresh = self._fresh(group, mark, tokens, locked, summarized)
                except (Fenced, ChangeRefused) as error:
                    failed |= {change.key: error for change in group}
                    continue
                if fresh:
                    steps += steps_of(fresh, locked, now, again=group[0].key in tokens, mark=mark)
                    marks |= {key: (mark, group) for key in {change.key for change in group} if key in tokens}
            try:
                async with connection.pipeline():
                    for statement, values in steps:
                        await connection.execute(self._connections.named(statement), values)
                    await connection.execute(statements.COMMIT)
            except BaseException:
                self._unsure |= marks
                raise
        for group in groups:
            for change in group:
                self._unsure.pop(change.key, None)
        return failed

    async def _lock(
        self, connection: Connection, groups: Sequence[Group], tokens: Mapping[Key, int]
    ) -> tuple[dict[Key, Locked], set[Key]]:
        """Begin a transaction, and lock the rows of threads; return them, and which targets of moves have a summary."""
        made: dict[Key, None] = {}
        keys: dict[Key, None] = {}
        targets: dict[Key, None] = {}
        for group in groups:
            for change in group:
                if _is_beside(change) and change.key not in tokens:
                    continue
                keys |= dict.fromkeys(keys_of(change))
                if isinstance(change, Created | Moved):
                    made |= {key: None for key in keys_of(change) if key not in tokens}
                if isinstance(change, Moved):
                    targets[keys_of(change)[1]] = None
        async with connection.pipeline():
            await connection.execute(statements.BEGIN)
            if self._connections.pooled:
                await connection.execute(statements.PATIENCE, (ABANDONED, ABANDONED))
            if made:
                await connection.execute(self._connections.named(statements.MAKE_ROWS), columns_of(made))
            rows = await connection.execute(self._connections.named(statements.LOCK), columns_of(keys))
            revisions = await connection.execute(self._connections.named(statements.REVISIONS), columns_of(keys))
            summaries = await connection.execute(self._connections.named(statements.SUMMARIZED), columns_of(targets))
        order, places = list(keys), list(targets)
        locked = {order[number - 1]: Locked(*row) for number, *row in await rows.fetchall()}
        for number, revision in await revisions.fetchall():
            locked[order[number - 1]].revision = revision
        return locked, {places[number - 1] for (number,) in await summaries.fetchall()}

    def _fresh(
        self,
        group: Group,
        mark: int,
        tokens: Mapping[Key, int],
        locked: Mapping[Key, Locked],
        summarized: Collection[Key],
    ) -> Group:
        """Return what of a group is to be written: all of it, or nothing or the rest if it was written before.

        Raises:
            Fenced: Another process has claimed a thread.
            ChangeRefused: A change does not fit.
        """
        for change in group:
            row = locked.get(change.key)
            if change.key in tokens and (row is None or row.token != tokens[change.key]):
                raise Fenced("another process has claimed the thread")
            if isinstance(change, Moved):
                to = keys_of(change)[1]
                if to not in tokens and locked[to].held:
                    raise Fenced("another process has claimed the thread that it becomes")
        first = locked.get(group[0].key)
        if mark and first is not None and first.mark:
            if first.mark == mark:
                return ()
            before_mark, before = self._unsure.get(group[0].key, (0, ()))
            if first.mark == before_mark:
                if list(group[: len(before)]) != list(before):
                    raise Fenced("what was withdrawn had been written, though nobody could know")
                return group[len(before) :]
        stored = [change for change in group if not isinstance(change, PostTaken)]
        check_fit(stored, lambda key: key in locked and locked[key].exists, lambda key: key in summarized)
        return group


def _first(group: Group) -> tuple[str, str]:
    """Return the order of groups: rows beside threads are not locked first, and nobody is to wait in a circle."""
    return names(group[0].key)


def _is_beside(change: SharedChange) -> bool:
    """Return whether a change is to what is beside a thread, where to write the same twice is to write it once."""
    return isinstance(change, SummaryChanged | RecordWritten | RecordErased)
