"""History: what is read as the history of a thread, out of what clients wrote into it and of what its state holds.

A client writes the messages that it shows, as a tree: an edit, or another answer, is another branch. The state holds
the same conversation in the agent's words, and perhaps more of it. Both are made one tree by walking through the
state's messages: each is stood for by a written one below that of the message before, or is put there itself.
Rule: nothing that was written is left out, and nothing of the state that no written message stands for. Of an answer
that its client saw only the beginning of, the state tells the rest.
Source: docs/protocol.md, "Histories".
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from statecast_agents import Json

from .formats import FORMATS, read_message, write_message
from .matching import Fingerprint, StateMessage, answers_of, as_state_messages, fingerprint_of, time_of

__all__ = [
    "ClientMessage",
    "HistoryMessage",
    "branch",
    "history",
    "moved_up",
    "same_message",
    "state_messages",
    "without",
]

#: The form that the state's messages have for a client that asks for none.
DEFAULT: Final = "aui/v0"


class ClientMessage(msgspec.Struct, frozen=True):
    """A message as a client wrote it."""

    id: str
    parent_id: str | None
    format: str
    content: dict[str, Json]
    created: float  #: seconds since the epoch, as is `updated`
    updated: float
    external_id: str | None = None  #: its id elsewhere, as the client says


class HistoryMessage(msgspec.Struct, frozen=True):
    """A message in a history."""

    id: str
    parent_id: str | None
    height: int  #: how many messages are above it
    created: float
    updated: float
    format: str
    content: dict[str, Json]
    external_id: str | None = None  #: as the client gave it; of the state's own, their id


def branch(written: Sequence[ClientMessage]) -> list[ClientMessage]:
    """Return the newest branch, oldest first: that of the message which was written last."""
    by_id = {message.id: message for message in written}
    if not by_id:
        return []
    newest = max(enumerate(by_id.values()), key=lambda item: (item[1].created, item[0]))[1]
    found: dict[str, ClientMessage] = {}
    at: ClientMessage | None = newest
    while at is not None and at.id not in found:
        found[at.id] = at
        at = None if at.parent_id is None else by_id.get(at.parent_id)
    return list(found.values())[::-1]


def state_messages(written: Sequence[ClientMessage]) -> list[dict[str, Json]]:
    """Return the newest branch as messages of a state: those that can be read."""
    read = (read_message(message.content, message.format, message.id) for message in branch(written))
    return [message for message in read if message is not None]


def history(
    written: Sequence[ClientMessage],
    messages: Sequence[Json],
    *,
    format: str | None,  # the field's name
    began: float,
) -> list[HistoryMessage]:
    """Return what a client reads as the history of a thread: parents before their children, oldest first.

    The last one is where the conversation stands, as far as times tell.

    Args:
        written: What clients wrote.
        messages: What the state has.
        format: The form that the client reads; None: each message in its own.
        began: When the thread began, for messages that do not tell when they were made.
    """
    form = DEFAULT if format is None else format
    kept = {message.id: message for message in written if format is None or message.format == format}
    ours = as_state_messages(messages) if form in FORMATS else []
    return _Tree(written, kept, ours).placed(form, began)


def without(placed: Sequence[HistoryMessage], ids: Collection[str]) -> list[HistoryMessage]:
    """Return a history without some of its messages: what follows one of them follows what that followed."""
    above: dict[str | None, HistoryMessage | None] = {None: None}
    for message in placed:
        parent = above.get(message.parent_id)
        where = (None, 0) if parent is None else (parent.id, parent.height + 1)
        moved = msgspec.structs.replace(message, parent_id=where[0], height=where[1])
        above[message.id] = parent if message.id in ids else moved
    return [message for id, message in above.items() if message is not None and message.id == id]


def moved_up(left: Iterable[ClientMessage], gone: Mapping[str, ClientMessage]) -> list[ClientMessage]:
    """Return the messages that followed one of those which are gone, as they follow what is left of those above."""
    above: dict[str, str | None] = {}  #: what is left above each that is gone
    found: list[ClientMessage] = []
    for message in left:
        path: dict[str, None] = {}
        at = message.parent_id
        while at is not None and at in gone and at not in above and at not in path:
            path[at] = None
            at = gone[at].parent_id
        if at is not None and at in gone:
            at = above.get(at)  # None, too, for messages that follow one another in a circle
        above.update(dict.fromkeys(path, at))
        if at != message.parent_id:
            found.append(msgspec.structs.replace(message, parent_id=at))
    return found


def same_message(
    message: Mapping[str, Any], parent_id: str | None, messages: Sequence[Json], *, known: Collection[str]
) -> str | None:
    """Return the id of the message in a state that a client is about to write as well; None if there is none.

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
        if our.said.role == said.role:
            same = our.id not in known and our.value.get("id") == our.id
            return our.id if same and our.said.agrees(said) and our.said.covers(said) else None
        if our.said.role == "user":
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


class _Tree:
    """The messages of a history, by their parents."""

    def __init__(
        self, written: Sequence[ClientMessage], kept: Mapping[str, ClientMessage], ours: Sequence[StateMessage]
    ) -> None:
        self._kept = kept
        self._ours = ours
        self._oldest_first = sorted(kept, key=lambda id: kept[id].created)
        self._parents = _parents(written, kept, ours)
        self._named = {our.id for our in ours} & kept.keys()  #: the written messages that have the id of the state's
        self._left = kept.keys() - self._named  #: the written messages that stand for nothing yet
        self._others = _Others()
        self._own: dict[str, StateMessage] = {}  #: the state's messages that nothing stands for
        self._stood: dict[str, list[StateMessage]] = {}  #: the state's messages that a written one stands for
        self._said: dict[str, Fingerprint] = {}
        self._below: dict[str | None, list[str]] = {}  #: the written messages below each, oldest first
        for id in self._oldest_first:
            self._below.setdefault(self._parents[id], []).append(id)
        self._walk()
        _cut_cycles(self._parents, [*self._oldest_first, *self._own])

    def _walk(self) -> None:
        """Put the state's messages into the tree."""
        stands: dict[str, str] = {}
        path: list[str | None] = [None]  #: what stands for those before it
        for our, after in zip(self._ours, answers_of(self._ours), strict=True):
            above = path[-1]
            found = our.id if our.id in self._named else self._find(our, above, after)
            if found is None and our.said.role == "user":
                found = self._find_edit(our, path)
            if found is None:
                self._own[our.id] = our
                self._parents[our.id] = above
            else:
                self._stood.setdefault(found, []).append(our)
                self._left.discard(found)
                if found != our.id:
                    self._below.setdefault(found, []).extend(self._below.pop(our.id, ()))
            stands[our.id] = our.id if found is None else found
            path.append(stands[our.id])
        for id in self._kept:
            parent = self._parents[id]
            self._parents[id] = None if parent is None else stands.get(parent, parent)

    def _find(self, our: StateMessage, above: str | None, after: StateMessage | None) -> str | None:
        """Return the written message that stands for one of the state's.

        Args:
            our: The state's.
            above: What stands for the one before it.
            after: What the other role says next.
        """
        near = [id for id in self._read_below(above) if self._said_by(id).role == our.said.role]
        near = [id for id in near if id not in self._named]
        found = next((id for id in near if self._said_by(id).agrees(our.said)), None)
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
            self._others.add([(self._said_by(id).text, id) for id in near if self._said_by(id).role == "user"])
        found = self._others.find(our.said.text, self._left)
        if found is None:
            return None
        at, id = found
        del path[at + 1 :]
        self._others.cut(at + 1)
        return id

    def _is_part(self, our: StateMessage, above: str, after: StateMessage | None) -> bool:
        """Whether the written message before one of the state's is that one too: a client shows an answer as one."""
        if above not in self._kept or not (our.said.role == self._said_by(above).role == "assistant"):
            return False
        covers = above not in self._named and self._said_by(above).covers(our.said)
        return covers or self._has_below(above, after)

    def _has_below(self, id: str, our: StateMessage | None) -> bool:
        """Whether one of the state's was written below a message."""
        if our is None:
            return False
        return any(below == our.id or self._said_by(below).agrees(our.said) for below in self._read_below(id))

    def _read_below(self, above: str | None) -> list[str]:
        """Return the written messages below one, newest first, as if those that cannot be read were not there."""
        found: list[str] = []
        left, seen = list(self._below.get(above, ())), set[str]()
        while left:
            id = left.pop()
            if id in seen:
                continue
            seen.add(id)
            if self._said_by(id).role is None:
                left += self._below.get(id, ())
            else:
                found.append(id)
        return found

    def _said_by(self, id: str) -> Fingerprint:
        said = self._said.get(id)
        if said is None:
            message = self._kept[id]
            said = self._said[id] = fingerprint_of(read_message(message.content, message.format, id))
        return said

    def placed(self, form: str, began: float) -> list[HistoryMessage]:
        """Return the messages, the state's own in a form."""
        rank = {id: at for at, id in enumerate([*self._oldest_first, *self._own])}
        below: dict[str | None, list[str]] = {}
        for id, parent in self._parents.items():
            below.setdefault(parent, []).append(id)
        waiting: list[tuple[float, int, HistoryMessage]] = []
        found: list[HistoryMessage] = []
        above: HistoryMessage | None = None
        begins = self._beginnings(began)
        while True:
            for id in below.get(None if above is None else above.id, ()):
                item = self._item(id, above, form, begins)
                heapq.heappush(waiting, (item.created, rank[id], item))
            if not waiting:
                return found
            *_, above = heapq.heappop(waiting)
            found.append(above)

    def _beginnings(self, began: float) -> dict[str, float]:
        """Return when the state's messages were made at the earliest: after all that was written, but below them."""
        newest = max([began, *(message.created for message in self._kept.values())])
        begins = dict.fromkeys(self._own, newest)
        for id in self._kept:
            at = self._parents[id]
            while at is not None and begins.get(at) != began:
                begins[at] = began
                at = self._parents[at]
        return begins

    def _whole(self, kept: ClientMessage) -> StateMessage | None:
        """Return the state's message of which a client has written the beginning: it left before the end.

        Or before somebody else answered what is asked in it.
        """
        ours, status = self._stood.get(kept.id, ()), kept.content.get("status")
        if len(ours) != 1 or not isinstance(status, dict):
            return None
        mine, whole = self._said_by(kept.id), ours[0].said
        cut = status.get("type") == "incomplete" and mine.is_less_than(whole)
        asks = status.get("type") == "requires-action" and mine.calls & whole.settled > mine.settled
        return ours[0] if cut or asks else None

    def _item(self, id: str, above: HistoryMessage | None, form: str, begins: Mapping[str, float]) -> HistoryMessage:
        where = (id, None if above is None else above.id, 0 if above is None else above.height + 1)
        kept = self._kept.get(id)
        if kept is not None:
            whole = self._whole(kept)
            content = kept.content if whole is None else _completed(kept, whole)
            return HistoryMessage(*where, kept.created, kept.updated, kept.format, content, kept.external_id)
        our = self._own[id]
        made = time_of(our.value.get("createdAt"))
        made = begins[id] + our.index / 1000 if made is None else made
        made = made if above is None else max(made, above.created)
        named = our.id if our.value.get("id") == our.id else None
        return HistoryMessage(*where, made, made, form, write_message(our.value, form), named)


def _completed(kept: ClientMessage, whole: StateMessage) -> dict[str, Json]:
    """Return the whole of a message; that it failed, its client knows, and not the state."""
    status = kept.content.get("status")
    failed = isinstance(status, dict) and status.get("reason") == "error"
    return write_message(whole.value, kept.format) | ({"status": status} if failed else {})


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


def _cut_cycles(parents: dict[str, str | None], oldest_first: Sequence[str]) -> None:
    """Let the oldest message of each cycle begin the thread."""
    rank = {id: at for at, id in enumerate(oldest_first)}
    done: set[str] = set()
    for id in oldest_first:
        path: dict[str, None] = {}
        at: str | None = id
        while at is not None and at not in done:
            if at in path:
                ids = list(path)
                parents[min(ids[ids.index(at) :], key=rank.__getitem__)] = None
                break
            path[at] = None
            at = parents[at]
        done.update(path)
