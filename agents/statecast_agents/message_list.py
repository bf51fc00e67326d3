"""The list of messages at a path of a state, which agents read and extend.

Source: docs/protocol/messages.md, "Messages".
"""

from __future__ import annotations

from collections.abc import Sequence

from .document import Document
from .errors import MessageConflict
from .message import MessageList
from .tracked import TrackedList
from .values import Json

__all__ = ["Messages"]


class Messages(MessageList):
    """The messages at a path of a state. `len`, indexes, slices and `for` read them; reading changes nothing.

    Args:
        document: The state.
        path: Keys that lead to the list, which is created with the first message.
    """

    __slots__ = (
        "_document",
        "_path",
        "dropped",
    )

    def __init__(self, document: Document, path: Sequence[str]) -> None:
        #: the messages that edits in the batch removed, in order: `{"parentId", "message"}`, with the id of the message
        #: before it. If the new message took its id, the removed one has a new id here; if both say the same, it is
        #: not listed.
        self.dropped: list[dict[str, Json]] = []
        self._document = document
        self._path = tuple(path)

    @property
    def items(self) -> TrackedList:
        """The list itself, as part of the state; created on first use.

        Raises:
            MessageConflict: The state has another value in the place of the messages.
        """
        found = self._peek()
        if isinstance(found, TrackedList):
            return found  # who only reads may do so after the run, too
        self._create([])
        return self._peek()  # type: ignore[return-value]  # it is there now

    def append(self, message: dict[str, Json]) -> None:
        """Append a message, or create the list with it.

        Raises:
            MessageConflict: The state has another value in the place of the messages.
        """
        found = self._peek()
        if isinstance(found, TrackedList):
            found.append(message)
        else:
            self._create([message])

    def _create(self, messages: list[Json]) -> None:
        """Create the list, of which the state has none, and what leads to it."""
        document = self._document
        with document.lock:
            self._require_list()
            if document.root is None:
                document.root = {} if self._path else messages
            at = document.root
            for depth, key in enumerate(self._path, 1):
                if at.get(key) is None:
                    at[key] = {} if depth < len(self._path) else messages
                at = at[key]

    def _peek(self) -> Sequence[Json]:
        return self._document.list_at(self._path)

    def _require_list(self) -> None:
        at = self._document.root
        for key in self._path:
            if at is None:
                return
            if not isinstance(at, dict):
                break
            at = at.get(key)
        else:
            if at is None or isinstance(at, list):
                return
        where = "/".join(self._path)
        text = f'expected a list of messages at "{where}" in the state, got {type(at).__name__}'
        raise MessageConflict("no_messages", text)
