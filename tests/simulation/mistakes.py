"""Engines that make the mistakes which are made in practice. The checks are to find each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from statecast.stores import Appended, Fenced, Key
from statecast.stores.shared import Place, SharedChange, Tail

from .engine import Answer, Engine, Tokens
from .loop import SimulatedLoop

__all__ = ["EarlyFence", "NoFence", "Payload", "Silent"]


class NoFence(Engine):
    """Writes whatever the token is."""

    def write(self, changes: Sequence[SharedChange], tokens: Tokens, answer: Answer) -> None:
        """Write everything."""
        answer(self.write_as(changes, {key: self.tokens.get(key, token) for key, token in tokens.items()}, tokens))


class EarlyFence(Engine):
    """Looks at the token first and writes afterwards, as with FOR KEY SHARE: a claim goes through in between.

    The process that writes may be paused in between.
    """

    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__(loop)
        self._looked: dict[int, tuple[Sequence[SharedChange], list[Key]]] = {}  #: by the id of what is to be written

    def offer(self, changes: Sequence[SharedChange], tokens: Tokens) -> None:
        """Look at the tokens."""
        late = [key for key, token in tokens.items() if self.tokens.get(key, token) != token]
        self._looked[id(changes)] = changes, late

    def write(self, changes: Sequence[SharedChange], tokens: Tokens, answer: Answer) -> None:
        """Write what was not late then."""
        _, late = self._looked.pop(id(changes), (changes, []))
        now = {key: self.tokens.get(key, token) for key, token in tokens.items()}
        written = self.write_as([change for change in changes if change.key not in late], now, tokens)
        answer({**written, **{key: Fenced("late") for key in late}})


class Payload(Engine):
    """Shows followers what is on its way, before its token was looked at, as a hint that carries entries does."""

    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__(loop)
        self._offered: dict[Key, dict[int, Appended]] = {}

    def offer(self, changes: Sequence[SharedChange], tokens: Tokens) -> None:
        """Remember entries."""
        for change in changes:
            if isinstance(change, Appended):
                self._offered.setdefault(change.key, {})[change.revision] = change

    def tails(self, places: Mapping[Key, Place]) -> Sequence[Tail]:
        """Return what is new, and what would be."""
        found = {tail.key: tail for tail in super().tails(places)}
        for key, place in places.items():
            tail = found.get(key) or self._empty(key, place)
            if tail is not None and not tail.truncated and not tail.gone:
                entries = list(tail.entries)
                last = entries[-1][0] if entries else place.revision
                while (offered := self._offered.get(key, {}).get(last + 1)) is not None:
                    last += 1
                    entries.append((last, offered.kind, offered.data))
                found[key] = msgspec.structs.replace(tail, entries=entries)
        return [
            tail for tail in found.values() if tail.entries or tail.key not in places or tail.truncated or tail.gone
        ]

    def _empty(self, key: Key, place: Place) -> Tail | None:
        """Return a tail in which nothing is new."""
        saved = self.read("load", key)
        if saved is None or saved.epoch != place.epoch:
            return None
        return Tail(key=key, epoch=place.epoch, version=place.version, agent=saved.agent, entries=(), inbox=saved.inbox)


class Silent(Engine):
    """Loses its latest writes, and tells nobody: it has the name it had, and a cursor from the future is a cursor."""

    def name(self) -> str:
        """Return the first name."""
        return "one"

    def tails(self, places: Mapping[Key, Place]) -> Sequence[Tail]:
        """Say nothing of places beyond the end."""
        return [tail for tail in super().tails(places) if not tail.ahead]
