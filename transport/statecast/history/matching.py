"""Matching: which written message is the counterpart of a state message. A sure match is stored as an alias.

The state holds the conversation in the agent's words, under the agent's ids. Its messages are matched in their order,
each among the written messages below the counterpart of the one before. A pair with exactly the same content becomes an
alias, from the state's id to the client's, and is not compared again.
Source: docs/protocol/thread-requests.md, "Histories".
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from statecast_agents import Json

from .client_message import ClientMessage
from .fingerprint import Fingerprint, StateMessage, answers_of, as_state_messages, fingerprint_of
from .formats import FORMATS, read_message

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
    candidates = {message.id: message for message in written if format is None or message.format == format}
    state_messages = as_state_messages(messages) if format is None or format in FORMATS else []
    return Matching(written, candidates, state_messages, aliases or {})


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
    fingerprint, state_messages = fingerprint_of(message), as_state_messages(messages)
    before = next((at for at, other in enumerate(state_messages) if other.id == parent_id), None)
    if before is None and parent_id is not None:
        return None
    for other in state_messages[0 if before is None else before + 1 :]:
        if other.role == fingerprint.role:
            same = other.id not in known and other.has_id
            same = same and other.fingerprint.agrees(fingerprint) and other.fingerprint.covers(fingerprint)
            return other.id if same else None
        if other.role == "user":
            break
    return None


class _Edits:
    """The user's messages below each message of a path that grows and is cut at its end, found by their words."""

    def __init__(self) -> None:
        self._below: list[list[str]] = []  #: the words, by the place in the path
        self._places: dict[str, list[tuple[int, str]]] = {}  #: places and ids, by the words

    def __len__(self) -> int:
        return len(self._below)

    def add(self, newest_first: Sequence[tuple[str, str]]) -> None:
        """Add what is below the next place: words, and the ids of messages."""
        for text, id in reversed(newest_first):
            self._places.setdefault(text, []).append((len(self._below), id))
        self._below.append([text for text, _ in newest_first])

    def find(self, text: str, remaining: Collection[str]) -> tuple[int, str] | None:
        """Return the place and the id of the deepest, then newest, remaining message with these words."""
        places = self._places.get(text, [])
        while places and places[-1][1] not in remaining:
            places.pop()
        return places[-1] if places else None

    def cut(self, size: int) -> None:
        """Remove what is below the places from `size` on."""
        for text in [text for below in self._below[size:] for text in below]:
            places = self._places[text]
            while places and places[-1][0] >= size:
                places.pop()
        del self._below[size:]


class Matching:
    """Match each state message with its counterpart among the written messages.

    Args:
        written: What clients wrote.
        candidates: Those of them that may stand for one, by their ids.
        state_messages: The state's.
        aliases: By the state's ids, what is known.
    """

    def __init__(
        self,
        written: Sequence[ClientMessage],
        candidates: Mapping[str, ClientMessage],
        state_messages: Sequence[StateMessage],
        aliases: Mapping[str, Alias],
    ) -> None:
        self.candidates = candidates
        self.state_messages = state_messages
        self.oldest_first = sorted(candidates, key=lambda id: candidates[id].created)
        self.parents = _parents(written, candidates, state_messages)  #: of the written messages, by ids of either kind
        self.counterparts: dict[str, str] = {}  #: by the state's ids, the written messages
        self.found: dict[str, Alias] = {}  #: aliases that were not known
        #: the written messages that have the id of the state's
        self._named = {message.id for message in state_messages} & candidates.keys()
        self._aliases = {
            message.id: alias.id for message in state_messages if (alias := self._known(message, aliases)) is not None
        }
        self._unmatched = candidates.keys() - self._named  #: the written messages that are no counterpart yet
        self._edits = _Edits()
        self._fingerprints: dict[str, Fingerprint] = {}
        self._below: dict[str | None, list[str]] = {}  #: the written messages below each, oldest first
        for id in self.oldest_first:
            self._below.setdefault(self.parents[id], []).append(id)
        self._walk()

    def fingerprint(self, id: str) -> Fingerprint:
        """Return the fingerprint of a written message."""
        fingerprint = self._fingerprints.get(id)
        if fingerprint is None:
            message = self.candidates[id]
            fingerprint = self._fingerprints[id] = fingerprint_of(read_message(message.content, message.format, id))
        return fingerprint

    def _known(self, message: StateMessage, aliases: Mapping[str, Alias]) -> Alias | None:
        """Return the alias of one of the state's messages, if it is still the message that was matched."""
        alias = aliases.get(message.id)
        if (
            alias is None
            or alias.id not in self.candidates
            or message.id in self._named
            or alias.words != _digest(message)
        ):
            return None
        return alias

    def _walk(self) -> None:
        """Find the counterparts of the state messages, in their order."""
        path: list[str | None] = [None]  #: the counterparts of those before it, or themselves
        places: dict[str | None, int] = {None: 0}  #: where in the path each was put last
        for message, after in zip(self.state_messages, answers_of(self.state_messages), strict=True):
            found = message.id if message.id in self._named else self._aliases.get(message.id)
            if found is None:
                found = self._find(message, path[-1], after)
                if found is None and message.role == "user":
                    found = self._find_edit(message, path)
                if found is not None and self._is_sure(message, found):
                    self.found[message.id] = Alias(found, _digest(message))
            elif found != message.id:
                self._turn(path, places, found)
            if found is not None:
                self.counterparts[message.id] = found
                self._unmatched.discard(found)
                if found != message.id:
                    self._below.setdefault(found, []).extend(self._below.pop(message.id, ()))
            path.append(message.id if found is None else found)
            places[path[-1]] = len(path) - 1

    def _turn(self, path: list[str | None], places: Mapping[str | None, int], found: str) -> None:
        """Cut a path after the parent of a written message, if that is earlier in it, as `_find_edit` does."""
        parent = self.parents[found]
        parent = parent if parent is None else self.counterparts.get(parent, parent)
        at = places.get(parent, len(path))
        if at < len(path) - 1 and path[at] == parent:
            del path[at + 1 :]
            self._edits.cut(at + 1)

    def _is_sure(self, message: StateMessage, id: str) -> bool:
        """Return whether a match is sure, now and later: both have the same content, which is not empty."""
        fingerprint, known = self.fingerprint(id), message.fingerprint
        same = (fingerprint.role, fingerprint.text, fingerprint.calls) == (known.role, known.text, known.calls)
        return same and bool(fingerprint.text or fingerprint.calls) and message.has_id

    def _find(self, message: StateMessage, above: str | None, after: StateMessage | None) -> str | None:
        """Return the counterpart of a state message among the written ones; None if there is none.

        Args:
            message: The state's.
            above: The counterpart of the one before it.
            after: The next message of the other role.
        """
        near = [id for id in self._read_below(above) if self.fingerprint(id).role == message.role]
        near = [id for id in near if id not in self._named]
        found = next((id for id in near if self.fingerprint(id).agrees(message.fingerprint)), None)
        if found is None:  # the agent may have words of its own for it
            found = next((id for id in near if self._has_below(id, after)), None)
        if found is None and above is not None and self._is_part(message, above, after):
            found = above
        return found

    def _find_edit(self, message: StateMessage, path: list[str | None]) -> str | None:
        """Return the counterpart of a user's message on another branch; cut `path` to where that branch begins.

        A client that edits a message has a branch, and the state may have both.
        """
        if not self._unmatched:
            return None
        for above in path[len(self._edits) : -1]:
            near = [id for id in self._read_below(above) if id in self._unmatched] if above in self._below else []
            self._edits.add([(self.fingerprint(id).text, id) for id in near if self.fingerprint(id).role == "user"])
        found = self._edits.find(message.fingerprint.text, self._unmatched)
        if found is None:
            return None
        at, id = found
        del path[at + 1 :]
        self._edits.cut(at + 1)
        return id

    def _is_part(self, message: StateMessage, above: str, after: StateMessage | None) -> bool:
        """Return whether the written message above has this one's content too: clients join answers to one message."""
        if above not in self.candidates or not (message.role == self.fingerprint(above).role == "assistant"):
            return False
        covers = above not in self._named and self.fingerprint(above).covers(message.fingerprint)
        return covers or self._has_below(above, after)

    def _has_below(self, id: str, message: StateMessage | None) -> bool:
        """Return whether one of the state's was written below a message."""
        if message is None:
            return False
        return any(
            below == message.id or self.fingerprint(below).agrees(message.fingerprint) for below in self._read_below(id)
        )

    def _read_below(self, above: str | None) -> list[str]:
        """Return the written messages below one, newest first, as if those that cannot be read were not there."""
        found: list[str] = []
        remaining, seen = list(self._below.get(above, ())), set[str]()
        while remaining:
            id = remaining.pop()
            if id in seen:
                continue
            seen.add(id)
            if self.fingerprint(id).role is None:
                remaining += self._below.get(id, ())
            else:
                found.append(id)
        return found


def _digest(message: StateMessage) -> str:
    if message.role != "user":
        return ""
    return hashlib.blake2b(message.fingerprint.text.encode(errors="surrogatepass"), digest_size=12).hexdigest()


def _parents(
    written: Sequence[ClientMessage], candidates: Mapping[str, ClientMessage], state_messages: Sequence[StateMessage]
) -> dict[str, str | None]:
    """Return the parent of each candidate: the nearest message above it that is a candidate, or the state's."""
    every = {message.id: message for message in written}
    before = {message.id: None if at == 0 else state_messages[at - 1].id for at, message in enumerate(state_messages)}
    found: dict[str, str | None] = {}
    beyond: dict[str | None, str | None] = {}  #: the nearest above those that were passed; themselves: nothing tells
    for id in candidates:
        passed: list[str] = []
        at = every[id].parent_id
        while at is not None and at not in candidates and at not in before and at not in beyond:
            beyond[at] = at
            passed.append(at)
            at = every[at].parent_id if at in every else at
        lost = at in beyond and beyond[at] == at
        at = beyond.get(at, at)
        beyond.update((one, one if lost else at) for one in passed)
        found[id] = before.get(id) if lost else at  # what was written does not tell, but the state may
    return found
