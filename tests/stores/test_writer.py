"""A writer that is lost and started again, and processes that leave it."""

from __future__ import annotations

import asyncio
import socket
import tracemalloc
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path

import pytest

from statecast.stores import (
    Appended,
    Claimed,
    Compacted,
    Created,
    Fenced,
    Held,
    Key,
    SavedThread,
    SqliteStore,
    StoreUnavailable,
    topic_of,
)
from statecast.stores.sharing import Sharing
from statecast.stores.writer import WriterStore
from statecast.stores.writer.frames import TOPICS, Frames
from tests.stores.written_store import WriterHere, WrittenStore

pytestmark = pytest.mark.anyio

KEY = Key(None, "t")
LONG = 60.0  #: seconds
PATIENCE = 30.0  #: seconds after which a test counts as hanging


@pytest.fixture
async def writer(tmp_path: Path) -> WriterHere:
    return WriterHere(tmp_path / "threads.db")


@pytest.fixture
async def stores(writer: WriterHere) -> AsyncIterator[tuple[WrittenStore, WrittenStore]]:
    """Open a store as two processes have it."""
    one, two = WrittenStore(writer), WrittenStore(writer)
    await one.open()
    await two.open()
    yield one, two
    await two.aclose()
    await one.aclose()


Stores = tuple[WrittenStore, WrittenStore]


async def started(store: WriterStore) -> int:
    claimed = await store.claim(KEY, "a", LONG)
    assert isinstance(claimed, Claimed)
    created = Created(KEY, "agent", "epoch", True, b"{}")
    assert await store.write([created, Appended(KEY, 1, "operations", b"1")], {KEY: claimed.token}) == {}
    return claimed.token


async def until(fact: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not fact():  # noqa: ASYNC110  # it is another task's
            await asyncio.sleep(0.005)


async def test_a_writer_that_is_back_has_what_was_written_and_its_old_tokens_do_not_count(
    writer: WriterHere, stores: Stores
) -> None:
    one, two = stores
    token = await started(one)
    await writer.end()
    await writer.start()
    claimed = await two.claim(KEY, "b", LONG)  # it waits until it is connected again
    assert isinstance(claimed, Claimed)
    assert (claimed.token > token, claimed.epoch, claimed.revision) == (True, "epoch", 1)
    failed = await one.write([Appended(KEY, 2, "operations", b"2")], {KEY: token})
    assert isinstance(failed[KEY], Fenced)
    saved = await one.load(KEY)
    assert saved is not None
    assert saved.entries == [(1, "operations", b"1")]


async def test_without_a_writer_the_store_is_unavailable(writer: WriterHere, stores: Stores) -> None:
    store = WriterStore(writer.enter, patience=0.0)
    await store.open()
    await writer.end()
    try:
        with pytest.raises(StoreUnavailable):
            await store.load(KEY)
    finally:
        await writer.start()
        await store.aclose()
        await writer.leave()


async def test_a_call_without_a_reply_fails_when_the_writer_is_lost(tmp_path: Path) -> None:
    """The writer here accepts, says what version it has, and replies to nothing else."""
    path = tmp_path / "s"
    connected: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, replies: asyncio.StreamWriter) -> None:
        connected.append(replies)
        await reader.readexactly(4)
        replies.write(b"\x00\x00\x00\x04\x93\x01\xc0\x01")

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        server = await asyncio.start_unix_server(accept, sock=listening)

        async def place() -> str:
            return str(path)

        store = WriterStore(place)
        await store.open()
        loading = asyncio.create_task(store.load(KEY))
        await asyncio.sleep(0)
        connected[0].close()
        with pytest.raises(StoreUnavailable, match="was lost"):
            await loading
        await store.aclose()
        server.close()
        for replies in connected:
            replies.close()


async def test_hints_go_on_after_the_writer_was_lost_and_say_so(writer: WriterHere, stores: Stores) -> None:
    one, two = stores
    hinted: list[Collection[str]] = []
    lost: list[None] = []
    receiving, sending = one.wake(), two.wake()
    await receiving.open(hinted.append, lambda: lost.append(None))
    await sending.open(lambda topics: None, lambda: None)
    receiving.follow(topic_of(KEY))
    await writer.end()
    await until(lambda: not receiving.live)
    await writer.start()
    await until(lambda: bool(lost) and sending.live)
    await one.probe()  # what it follows has arrived before
    sending.send([topic_of(KEY), "other"])
    await until(lambda: bool(hinted))
    assert hinted == [[topic_of(KEY)]]
    await receiving.aclose()
    await sending.aclose()


async def test_a_process_that_disconnects_holds_nothing_any_more(writer: WriterHere, stores: Stores) -> None:
    one, two = stores
    token = await started(one)
    assert await two.claim(KEY, "b", LONG) == Held("a")
    await one.aclose()
    async with asyncio.timeout(PATIENCE):
        while isinstance(claimed := await two.claim(KEY, "b", LONG), Held):  # noqa: ASYNC110  # as in `until`
            await asyncio.sleep(0.005)
    assert claimed.token == token + 1


async def test_a_process_that_disconnects_while_it_claims_holds_nothing(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = stores
    begun, go_on, load = asyncio.Event(), asyncio.Event(), SqliteStore.load

    async def slow(store: SqliteStore, key: Key) -> SavedThread | None:
        begun.set()
        await go_on.wait()
        return await load(store, key)

    monkeypatch.setattr(SqliteStore, "load", slow)
    claiming = asyncio.create_task(one.claim(KEY, "a", LONG))
    await begun.wait()
    await one.aclose()
    with pytest.raises(StoreUnavailable):
        await claiming
    await two.probe()  # the writer has noticed
    go_on.set()
    async with asyncio.timeout(PATIENCE):
        while isinstance(await two.claim(KEY, "b", LONG), Held):  # noqa: ASYNC110  # as in `until`
            await asyncio.sleep(0.005)


async def test_a_process_that_was_cut_off_renews_what_nobody_else_has_claimed(
    writer: WriterHere, stores: Stores
) -> None:
    one, two = stores
    token = await started(one)
    await one.aclose()
    await one.open()
    assert list(await one.renew({KEY: token}, LONG)) == []
    assert await two.claim(KEY, "b", LONG) == Held("a")


async def test_the_states_of_threads_do_not_stay_in_the_memory_of_the_writer(tmp_path: Path) -> None:
    store = Sharing(SqliteStore(tmp_path / "threads.db"))
    await store.open()
    tracemalloc.start()
    try:
        for number in range(40):
            key = Key(None, str(number))
            claimed = await store.claim(key, "a", LONG)
            assert isinstance(claimed, Claimed)
            created = Created(key, "agent", "epoch", True, b"{}")
            await store.write([created, Appended(key, 1, "operations", b"1")], {key: claimed.token})
            compacted = Compacted(key, 1, b"%d" % number * 100_000, b"null")
            for _ in range(2):  # it may be written again
                assert await store.write([compacted], {key: claimed.token}) == {}
            await store.release({key: claimed.token})
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        await store.aclose()
    assert held < 2_000_000


async def test_hints_wait_once_each_while_the_other_end_does_not_read() -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    _, end = await loop.create_connection(Hinting, sock=ours)
    topics = [f"topic {number}" for number in range(200)]
    async with asyncio.timeout(PATIENCE):
        while not end._full:
            end.hint(topics)
            await asyncio.sleep(0)
    sent = end.frames
    for _ in range(50):
        end.hint(topics)
        await asyncio.sleep(0)
    end.hint([f"other {number}" for number in range(2 * TOPICS)])
    end.hint(["lost"])
    assert end.frames == sent
    assert set(topics) <= end._topics
    assert "lost" not in end._topics

    async with asyncio.timeout(PATIENCE):
        while end.frames == sent:
            await loop.sock_recv(theirs, 65_536)
    assert (end._topics, end.frames) == (set(), sent + 1)
    theirs.close()
    async with asyncio.timeout(PATIENCE):
        await end.over.wait()


class Hinting(Frames):
    """An end that sends hints, and counts the frames."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = 0
        self.over = asyncio.Event()

    def hints(self, topics: Collection[str]) -> bytes:
        self.frames += 1
        return " ".join(topics).encode()

    def lost(self) -> None:
        self.over.set()
