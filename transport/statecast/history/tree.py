"""History: one tree of the messages that clients wrote into a thread's history and those in its state.

A client writes the messages that it shows, as a tree: an edit, or another answer, is another branch. The state holds
the same conversation in the agent's words, and perhaps more of it. Both become one tree: a state message that has a
counterpart among the written ones is not repeated, and any other is put below the message before it.
Rule: every written message is in the tree, and every state message without a counterpart. Where a client saw only the
beginning of an answer, the content is the state's.
Source: docs/protocol/thread-requests.md, "Histories".
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from statecast_agents import Json

from .client_message import ClientMessage
from .fingerprint import StateMessage, time_of
from .formats import read_message, write_message
from .matching import DEFAULT, Matching, match

__all__ = [
    "HistoryMessage",
    "branch",
    "history",
    "joined",
    "moved_up",
    "state_messages",
    "without",
]


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
    """Return the branch of the message that was written last, oldest message first."""
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
    """Return the newest branch as messages of a state, without unreadable ones."""
    read = (read_message(message.content, message.format, message.id) for message in branch(written))
    return [message for message in read if message is not None]


def history(
    written: Sequence[ClientMessage],
    messages: Sequence[Json],
    *,
    format: str | None,  # the field's name
    began: float,
) -> list[HistoryMessage]:
    """Return the history of a thread: parents before their children, oldest first.

    The last one is the newest by its time.

    Args:
        written: What clients wrote.
        messages: What the state has.
        format: The form that the client reads; None: each message in its own.
        began: When the thread began, for messages that have no time.
    """
    return joined(match(written, messages, format=format), format=format, began=began)


def joined(matching: Matching, *, format: str | None, began: float) -> list[HistoryMessage]:  # the field's name
    """As `history`, of messages that are matched already."""
    return _Tree(matching).placed(DEFAULT if format is None else format, began)


def without(placed: Sequence[HistoryMessage], ids: Collection[str]) -> list[HistoryMessage]:
    """Return a history without some of its messages; their children move to their parents."""
    above: dict[str | None, HistoryMessage | None] = {None: None}
    for message in placed:
        parent = above.get(message.parent_id)
        where = (None, 0) if parent is None else (parent.id, parent.height + 1)
        moved = msgspec.structs.replace(message, parent_id=where[0], height=where[1])
        above[message.id] = parent if message.id in ids else moved
    return [message for id, message in above.items() if message is not None and message.id == id]


def moved_up(remaining: Iterable[ClientMessage], gone: Mapping[str, ClientMessage]) -> list[ClientMessage]:
    """Return the children of deleted messages, moved to the nearest ancestor that is left."""
    above: dict[str, str | None] = {}  #: what is left above each that is gone
    found: list[ClientMessage] = []
    for message in remaining:
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


class _Tree:
    """The messages of a history, by their parents: nothing is compared here, all is joined by ids."""

    def __init__(self, matching: Matching) -> None:
        self._matching = matching
        self._written = matching.candidates
        self._oldest_first = matching.oldest_first
        self._parents = dict(matching.parents)
        self._unmatched: dict[str, StateMessage] = {}  #: the state messages without a counterpart
        self._matched: dict[
            str, list[StateMessage]
        ] = {}  #: by written message, the state messages whose counterpart it is
        counterparts, above = matching.counterparts, None
        for message in matching.state_messages:
            found = counterparts.get(message.id)
            if found is None:
                self._unmatched[message.id] = message
                self._parents[message.id] = above
            else:
                self._matched.setdefault(found, []).append(message)
            above = message.id if found is None else found
        for id in self._written:
            parent = self._parents[id]
            self._parents[id] = None if parent is None else counterparts.get(parent, parent)
        _cut_cycles(self._parents, [*self._oldest_first, *self._unmatched])

    def placed(self, form: str, began: float) -> list[HistoryMessage]:
        """Return the messages, the state's own in a form."""
        rank = {id: at for at, id in enumerate([*self._oldest_first, *self._unmatched])}
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
        newest = max([began, *(message.created for message in self._written.values())])
        begins = dict.fromkeys(self._unmatched, newest)
        for id in self._written:
            at = self._parents[id]
            while at is not None and begins.get(at) != began:
                begins[at] = began
                at = self._parents[at]
        return begins

    def _whole(self, written: ClientMessage) -> StateMessage | None:
        """Return the state message of which a client has written only the beginning, or None.

        The client left before the end, or before somebody else answered a call in it.
        """
        matched, status = self._matched.get(written.id, ()), written.content.get("status")
        if len(matched) != 1 or not isinstance(status, dict):
            return None
        beginning, whole = self._matching.fingerprint(written.id), matched[0].fingerprint
        cut = status.get("type") == "incomplete" and beginning.is_less_than(whole)
        asks = status.get("type") == "requires-action" and beginning.calls & whole.resolved > beginning.resolved
        return matched[0] if cut or asks else None

    def _item(self, id: str, above: HistoryMessage | None, form: str, begins: Mapping[str, float]) -> HistoryMessage:
        where = (id, None if above is None else above.id, 0 if above is None else above.height + 1)
        written = self._written.get(id)
        if written is not None:
            whole = self._whole(written)
            content = written.content if whole is None else _completed(written, whole)
            return HistoryMessage(
                *where, written.created, written.updated, written.format, content, written.external_id
            )
        message = self._unmatched[id]
        made = time_of(message.value.get("createdAt"))
        made = begins[id] + message.index / 1000 if made is None else made
        made = made if above is None else max(made, above.created)
        named = message.id if message.has_id else None
        return HistoryMessage(*where, made, made, form, write_message(message.value, form), named)


def _completed(written: ClientMessage, whole: StateMessage) -> dict[str, Json]:
    """Return the complete message from the state, with the client's error status if it has one."""
    status = written.content.get("status")
    failed = isinstance(status, dict) and status.get("reason") == "error"
    return write_message(whole.value, written.format) | ({"status": status} if failed else {})


def _cut_cycles(parents: dict[str, str | None], oldest_first: Sequence[str]) -> None:
    """Break each cycle at its oldest message."""
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
