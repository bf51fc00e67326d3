"""What the engine returns, as threads, tails and records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from statecast.stores.errors import Damaged
from statecast.stores.key import Key
from statecast.stores.log import MEMORY, Kind, SavedThread
from statecast.stores.records import Summary
from statecast.stores.shared import Place, Tail

from .commits import KINDS, PLACE
from .node import Reply

__all__ = ["in_order", "near_of", "pairs", "records_of", "summary_of", "tail_of", "thread_of"]

_applied: Final = msgspec.msgpack.Decoder(tuple[bytes, str]).decode
_record: Final = msgspec.json.Decoder(tuple[str, str]).decode


def pairs(flat: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Return the fields and values of a hash."""
    return zip(flat[::2], flat[1::2], strict=True)


def in_order(flat: Sequence[bytes]) -> list[tuple[str, bytes]]:
    """Return the fields of a hash in the order in which they were first set, and their values."""
    found = sorted((value[:PLACE], field, value[PLACE:]) for field, value in pairs(flat))
    return [(field.decode(), value) for _, field, value in found]


def thread_of(key: Key, reply: Reply) -> SavedThread | None:
    """Return a thread.

    Raises:
        Damaged: Something in it cannot be read.
    """
    if reply is None:
        return None
    (agent, epoch, lasting, revision, run), state, log, inbox, ids, memory = reply
    if state is None or log is None:
        raise Damaged(f"the {'snapshot' if state is None else 'log'} is not there")
    try:
        start = int(revision)
        return SavedThread(
            key=key,
            agent=agent.decode(),
            epoch=epoch.decode(),
            lasting=lasting == b"1",
            revision=start,
            state=state,
            run=run,
            entries=_entries(log, start),
            inbox=in_order(inbox),
            applied={command.decode(): _applied(data) for command, data in pairs(ids)},
            memory=in_order(memory),
        )
    except (ValueError, LookupError, AttributeError, msgspec.DecodeError) as error:
        raise Damaged(f"the thread cannot be read: {error}") from error


def _entries(log: Iterable[tuple[bytes, Sequence[bytes]]], after: int) -> list[tuple[int, Kind, bytes]]:
    """Return the lines of a log after a revision.

    Entries of the stream may overlap: lines of a batch that was sent twice are the same both times.
    """
    lines: list[tuple[int, Kind, bytes]] = []
    for id, flat in log:
        revision = int(id.partition(b"-")[2]) - len(flat) // 2
        for letter, data in pairs(flat):
            revision += 1
            if revision > after:
                lines.append((revision, KINDS[letter], data))
                after = revision
    return lines


def tail_of(key: Key, place: Place, reply: Reply) -> Tail:
    """Return what is new on a thread since a place."""
    if len(reply) == 1:
        return Tail(key=key, epoch=place.epoch, version=place.version, agent="", entries=(), inbox=(), gone=True)
    agent, epoch, version, _, last, log, more, inbox = reply[1]
    revision = int(last)
    same = epoch.decode() == place.epoch
    lines = _entries(log, place.revision)
    ahead = same and place.revision > revision
    reaches = same and (lines[0][0] == place.revision + 1 if lines else place.revision == revision)
    return Tail(
        key=key,
        epoch=epoch.decode(),
        version=int(version),
        agent=agent.decode(),
        entries=lines if reaches else (),
        inbox=in_order(inbox),
        more=reaches and int(more) > 0,
        truncated=not reaches,
        ahead=ahead,
    )


def near_of(key: Key, place: Place, agent: str, log: Reply, *, more: bool) -> Tail:
    """Return what is new on a thread since a place, of a log that is read from the entry at this place on."""
    entries = _entries(log[1:], place.revision)
    reaches = bool(entries) and entries[0][0] == place.revision + 1
    return Tail(
        key=key,
        epoch=place.epoch,
        version=place.version,
        agent=agent,
        entries=entries if reaches else (),
        inbox=(),
        more=reaches and more,
        truncated=not reaches,
    )


def records_of(flat: Sequence[bytes], kind: str) -> list[tuple[str, bytes]]:
    """Return the records of a kind, of a hash of all of a thread's."""
    if kind == MEMORY:
        return in_order(flat)
    found = [(_record(field), data) for field, data in in_order(flat)]
    return [(id, data) for (its_kind, id), data in found if its_kind == kind]


def summary_of(key: Key, flat: Sequence[bytes]) -> Summary | None:
    """Return a thread's summary; None if it has none."""
    card = dict(pairs(flat))
    if not card:
        return None
    title, external_id = card.get(b"title"), card.get(b"external")
    return Summary(
        key=key,
        created=float(card[b"created"]),
        updated=float(card[b"updated"]),
        last=float(card[b"last"]),
        archived=card[b"archived"] == b"1",
        title=None if title is None else title.decode(),
        external_id=None if external_id is None else external_id.decode(),
        custom=card.get(b"custom", b"null"),
    )
