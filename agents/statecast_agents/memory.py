"""The memory of a thread: private data that its agent stores under names, such as a framework's own history.

It is stored with the log, before the entries that follow, and no client sees it. It follows the conversation: an edit
reverts it to its content at the message before, and a rollback to its content when the run began.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any, Final

import msgspec

from .document import Document
from .errors import MemoryTooLarge, NotJson
from .memory_versions import Place, Record, Replay, Value, Version, differences, encode, kept, squash
from .message_list import Messages
from .values import Json, check_key

__all__ = ["Memory"]

#: Characters of a name.
MAX_NAME: Final = 128

#: What begins the names of the engine's own values.
RESERVED: Final = "statecast."

#: Bytes that a name counts for, beside those of its value.
NAME: Final = 64


class Memory(MutableMapping[str, Json]):
    """An agent's private data on a thread: JSON values or bytes, under names.

    Reading returns a copy: to change a value, assign it again. Worker threads may read and write too.

    Args:
        document: The thread's state, until the run ends.
        messages: The conversation; None: the agent uses its own format, and edits do not revert the memory.
        records: The stored versions.
        limit: Its maximum size in bytes.
        versions: The number of messages to which it can be reverted, within another `limit` bytes.
    """

    __slots__ = (
        "_before",
        "_bytes",
        "_changes",
        "_document",
        "_limit",
        "_lock",
        "_messages",
        "_place",
        "_records",
        "_size",
        "_values",
        "_versions",
        "changed",
    )

    def __init__(
        self,
        document: Document,
        messages: Messages | None = None,
        *,
        records: Sequence[Record] = (),
        limit: int = 8 * 2**20,
        versions: int = 256,
    ) -> None:
        self.changed = False  #: whether there is something for the store, see `take`
        self._document = document
        self._messages = messages
        self._limit = limit
        self._versions = versions
        self._lock = threading.RLock()
        self._records = list(records)
        self._bytes = sum(record.version.size for record in self._records)
        self._changes: dict[int, Version | None] = {}  #: for the store; None: the record is gone
        self._values: dict[str, Value] | None = None  #: what all versions make; None: not needed yet
        self._size = 0  #: bytes of that
        self._place: Place | None = None  #: of the version that is being written; None: there is none
        self._before: dict[str, Value | None] = {}  #: what it changes, as it was before

    def __getitem__(self, name: str) -> Json:
        if name not in self:
            raise KeyError(name)
        return _decoded(self._current()[name])

    def __setitem__(self, name: str, value: Json) -> None:
        """Set the value of a name.

        Raises:
            NotJson: The name is no string of 1 to 128 characters, or begins with "statecast."; or the value is neither
                bytes nor something that a state can hold. Nothing has changed.
            MemoryTooLarge: The memory would exceed `Limits.memory`; nothing has changed.
            RunEnded: The run has ended.
        """
        name = check_key(name)
        if not 0 < len(name) <= MAX_NAME:
            raise NotJson(f"a name of 1 to {MAX_NAME} characters", f"one of {len(name)}")
        if name.startswith(RESERVED):
            raise NotJson(f'a name that does not begin with "{RESERVED}", which is reserved', f'"{name}"')
        self._write(name, _encoded(value))

    def __delitem__(self, name: str) -> None:
        """Delete a name.

        Raises:
            KeyError: There is none.
            RunEnded: The run has ended.
        """
        if name not in self:
            raise KeyError(name)
        self._write(name, None)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._current() and not name.startswith(RESERVED)

    def __iter__(self) -> Iterator[str]:
        return iter([name for name in list(self._current()) if not name.startswith(RESERVED)])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Memory({', '.join(map(repr, self))})"  # what is in it may be secret

    @property
    def slots(self) -> MutableMapping[str, Json]:
        """The engine's own values, under names that begin with "statecast."."""
        return _Slots(self)

    def following(self, document: Document, messages: Messages | None) -> Memory:
        """Return the memory of the next run, over the same records. Call `take` first."""
        memory = Memory(document, messages, limit=self._limit, versions=self._versions)
        memory._records, memory._bytes = self._records.copy(), self._bytes
        return memory

    @property
    def records(self) -> list[Record]:
        """The current versions; `restore` reverts the memory to them."""
        with self._lock:
            self._close()
            return self._records.copy()

    def restore(self, records: Sequence[Record]) -> None:
        """Revert the memory to its content at `records`.

        Raises:
            RunEnded: The run has ended.
        """
        with self._document.writing(), self._lock:
            self._close()
            self._replace(records)
            self._wake()

    def cut(self, ids: Sequence[Json], keep: int) -> None:
        """Revert the memory to its content when only the first `keep` messages existed.

        Values that a run wrote before its first message are removed with that message.

        Args:
            ids: The ids of the messages before the cut.
            keep: The number of messages that stay.

        Raises:
            RunEnded: The run has ended.
        """
        with self._document.writing(), self._lock:
            self._close()
            stay = kept([record.version for record in self._records], ids, keep)
            if stay < len(self._records):
                self._replace(self._records[:stay])
                self._wake()

    def take(self) -> list[tuple[int, bytes | None]]:
        """Return the records that the store must write to be current: their numbers and data.

        A record without data must be deleted.
        """
        with self._lock:
            self.changed = False
            self._close()
            if len(self._records) > 2 * self._versions or self._bytes > 3 * self._limit:
                self._replace(squash(self._records, most=self._versions, most_bytes=self._limit))
            changes, self._changes = self._changes, {}
        return [(number, None if version is None else encode(version)) for number, version in changes.items()]

    def _write(self, name: str, new: Value | None) -> None:
        with self._document.writing(), self._lock:
            values = self._current()
            old = values.get(name)
            if new is None and old is None:
                raise KeyError(name)
            size = self._size + _size(name, new) - _size(name, old)
            if size > max(self._limit, self._size):
                raise MemoryTooLarge(size, self._limit)
            place = self._last_place()
            if place != self._place:
                self._close()
                self._place = place
            self._before.setdefault(name, old)
            if new is None:
                del values[name]
            else:
                values[name] = new
            self._size = size
            self._wake()

    def _current(self) -> dict[str, Value]:
        with self._lock:
            if self._values is None:
                self._values = Replay(record.version for record in self._records).values() if self._records else {}
                self._size = sum(_size(name, value) for name, value in self._values.items())
            return self._values

    def _last_place(self) -> Place:
        items = () if self._messages is None else self._messages._peek()
        if not items:
            return Place()
        last: dict[str, Any] = items[-1] if isinstance(items[-1], dict) else {}
        id, answers = last.get("id"), last.get("role") == "user"
        return Place(id if isinstance(id, str) else None, answers, len(items) + answers)

    def _close(self) -> None:
        """End the version that is being written, if there is one."""
        place, before = self._place, self._before
        if place is not None:
            self._place, self._before = None, {}
            changes = differences(before, self._current())
            if changes:
                number = self._records[-1].number + 1 if self._records else 1
                self._records.append(Record(number, Version(place, changes)))
                self._changes[number] = self._records[-1].version
                self._bytes += self._records[-1].version.size

    def _replace(self, records: Sequence[Record]) -> None:
        """Replace all records by others."""
        before, after = dict(self._records), dict(records)
        for number in before.keys() | after.keys():
            if before.get(number) is not after.get(number):
                self._changes[number] = after.get(number)
        self._records = list(records)
        self._bytes = sum(record.version.size for record in self._records)
        self._values = None
        self._wake()

    def _wake(self) -> None:
        wake = self._document.wake
        if not self.changed:
            self.changed = True
            if wake is not None:
                wake()


class _Slots(MutableMapping[str, Json]):
    """The engine's own values in a memory. They follow the conversation like the agent's, and have no limit there."""

    __slots__ = ("_memory",)

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def __getitem__(self, name: str) -> Json:
        return _decoded(self._memory._current()[name])

    def get(self, name: str, default: Any = None) -> Any:  # as in Mapping, without raising and catching
        """Return a value; `default` if there is none."""
        found = self._memory._current().get(name)
        return default if found is None else _decoded(found)

    def __setitem__(self, name: str, value: Json) -> None:
        assert name.startswith(RESERVED), "other names are the agent's"
        self._memory._write(name, _encoded(value))

    def __delitem__(self, name: str) -> None:
        self._memory._write(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter([name for name in list(self._memory._current()) if name.startswith(RESERVED)])

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _encoded(value: Json) -> Value:
    """Return a value as it is stored.

    Raises:
        NotJson: It is neither bytes nor something that a state can hold.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return Value("bytes", bytes(value))
    return Value("json", Document(value).encode())


def _decoded(value: Value) -> Json:
    return value.data if value.form == "bytes" else msgspec.json.decode(value.data)


def _size(name: str, value: Value | None) -> int:
    """Return the bytes that a name counts for; none for the engine's own."""
    if value is None or name.startswith(RESERVED):
        return 0
    return NAME + 4 * len(name) + len(value.data)
