"""One store that lives again and again: each life ends somehow, and the next begins with what is left.

After each, what is left is held against what the process had stored, shown and logged before.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from msgspec.structs import replace

from statecast.stores import SavedThread, SqliteStore
from tests.stores.disk import begin_record, found_at, lose_power
from tests.stores.model import Held, holds
from tests.stores.nursery import Job, Nursery, born_with, commits_of

__all__ = ["Lives"]

COMMITS = 50  #: of a process, after which it stops cleanly

_State = tuple[SavedThread, bool | None]  # a thread, and whether a run of it is under way, if that is known
_Threads = dict[str, _State]  # by the epoch that each was made with, wherever it has moved


@dataclass
class _Told:
    """What a process said."""

    open: bool = False
    stored: int = 0  #: commits
    shown: dict[str, int] = field(default_factory=dict)  #: of each thread, up to which revision
    epochs: dict[str, str] = field(default_factory=dict)  #: of each thread, when the store was opened
    logged: list[str] = field(default_factory=list)
    stopping: bool = False
    stopped: bool = False

    def take(self, what: str, *words: str) -> None:
        match what:
            case "open":
                self.open = True
            case "stored":
                self.stored = int(words[0])
            case "shown":
                self.shown[words[0]] = int(words[1])
            case "epoch":
                self.epochs[words[0]] = words[1]
            case "logged":
                self.logged.append(" ".join(words))
            case "stopping":
                self.stopping = True
            case "stopped":
                self.stopped = True
            case _:
                raise AssertionError(f"expected a line that is known, got {what}")


class Lives:
    """The lives of a store.

    Args:
        folder: Where its files are.
        nursery: Starts the processes.
        random: What decides.
        durable: Whether its commits wait for the disk.
    """

    def __init__(self, folder: Path, nursery: Nursery, random: Random, *, durable: bool) -> None:
        self.path = folder / "store" / "threads.db"
        self.story: list[str] = []  #: how each life ended, and what was left
        self.kills = 0
        self.losses = 0  #: threads of a life that have lost something
        self._record = folder / "record"
        self._copy = folder / "copy"
        self.path.parent.mkdir()
        self._held: Held = {}
        self._epochs: dict[str, list[str]] = {}  #: of each thread
        self._same: bool | None = True  #: whether the epochs are the same next time; None: nobody can tell
        self._nursery = nursery
        self._random = random
        self._durable = durable

    def live(self, end: str, *, power: bool) -> None:
        """Live once, and check what is left.

        Args:
            end: "stopped", "killed", or "torn": killed in the middle of a write by Python.
            power: Whether the power fails then.
        """
        random = self._random
        job = Job(
            path=str(self.path),
            record=str(self._record),
            seed=random.getrandbits(32),
            commits=COMMITS,
            durable=self._durable,
            little=random.random() < 0.5,
            torn=random.randint(1, 60) if end == "torn" else None,
        )
        begin_record(self.path, self._record)
        told = self._watch(job, random.randrange(COMMITS) if end == "killed" else None)
        self.kills += not told.stopped
        self.story.append(f"{job}: {end} after {told.stored}")
        if told.stopped:
            left_over = set(found_at(self.path)) - {self.path.name + suffix for suffix in ("", "-lock", "-stopped")}
            assert not left_over, f"a clean stop left {left_over}"
        if power:
            self.story.append(f"without power: {lose_power(self.path, self._record, random)}")
        else:
            assert not told.logged
        self._see_epochs(told)
        left = asyncio.run(self._left())
        self._check(job, left, told, lossy=power and not self._durable and not told.stopped)

    def _watch(self, job: Job, until: int | None) -> _Told:
        """Run a process until it ends; kill it when it has stored so many commits."""
        random, told = self._random, _Told()
        number = self._nursery.start(job)
        early = random.random() < 0.1  # before it has opened the store, or meanwhile
        while True:
            if until is not None and (early or (told.open and told.stored >= until)):
                _pass(random.random() * random.choice([0.0003, 0.003, 0.03] if early else [0.0003, 0.003]))
                os.kill(number, 9)
                until = None
            what, *words = self._nursery.line()
            if what == "ended":
                assert words in (["0"], ["-9"]), f"a process ended with {words}"
                return told
            told.take(what, *words)

    def _see_epochs(self, told: _Told) -> None:
        for name, epoch in told.epochs.items():
            seen = self._epochs.setdefault(name, [])
            if self._same and seen:
                assert epoch == seen[-1], f"{name} had the epoch {seen[-1]}, and after a clean stop {epoch}"
            elif self._same is False:
                assert epoch not in seen, f"{name} has the epoch {epoch} again, and may have lost something"
            if epoch not in seen:
                seen.append(epoch)
        if told.stopping and not told.stopped:
            self._same = None  # it was killed before or after it had stopped
        elif told.stopped or told.open:
            self._same = told.stopped
        elif self._same:
            self._same = None  # it was killed before it had opened the store, or meanwhile

    async def _left(self) -> Held:
        """Return what is left, as a copy of it says, so that the next process finds it as it was left."""
        shutil.rmtree(self._copy, ignore_errors=True)
        shutil.copytree(self.path.parent, self._copy)
        store = SqliteStore(self._copy / self.path.name)
        await store.open()
        held = await holds(store)
        await store.aclose()
        return held

    def _check(self, job: Job, left: Held, told: _Told, *, lossy: bool) -> None:
        history = [_by_birth(self._held), *(_by_birth(held) for _, held in commits_of(job, self._held))]
        found = _by_birth(left)
        known: dict[str, bool | None] = {}
        for name in {*found, *(name for threads in history for name in threads)}:
            states = [threads.get(name) for threads in history]
            here = found.get(name)
            first = 0 if lossy else max(told.stored, _reaches(states, told.shown.get(name, 0)))
            reached = [index for index in range(first, len(states)) if _is(here, states[index])]
            assert reached, self._wrong(name, here, states, told)
            self.losses += reached[-1] < told.stored
            runs = {state[1] for index in reached if (state := states[index]) is not None}
            known[name] = runs.pop() if len(runs) == 1 else None
        self._held = {key: (saved, known[born_with(saved.epoch)]) for key, (saved, _) in left.items()}

    def _wrong(self, name: str, here: _State | None, states: Sequence[_State | None], told: _Told) -> str:
        return "\n".join(
            [
                f"expected a state of {name} after one of the commits, of which {told.stored} were stored,",
                f"and revision {told.shown.get(name)} shown, but found {_told_shortly(here)}; the states are",
                *(f"{index}: {_told_shortly(state)}" for index, state in enumerate(states)),
                *self.story[-4:],
            ]
        )


def _told_shortly(state: _State | None) -> str:
    if state is None:
        return "nothing"
    saved, runs = state
    revisions = [revision for revision, _, _ in saved.entries]
    parts = [saved.inbox, saved.applied, saved.memory, saved.state, saved.run, saved.agent, saved.entries]
    digests = " ".join(f"{zlib.crc32(repr(part).encode()):08x}" for part in parts)
    return f"{saved.key} at {saved.revision}, entries {revisions}, runs {runs}: {digests}"


def _by_birth(held: Held) -> _Threads:
    return {
        born_with(saved.epoch): (replace(saved, epoch=born_with(saved.epoch)), runs) for saved, runs in held.values()
    }


def _is(found: _State | None, state: _State | None) -> bool:
    """Return whether a thread was found in a state. An inbox hides whether a run is under way."""
    if found is None or state is None:
        return found is state
    return found[0] == state[0] and (found[1] is True if state[0].inbox else state[1] in (None, found[1]))


def _reaches(states: Sequence[_State | None], revision: int) -> int:
    """Return the first state that has a revision."""
    if not revision:
        return 0
    reaching = (index for index, state in enumerate(states) if state and _last(state[0]) >= revision)
    return next(reaching, 0)  # none does if the commit that brings it also deletes the thread


def _last(saved: SavedThread) -> int:
    return saved.entries[-1][0] if saved.entries else saved.revision


def _pass(seconds: float) -> None:
    """Let a moment pass that is too short for the system's clock."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass
