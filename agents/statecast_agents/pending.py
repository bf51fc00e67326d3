"""The questions that a thread waits for: their list in the state, and what they do to the calls that they are about.

Rule: the list has open questions only. What is in it, and nothing else, can be answered.
Source: docs/protocol.md, "Questions".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from .calls import DISMISSED, calls_in, is_open
from .document import Document
from .errors import AgentError, MessageConflict
from .questions import DISMISSED_QUESTION, approval_of
from .tracked import TrackedDict, TrackedList
from .values import Json, plain_copy

__all__ = ["Pending", "conflict", "question_at", "was_asked"]

#: The fields of a call that a question without a value to enter, and one with, puts on it.
_APPROVAL: Final = "approval"
_INTERRUPT: Final = "interrupt"


class Pending:
    """The open questions at a path of a state.

    Args:
        document: The state.
        path: Keys that lead to the list, which is created with the first question; None: the state has no place for
            one.
    """

    __slots__ = ("_document", "_path")

    def __init__(self, document: Document, path: Sequence[str] | None) -> None:
        self._document = document
        self._path = path

    def __len__(self) -> int:
        return len(self._peek())

    @property
    def questions(self) -> list[dict[str, Json]]:
        """Copies of the open questions, the oldest first."""
        return [plain_copy(item) for item in self._peek() if isinstance(item, dict)]

    @property
    def ids(self) -> set[str]:
        """The ids of the open questions."""
        return {item["id"] for item in self._peek() if isinstance(item, dict) and isinstance(item.get("id"), str)}

    def find(self, id: str) -> dict[str, Json] | None:  # the field's name
        """Return a copy of an open question; None if there is none of that id."""
        found = (item for item in self._peek() if isinstance(item, dict) and item.get("id") == id)
        return next(map(plain_copy, found), None)

    def ask(self, asked: dict[str, Json], call: TrackedDict | None = None) -> None:
        """Add a question. One that is open under its id already is replaced.

        Args:
            asked: The question.
            call: The call that it is about.

        Raises:
            AgentError: The agent keeps no questions, or its state has something else in their place.
        """
        with self._document.lock:
            items = self._list()
            places = [
                index for index, item in enumerate(items) if isinstance(item, dict) and item.get("id") == asked["id"]
            ]
            if places:
                items[places[0]] = asked
            else:
                items.append(asked)
            if call is not None and asked["kind"] == "input":
                payload = {name: asked[name] for name in ("id", "prompt", "schema", "details") if name in asked}
                call[_INTERRUPT] = {"type": "human", "payload": payload}
            elif call is not None:
                call[_APPROVAL] = approval_of(asked)

    def settle(self, id: str, answer: Mapping[str, Json], messages: Sequence[Json] = ()) -> None:
        """Take an answered question off the list, and show the answer on its call.

        Args:
            id: Of the question.
            answer: As `answer_to` returns it.
            messages: Where its call may be.
        """
        with self._document.lock:
            asked = self.find(id)
            if asked is None:
                return
            call = next((part for part in _calls(messages) if question_at(part) == id), None)
            if call is not None:  # first, so that the question stays open if the state has no room for its answer
                _show(call, asked, answer)
            items = self._list()
            items[:] = [item for item in items if not (isinstance(item, dict) and item.get("id") == id)]

    def dismiss(self, messages: Sequence[Json] = ()) -> dict[str, dict[str, Json]]:
        """Dismiss all open questions, and return their answers by id.

        Args:
            messages: Where their calls may be.
        """
        gone = {id: dict(DISMISSED_QUESTION) for id in self.ids}
        for id, answer in gone.items():
            self.settle(id, answer, messages)
        if len(self):
            self._list().clear()  # what is left is no question, and nobody could answer it
        return gone

    def drop_lost(self, messages: Sequence[Json]) -> None:
        """Drop the questions whose calls have left the messages, because an edit has cut them."""
        there = {question_at(part) for part in _calls(messages)}
        lost = {asked["id"] for asked in self.questions if "callId" in asked and asked["id"] not in there}
        if lost:
            items = self._list()
            items[:] = [item for item in items if item.get("id") not in lost]

    def _peek(self) -> Sequence[Json]:
        if self._path is None:
            return ()
        at = self._document.root
        for key in self._path:
            at = at.get(key) if isinstance(at, dict) else None
        return at if isinstance(at, list) else ()

    def _list(self) -> TrackedList:
        path, document = self._path, self._document
        if path is None:
            text = 'this agent keeps no questions: declare where they are in its state, as in Agent(pending="pending")'
            raise AgentError(text, code="no_pending")
        if document.root is None:
            document.root = {}
        at = document.root
        for depth, key in enumerate(path, 1):
            if isinstance(at, dict) and at.get(key) is None:
                at[key] = {} if depth < len(path) else []
            at = at[key] if isinstance(at, dict) else None
        if isinstance(at, TrackedList):
            return at
        where = "/".join(path)
        raise AgentError(f'expected a list of questions at "{where}" in the state, or room for one', code="no_pending")


def question_at(call: Mapping[str, Json], *, answered: bool = False) -> str | None:
    """Return the id of the open question on a call; None if there is none.

    Args:
        call: The call.
        answered: Whether a question that was answered counts as well.
    """
    approval, interrupt = call.get(_APPROVAL), call.get(_INTERRUPT)
    if isinstance(approval, dict) and (answered or not {"approved", "resolution"} & approval.keys()):
        return _text(approval.get("id"))
    payload = interrupt.get("payload") if isinstance(interrupt, dict) else None
    return _text(payload.get("id")) if isinstance(payload, dict) else None


def _show(call: TrackedDict, asked: Mapping[str, Json], answer: Mapping[str, Json]) -> None:
    """Show the answer to a question on the call that it is about."""
    if asked["kind"] == "input":
        del call[_INTERRUPT]
    else:
        call[_APPROVAL] = approval_of(asked, answer)
    if answer.get("dismissed") is True and is_open(call):
        call.update({"result": DISMISSED, "isError": True})


def conflict(id: str, *, known: bool) -> MessageConflict:
    """Return the error for an answer to a question that is not open; `known`: it was answered, or dismissed."""
    if known:
        return MessageConflict("question_answered", f'the question "{id[:100]}" has its answer already')
    return MessageConflict("unknown_question", f'expected the id of an open question, got "{id[:100]}"')


def was_asked(id: str, messages: Sequence[Json]) -> bool:
    """Return whether a call of the messages has a question of that id, be it answered."""
    return any(question_at(part, answered=True) == id for part in _calls(messages))


def _calls(messages: Sequence[Json]) -> Iterator[TrackedDict]:
    """Yield the calls in messages, the latest message first, those of sub-agents included."""
    for message in reversed(messages):
        yield from calls_in(message)


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None
