"""Segments of a history: how much of a log that has grown is kept, and that each can be read alone."""

from __future__ import annotations

import random

import msgspec
import pytest

from statecast.stores import Key, RecordWritten
from statecast.threads.log.segments import INDEX, pack_within, read_index, unpack, with_segment
from statecast.threads.log.stretch import Stretch


def stretch(entries: int, size: int = 1) -> Stretch:
    """Return a stretch in which each entry sets the state's number to its revision."""
    noise = random.Random(entries)
    state = msgspec.json.encode({"number": 0, "noise": ""})
    return Stretch(
        0,
        state,
        b"null",
        [
            (
                revision,
                "operations",
                msgspec.json.encode(
                    [
                        {"type": "set", "path": ["number"], "value": revision},
                        {"type": "set", "path": ["noise"], "value": noise.randbytes(size).hex()},
                    ]
                ),
            )
            for revision in range(1, entries + 1)
        ],
    )


def number(stretch: Stretch, revision: int) -> int:
    found: int = msgspec.json.decode(stretch.point(revision).state)["number"]
    return found


@pytest.mark.parametrize("entries", [1, 9, 10, 11, 200])
def test_the_last_entries_of_a_long_stretch_are_kept(entries: int) -> None:
    kept, data = pack_within(stretch(entries), most=10, most_bytes=1_000_000)

    assert kept.end == entries
    assert len(kept.entries) == min(entries, 10)
    assert [number(unpack(data), revision) for revision in range(kept.revision, kept.end + 1)] == list(
        range(kept.revision, kept.end + 1)
    )


def test_what_takes_too_many_bytes_loses_its_older_half_until_it_fits() -> None:
    kept, data = pack_within(stretch(64, size=1_000), most=1_000, most_bytes=40_000)

    assert len(data) <= 40_000
    assert 1 < len(kept.entries) < 64
    assert kept.end == 64
    assert number(kept, kept.revision) == kept.revision


def test_a_history_is_never_empty_after_a_stretch_that_is_longer_than_it_may_be() -> None:
    key = Key(None, "t")
    kept, data = pack_within(stretch(200), most=10, most_bytes=1_000_000)

    changes = with_segment(key, [], kept, data, most=10, most_bytes=1_000_000)

    written = {change.kind: change.data for change in changes if isinstance(change, RecordWritten)}
    (segment,) = read_index([("", written[INDEX])])
    assert (segment.begin, segment.end) == (190, 200)
