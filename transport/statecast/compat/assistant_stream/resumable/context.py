"""Makes resumable streams, each in a task of its own, and lets any number of clients read them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from .store import ResumableStreamError, ResumableStreamRole, ResumableStreamStatus, ResumableStreamStore

__all__ = ["ResumableStreamContext", "create_resumable_stream_context"]

_log: Final = logging.getLogger("statecast")


@dataclass
class ResumableStreamContext:
    """Makes streams, and lets clients read them; `create_resumable_stream_context` makes one."""

    store: ResumableStreamStore
    ttl_ms: int | None = None
    wait_until: Callable[[asyncio.Task[None]], None] | None = None
    on_acquire: Callable[[str, ResumableStreamRole], None] | None = None
    on_append: Callable[[str, int], None] | None = None
    on_finalize: Callable[[str, Literal["done", "error"], str | None], None] | None = None
    on_error: Callable[[str, object], None] | None = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set, repr=False)

    async def run(self, stream_id: str, make_stream: Callable[[], AsyncIterator[bytes]]) -> AsyncIterator[bytes]:
        """Return the pieces of a stream; the first caller of an id starts it."""
        role = await self.store.acquire(stream_id, ttl_ms=self.ttl_ms)
        _call(self.on_acquire, stream_id, role)
        if role == "producer":
            task = asyncio.create_task(self._produce(stream_id, make_stream))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
            if self.wait_until is not None:
                self.wait_until(task)
        return self._read(stream_id)

    async def resume(self, stream_id: str) -> AsyncIterator[bytes] | None:
        """Return the pieces of a stream from its start; None if there is none of that id."""
        return None if await self.store.status(stream_id) == "missing" else self._read(stream_id)

    async def require_resume(self, stream_id: str) -> AsyncIterator[bytes]:
        """Return the pieces of a stream from its start.

        Raises:
            ResumableStreamError: `missing`.
        """
        found = await self.resume(stream_id)
        if found is None:
            raise ResumableStreamError("missing", f"resumable stream not found: {stream_id}")
        return found

    async def status(self, stream_id: str) -> ResumableStreamStatus:
        """Return how far a stream is."""
        return await self.store.status(stream_id)

    async def delete(self, stream_id: str) -> None:
        """Forget a stream."""
        await self.store.delete(stream_id)

    async def _produce(self, stream_id: str, make_stream: Callable[[], AsyncIterator[bytes]]) -> None:
        try:
            async for piece in make_stream():
                await self.store.append(stream_id, piece)
                _call(self.on_append, stream_id, len(piece))
            await self.store.finalize(stream_id, "done")
            _call(self.on_finalize, stream_id, "done", None)
        except Exception as error:  # of the callback, the encoder or the store: no one awaits this task
            _log.exception("the stream %s failed", stream_id)
            _call(self.on_error, stream_id, error)
            message = str(error) or repr(error)
            with contextlib.suppress(Exception):  # the store is what failed
                await self.store.finalize(stream_id, "error", message)
                _call(self.on_finalize, stream_id, "error", message)

    async def _read(self, stream_id: str) -> AsyncIterator[bytes]:
        signal = asyncio.Event()
        try:
            async for entry in self.store.read(stream_id, "", signal):
                yield entry.chunk
        finally:
            signal.set()


def create_resumable_stream_context(
    *,
    store: ResumableStreamStore,
    ttl_ms: int | None = None,
    wait_until: Callable[[asyncio.Task[None]], None] | None = None,
    on_acquire: Callable[[str, ResumableStreamRole], None] | None = None,
    on_append: Callable[[str, int], None] | None = None,
    on_finalize: Callable[[str, Literal["done", "error"], str | None], None] | None = None,
    on_error: Callable[[str, object], None] | None = None,
) -> ResumableStreamContext:
    """Return what makes streams over a store.

    Args:
        store: Keeps them.
        ttl_ms: Milliseconds that one is kept after its last piece; None: a day.
        wait_until: Gets the task of each stream that is made.
        on_acquire: Called with an id, and whether this caller makes the stream.
        on_append: Called with an id and a number of bytes.
        on_finalize: Called with an id, how the stream ended, and its error.
        on_error: Called with an id and what was raised.
    """
    return ResumableStreamContext(store, ttl_ms, wait_until, on_acquire, on_append, on_finalize, on_error)


def _call(hook: Callable[..., Any] | None, *arguments: object) -> None:
    if hook is not None:
        try:
            hook(*arguments)
        except Exception:  # a hook of the app, which only looks on
            _log.exception("a hook of a resumable stream failed")
