"""The engine that the processes of a story share: a store in memory that can be away, and lose what it wrote last.

It performs each call at one moment, as a database does in a transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from statecast.stores import Appended, Key, MemoryStore, PostTaken, Sharing
from statecast.stores.by_thread import by_thread
from statecast.stores.shared import Claimed, Place, SharedChange, Tail

from .loop import Process, SimulatedLoop

__all__ = ["Answer", "Engine", "done"]

#: Called with what a call returns, or raises.
Answer = Callable[[Any], None]

Tokens = Mapping[Key, int]


class Engine:
    """One engine.

    Args:
        loop: The event loop, whose time is the engine's.
    """

    def __init__(self, loop: SimulatedLoop) -> None:
        self.loop = loop
        self.process = Process("engine", loop)
        self.away = False
        self.era = 0  #: how often it ended: connections end with it
        self.on_entry: Callable[[Appended], None] = lambda entry: None  #: called with each entry that is written
        self.tokens: dict[Key, int] = {}  #: of the latest claim of each thread
        self._writers: dict[tuple[Key, int, bytes], int] = {}  #: the token under which each entry was written
        self._commits: list[tuple[Sequence[SharedChange], Tokens, int]] = []  #: each with the greatest token until then
        self._latest: dict[Key, tuple[int | None, Sequence[SharedChange]]] = {}  #: the last commit of each thread
        self._sharing = self._begin(0)

    def _begin(self, tokens: int) -> Sharing:
        return Sharing(MemoryStore(clock=self.loop.time), clock=self.loop.time, tokens=tokens)

    def stop(self) -> None:
        """End; whoever waits for an answer gets none."""
        self.away = True
        self.era += 1

    def start(self) -> None:
        """Begin again with all that was written."""
        self.away = False

    def fail_over(self, lost: int) -> None:
        """Begin again without so many of the latest commits."""
        self.away = False
        kept = self._commits[: max(0, len(self._commits) - lost)]
        self._sharing = self._begin(kept[-1][2] if kept else 0)
        self._sharing.name = self.name()
        self._commits, self._latest, self._writers = [], {}, {}
        self.tokens = dict.fromkeys(self.tokens, kept[-1][2] if kept else 0)
        for changes, tokens, _ in kept:
            done(self._sharing.commit([change for change in changes if not isinstance(change, PostTaken)]))
            self._note(changes, tokens)

    def name(self) -> str:
        """Return what the engine is called once it has lost something."""
        return f"era {self.era}"

    def perform(self, name: str, args: Sequence[Any], options: Mapping[str, Any], answer: Answer) -> None:
        """Perform a call and answer, at once or later; what it raises is an answer as well."""
        try:
            if name == "write":
                self.write(args[0], args[1], answer)
            elif name == "tails":
                answer(self.tails(args[0]))
            else:
                result = self.read(name, *args, **options)
                if isinstance(result, Claimed):
                    self.tokens[args[0]] = result.token
                answer(result)
        except Exception as error:  # it is the caller's
            answer(error)

    def read(self, name: str, *args: Any, **options: Any) -> Any:
        """Return what the store answers."""
        return done(getattr(self._sharing, name)(*args, **options))

    def has_work(self, key: Key) -> bool:
        """Return whether a thread has a run, a batch or a call, whoever holds it."""
        return key in done(self._sharing.store.unfinished()) or bool(self.read("posts", [key]))

    def token_of(self, key: Key, revision: int, data: bytes) -> int | None:
        """Return the token under which an entry was written."""
        return self._writers.get((key, revision, data))

    def write(self, changes: Sequence[SharedChange], tokens: Tokens, answer: Answer) -> None:
        """Write what is not fenced."""
        answer(self.write_as(changes, tokens, tokens))

    def write_as(self, changes: Sequence[SharedChange], tokens: Tokens, real: Tokens) -> Mapping[Key, Exception]:
        """Write changes under tokens, and note under which ones that should have been."""
        failed: Mapping[Key, Exception] = done(self._sharing.write(changes, tokens))
        self._note([change for change in changes if change.key not in failed], real)
        return failed

    def tails(self, places: Mapping[Key, Place]) -> Sequence[Tail]:
        """Return what is new."""
        found: Sequence[Tail] = self.read("tails", places)
        return found

    def offer(self, changes: Sequence[SharedChange], tokens: Tokens) -> None:
        """Hear of changes that are on their way, before they are here."""

    def _note(self, changes: Sequence[SharedChange], tokens: Tokens) -> None:
        for group in by_thread(changes):
            key = group[0].key
            if self._latest.get(key) == (tokens.get(key), group):
                continue  # it was repeated, and written once
            self._latest[key] = tokens.get(key), group
            self._commits.append((group, tokens, max(self.tokens.values(), default=0)))
            for change in group:
                if isinstance(change, Appended):
                    self._writers[change.key, change.revision, change.data] = tokens[change.key]
                    self.on_entry(change)


def done(call: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns that waits for nothing."""
    try:
        call.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("the engine waits for something")
