"""What everybody saw, and whether it fits together: one ledger for all that follows the threads of one server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from statecast.protocol import OperationsEntry, RunEntry
from statecast.stores import Key, SavedThread, SqliteStore, read_entry
from statecast.threads.log.restore import restore
from statecast_agents import Document, Memory, operations
from tests.chaos.echo_agents import KEPT

ENDS: Final = {"completed", "failed", "cancelled", "interrupted"}

_Found = TypeVar("_Found")

_canonical: Final = msgspec.json.Encoder(order="sorted").encode


@dataclass
class Sent:
    """A command that somebody sent."""

    thread: str
    agent: str
    tab: str
    number: int
    body: dict[str, Any]
    accepted: int = 0  #: how often it was answered with success
    runs: set[str] = field(default_factory=set)  #: which runs the answers named

    @property
    def name(self) -> str:
        """What the agent counts it by, or the text of a message."""
        return self.body["name"] if self.body["type"] == "echo" else self.body["message"]["parts"][0]["text"]


class Ledger:
    """Everything seen. Each method fails where what is seen now does not fit what was seen before."""

    def __init__(self) -> None:
        self.sent: dict[str, Sent] = {}
        self.seen: dict[tuple[str, int], bytes] = {}  #: thread, revision → state and run there
        self.frames: dict[tuple[str, int], bytes] = {}  #: thread, revision → the frame that led there
        self.stops: dict[str, set[bytes]] = {}  #: thread → states at which a request's stream ended
        self.ends: dict[str, set[str]] = {}  #: run → how it ended
        self.turns: dict[str, dict[int, str]] = {}  #: run → revision → what the log says there that became of it
        self.runs_at: dict[str, dict[int, dict[str, Any]]] = {}  #: thread → revision → the last run there
        self.runs: dict[str, str] = {}  #: run → its thread
        self.epochs: dict[str, str] = {}
        self.furthest: dict[str, int] = {}  #: thread → the last revision that anybody has seen
        self.latest: dict[str, tuple[Any, dict[str, Any] | None]] = {}  #: thread → state and run there
        self._noted = asyncio.Event()

    async def until(self, find: Callable[[], _Found | None]) -> _Found:
        """Wait until something is found; it is looked for whenever something is noted."""
        while not (found := find()):
            self._noted.clear()
            await self._noted.wait()
        return found

    def send(self, sent: Sent) -> None:
        """Note a command that is about to be sent."""
        self.sent[sent.body["id"]] = sent
        self._noted.set()

    def accept(self, sent: Sent, run_id: str | None) -> None:
        """Note that a command was accepted."""
        sent.accepted += 1
        if run_id is not None:
            sent.runs.add(run_id)
        self._noted.set()
        assert len(sent.runs) <= 1, f"the command {sent.body['id']} led to the runs {sent.runs}"

    def see(self, thread: str, cursor: str, state: Any, run: dict[str, Any] | None) -> int:
        """Note the state and the run at a cursor; returns the revision."""
        epoch, _, text = cursor.rpartition("-")
        revision = int(text)
        first = epoch.partition(".")[0]  # behind it is what a server that was killed begins, see `sqlite_file`
        known = self.epochs.setdefault(thread, first)
        assert known == first, f"the thread {thread} had the epoch {known}, and now {epoch}"
        content = _canonical([state, run])
        before = self.seen.setdefault((thread, revision), content)
        assert before == content, f"{thread} at {revision} was\n{before!r}\nand is now\n{content!r}"
        if revision >= self.furthest.get(thread, 0):
            self.furthest[thread] = revision
            self.latest[thread] = state, run
        self._noted.set()
        if run is not None:
            self.runs_at.setdefault(thread, {})[revision] = run
            self.see_run(thread, run)
        return revision

    def see_frame(self, thread: str, revision: int, frame: dict[str, Any]) -> None:
        """Note a frame that is no snapshot."""
        content = _canonical(frame)
        before = self.frames.setdefault((thread, revision), content)
        assert before == content, f"the frame {revision} of {thread} was {before!r} and is now {content!r}"
        if frame["type"] == "run":
            self.see_turn(frame["run"], revision)

    def see_turn(self, run: dict[str, Any], revision: int) -> None:
        """Note what a line of the log says that became of a run."""
        self.turns.setdefault(run["id"], {})[revision] = run["status"]

    def see_run(self, thread: str, run: dict[str, Any]) -> None:
        """Note what became of a run."""
        assert self.runs.setdefault(run["id"], thread) == thread
        if run["status"] in ENDS:
            self.ends.setdefault(run["id"], set()).add(run["status"])

    def stop_at(self, thread: str, state: Any) -> None:
        """Note the state that a request's stream ended with; None if it was ended before it had shown any."""
        if state is None:
            return
        self.stops.setdefault(thread, set()).add(_canonical(state))

    def check(self, thread: str, state: dict[str, Any], *, again: bool) -> None:
        """Check the state of a thread on which nothing is under way: what was accepted took effect, and once."""
        texts = [part["text"] for message in state["messages"] for part in message["parts"]]
        order: dict[str, list[int]] = {}
        numbers = {sent.name: sent for sent in self.sent.values() if sent.thread == thread}
        for name in state["order"] if not again else ():
            order.setdefault(numbers[name].tab, []).append(numbers[name].number)
        for tab, found in order.items():
            assert found == sorted(found), f"the commands of {tab} ran in the order {found}"
        for sent in numbers.values():
            what = f"{sent.body}, accepted {sent.accepted} times by {sent.runs}"
            if sent.body["type"] == "add-message":
                assert texts.count(sent.name) == 1 or (not sent.accepted and sent.name not in texts), what
                continue
            count, done = state["counts"].get(sent.name, 0), state["done"].count(sent.name)
            if again:
                assert done >= 1 or not sent.accepted, f"{what} did not happen"
                continue
            assert done <= count <= 1, f"{what} happened {count} times"
            if count:
                sent.runs.add(state["runs"][sent.name])
                assert len(sent.runs) == 1, f"{what} happened in {state['runs'][sent.name]}"
            ends = {end for run in sent.runs for end in self.ends.get(run, ())}
            if done:
                assert ends <= {"completed", "interrupted"}, f"{what} is done, and its run {ends}"
            elif sent.accepted:
                assert ends <= {"interrupted"}, f"{what} is not done, and its run {ends}"
        for name, ends in self.ends.items():
            assert len(ends) == 1 or again or self.runs[name] != thread, f"the run {name} ended as {ends}"
        for name, turns in self.turns.items():
            if self.runs[name] == thread:
                *before, last = [turns[revision] for revision in sorted(turns)]
                once = not before or (before == ["running"] and last in ENDS)
                assert once or (again and {"running", "interrupted"}.issuperset(before)), f"the run {name} was {turns}"
        runs = self.runs_at.get(thread, {})
        for revision, run in runs.items():
            then = runs.get(revision + 1, run)
            assert run["status"] in ENDS or then["id"] == run["id"], f"{thread} had {run} at {revision}, then {then}"

    async def audit(
        self, file: Path, threads: Iterable[tuple[str, str]], *, owner: str | None = None
    ) -> dict[str, int]:
        """Replay what the file holds of an owner, and hold everything that was seen against it; returns figures."""
        store = SqliteStore(file)
        await store.open()
        assert await store.unfinished() == []
        figures = {"revisions": 0, "seen": 0, "compacted": 0, "completed": 0, "interrupted": 0}
        for thread, agent in threads:
            saved = await store.load(Key(owner, thread))
            if saved is None:
                assert thread not in self.furthest, f"{thread} was seen, and is gone"
                assert not any(sent.accepted for sent in self.sent.values() if sent.thread == thread)
                continue
            first = saved.epoch.partition(".")[0]
            assert first == self.epochs.get(thread, first)
            state: Any = msgspec.json.decode(saved.state)
            run: Any = msgspec.json.decode(saved.run)
            history = {saved.revision: _canonical([state, run])}
            states = {_canonical(state)}
            for expected, (revision, kind, data) in enumerate(saved.entries, saved.revision + 1):
                assert revision == expected, f"{thread} has {revision} where {expected} should be"
                entry = read_entry(revision, kind, data)
                if isinstance(entry, OperationsEntry):
                    state = operations.apply(state, operations.decode(entry.operations))
                elif isinstance(entry, RunEntry):
                    run = msgspec.to_builtins(entry.run)
                    self.see_run(thread, run)
                    self.see_turn(run, revision)
                history[revision] = _canonical([state, run])
                states.add(_canonical(state))
            last = max(history)
            assert self.furthest.get(thread, 0) <= last, (
                f"{thread} was seen at {self.furthest[thread]}, it ends at {last}"
            )
            for (name, revision), content in self.seen.items():
                if name == thread and revision >= saved.revision:
                    assert history[revision] == content, (
                        f"{thread} at {revision} is {history[revision]!r}, not {content!r}"
                    )
                    figures["seen"] += 1
            if saved.revision == 0:
                strange = self.stops.get(thread, set()) - states
                assert not strange, f"a stream of {thread} ended with a state it never had: {strange}"
                for sent in self.sent.values():
                    if sent.thread == thread and sent.accepted and sent.body["type"] == "echo":
                        done = sent.name in state["done"]
                        ends = {end for run_id in sent.runs for end in self.ends.get(run_id, ())}
                        settled = "completed" in ends if agent == "again" else done or ends == {"interrupted"}
                        assert settled, f"{sent.body} is not done, and its run {ends}"
            figures["revisions"] += last
            figures["compacted"] += saved.revision > 0
            self.check(thread, state, again=agent == "again")
            _check_memory(saved, state["text"].split())
        for ends in self.ends.values():
            figures["completed"] += "completed" in ends
            figures["interrupted"] += "interrupted" in ends
        await store.aclose()
        return figures


def _check_memory(saved: SavedThread, pieces: list[str]) -> None:
    """Check that a thread's memory is not behind its text: the agent notes some pieces before it says them."""
    noted = [piece for piece in pieces if int(piece.rpartition(".")[2]) % KEPT == 0]
    if noted:
        memory = Memory(Document(), records=restore(saved).memory)
        assert memory["piece"] not in noted[:-1] or memory["piece"] == noted[-1], (
            f"{saved.key.thread_id} has said {noted[-1]}, and its memory has {memory['piece']}"
        )
