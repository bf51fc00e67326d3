"""Matching: which written message stands for one of the state's, by their words. Where that is sure, it is kept.

The state holds the conversation in the agent's words, under the agent's ids. Its messages are walked through in their
order; each is looked for below what stands for the one before it. A pair that says exactly the same becomes an alias,
from the state's id to the client's, and is never looked for again.
Source: docs/protocol.md, "Histories".
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from statecast_agents import Json

from .client_message import ClientMessage
from .formats import FORMATS, read_message
from .words import Fingerprint, StateMessage, answers_of, as_state_messages, fingerprint_of

__all__ = ["DEFAULT", "Alias", "Matching", "match", "same_message"]

#: The form that the state's messages have for a client that asks for none.
DEFAULT: Final = "aui/v0"


class Alias(msgspec.Struct, frozen=True):
    """Under which id a client has one of the state's messages."""

    id: str
    words: str  #: a digest of what the user says in it: an edit may leave a message its id, and is another one


def match(
    written: Sequence[ClientMessage],
    messages: Sequence[Json],
    *,
    format: str | None,  # the field's name
    aliases: Mapping[str, Alias] | None = None,
) -> Matching:
    """Match the state's messages with those that clients have written.

    Args:
        written: What clients wrote.
        messages: What the state has.
        format: The form that the client reads; None: each message in its own.
        aliases: By the state's ids, those that earlier matching has found for clients of that form.
    """
    kept = {message.id: message for message in written if format is None or message.format == format}
    ours = as_state_messages(messages) if (format or DEFAULT) in FORMATS else []
    return Matching(written, kept, ours, aliases or {})


def same_message(
    message: Mapping[str, Any], parent_id: str | None, messages: Sequence[Json], *, known: Collection[str]
) -> str | None:
    """Return the id of the message in a state that equals the one a client is writing; None if there is none.

    Args:
        message: What it writes, as in a state.
        parent_id: The message before it.
        messages: What the state has.
        known: The ids of what was written already.
    """
    said, ours = fingerprint_of(message), as_state_messages(messages)
    before = next((at for at, our in enumerate(ours) if our.id == parent_id), None)
    if before is None and parent_id is not None:
        return None
    for our in ours[0 if before is None else before + 1 :]:
        if our.role == said.role:
            same = our.id not in known and our.has_id
            return our.id if same and our.said.agrees(said) and our.said.covers(said) else None
        if our.role == "user":
            break
    return None


class _Others:
    """What the user said below each message of a path that grows at its end, and is cut there: found by its words."""

    def __init__(self) -> None:
        self._below: list[list[str]] = []  #: the words, by the place in the path
        self._saying: dict[str, list[tuple[int, str]]] = {}  #: places and ids, by the words

    def __len__(self) -> int:
        return len(self._below)

    def add(self, newest_first: Sequence[tuple[str, str]]) -> None:
        """Add what is below the next place: words, and the ids of messages."""
        for text, id in reversed(newest_first):
            self._saying.setdefault(text, []).append((len(self._below), id))
        self._below.append([text for text, _ in newest_first])

    def find(self, text: str, left: Collection[str]) -> tuple[int, str] | None:
        """Return the place and the id of the deepest, and there the newest, message with these words that is left."""
        saying = self._saying.get(text, [])
        while saying and saying[-1][1] not in left:
            saying.pop()
        return saying[-1] if saying else None

    def cut(self, size: int) -> None:
        """Forget what is below the places from `size` on."""
        for text in [text for below in self._below[size:] for text in below]:
            saying = self._saying[text]
            while saying and saying[-1][0] >= size:
                saying.pop()
        del self._below[size:]


class Matching:
    """Which written message stands for each of the state's, if one does.

    Args:
        written: What clients wrote.
        kept: Those that are looked at, by their ids.
        ours: The state's.
        aliases: By the state's ids, what is known.
    """

    def __init__(
        self,
        written: Sequence[ClientMessage],
        kept: Mapping[str, ClientMessage],
        ours: Sequence[StateMessage],
        aliases: Mapping[str, Alias],
    ) -> None:
        self.kept = kept
        self.ours = ours
        self.oldest_first = sorted(kept, key=lambda id: kept[id].created)
        self.parents = _parents(written, kept, ours)  #: of the written messages, by ids of either kind
        self.stands: dict[str, str] = {}  #: by the state's ids, the written messages that stand for its own
        self.found: dict[str, Alias] = {}  #: aliases that were not known
        self._named = {our.id for our in ours} & kept.keys()  #: the written messages that have the id of the state's
        self._aliases = {our.id: alias.id for our in ours if (alias := self._known(our, aliases)) is not None}
        self._left = kept.keys() - self._named  #: the written messages that stand for nothing yet
        self._others = _Others()
        self._said: dict[str, Fingerprint] = {}
        self._below: dict[str | None, list[str]] = {}  #: the written messages below each, oldest first
        for id in self.oldest_first:
            self._below.setdefault(self.parents[id], []).append(id)
        self._walk()

    def said_by(self, id: str) -> Fingerprint:
        """Return what a written message says."""
        said = self._said.get(id)
        if said is None:
            message = self.kept[id]
            said = self._said[id] = fingerprint_of(read_message(message.content, message.format, id))
        return said

    def _known(self, our: StateMessage, aliases: Mapping[str, Alias]) -> Alias | None:
        """Return the alias of one of the state's messages, if it is still the message that was matched."""
        alias = aliases.get(our.id)
        if alias is None or alias.id not in self.kept or our.id in self._named or alias.words != _digest(our):
            return None
        return alias

    def _walk(self) -> None:
        """Look for what stands for the state's messages, in their order."""
        path: list[str | None] = [None]  #: what stands for those before it
        places: dict[str | None, int] = {None: 0}  #: where in the path each was put last
        for our, after in zip(self.ours, answers_of(self.ours), strict=True):
            found = our.id if our.id in self._named else self._aliases.get(our.id)
            if found is None:
                found = self._find(our, path[-1], after)
                if found is None and our.role == "user":
                    found = self._find_edit(our, path)
                if found is not None and self._is_sure(our, found):
                    self.found[our.id] = Alias(found, _digest(our))
            elif found != our.id:
                self._turn(path, places, found)
            if found is not None:
                self.stands[our.id] = found
                self._left.discard(found)
                if found != our.id:
                    self._below.setdefault(found, []).extend(self._below.pop(our.id, ()))
            path.append(our.id if found is None else found)
            places[path[-1]] = len(path) - 1

    def _turn(self, path: list[str | None], places: Mapping[str | None, int], found: str) -> None:
        """Let a path end with what a written message follows, if that is earlier in it, as `_find_edit` does."""
        parent = self.parents[found]
        parent = parent if parent is None else self.stands.get(parent, parent)
        at = places.get(parent, len(path))
        if at < len(path) - 1 and path[at] == parent:
            del path[at + 1 :]
            self._others.cut(at + 1)

    def _is_sure(self, our: StateMessage, id: str) -> bool:
        """Return whether a written message is one of the state's beyond doubt, now and whatever comes later."""
        said, known = self.said_by(id), our.said
        same = (said.role, said.text, said.calls) == (known.role, known.text, known.calls)
        return same and bool(said.text or said.calls) and our.has_id

    def _find(self, our: StateMessage, above: str | None, after: StateMessage | None) -> str | None:
        """Return the written message that stands for one of the state's.

        Args:
            our: The state's.
            above: What stands for the one before it.
            after: What the other role says next.
        """
        near = [id for id in self._read_below(above) if self.said_by(id).role == our.role]
        near = [id for id in near if id not in self._named]
        found = next((id for id in near if self.said_by(id).agrees(our.said)), None)
        if found is None:  # the agent may have words of its own for it
            found = next((id for id in near if self._has_below(id, after)), None)
        if found is None and above is not None and self._is_part(our, above, after):
            found = above
        return found

    def _find_edit(self, our: StateMessage, path: list[str | None]) -> str | None:
        """Return the written message that stands for one of the user's on another branch, where `path` then ends.

        A client that says something else in place of what it had said has a branch, and the state may have both.
        """
        if not self._left:
            return None
        for above in path[len(self._others) : -1]:
            near = [id for id in self._read_below(above) if id in self._left] if above in self._below else []
            self._others.add([(self.said_by(id).text, id) for id in near if self.said_by(id).role == "user"])
        found = self._others.find(our.said.text, self._left)
        if found is None:
            return None
        at, id = found
        del path[at + 1 :]
        self._others.cut(at + 1)
        return id

    def _is_part(self, our: StateMessage, above: str, after: StateMessage | None) -> bool:
        """Whether the written message before one of the state's is that one too: a client shows an answer as one."""
        if above not in self.kept or not (our.role == self.said_by(above).role == "assistant"):
            return False
        covers = above not in self._named and self.said_by(above).covers(our.said)
        return covers or self._has_below(above, after)

    def _has_below(self, id: str, our: StateMessage | None) -> bool:
        """Whether one of the state's was written below a message."""
        if our is None:
            return False
        return any(below == our.id or self.said_by(below).agrees(our.said) for below in self._read_below(id))

    def _read_below(self, above: str | None) -> list[str]:
        """Return the written messages below one, newest first, as if those that cannot be read were not there."""
        found: list[str] = []
        left, seen = list(self._below.get(above, ())), set[str]()
        while left:
            id = left.pop()
            if id in seen:
                continue
            seen.add(id)
            if self.said_by(id).role is None:
                left += self._below.get(id, ())
            else:
                found.append(id)
        return found


def _digest(our: StateMessage) -> str:
    if our.role != "user":
        return ""
    return hashlib.blake2b(our.said.text.encode(errors="surrogatepass"), digest_size=12).hexdigest()


def _parents(
    written: Sequence[ClientMessage], kept: Mapping[str, ClientMessage], ours: Sequence[StateMessage]
) -> dict[str, str | None]:
    """Return the parents of what is kept: of the messages above it, the nearest that is kept, or is the state's."""
    every = {message.id: message for message in written}
    before = {our.id: None if at == 0 else ours[at - 1].id for at, our in enumerate(ours)}
    found: dict[str, str | None] = {}
    beyond: dict[str | None, str | None] = {}  #: the nearest above those that were passed; themselves: nothing tells
    for id in kept:
        passed: list[str] = []
        at = every[id].parent_id
        while at is not None and at not in kept and at not in before and at not in beyond:
            beyond[at] = at
            passed.append(at)
            at = every[at].parent_id if at in every else at
        lost = at in beyond and beyond[at] == at
        at = beyond.get(at, at)
        beyond.update((one, one if lost else at) for one in passed)
        found[id] = before.get(id) if lost else at  # what was written does not tell, but the state may
    return found
