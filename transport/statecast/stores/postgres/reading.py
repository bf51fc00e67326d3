"""Turns rows of the PostgreSQL store into threads, tails and summaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from statecast.stores.key import Key
from statecast.stores.log import SavedThread
from statecast.stores.records import Summary
from statecast.stores.shared import Place, Tail

from .columns import key_of, read_text, unpack
from .connections import Row

__all__ = ["SOME", "summary_in", "tail_in", "thread_in"]

#: Rows of entries in a tail at most; a row is what was written at once.
SOME: Final = 64


def thread_in(key: Key, row: Row) -> SavedThread:
    """Return the thread that a row of `LOAD` holds.

    Raises:
        Damaged: Its entries cannot be read.
    """
    agent, epoch, lasting, reached, state, run, entries, runs, batches, commands, digests, led_to, ids, data = row
    return SavedThread(
        key=key,
        agent=read_text(agent),
        epoch=read_text(epoch),
        lasting=lasting,
        revision=reached,
        state=state,
        run=run,
        entries=unpack(entries, reached),
        inbox=_inbox(runs, batches),
        applied={
            read_text(id): (digest, read_text(run_id))
            for id, digest, run_id in zip(commands, digests, led_to, strict=True)
        },
        memory=[(read_text(id), value) for id, value in zip(ids, data, strict=True)],
    )


def tail_in(row: Row, places: Sequence[tuple[Key, Place]]) -> Tail:
    """Return the tail that a row of `TAILS` holds, of one of the places.

    Raises:
        Damaged: Its entries cannot be read.
    """
    number, epoch, version, agent, revision, reached, packed, runs, batches = row
    key, place = places[number - 1]
    if epoch is None:
        return Tail(key=key, epoch=place.epoch, version=place.version, agent="", entries=(), inbox=(), gone=True)
    epoch = read_text(epoch)
    same = epoch == place.epoch
    reaches = same and reached <= place.revision <= revision
    entries = unpack(packed, place.revision) if reaches else []
    last = entries[-1][0] if entries else place.revision
    return Tail(
        key=key,
        epoch=epoch,
        version=version,
        agent=read_text(agent),
        entries=entries,
        inbox=_inbox(runs, batches),
        more=reaches and last < revision,
        truncated=not reaches,
        ahead=same and place.revision > revision,
    )


def summary_in(row: Row) -> Summary:
    """Return the summary that a row holds."""
    owner, thread_id, created, updated, last, archived, title, external_id, custom = row
    return Summary(
        key=key_of(owner, thread_id),
        created=created,
        updated=updated,
        last=last,
        archived=archived,
        title=None if title is None else read_text(title),
        external_id=None if external_id is None else read_text(external_id),
        custom=custom,
    )


def _inbox(runs: Sequence[str] | None, batches: Sequence[bytes] | None) -> list[tuple[str, bytes]]:
    return [(read_text(run_id), data) for run_id, data in zip(runs or (), batches or (), strict=True)]
