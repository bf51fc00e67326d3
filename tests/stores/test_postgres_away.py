"""A PostgreSQL server that is away, hangs, or whose replies are lost: nothing is lost with them, or written twice."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from random import Random

import anyio
import psycopg
import pytest

from statecast.stores import (
    Appended,
    BatchAccepted,
    ChangeRefused,
    Claimed,
    Created,
    Fenced,
    Key,
    SharedChange,
    StoreUnavailable,
)
from statecast.stores.postgres import PostgresStore
from tests.engines import postgres
from tests.engines.valve import Valve

pytestmark = pytest.mark.anyio

KEY = Key(None, "t")
LONG = 600.0  #: seconds


def entry(revision: int, key: Key = KEY) -> Appended:
    return Appended(key, revision, "operations", b"%d" % revision)


def created(key: Key = KEY) -> Created:
    return Created(key, "agent", "epoch", True, b"{}")


def accepted(run_id: str) -> BatchAccepted:
    return BatchAccepted(KEY, run_id, b"batch")


async def claim(store: PostgresStore, process: str = "a", key: Key = KEY) -> int:
    found = await store.claim(key, process, LONG)
    assert isinstance(found, Claimed)
    return found.token


async def revisions(store: PostgresStore, key: Key = KEY) -> list[int]:
    saved = await store.load(key)
    return [] if saved is None else [revision for revision, _, _ in saved.entries]


@pytest.fixture(scope="module")
def machine() -> Iterator[postgres.Postgres]:
    """Start a server that syncs, for this file to harm."""
    with postgres.running("shared_buffers=16MB", "max_connections=50") as started:
        yield started


@pytest.fixture
async def valve() -> AsyncIterator[Valve]:
    """Pass connections on to the server of all tests."""
    async with Valve(postgres.server().port) as valve:
        yield valve


@pytest.fixture
async def stores(valve: Valve) -> AsyncIterator[tuple[PostgresStore, PostgresStore]]:
    """Open a store behind the valve, and the same one past it."""
    url = postgres.fresh_url()
    behind = PostgresStore(url.replace(str(postgres.server().port), str(valve.port)), patience=1.0)
    past = PostgresStore(url)
    await behind.open()
    await past.open()
    yield behind, past
    await past.aclose()
    valve.cut()
    await behind.aclose()


async def lose_reply(
    stores: tuple[PostgresStore, PostgresStore], valve: Valve, changes: list[SharedChange], token: int
) -> None:
    """Write changes, of which the server's reply is lost."""
    behind, past = stores
    before = await past.load(KEY)
    valve.replies = False
    writing = asyncio.ensure_future(behind.write(changes, {KEY: token}))
    with anyio.fail_after(30):
        while await past.load(KEY) == before:  # noqa: ASYNC110  # until the server has it
            await anyio.sleep(0.01)
    valve.cut()
    with pytest.raises(StoreUnavailable):
        await writing


async def test_entries_whose_reply_was_lost_are_not_written_twice(
    stores: tuple[PostgresStore, PostgresStore], valve: Valve
) -> None:
    behind, past = stores
    token = await claim(behind)
    await behind.write([created(), entry(1)], {KEY: token})
    await lose_reply(stores, valve, [entry(2), entry(3)], token)
    assert await behind.write([entry(2), entry(3)], {KEY: token}) == {}
    assert await revisions(past) == [1, 2, 3]

    await lose_reply(stores, valve, [entry(4), entry(5)], token)
    more: list[SharedChange] = [entry(4), entry(5), entry(6)]  # what came meanwhile is written with it
    assert await behind.write(more, {KEY: token}) == {}
    assert await revisions(past) == [1, 2, 3, 4, 5, 6]

    await lose_reply(stores, valve, [entry(7)], token)
    assert await behind.write([entry(7), accepted("run_1"), entry(8)], {KEY: token}) == {}
    assert await revisions(past) == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.fixture
def losing(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return a list: while it is not empty, connections are lost as soon as a transaction is committed."""
    losing: list[bool] = []
    leave = psycopg.AsyncPipeline.__aexit__

    async def lose(self: psycopg.AsyncPipeline, *error: object) -> None:
        await leave(self, *error)  # type: ignore[arg-type]  # as it was called
        if losing and self._conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            self._conn.pgconn.finish()
            raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(psycopg.AsyncPipeline, "__aexit__", lose)
    return losing


async def test_a_batch_whose_reply_was_lost_is_not_written_twice(
    stores: tuple[PostgresStore, PostgresStore], losing: list[bool]
) -> None:
    behind, past = stores
    token = await claim(behind)
    first: list[SharedChange] = [created(), accepted("run_1"), entry(1)]
    losing.append(True)
    with pytest.raises(StoreUnavailable):
        await behind.write(first, {KEY: token})
    losing.clear()
    assert await revisions(past) == [1], "it was written"
    more: list[SharedChange] = [*first, entry(2), accepted("run_2")]
    assert await behind.write(more, {KEY: token}) == {}
    saved = await past.load(KEY)
    assert saved is not None
    assert [run_id for run_id, _ in saved.inbox] == ["run_1", "run_2"]
    assert await revisions(past) == [1, 2]


async def test_a_file_stays_whole_if_the_reply_to_its_last_step_was_lost(
    stores: tuple[PostgresStore, PostgresStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    behind, past = stores

    async def pieces(letter: bytes) -> AsyncIterator[bytes]:
        yield 300_000 * letter

    leave = psycopg.AsyncTransaction.__aexit__

    async def lose(self: psycopg.AsyncTransaction, *error: object) -> bool:
        await leave(self, *error)  # type: ignore[arg-type]  # as it was called
        self._conn.pgconn.finish()
        raise psycopg.OperationalError("the connection is lost")

    await behind.write_file("f", "text/plain", None, pieces(b"a"))
    with monkeypatch.context() as patch:
        patch.setattr(psycopg.AsyncTransaction, "__aexit__", lose)
        with pytest.raises(StoreUnavailable):
            await behind.write_file("f", "text/plain", None, pieces(b"b"))
    assert await past.read_file("f", 0, 300_000) == 300_000 * b"b"
    await past.write_file("f", "text/plain", None, pieces(b"c"))
    assert await past.read_file("f", 0, 300_000) == 300_000 * b"c"


async def test_a_thread_is_read_again_if_what_was_withdrawn_had_been_written(
    stores: tuple[PostgresStore, PostgresStore], losing: list[bool]
) -> None:
    behind, past = stores
    token = await claim(behind)
    await behind.write([created(), entry(1)], {KEY: token})
    losing.append(True)
    with pytest.raises(StoreUnavailable):
        await behind.write([accepted("run_1"), entry(2)], {KEY: token})
    losing.clear()
    failed = await behind.write([accepted("run_2"), entry(2)], {KEY: token})
    assert {key: type(error) for key, error in failed.items()} == {KEY: Fenced}
    token = await claim(behind)
    assert await behind.write([entry(3)], {KEY: token}) == {}
    assert await revisions(past) == [1, 2, 3]


async def test_a_server_that_hangs_is_noticed(stores: tuple[PostgresStore, PostgresStore], valve: Valve) -> None:
    behind, past = stores
    token = await claim(behind)
    await behind.write([created()], {KEY: token})
    for way in ("sends", "replies"):
        setattr(valve, way, False)
        calls = (behind.probe(), behind.load(KEY), behind.renew({KEY: token}, LONG), behind.identity())
        failed = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(error) for error in failed} == {StoreUnavailable}
        valve.cut()
        await behind.probe()
    assert await behind.write([entry(1)], {KEY: token}) == {}
    assert await revisions(past) == [1]


async def test_a_process_that_is_cut_off_in_a_transaction_does_not_keep_others_waiting(
    stores: tuple[PostgresStore, PostgresStore], valve: Valve
) -> None:
    behind, past = stores
    token = await claim(behind)
    await behind.write([created()], {KEY: token})
    valve.replies = False  # its locks stay: the server knows nothing of it
    with pytest.raises(StoreUnavailable):
        await behind.write([accepted("run_1")], {KEY: token})
    with anyio.fail_after(30):
        await past.renew({KEY: token}, 0.0)
        assert await claim(past, "b") == token + 1


async def test_who_had_to_wait_for_another_claim_writes_nothing(
    stores: tuple[PostgresStore, PostgresStore],
) -> None:
    behind, past = stores
    token = await claim(behind)
    await behind.write([created(), entry(1)], {KEY: token})
    table = f"{past._address.schema}.thread"
    async with await psycopg.AsyncConnection.connect(postgres.server().url) as claiming:
        await claiming.execute(f"UPDATE {table} SET token = token + 1".encode())
        writes: list[list[SharedChange]] = [[entry(2)], [accepted("run_1"), entry(2)]]
        waiting = [asyncio.ensure_future(past.write(changes, {KEY: token})) for changes in writes]
        waiting.append(asyncio.ensure_future(behind.write([entry(2)], {KEY: token})))
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
        with anyio.fail_after(30):
            async with await psycopg.AsyncConnection.connect(postgres.server().url, autocommit=True) as watching:
                while True:
                    found = await (await watching.execute(query, (f"%{table}%",))).fetchone()
                    if found == (len(waiting),):
                        break
        await claiming.commit()
    for failed in await asyncio.gather(*waiting):
        assert {key: type(error) for key, error in failed.items()} == {KEY: Fenced}
    assert await revisions(past) == [1]


async def test_a_server_that_was_away_is_used_again_at_once(machine: postgres.Postgres) -> None:
    store = PostgresStore(machine.url + "?schema=restarted")
    await store.open()
    token = await claim(store)
    await store.write([created(), entry(1)], {KEY: token})
    machine.stop()
    for call in (store.probe(), store.load(KEY), store.write([entry(2)], {KEY: token}), store.summary(KEY)):
        with pytest.raises(StoreUnavailable):
            await call
    machine.start()
    assert await store.write([entry(2)], {KEY: token}) == {}
    assert await revisions(store) == [1, 2]
    machine.signal(signal.SIGSTOP)
    hung = PostgresStore(machine.url + "?schema=restarted", patience=0.5)
    with pytest.raises(StoreUnavailable):
        await hung.open()
    machine.signal(signal.SIGCONT)
    with anyio.fail_after(60):
        while True:
            with contextlib.suppress(
                StoreUnavailable
            ):  # where the machine is busy, it may need more than half a second
                await hung.open()
                assert await revisions(hung) == [1, 2]
                break
    await hung.aclose()
    await store.aclose()


async def test_what_was_confirmed_survives_a_crash_of_the_server(machine: postgres.Postgres) -> None:
    keys = [Key(None, f"t{number}") for number in range(4)]
    store = PostgresStore(machine.url + "?schema=crashed")
    await store.open()
    confirmed = dict.fromkeys(keys, 0)
    tokens = {key: await claim(store, key=key) for key in keys}

    await store.write([created(key) for key in keys], tokens)

    async def write(key: Key) -> None:
        while True:
            assert await store.write([entry(confirmed[key] + 1, key)], {key: tokens[key]}) == {}
            confirmed[key] += 1

    for least in (20, 60):
        writing = [asyncio.ensure_future(write(key)) for key in keys]
        with anyio.fail_after(60):
            while min(confirmed.values()) < least:  # noqa: ASYNC110  # until they have come so far
                await anyio.sleep(0.01)
        machine.kill()
        done = await asyncio.gather(*writing, return_exceptions=True)
        assert {type(error) for error in done} == {StoreUnavailable}
        machine.start()
        for key in keys:
            found = await revisions(store, key)
            assert found == list(range(1, len(found) + 1))
            assert len(found) in (confirmed[key], confirmed[key] + 1), "at most the one that was under way is there too"
    assert list(await store.renew(tokens, LONG)) == []
    await store.aclose()


async def test_what_is_refused_is_refused_to_its_thread_only(stores: tuple[PostgresStore, PostgresStore]) -> None:
    _, past = stores
    good, bad = Key(None, "good"), Key(None, "bad")
    tokens = {key: await claim(past, key=key) for key in (good, bad)}
    await past.write([created(good), created(bad)], tokens)
    surrogate = BatchAccepted(bad, "\ud800", b"")
    too_long = BatchAccepted(bad, Random(1).randbytes(20_000).hex(), b"")  # for an index
    for number, change in enumerate((surrogate, too_long), 1):
        for failed in (await past.write([entry(number, good), change], tokens), await past.write([change], tokens)):
            assert {key: type(error) for key, error in failed.items()} == {bad: ChangeRefused}
        assert await revisions(past, good) == list(range(1, number + 1))
    assert await past.write([entry(1, bad)], tokens) == {}
