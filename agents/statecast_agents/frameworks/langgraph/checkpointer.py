"""`SlotSaver`: a LangGraph checkpointer over one slot of a thread, for graphs compiled without a checkpointer.

It is LangGraph's in-memory saver, read from the slot when a run begins and written to it with every change. It contains
only the newest checkpoint and its dependencies. Earlier checkpoints are earlier versions of the slot, which edits
revert.

Rule: in the slot, data that a conversation appends comes first, and data that changes with every step comes last. So
each version of the slot repeats as much as possible of the one before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
)
from langgraph.checkpoint.memory import InMemorySaver

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

__all__ = ["SlotSaver"]

#: Separates the name of a node from the id of its task in a namespace; without an id, a subgraph keeps its state.
TASK: Final = ":"

#: Bytes at the end of the slot that say how long the index before them is.
LENGTH: Final = 8

#: How msgpack begins a list of up to 15 items, and of more; see `_split`.
SHORT_LIST: Final = 0x90
LIST_16: Final = 0xDC
LIST_32: Final = 0xDD


class _Blob(msgspec.Struct, array_like=True, frozen=True):
    """A value in the slot: its place in the body, and how its text continues before it."""

    kind: str  #: of LangGraph's serializer
    size: int
    head: bytes = b""  #: bytes of it that come first, and are not in the body


class _Write(msgspec.Struct, array_like=True, frozen=True):
    namespace: str
    checkpoint: str
    key: tuple[str, int]
    channel: str
    path: str
    blob: _Blob


class _Value(msgspec.Struct, array_like=True, frozen=True):
    namespace: str
    channel: str
    version: str
    blob: _Blob


class _Saved(msgspec.Struct, array_like=True, frozen=True):
    namespace: str
    id: str
    parent: str | None
    checkpoint: _Blob
    metadata: _Blob


class _Index(msgspec.Struct, array_like=True, frozen=True):
    """What the body of the slot is made of, in its order."""

    writes: list[_Write]
    values: list[_Value]
    saved: list[_Saved]


#: A checkpoint and its metadata, as LangGraph's serializer writes them, and the id of the checkpoint before it.
_Stored: TypeAlias = tuple[tuple[str, bytes], tuple[str, bytes], str | None]


class SlotSaver(InMemorySaver):
    """A checkpointer whose data is in one slot.

    Args:
        slots: Where the slot is, such as `run.memory`.
        name: The slot's name.
        thread_id: The only thread it knows.
        grown: The channels whose value is made of the writes of several checkpoints.
    """

    def __init__(
        self, slots: MutableMapping[str, Any], name: str, *, thread_id: str, grown: Collection[str] = ()
    ) -> None:
        super().__init__()
        self._slots = slots
        self._name = name
        self._thread_id = thread_id
        self._grown = frozenset(grown)
        self._load(slots.get(name))

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint, and forget those that nothing needs any more."""
        put = super().put(config, checkpoint, metadata, new_versions)
        self._forget(put["configurable"]["checkpoint_ns"], checkpoint["id"])
        self._store()
        return put

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what a task has written before its step has ended."""
        super().put_writes(config, writes, task_id, task_path)
        self._store()

    def delete_thread(self, thread_id: str) -> None:
        """Empty the slot."""
        super().delete_thread(thread_id)
        if self._name in self._slots:
            del self._slots[self._name]

    def _forget(self, namespace: str, newest: str) -> None:
        """Forget what is older than a namespace's newest checkpoint and no part of it, and the subgraphs of old tasks.

        A subgraph's checkpoint is for going on with a task that is under way. The main graph's next checkpoint means
        that the tasks before it have ended.
        """
        spaces = self.storage[self._thread_id]
        if not namespace:
            for space in [space for space in spaces if TASK in space]:
                del spaces[space]
        if TASK not in namespace:
            spaces[namespace] = {
                id: spaces[namespace][id] if id == newest else self._only_grown(namespace, id, spaces[namespace][id])
                for id in self._needed(namespace, newest)
            }
        known = {(space, id) for space, saved in spaces.items() for id in saved}
        for key in [key for key in self.writes if key[1:] not in known]:
            del self.writes[key]
        used = set()
        for space, saved in spaces.items():
            for checkpoint, _, _ in saved.values():
                versions = self.serde.loads_typed(checkpoint)["channel_versions"]
                used |= {(self._thread_id, space, channel, version) for channel, version in versions.items()}
        for blob in [blob for blob in self.blobs if blob not in used]:
            del self.blobs[blob]

    def _needed(self, namespace: str, newest: str) -> Iterator[str]:
        """Yield the ids of a checkpoint and of those whose writes make its channels' values."""
        missing, id = set(self._grown), newest
        saved = self.storage[self._thread_id][namespace]
        while id in saved:
            yield id
            versions = self.serde.loads_typed(saved[id][0])["channel_versions"]
            missing = {
                channel
                for channel in missing & versions.keys()
                if self.blobs.get((self._thread_id, namespace, channel, versions[channel]), ("empty",))[0] == "empty"
            }
            parent = saved[id][2]
            if not missing or parent is None:
                return
            id = parent

    def _only_grown(self, namespace: str, id: str, saved: _Stored) -> _Stored:
        """Return an older checkpoint with no more than the writes of its grown channels need."""
        checkpoint = self.serde.loads_typed(saved[0])
        versions = {name: version for name, version in checkpoint["channel_versions"].items() if name in self._grown}
        if len(versions) == len(checkpoint["channel_versions"]):
            return saved
        checkpoint |= {"channel_versions": versions, "versions_seen": {}, "updated_channels": None}
        writes = self.writes[(self._thread_id, namespace, id)]
        for key in [key for key, (_, channel, _, _) in writes.items() if channel not in self._grown]:
            del writes[key]
        return self.serde.dumps_typed(checkpoint), self.serde.dumps_typed({}), saved[2]

    # The slot

    def _store(self) -> None:
        body = bytearray()

        def add(value: tuple[str, bytes]) -> _Blob:
            head, rest = _split(value)
            body.extend(rest)
            return _Blob(value[0], len(rest), head)

        spaces = self.storage[self._thread_id]
        order = {(space, id): at for space, saved in spaces.items() for at, id in enumerate(sorted(saved))}
        writes = [
            _Write(space, id, key, channel, path, add(value))
            for (_, space, id), found in sorted(self.writes.items(), key=lambda item: order.get(item[0][1:], 0))
            for key, (_, channel, value, path) in found.items()
        ]
        values = [
            _Value(space, channel, str(version), add(value))
            for (_, space, channel, version), value in sorted(self.blobs.items(), key=_longest_lists_first)
        ]
        saved = [
            _Saved(space, id, parent, add(checkpoint), add(metadata))
            for space, found in spaces.items()
            for id, (checkpoint, metadata, parent) in found.items()
        ]
        index = msgspec.msgpack.encode(_Index(writes, values, saved))
        self._slots[self._name] = bytes(body) + index + len(index).to_bytes(LENGTH, "big")

    def _load(self, data: bytes | None) -> None:
        if data is None:
            return
        end = len(data) - LENGTH
        size = int.from_bytes(data[end:], "big")
        index = msgspec.msgpack.decode(data[end - size : end], type=_Index)
        at = 0

        def take(blob: _Blob) -> tuple[str, bytes]:
            nonlocal at
            at += blob.size
            return blob.kind, blob.head + data[at - blob.size : at]

        for write in index.writes:
            found = self.writes[(self._thread_id, write.namespace, write.checkpoint)]
            found[write.key] = (write.key[0], write.channel, take(write.blob), write.path)
        for value in index.values:
            self.blobs[(self._thread_id, value.namespace, value.channel, value.version)] = take(value.blob)
        for saved in index.saved:
            found_here = self.storage[self._thread_id][saved.namespace]
            found_here[saved.id] = (take(saved.checkpoint), take(saved.metadata), saved.parent)


def _longest_lists_first(item: tuple[tuple[str, str, str, Any], tuple[str, bytes]]) -> tuple[bool, str, str]:
    (_, namespace, channel, _), value = item
    return not _split(value)[0], namespace, channel


def _split(value: tuple[str, bytes]) -> tuple[bytes, bytes]:
    """Split the text of a list into how long the list is, and its items: a longer list begins with the same items.

    Source: the msgpack specification, "array format family".
    """
    kind, text = value
    if kind != "msgpack" or not text:
        return b"", text
    head = {LIST_16: 3, LIST_32: 5}.get(text[0], 1 if text[0] & 0xF0 == SHORT_LIST else 0)
    return text[:head], text[head:]
