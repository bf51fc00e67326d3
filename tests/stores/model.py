"""What a store has to hold, written as simply as can be; and scripts of commits to hold it against."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random

from msgspec.structs import replace

from statecast.stores import (
    Appended,
    Assigned,
    BatchAccepted,
    BatchApplied,
    BatchSettled,
    Change,
    Compacted,
    Created,
    Deleted,
    Key,
    SavedThread,
    Store,
)
from statecast.stores.log import Kind

Held = dict[Key, tuple[SavedThread, bool]]  #: each thread, and whether a run of it is under way

KINDS: Sequence[Kind] = ("operations", "chunk", "run")
KEYS = [Key(None, "one"), Key(None, "two"), Key("ann", "one")]


def after(held: Held, changes: Iterable[Change]) -> Held:
    """Return what is held after some changes."""
    held = dict(held)
    for change in changes:
        if isinstance(change, Created):
            empty = SavedThread(
                key=change.key,
                agent=change.agent,
                epoch=change.epoch,
                lasting=change.lasting,
                revision=0,
                state=change.state,
                run=b"null",
                entries=[],
                inbox=[],
                applied={},
                memory=[],
            )
            held[change.key] = empty, False
        elif isinstance(change, Deleted):
            held.pop(change.key, None)
        else:
            held[change.key] = _changed(*held[change.key], change)
    return held


def _changed(saved: SavedThread, runs: bool, change: Change) -> tuple[SavedThread, bool]:
    match change:
        case Appended(_, revision, kind, data, goes_on):
            entries = [*saved.entries, (revision, kind, data)]
            return replace(saved, entries=entries), runs if goes_on is None else goes_on
        case BatchAccepted(_, run_id, data):
            return replace(saved, inbox=[*saved.inbox, (run_id, data)]), runs
        case BatchSettled(_, run_id):
            return replace(saved, inbox=[place for place in saved.inbox if place[0] != run_id]), runs
        case BatchApplied(_, command_id, digest, run_id):
            return replace(saved, applied={**saved.applied, command_id: (digest, run_id)}), runs
        case Assigned(_, agent):
            return replace(saved, agent=agent), runs
        case Compacted(_, revision, state, run):
            entries = [entry for entry in saved.entries if entry[0] > revision]
            return replace(saved, revision=revision, state=state, run=run, entries=entries), runs
    raise AssertionError(change)


async def holds(store: Store, keys: Iterable[Key] = KEYS) -> Held:
    """Return what a store holds of some threads."""
    open_ones = set(await store.unfinished())
    held: Held = {}
    for key in keys:
        saved = await store.load(key)
        if saved is not None:
            assert bool(saved.inbox) <= (key in open_ones), "what waits in an inbox is unsettled"
            plain = replace(saved, entries=list(saved.entries), inbox=list(saved.inbox))
            held[key] = plain, key in open_ones
    return held


def shown(held: Held) -> Held:
    """Return a model as `holds` finds it: a thread with an inbox is unsettled, whether a run is under way or not."""
    return {key: (saved, runs or bool(saved.inbox)) for key, (saved, runs) in held.items()}


def script(seed: int, commits: int) -> list[Sequence[Change]]:
    """Return commits such as an engine makes: a few changes each, of several threads, all of which fit."""
    random = Random(seed)
    revisions: dict[Key, int] = {}
    snapshots: dict[Key, int] = {}
    inboxes: dict[Key, list[str]] = {}
    made = 0
    batches: list[Sequence[Change]] = []
    for _ in range(commits):
        batch: list[Change] = []
        mixed = random.random() < 0.5  # the others are entries of runs that go on, as most are
        for _ in range(random.randint(1, 5)):
            key = random.choice(KEYS)
            made += 1
            if key not in revisions:
                revisions[key], snapshots[key], inboxes[key] = 0, 0, []
                batch.append(Created(key, "agent", f"epoch{made}", bool(made % 2), b'{"made":%d}' % made))
                continue
            kind = random.choices(range(7), [6, 3, 2, 2, 1, 0.5, 0.5])[0] if mixed else 0
            if kind == 0:
                revisions[key] += 1
                data = random.randbytes(random.choice([10, 10, 300, 5_000]))
                goes_on = random.choice([None, None, True, False]) if mixed else None
                batch.append(Appended(key, revisions[key], random.choice(KINDS), data, goes_on))
            elif kind == 2 and inboxes[key]:
                batch.append(BatchSettled(key, inboxes[key].pop(random.randrange(len(inboxes[key])))))
            elif kind == 3:
                batch.append(BatchApplied(key, f"command{made}", random.randbytes(32), f"run{made}"))
            elif kind == 4:
                at = snapshots[key] = random.randint(max(snapshots[key], revisions[key] - 2), revisions[key])
                batch.append(Compacted(key, at, b'{"compacted":%d}' % made, b'{"id":"run","status":"completed"}'))
            elif kind == 6:
                batch.append(Assigned(key, f"agent{made}"))
            elif kind == 5:
                del revisions[key], inboxes[key]
                batch.append(Deleted(key))
            else:
                inboxes[key].append(f"run{made}")
                batch.append(BatchAccepted(key, f"run{made}", random.randbytes(20)))
        batches.append(batch)
    return batches
