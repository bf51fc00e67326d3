"""What clients see of a cluster, written down as a history."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import msgspec

from statecast.protocol import OperationsEntry, RunEntry
from statecast.stores import Key, Store, read_entry
from statecast_agents import operations
from tests.chaos.ledger import ENDS
from tests.chaos.ledger import Sent as Command
from tests.cluster.history import Acked, Ended, Entry, Event, Executed, Fault, Saw, Sent, digest

__all__ = ["Recorder"]

#: Seconds between two looks at the clock, and how late one may be before the machine counts as starved.
PULSE: Final = 0.05
LATE: Final = 0.4


class Recorder:
    """Records what happens from now on."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.sent: dict[str, Command] = {}
        self._begin = time.monotonic()
        self._executions: set[str] = set()
        self._ended: set[tuple[str, str]] = set()
        #: by thread, of each epoch in the order seen: the furthest revision that somebody saw, and the run there
        self._epochs: dict[str, dict[str, tuple[int, str | None]]] = {}
        self._passed: dict[str, _Passed] = {}  #: runs that were over when somebody was first told a new epoch

    @property
    def now(self) -> float:
        """Seconds since the recording began."""
        return time.monotonic() - self._begin

    def named(self, reader: str) -> Notes:
        """Return what one reader notes what it sees in."""
        return Notes(self, reader)

    def see_state(self, thread: str, state: Any, run: dict[str, Any] | None, *, at: float | None = None) -> None:
        """Note what a state tells of executions, and what became of the run; `at` a time, by default now."""
        at = self.now if at is None else at
        for execution in _executions(state):
            if execution["id"] not in self._executions:
                self._executions.add(execution["id"])
                self.events.append(Executed(at, thread, execution["run"], execution["id"], execution["process"]))
        if run is not None and run["status"] in ENDS:
            self.see_end(thread, run["id"], run["status"], at=at)

    def see_end(self, thread: str, run: str, how: str, *, at: float | None = None) -> None:
        """Note that a run ended."""
        if (run, how) not in self._ended:
            self._ended.add((run, how))
            self.events.append(Ended(self.now if at is None else at, thread, run, how))

    def see_cursor(self, thread: str, epoch: str, revision: int, state: Any, run: dict[str, Any] | None) -> None:
        """Note where a reader is, before what it sees there is noted.

        Whoever is told a new epoch is not shown how the run ended that was under way: that was written before.
        """
        epochs = self._epochs.setdefault(thread, {})
        active = None if run is None else run["id"]
        if epochs and epoch not in epochs:
            last, under_way = list(epochs.values())[-1]
            begun = {each["run"] for each in _executions(state) if each["id"] not in self._executions}
            for passed in {under_way, *begun} - {active}:
                if passed is not None:
                    self._passed.setdefault(passed, _Passed(thread, last, self.now))
        if epoch not in epochs or revision >= epochs[epoch][0]:
            epochs[epoch] = revision, active

    def is_over(self, runs: Iterable[str]) -> bool:
        """Return whether a run is over, of those of a command, as far as anybody saw."""
        return any(run in runs for run, _ in self._ended) or any(run in self._passed for run in runs)

    @asynccontextmanager
    async def pulse(self) -> AsyncIterator[None]:
        """Note meanwhile whenever this process, and therefore perhaps all others, got no processor."""

        async def beat() -> None:
            while True:
                before = self.now
                await asyncio.sleep(PULSE)
                if self.now - before > PULSE + LATE:
                    self.events.append(Fault(before, self.now, "starved"))

        beating = asyncio.create_task(beat())
        try:
            yield
        finally:
            beating.cancel()

    async def replay(self, store: Store, thread: str) -> None:
        """Note the log that the engine has of a thread."""
        saved = await store.load(Key(None, thread))
        if saved is None:
            return
        seen = sorted(
            (event.revision, event.at)
            for event in self.events
            if isinstance(event, Saw) and event.thread == thread and event.epoch == saved.epoch
        )
        state: Any = msgspec.json.decode(saved.state)
        run: Any = msgspec.json.decode(saved.run)
        self.events.append(Entry(thread, saved.epoch, saved.revision, digest(state, run), snapshot=True))
        for revision, kind, data in saved.entries:
            entry = read_entry(revision, kind, data)
            known = len(state["text"]) if isinstance(state, dict) and "text" in state else 0
            if isinstance(entry, OperationsEntry):
                state = operations.apply(state, operations.decode(entry.operations))
            elif isinstance(entry, RunEntry):
                run = msgspec.to_builtins(entry.run)
            later = seen[bisect_left(seen, (revision, 0.0)) :]  # whoever was there, or further
            self.see_state(thread, state, run, at=later[0][1] if later else None)
            text = state.get("text", "") if isinstance(state, dict) else ""
            writers = list(dict.fromkeys(piece.rpartition(".")[0] for piece in text[known:].split()))
            self.events.append(Entry(thread, saved.epoch, revision, digest(state, run), writers))
        ended = {run_id for run_id, _ in self._ended}
        for run_id, passed in self._passed.items():
            if passed.thread == thread and passed.last < saved.revision and run_id not in ended:
                self.see_end(thread, run_id, "unseen", at=passed.at)


class _Passed(NamedTuple):
    """A run that ended between two epochs."""

    thread: str
    last: int  #: the last revision that somebody saw before it ended
    at: float  #: when somebody saw that it was over


class Notes:
    """What one reader notes what it sees in."""

    def __init__(self, recorder: Recorder, reader: str) -> None:
        self._recorder = recorder
        self._reader = reader
        self._told = True  #: whether what is seen next comes whole

    def send(self, sent: Command) -> None:
        """Note a command that is about to be sent."""
        if sent.body["id"] not in self._recorder.sent:
            self._recorder.sent[sent.body["id"]] = sent
            self._recorder.events.append(Sent(self._recorder.now, sent.thread, sent.name))

    def accept(self, sent: Command, run_id: str | None) -> None:
        """Note that a command was accepted."""
        sent.accepted += 1
        sent.runs |= {run_id} if run_id else set()
        self._recorder.events.append(Acked(self._recorder.now, sent.thread, sent.name, run_id))

    def see(self, thread: str, cursor: str, state: Any, run: dict[str, Any] | None) -> int:
        """Note the state and the run at a cursor; returns the revision."""
        epoch, _, revision = cursor.rpartition("-")
        self._recorder.see_cursor(thread, epoch, int(revision), state, run)
        self._recorder.see_state(thread, state, run)
        saw = Saw(self._recorder.now, self._reader, thread, epoch, int(revision), digest(state, run), self._told)
        self._recorder.events.append(saw)
        self._told = True
        return int(revision)

    def see_frame(self, thread: str, revision: int, frame: dict[str, Any]) -> None:
        """Note a frame that is no snapshot."""
        self._told = False
        if frame["type"] == "run" and frame["run"]["status"] in ENDS:
            self._recorder.see_end(thread, frame["run"]["id"], frame["run"]["status"])

    def stop_at(self, thread: str, state: Any) -> None:
        """Ignore what a request's stream ended with: it has no cursor."""


def _executions(state: Any) -> Sequence[dict[str, str]]:
    """Return what a state tells of executions."""
    executions: Sequence[dict[str, str]] = state.get("executions", ()) if isinstance(state, dict) else ()
    return executions
