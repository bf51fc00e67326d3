"""What a recorder notes of a run that is cut off between two epochs: readers are told the new one whole, behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from statecast.protocol import RunEntry, RunState, Status
from statecast.stores import Appended, Compacted, Created, Key, MemoryStore, write_entry
from tests.chaos.ledger import Sent as Command
from tests.cluster.checker import check
from tests.cluster.history import Answer, Ended
from tests.cluster.recorder import Recorder

pytestmark = pytest.mark.anyio

KEY = Key(None, "t")

#: The runs in the log, by revision: the engine fails over behind 2, and somebody follows again from 5 on.
LOG: Sequence[tuple[str, Status]] = [
    ("run-1", "running"),
    ("run-1", "running"),
    ("run-1", "interrupted"),
    ("run-2", "running"),
    ("run-2", "running"),
    ("run-2", "completed"),
]


def executing(*runs: str) -> dict[str, Any]:
    return {"executions": [{"id": f"x/{run}", "process": "a", "run": run} for run in runs]}


async def recorded(log: Sequence[tuple[str, Status]], *, compacted: int, epoch: str = "f") -> Recorder:
    """Return what is recorded of two commands, whose runs the log tells of; it begins behind a revision."""
    recorder = Recorder()
    notes = recorder.named("one")
    for number in (1, 2):
        sent = Command("t", "once", "tab", number, {"type": "echo", "id": f"c{number}", "name": f"c{number}"})
        notes.send(sent)
        notes.accept(sent, f"run-{number}")
    notes.see("t", "e-2", executing("run-1"), {"id": "run-1", "status": "running"})
    both = executing("run-1", "run-2")
    notes.see("t", f"{epoch}-5", both, {"id": "run-2", "status": "running"})
    completed = {"id": "run-2", "status": "completed"}
    notes.see_frame("t", 6, {"type": "run", "run": completed})
    notes.see("t", f"{epoch}-6", both, completed)
    assert recorder.is_over(["run-2"])
    store = MemoryStore()
    await store.open()
    store.commit_nowait([Created(KEY, "once", epoch, True, msgspec.json.encode(executing()))])
    for revision, (run_id, status) in enumerate(log, 1):
        run = RunState(run_id, status)
        store.commit_nowait([Appended(KEY, revision, *write_entry(RunEntry(revision, run)))])
        if revision == compacted:
            store.commit_nowait([Compacted(KEY, revision, msgspec.json.encode(both), msgspec.json.encode(run))])
    await recorder.replay(store, "t")
    recorder.events.append(Answer("a", "t", epoch, 6, "", {"c1": 1, "c2": 1}, ["c2"]))
    return recorder


def ends(recorder: Recorder) -> dict[str, str]:
    return {event.run: event.how for event in recorder.events if isinstance(event, Ended)}


def lost(recorder: Recorder) -> list[str]:
    return [fault for fault in check(recorder.events, lease=1.0, patience=None) if fault.startswith("5.")]


async def test_a_mark_that_nobody_was_shown_is_found_in_the_log() -> None:
    recorder = await recorded(LOG, compacted=0)

    assert ends(recorder) == {"run-1": "interrupted", "run-2": "completed"}
    assert lost(recorder) == []


async def test_a_mark_that_nobody_was_shown_may_be_compacted() -> None:
    recorder = await recorded(LOG, compacted=5)

    assert ends(recorder) == {"run-1": "unseen", "run-2": "completed"}
    assert recorder.is_over(["run-1"])
    assert lost(recorder) == []


async def test_a_run_without_a_mark_is_lost_where_the_log_reaches_back_to_it() -> None:
    recorder = await recorded([entry for entry in LOG if entry[1] != "interrupted"], compacted=2)

    assert ends(recorder) == {"run-2": "completed"}
    assert lost(recorder) == ["5. c1 was accepted and was not carried out, and its run ended as []"]


async def test_a_run_without_a_mark_is_lost_where_its_epoch_goes_on() -> None:
    recorder = await recorded(LOG, compacted=5, epoch="e")

    assert not recorder.is_over(["run-1"])
    assert lost(recorder) == ["5. c1 was accepted and was not carried out, and its run ended as []"]
