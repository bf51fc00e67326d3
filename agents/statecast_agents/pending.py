"""The open questions of a thread: their list in the state, and their effects on the calls that they are about.

Rule: the list contains open questions only, and only these can be answered.
Source: docs/protocol/questions.md, "Questions".
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
    def by_id(self) -> dict[str, Mapping[str, Json]]:
        """The open questions by their ids, as part of the state."""
        return {item["id"]: item for item in self._peek() if isinstance(item, dict) and isinstance(item.get("id"), str)}

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
                if items[places[0]].get("callId") != asked.get("callId"):
                    self._withdraw(asked["id"])
                items[places[0]] = asked
            else:
                items.append(asked)
            if call is not None:
                _take_off(call, asked["id"])  # it may be replaced by one of another kind
            if call is not None and asked["kind"] == "input":
                payload = {name: asked[name] for name in ("id", "prompt", "schema", "details") if name in asked}
                call[_INTERRUPT] = {"type": "human", "payload": payload}
            elif call is not None:
                call[_APPROVAL] = approval_of(asked)

    def settle(self, answers: Mapping[str, Mapping[str, Json]], messages: Sequence[Json] = ()) -> None:
        """Take answered questions off the list, and show the answers on their calls. O(questions + messages).

        Args:
            answers: By the ids of open questions, as `answer_to` returns them.
            messages: Where their calls may be.
        """
        with self._document.lock:
            asked = {id: plain_copy(item) for id, item in self.by_id.items() if id in answers}
            shown = {id for id, item in asked.items() if "callId" not in item}
            try:
                calls = _calls(messages)
                while len(shown) < len(asked) and (call := next(calls, None)) is not None:
                    for field, id in _open_at(call).items():
                        if id in asked and id not in shown and call.get("toolCallId") == asked[id]["callId"]:
                            _show(call, field, asked[id], answers[id])
                            shown.add(id)
                shown.update(asked)
            finally:  # a question stays open if the state has no room for its answer
                if shown:
                    items = self._list()
                    items[:] = [
                        item for item in items if not (isinstance(item, dict) and _text(item.get("id")) in shown)
                    ]

    def dismiss(self, messages: Sequence[Json] = ()) -> dict[str, dict[str, Json]]:
        """Dismiss all open questions, and return their answers by id.

        Args:
            messages: Where their calls may be.
        """
        gone = {id: dict(DISMISSED_QUESTION) for id in self.by_id}
        self.settle(gone, messages)
        if len(self):
            self._list().clear()  # what is left is no question, and nobody could answer it
        return gone

    def drop_lost(self, messages: Sequence[Json]) -> None:
        """Drop the questions whose calls have left the messages, because an edit has cut them."""
        there = {id for part in _calls(messages) for id in _open_at(part).values()}
        lost = {asked["id"] for asked in self.questions if "callId" in asked and asked["id"] not in there}
        if lost:
            items = self._list()
            items[:] = [item for item in items if item.get("id") not in lost]

    def _withdraw(self, id: str) -> None:
        """Take a question off the call that it is about, since it is about another one now."""
        for call in _calls(self._document.list_at(self._document.messages_at)):
            _take_off(call, id)

    def _peek(self) -> Sequence[Json]:
        return self._document.list_at(self._path)

    def _list(self) -> TrackedList:
        path, document = self._path, self._document
        if path is None:
            text = 'this agent has no place for questions in its state; declare one: Agent(pending="pending")'
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
    approval = call.get(_APPROVAL)
    if answered and isinstance(approval, dict):
        return _text(approval.get("id"))
    return next(iter(_open_at(call).values()), None)


def _open_at(call: Mapping[str, Json]) -> dict[str, str]:
    """Return the ids of the open questions on a call, by the fields that they have there."""
    approval, interrupt = call.get(_APPROVAL), call.get(_INTERRUPT)
    if isinstance(approval, dict) and {"approved", "resolution"} & approval.keys():
        approval = None
    payload = interrupt.get("payload") if isinstance(interrupt, dict) else None
    fields = {_APPROVAL: approval, _INTERRUPT: payload}
    found = {name: _text(field.get("id")) for name, field in fields.items() if isinstance(field, dict)}
    return {name: id for name, id in found.items() if id is not None}


def _take_off(call: TrackedDict, id: str) -> None:
    """Remove what a call shows of an open question."""
    for field, shown in _open_at(call).items():
        if shown == id:
            del call[field]


def _show(call: TrackedDict, field: str, asked: Mapping[str, Json], answer: Mapping[str, Json]) -> None:
    """Show the answer to a question in the field of the call that it is about."""
    if field == _INTERRUPT:
        del call[field]
    else:
        call[field] = approval_of(asked, answer)
    if answer.get("dismissed") is True and is_open(call):
        call.update({"result": DISMISSED, "isError": True})


def conflict(id: str, *, known: bool) -> MessageConflict:
    """Return the error for an answer to a question that is not open; `known`: it was answered, or dismissed."""
    if known:
        return MessageConflict(
            "question_answered", f'expected an open question, got "{id[:100]}", which was answered or dismissed'
        )
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
