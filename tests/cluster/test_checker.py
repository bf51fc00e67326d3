"""The checker fails when it should: a history in which all is well, and the same with a fault of each kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.cluster.checker import check, takeovers
from tests.cluster.history import (
    Acked,
    Answer,
    Ended,
    Entry,
    Event,
    Executed,
    Fault,
    Measured,
    Saw,
    Sent,
    load,
    save,
)

LEASE = 2.0

#: One command runs to its end in `a`; a second one is cut off when `a` is killed, and `b` marks its run.
WELL: list[Event] = [
    Measured("b", "before", 80_000_000, 10),
    Sent(0.0, "t", "c1"),
    Saw(0.1, "one", "t", "e", 0, "s0", True),
    Saw(0.1, "two", "t", "e", 0, "s0", True),
    Executed(0.2, "t", "run-1", "x1", "a"),
    Saw(0.2, "one", "t", "e", 1, "s1", False),
    Acked(0.3, "t", "c1", "run-1"),
    Saw(0.3, "two", "t", "e", 2, "s2", False),
    Saw(0.3, "one", "t", "e", 2, "s2", False),
    Ended(0.3, "t", "run-1", "completed"),
    Sent(0.4, "t", "c2"),
    Acked(0.5, "t", "c2", "run-2"),
    Executed(0.6, "t", "run-2", "x2", "a"),
    Saw(0.6, "one", "t", "e", 3, "s3", False),
    Fault(1.0, 1.5, "killed", "a"),
    Saw(3.2, "one", "t", "e", 4, "s4", False),
    Saw(3.3, "two", "t", "e", 4, "s4", True),
    Ended(3.2, "t", "run-2", "interrupted"),
    Entry("t", "e", 0, "s0", snapshot=True),
    Entry("t", "e", 1, "s1", ["x1"], 1),
    Entry("t", "e", 2, "s2", ["x1"], 1),
    Entry("t", "e", 3, "s3", ["x2"], 1),
    Entry("t", "e", 4, "s4", [], 2),
    Answer("b", "t", "e", 4, "s4", {"c1": 1, "c2": 1}, ["c1"]),
    Answer("a", "t", "e", 4, "s4", {"c1": 1, "c2": 1}, ["c1"]),
    Measured("b", "after", 90_000_000, 12),
]


def without(*places: int) -> list[Event]:
    return [event for place, event in enumerate(WELL) if place not in places]


def changed(place: int, **fields: object) -> list[Event]:
    """Return the history with another event at a place."""
    return [*WELL[:place], msgspec.structs.replace(WELL[place], **fields), *WELL[place + 1 :]]


def at(kind: type[Event], which: int = 0) -> int:
    """Return the place of an event."""
    return [place for place, event in enumerate(WELL) if isinstance(event, kind)][which]


FAULTS: dict[str, tuple[Callable[[], list[Event]], str]] = {
    "a revision is missing": (lambda: without(at(Entry, 2)), "1. t in the epoch e has 3 behind 1"),
    "a revision is there twice": (lambda: changed(at(Entry, 3), revision=2), "1. t in the epoch e has 2 behind 2"),
    "an entry of an old token": (
        lambda: changed(at(Entry, 2), token=3),
        "2. t has an entry of the token 1 behind one of the token 3",
    ),
    "an execution that writes on": (
        lambda: changed(at(Entry, 4), writers=["x1"]),
        "2. t has at 4 what x1 wrote after x2 had begun",
    ),
    "two readers disagree": (
        lambda: changed(at(Saw, 3), digest="other"),
        "3. t at e-2 was one thing for two, another for one",
    ),
    "a process answers another state": (
        lambda: changed(at(Answer), digest="other"),
        "4. b has another state of t than its log leads to",
    ),
    "a process is behind": (lambda: changed(at(Answer), revision=3), "4. b has t at e-3, the log ends at e-4"),
    "somebody saw what is not in the log": (
        lambda: changed(at(Entry, 1), digest="other"),
        "4. one saw at e-1 of t what its log does not lead to",
    ),
    "an accepted command is lost": (
        lambda: changed(at(Answer, 1), counts={"c2": 1}, done=[]),
        "5. c1 was accepted and was not carried out, and its run ended as ['completed']",
    ),
    "a cut off run is not marked": (
        lambda: changed(at(Ended, 1), how="completed"),
        "5. c2 was accepted and was not carried out, and its run ended as ['completed']",
    ),
    "a command happened twice": (
        lambda: changed(at(Answer, 1), counts={"c1": 2, "c2": 1}, done=["c1", "c1"]),
        "5. c1 was begun 2 times, and carried out 2 times",
    ),
    "a command led to two runs": (
        lambda: [*WELL, Acked(4.0, "t", "c1", "run-3")],
        "5. c1 led to the runs ['run-1', 'run-3']",
    ),
    "a run ended twice": (
        lambda: [*WELL, Ended(4.0, "t", "run-1", "interrupted")],
        "5. the run run-1 ended as ['completed', 'interrupted']",
    ),
    "what a reader saw is gone": (
        lambda: [*WELL, Saw(5.0, "one", "t", "e", 5, "s5", False)],
        "6. one saw t at 5, and its log ends at 4",
    ),
    "a reader hears nothing of a new epoch": (
        lambda: [*without(at(Entry, 4), at(Answer), at(Answer, 1)), Entry("t", "f", 5, "s4")],
        "6. one ended at e-4 of t, whose log ends at f-5",
    ),
    "a reader gets into an epoch without a snapshot": (
        lambda: changed(at(Saw, 6), epoch="f"),
        "6. one went from e to f without a snapshot",
    ),
    "a reader goes back": (lambda: changed(at(Saw, 6), revision=1), "6. one went from e-3 back to 1"),
    "a takeover without a reason": (
        lambda: without(at(Fault)),
        "7. t was taken from a, to which nothing had been done",
    ),
    "a takeover after a pause of half a lease": (
        lambda: changed(at(Fault), kind="paused", end=2.0),
        "7. t was taken from a, to which nothing had been done",
    ),
    "a takeover long after anything was done": (
        lambda: [Fault(-20.0, -15.0, "killed", "a"), *without(at(Fault))],
        "7. t was taken from a, to which nothing had been done",
    ),
    "a takeover after something was done to another process": (
        lambda: changed(at(Fault), process="b"),
        "7. t was taken from a, to which nothing had been done",
    ),
    "a takeover that is late": (
        lambda: [*changed(at(Saw, 6), at=4.5)[: at(Saw, 7)], *WELL[at(Saw, 7) + 1 :]],
        "7. t went on 3.5 s after its owner was killed",
    ),
    "memory that is not given back": (
        lambda: changed(at(Measured, 1), memory=200_000_000),
        "8. b holds 200,000,000 bytes, and held 80,000,000",
    ),
    "connections that are not given back": (
        lambda: changed(at(Measured, 1), sockets=60),
        "8. b holds 60 sockets, and held 10",
    ),
}


def test_nothing_is_wrong_where_all_is_well() -> None:
    assert check(WELL, lease=LEASE, patience=1.0) == []
    assert [(thread, round(seconds, 3)) for thread, seconds in takeovers(WELL)] == [("t", 2.2)]


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found(fault: str) -> None:
    make, said = FAULTS[fault]

    assert said in check(make(), lease=LEASE, patience=1.0)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(1.0, 2.5, "paused", "a"),
        Fault(1.0, 1.1, "engine"),
        Fault(0.5, 1.8, "held", "a"),
        Fault(1.0, 3.0, "starved"),
    ],
    ids=lambda fault: fault.kind,
)
def test_a_takeover_is_excused_by_what_keeps_an_owner_from_renewing(fault: Fault) -> None:
    history = [fault if isinstance(event, Fault) else event for event in WELL]

    assert check(history, lease=LEASE, patience=None) == []


def test_faults_that_follow_one_another_closely_count_together() -> None:
    place = at(Fault)
    both = [*WELL[:place], Fault(0.8, 1.6, "paused", "a"), Fault(1.8, 2.6, "cut", "a"), *WELL[place + 1 :]]

    assert check(both, lease=LEASE, patience=None) == []


def test_a_restarted_run_may_begin_again_and_has_to_be_carried_out() -> None:
    place = at(Ended, 1)
    again = [
        *WELL[:place],
        Executed(3.2, "t", "run-2", "x3", "b"),
        Ended(3.4, "t", "run-2", "completed"),
        *(
            msgspec.structs.replace(event, counts={"c1": 1, "c2": 2}, done=["c1", "c2"], restartable=True)
            if isinstance(event, Answer)
            else event
            for event in WELL[place + 1 :]
        ),
    ]
    lost = [msgspec.structs.replace(event, done=["c1"]) if isinstance(event, Answer) else event for event in again]

    assert check(again, lease=LEASE, patience=1.0) == []
    assert check(lost, lease=LEASE, patience=1.0) == ["5. c2 was accepted, and was not carried out"]


def test_a_history_is_written_and_read(tmp_path: Path) -> None:
    save(WELL, tmp_path / "history")

    assert load(tmp_path / "history") == WELL
