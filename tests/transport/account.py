"""An account of what was sent to a server, of what it was told to stop, and of what anybody saw.

It knows nothing of how a server works. What it is told and does not fit what it knows is a failure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec

from statecast.protocol import Cursor
from statecast.state import Json
from tests.transport.scripted_agent import WORDS

_canonical: Final = msgspec.json.Encoder(order="sorted").encode


class Command(msgspec.Struct, eq=False):
    """A command that somebody sent."""

    name: str
    thread_id: str
    body: dict[str, Any]
    run_id: str | None = None  #: which it led to
    pending: bool = False  #: whether nobody was told yet what became of it
    taker: str | None = None  #: the run that was waiting for it when it came

    @property
    def known(self) -> bool:
        """Whether the server has it already, so that sending it again does nothing."""
        return self.pending or self.run_id is not None


class Account:
    """What must hold, whatever happened."""

    def __init__(self) -> None:
        self.commands: dict[str, Command] = {}
        self.titles: dict[str, list[str]] = {}  #: thread → what it was named, as far back as a crash may go
        self.runs: dict[str, str] = {}  #: run → its thread
        self.stopped: set[str] = set()  #: runs that somebody may have stopped
        self.undone: set[str] = set()  #: runs that are rolled back, unless they ended first
        self.dropped: set[str] = set()  #: runs that are not to begin
        self.over: set[str] = set()  #: runs whose end is kept
        self._seen: dict[str, bytes] = {}  #: cursor → the state and the run there
        self._furthest: dict[str, int] = {}  #: epoch → the last revision that anybody saw

    # What is sent

    def new(self, thread_id: str, kind: str, *, named: bool = True) -> Command:
        """Make up a command, with an id of its own if it is `named`."""
        name = f"n{len(self.commands)}"
        body: dict[str, Any] = {"type": kind, "n": name}
        if kind == "add-message":
            body = {"type": kind, "message": {"role": "user", "parts": [{"type": "text", "text": name}]}}
        if named:
            body["id"] = name
        self.commands[name] = Command(name, thread_id, body)
        return self.commands[name]

    def send(self, commands: Sequence[Command], taken: Collection[Command], taker: str | None) -> None:
        """Note that commands that are new are on their way, some of them to a run that waits."""
        for command in commands:
            command.pending, command.taker = True, taker if command in taken else None

    def accept(self, commands: Sequence[Command], run_id: str) -> None:
        """Note that commands were accepted, and which run was named."""
        for command in commands:
            command.pending, command.run_id = False, command.taker or run_id
            self.runs[command.run_id] = command.thread_id

    def refuse(self, commands: Sequence[Command]) -> None:
        """Note that commands that were new had no effect."""
        for command in commands:
            command.pending, command.taker = False, None

    def name(self, thread_id: str, title: str) -> None:
        """Note that a thread was named, though nobody was told yet."""
        self.titles.setdefault(thread_id, [""]).append(title)

    def keep_name(self, thread_id: str) -> None:
        """Note that somebody was told that the next name is kept."""
        del self.titles[thread_id][0]

    # What happens

    def end(self, thread_id: str, live: Collection[str]) -> None:
        """Note that of the runs on a thread these are live, and that the end of all others is kept."""
        self.over.update(run_id for run_id, name in self.runs.items() if name == thread_id and run_id not in live)

    def crash(self, queued: Collection[str]) -> None:
        """Note that what was on its way is lost, and that runs may be cut short that were neither over nor queued."""
        self.stopped |= self.runs.keys() - self.over - set(queued)
        self.undone &= self.over
        self.titles = {thread_id: names[:1] for thread_id, names in self.titles.items()}
        self.refuse([command for command in self.commands.values() if command.pending])

    # What is seen

    def see(self, cursor: str, state: Json, run: Json) -> None:
        """Note what somebody saw at a cursor: everybody sees the same there, at any time."""
        content = _canonical([state, run])
        before = self._seen.setdefault(cursor, content)
        assert before == content, f"at {cursor} was\n{before!r}, and is now\n{content!r}"
        place = Cursor.parse(cursor)
        assert place is not None
        self._furthest[place.epoch] = max(place.revision, self._furthest.get(place.epoch, 0))

    def reaches(self, end: Cursor) -> None:
        """Note where a thread's log ends: nobody has seen more."""
        assert self._furthest.get(end.epoch, 0) <= end.revision, f"somebody saw more than there is, {end}"

    def check(self, thread_id: str, state: Any, live: Sequence[str]) -> None:
        """Check the state of a thread: what was accepted is there once, unless its run is live, or was stopped."""
        assert state["title"] == self.titles.get(thread_id, [""])[-1]
        texts = [message["parts"][0]["text"] for message in state["messages"] if message["role"] == "user"]
        found, words = Counter([*state["done"], *texts]), Counter(state["text"].split())
        commands = [command for command in self.commands.values() if command.thread_id == thread_id]
        assert {*found, *words} <= {command.name for command in commands}
        unsure = {None, *live, *self.stopped, *self.undone, *self.dropped}
        for command in commands:
            what = f"{command} was applied {found[command.name]} times"
            assert found[command.name] <= (1 if command.known else 0), what
            assert found[command.name] == 1 or command.run_id in unsure, what
            assert found[command.name] == 0 or command.run_id not in self.dropped, f"{what}, and was dropped"
            assert found[command.name] == 0 or words[command.name] in (0, WORDS), f"{what}, in part"
        for run_id in self.undone.difference(live):
            done = [found[command.name] or words[command.name] for command in commands if command.run_id == run_id]
            assert all(done) or not any(done), f"the run {run_id} is undone in part"
