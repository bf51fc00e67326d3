"""What a store has to hold, written as simply as can be; and scripts of commits to hold it against."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random

from msgspec.structs import replace

from statecast.stores import (
    MEMORY,
    Appended,
    Assigned,
    BatchAccepted,
    BatchApplied,
    BatchChanged,
    BatchSettled,
    Change,
    Compacted,
    Created,
    Deleted,
    Key,
    Moved,
    RecordErased,
    RecordWritten,
    SavedThread,
    Store,
)
from statecast.stores.log import Kind

Held = dict[Key, tuple[SavedThread, bool | None]]  #: each thread, and whether a run of it is under way; None: unknown

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
        elif isinstance(change, Moved):
            saved, runs = held.pop(change.key)
            to = Key(change.owner, change.key.thread_id)
            held[to] = replace(saved, key=to), runs
        else:
            held[change.key] = _changed(*held[change.key], change)
    return held


def _changed(saved: SavedThread, runs: bool | None, change: Change) -> tuple[SavedThread, bool | None]:
    match change:
        case Appended(_, revision, kind, data, goes_on):
            entries = [*saved.entries, (revision, kind, data)]
            return replace(saved, entries=entries), runs if goes_on is None else goes_on
        case BatchAccepted(_, run_id, data):
            return replace(saved, inbox=[*saved.inbox, (run_id, data)]), runs
        case BatchChanged(_, run_id, data):
            inbox = [(id, data if id == run_id else before) for id, before in saved.inbox]
            return replace(saved, inbox=inbox), runs
        case BatchSettled(_, run_id):
            return replace(saved, inbox=[place for place in saved.inbox if place[0] != run_id]), runs
        case BatchApplied(_, command_id, digest, run_id):
            return replace(saved, applied={**saved.applied, command_id: (digest, run_id)}), runs
        case Assigned(_, agent):
            return replace(saved, agent=agent), runs
        case Compacted(_, revision, state, run):
            entries = [entry for entry in saved.entries if entry[0] > revision]
            return replace(saved, revision=revision, state=state, run=run, entries=entries), runs
        case RecordWritten(_, _, id, data):
            return replace(saved, memory=list({**dict(saved.memory), id: data}.items())), runs
        case RecordErased(_, _, id):
            return replace(saved, memory=[record for record in saved.memory if record[0] != id]), runs
    raise AssertionError(change)


async def holds(store: Store, keys: Iterable[Key] = KEYS) -> Held:
    """Return what a store holds of some threads."""
    open_ones = set(await store.unfinished())
    held: Held = {}
    for key in keys:
        saved = await store.load(key)
        if saved is not None:
            assert bool(saved.inbox) <= (key in open_ones), "what waits in an inbox is unsettled"
            plain = replace(saved, entries=list(saved.entries), inbox=list(saved.inbox), memory=list(saved.memory))
            held[key] = plain, key in open_ones
    return held


def shown(held: Held) -> Held:
    """Return a model as `holds` finds it: a thread with an inbox is unsettled, whether a run is under way or not."""
    return {key: (saved, runs or bool(saved.inbox)) for key, (saved, runs) in held.items()}


def script(seed: int, commits: int) -> list[Sequence[Change]]:
    """Return commits such as an engine makes, from an empty store on."""
    author = Author(Random(seed), {})
    return [author.commit() for _ in range(commits)]


class Author:
    """Writes commits such as an engine makes: a few changes each, of several threads, all of which fit.

    Args:
        random: What decides.
        held: What the store holds at first.
    """

    def __init__(self, random: Random, held: Held) -> None:
        self.held = held  #: after the last commit
        self._random = random
        self._made = 0

    def commit(self) -> Sequence[Change]:
        """Return the next commit."""
        mixed = self._random.random() < 0.5  # the others are entries of runs that go on, as most are
        batch: list[Change] = []
        for _ in range(self._random.randint(1, 5)):
            change = self._change(self._random.choice(KEYS), mixed)
            self.held = after(self.held, [change])
            batch.append(change)
        return batch

    def _change(self, key: Key, mixed: bool) -> Change:
        random, made = self._random, self._next()
        if key not in self.held:
            epoch = f"epoch{random.randbytes(6).hex()}"
            return Created(key, "agent", epoch, bool(made % 2), b'{"made":%d}' % made)
        saved, _ = self.held[key]
        last = saved.entries[-1][0] if saved.entries else saved.revision
        other = Key("ann" if key.owner is None else None, key.thread_id)
        waiting = [run_id for run_id, _ in saved.inbox]
        match random.choices(range(11), [6, 3, 2, 2, 1, 0.5, 0.5, 1, 1, 0.5, 0.5])[0] if mixed else 0:
            case 0:
                data = random.randbytes(random.choice([10, 10, 300, 5_000]))
                goes_on = random.choice([None, None, True, False]) if mixed else None
                return Appended(key, last + 1, random.choice(KINDS), data, goes_on)
            case 2 if waiting:
                return BatchSettled(key, random.choice(waiting))
            case 3:
                return BatchApplied(key, f"command{made}", random.randbytes(32), f"run{made}")
            case 4:
                at = random.randint(max(saved.revision, last - 2), last)
                return Compacted(key, at, b'{"compacted":%d}' % made, b'{"id":"run","status":"completed"}')
            case 5:
                return Deleted(key)
            case 6:
                return Assigned(key, f"agent{made}")
            case 7:
                return RecordWritten(key, MEMORY, random.choice("abc"), random.randbytes(20))
            case 8 if waiting:
                return BatchChanged(key, random.choice(waiting), random.randbytes(20))
            case 9 if other in KEYS and other not in self.held:
                return Moved(key, other.owner)
            case 10:
                return RecordErased(key, MEMORY, random.choice("abc"))
        return BatchAccepted(key, f"run{made}", random.randbytes(20))

    def _next(self) -> int:
        self._made += 1
        return self._made
