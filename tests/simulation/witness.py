"""The witness of a story writes its history down, for the same checks as that of a real cluster."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec

from statecast.protocol import Cursor, OperationsEntry, RunEntry
from statecast.stores import Appended, Key, SavedThread, read_entry
from statecast_agents import OperationError, operations
from tests.cluster.history import Acked, Answer, Ended, Entry, Event, Executed, Fault, Saw, digest

from .engine import Engine
from .loop import SimulatedLoop

__all__ = ["THREAD", "Witness"]

#: The thread on which a traveller goes back, so that what was carried out on it may be taken back.
THREAD: Final = "w"

#: Seconds until each process that runs has noticed that the engine is another one: it renews its claims that often.
NOTICED: Final = 1.0


class Witness:
    """Notes what happens.

    Args:
        loop: The event loop, for the time.
    """

    def __init__(self, loop: SimulatedLoop) -> None:
        self.events: list[Event] = []
        self.faults: list[str] = []  #: what is wrong, whatever the checks say
        self._loop = loop
        self._forgiven = 0.0  #: when the engine last lost something
        self._ended: set[tuple[str, str]] = set()

    @property
    def forgives(self) -> bool:
        """Whether the engine has lost something."""
        return self._forgiven > 0

    @property
    def now(self) -> float:
        """The time."""
        return self._loop.time()

    def add(self, event: Event) -> None:
        """Note an event."""
        self.events.append(event)

    def fault(self, text: str) -> None:
        """Note what is wrong in any case."""
        self.faults.append(f"{self.now:.3f} {text}")

    def forgive(self) -> None:
        """Note that the engine has lost what it wrote last, which it may have confirmed.

        A process that has not noticed yet may confirm it once more to whoever asks again; one that is paused, when it
        goes on.
        """
        pauses = [event.end for event in self.events if isinstance(event, Fault) and event.kind == "paused"]
        self._forgiven = max(self.now, *pauses, 0.0) + NOTICED
        self.events = [event for event in self.events if not isinstance(event, Ended | Executed)]
        self._ended.clear()

    def take_back(self, saved: SavedThread, patches: Collection[str]) -> None:
        """Forget the answers about what the engine has lost of a thread; all others count.

        Args:
            saved: What it has.
            patches: The names of the commands and patches that its state has.
        """
        runs = {run for _, run in saved.applied.values()}
        self.events = [
            event
            for event in self.events
            if not isinstance(event, Acked)
            or event.thread != saved.key.thread_id
            or event.at > self._forgiven
            or event.run in runs
            or (event.run is None and event.command in patches)
        ]

    def forget(self, thread: str) -> None:
        """Forget a thread that the engine has lost: those who followed it were told that there is none."""
        self.events = [event for event in self.events if getattr(event, "thread", None) != thread]

    def see(self, reader: str, thread: str, cursor: Cursor, state: Any, run: Any, *, told: bool) -> None:
        """Note what a reader has at a cursor."""
        self.add(Saw(self.now, reader, thread, cursor.epoch, cursor.revision, digest(state, run), told))

    def written(self, change: Appended) -> None:
        """Note what an entry that the engine has written tells of runs; a rewind tells what was once more."""
        thread = change.key.thread_id
        if thread == THREAD:
            return
        entry = read_entry(change.revision, change.kind, change.data)
        if isinstance(entry, RunEntry):
            run = entry.run
            if run.ended and (run.id, run.status) not in self._ended:
                self._ended.add((run.id, run.status))
                self.add(Ended(self.now, thread, run.id, run.status))
        elif isinstance(entry, OperationsEntry) and b'"executions"' in entry.operations:
            for operation in operations.decode(entry.operations):
                if operation.path[0] == "executions" and isinstance(operation, operations.Set):
                    begun: Any = operation.value
                    self.add(Executed(self.now, thread, begun["run"], begun["id"], begun["process"]))

    def replay(self, engine: Engine, saved: SavedThread) -> None:
        """Note the log that the engine has of a thread."""
        thread = saved.key.thread_id
        state: Any = msgspec.json.decode(saved.state)
        run: Any = msgspec.json.decode(saved.run)
        self.add(Entry(thread, saved.epoch, saved.revision, digest(state, run), snapshot=True))
        for revision, kind, data in saved.entries:
            entry = read_entry(revision, kind, data)
            known = len(state["text"])
            if isinstance(entry, OperationsEntry):
                try:
                    state = operations.apply(state, operations.decode(entry.operations))
                except OperationError as error:
                    self.fault(f"the log of {thread} does not lead anywhere at {revision}: {error}")
                    return
            elif isinstance(entry, RunEntry):
                run = msgspec.to_builtins(entry.run)
            written = "" if thread == THREAD else state["text"][known:]
            writers = list(dict.fromkeys(piece.rpartition(".")[0] for piece in written.split()))
            token = engine.token_of(saved.key, revision, data)
            self.add(Entry(thread, saved.epoch, revision, digest(state, run), writers, token))
        self.take_back(saved, state["counts"])

    def answer(self, process: str, key: Key, cursor: Cursor, text: bytes, run: Any, *, restartable: bool) -> None:
        """Note what a process answers when all is quiet."""
        state = msgspec.json.decode(text)
        self.add(
            Answer(
                process,
                key.thread_id,
                cursor.epoch,
                cursor.revision,
                digest(state, run),
                state["counts"],
                state["done"],
                restartable=restartable,
            )
        )
