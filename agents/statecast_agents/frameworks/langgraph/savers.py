"""`ThreadSaver`: use a synchronous checkpointer with an asynchronous graph; LangGraph's own refuse that."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)

from .options import Graph

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

__all__ = ["ThreadSaver", "asynchronous", "with_checkpointer"]

#: Whether checkpointers of a class have asynchronous methods, as far as it is known.
_asynchronous: Final[dict[type, bool]] = {}


async def asynchronous(saver: BaseCheckpointSaver[Any], config: RunnableConfig) -> BaseCheckpointSaver[Any]:
    """Return a checkpointer whose asynchronous methods work: itself, if they do.

    Args:
        saver: The checkpointer.
        config: Of any thread; reading its checkpoint shows whether they do.
    """
    if type(saver) not in _asynchronous:
        try:
            await saver.aget_tuple(config)
            _asynchronous[type(saver)] = True
        except NotImplementedError:
            _asynchronous[type(saver)] = False
    return saver if _asynchronous[type(saver)] else ThreadSaver(saver)


def with_checkpointer(graph: Graph, saver: BaseCheckpointSaver[Any]) -> Graph:
    """Return a graph with another checkpointer.

    LangGraph's own `copy` forgets which classes of the graph's state a strict serializer may read
    (`LANGGRAPH_STRICT_MSGPACK`).
    """
    found = copy.copy(graph)
    found.checkpointer = saver
    return found


class ThreadSaver(BaseCheckpointSaver[Any]):
    """A checkpointer that calls another one's synchronous methods in a thread.

    Args:
        saver: The other one. It must allow calls from several threads, as LangGraph's do.
    """

    def __init__(self, saver: BaseCheckpointSaver[Any]) -> None:
        super().__init__(serde=saver.serde)
        self._saver = saver

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return await self._call(self._saver.get_tuple, config)  # type: ignore[no-any-return]  # of that method

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # the framework's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        def found() -> list[CheckpointTuple]:
            return [*self._saver.list(config, filter=filter, before=before, limit=limit)]

        for one in await self._call(found):
            yield one

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        put: RunnableConfig = await self._call(self._saver.put, config, checkpoint, metadata, new_versions)
        return put

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        await self._call(self._saver.put_writes, config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        await self._call(self._saver.delete_thread, thread_id)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        def found() -> Mapping[str, DeltaChannelHistory]:
            return self._saver.get_delta_channel_history(config=config, channels=channels)

        return await self._call(found)  # type: ignore[no-any-return]  # of that function

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> BaseCheckpointSaver[Any]:
        return ThreadSaver(self._saver.with_allowlist(extra_allowlist))

    def get_next_version(self, current: Any, channel: None) -> Any:
        return self._saver.get_next_version(current, channel)

    async def _call(self, method: Any, *args: Any) -> Any:
        return await asyncio.to_thread(method, *args)
