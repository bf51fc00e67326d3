"""Streams that go on when their client leaves, and are read again from the start."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI

from statecast.compat.assistant_stream import RunController
from statecast.compat.assistant_stream.resumable import (
    RESUMABLE_STREAM_ID_HEADER,
    ResumableStreamError,
    create_in_memory_resumable_stream_store,
    create_resumable_assistant_stream_response,
    create_resumable_stream_context,
    create_resume_assistant_stream_response,
)
from statecast.testing import TestClient

pytestmark = pytest.mark.anyio


class Backend:
    """A backend with a resumable stream per id."""

    def __init__(self, **settings: Any) -> None:
        self.release = asyncio.Event()
        self.runs = 0
        self.ended: list[tuple[Any, ...]] = []
        store = create_in_memory_resumable_stream_store(**settings)
        self.context = create_resumable_stream_context(store=store, on_finalize=lambda *end: self.ended.append(end))
        self.app = FastAPI()
        self.app.post("/assistant/{stream_id}", response_model=None)(self.start)
        self.app.get("/resume/{stream_id}", response_model=None)(self.resume)

    async def start(self, stream_id: str) -> Any:
        return await create_resumable_assistant_stream_response(
            context=self.context, stream_id=stream_id, callback=self.run
        )

    async def resume(self, stream_id: str) -> Any:
        return await create_resume_assistant_stream_response(context=self.context, stream_id=stream_id)

    async def run(self, controller: RunController) -> None:
        self.runs += 1
        controller.append_text("begun")
        await self.release.wait()
        controller.append_text("went on")


async def test_a_run_goes_on_without_its_client_and_is_read_again() -> None:
    backend = Backend()
    async with TestClient(backend.app) as client:
        async with client.stream("POST", "/assistant/s1") as response:
            await response.read_until(b"begun")
            assert response.headers[RESUMABLE_STREAM_ID_HEADER] == "s1"
        async with client.stream("GET", "/resume/s1") as response:
            await response.read_until(b"begun")
            backend.release.set()
            assert await response.read() == b'0:"begun"\n0:"went on"\n'
        again = await client.get("/resume/s1")
        joined = await client.post("/assistant/s1")
        assert again.content == joined.content == b'0:"begun"\n0:"went on"\n'
    assert backend.runs == 1
    assert backend.ended == [("s1", "done", None)]
    assert await backend.context.status("s1") == "done"


@pytest.mark.parametrize("stream_id", ["unknown", "not%20an%20id"])
async def test_a_stream_that_is_not_there_is_404(stream_id: str) -> None:
    async with TestClient(Backend().app) as client:
        answer = await client.get(f"/resume/{stream_id}")
    assert (answer.status, answer.json()) == (404, {"error": "stream not found"})


async def test_a_stream_that_was_deleted_ends() -> None:
    backend = Backend()
    async with TestClient(backend.app) as client:
        async with client.stream("POST", "/assistant/s1") as response:
            await response.read_until(b"begun")
            await backend.context.delete("s1")
            await response.read()
    backend.release.set()
    await asyncio.gather(*backend.context.tasks)
    assert await backend.context.status("s1") == "missing"


async def test_old_streams_are_dropped() -> None:
    now = [0.0]
    store = create_in_memory_resumable_stream_store(default_ttl_ms=100, now=lambda: now[0])
    assert await store.acquire("s") == "producer"
    now[0] = 99
    await store.append("s", b"x")
    now[0] = 198
    assert await store.acquire("s") == "consumer"
    now[0] = 199
    assert await store.status("s") == "missing"


async def test_pieces_are_read_behind_a_cursor() -> None:
    store = create_in_memory_resumable_stream_store()
    await store.acquire("s")
    for number in range(40):
        await store.append("s", b"%d" % number)
    await store.finalize("s", "done")
    entries = [entry async for entry in store.read("s", "", asyncio.Event())]
    assert [entry.chunk for entry in entries] == [b"%d" % number for number in range(40)]
    rest = [entry async for entry in store.read("s", entries[36].cursor, asyncio.Event())]
    assert [entry.chunk for entry in rest] == [b"37", b"38", b"39"]


async def test_the_bounds_of_a_store() -> None:
    store = create_in_memory_resumable_stream_store(max_chunk_bytes=2, max_entries_per_stream=1, max_streams=1)
    await store.acquire("s")
    with pytest.raises(RuntimeError, match="maxStreams"):
        await store.acquire("t")
    with pytest.raises(RuntimeError, match="maxChunkBytes"):
        await store.append("s", b"long")
    await store.append("s", b"x")
    with pytest.raises(RuntimeError, match="maxEntriesPerStream"):
        await store.append("s", b"x")
    await store.finalize("s", "done")
    with pytest.raises(ResumableStreamError, match="already finalized") as refused:
        await store.append("s", b"x")
    assert refused.value.code == "finalized"


async def test_an_error_of_the_store_ends_the_stream_with_it() -> None:
    errors: list[object] = []
    store = create_in_memory_resumable_stream_store(max_entries_per_stream=1)
    context = create_resumable_stream_context(store=store, on_error=lambda stream_id, error: errors.append(error))

    async def make() -> Any:
        yield b"one"
        yield b"two"

    with pytest.raises(RuntimeError, match="maxEntriesPerStream"):
        async for _ in await context.run("s", make):
            pass
    assert len(errors) == 1
