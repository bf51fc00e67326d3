"""The Redis store, and what happens to its engine: it ends, is full, refuses, or is another one than before."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from statecast.stores import (
    Appended,
    BatchAccepted,
    Claimed,
    Compacted,
    Created,
    Damaged,
    Deleted,
    Fenced,
    Key,
    Moved,
    Place,
    SharedChange,
    StoreUnavailable,
    SummaryChanged,
    store_of,
    topic_of,
)
from statecast.stores.redis import RedisStore, checks, line, node
from statecast.stores.redis.keys import PARTITIONS, SLOTS, Keys
from tests.engines import valkey

pytestmark = pytest.mark.anyio

KEY = Key(None, "t")
LONG = 600.0  #: seconds


def entry(revision: int, data: bytes = b"") -> Appended:
    return Appended(KEY, revision, "operations", data or b"%d" % revision)


async def opened(url: str, **options: Any) -> RedisStore:
    store = RedisStore(url, **options)
    await store.open()
    return store


async def claim(store: RedisStore, key: Key = KEY, process: str = "a") -> int:
    found = await store.claim(key, process, LONG)
    assert isinstance(found, Claimed)
    return found.token


async def started(store: RedisStore) -> int:
    token = await claim(store)
    assert await store.write([Created(KEY, "agent", "epoch", True, b"{}"), entry(1)], {KEY: token}) == {}
    return token


async def revisions(store: RedisStore) -> list[int]:
    saved = await store.load(KEY)
    assert saved is not None
    return [revision for revision, _, _ in saved.entries]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110  # what it waits for sets no event
            await asyncio.sleep(0.01)


@pytest.mark.slow
async def test_a_server_that_was_killed_has_what_it_confirmed_and_is_another_one() -> None:
    with valkey.running() as server:
        store = await opened(server.url)
        before = await store.identity()
        token = await started(store)
        confirmed, tried = 1, 2
        for turn in range(3):
            writing = asyncio.Event()

            async def write(writing: asyncio.Event = writing) -> None:
                nonlocal confirmed, tried
                while True:
                    tried = confirmed + 1
                    assert await store.write([entry(tried)], {KEY: token}) == {}
                    confirmed = tried
                    writing.set()

            task = asyncio.create_task(write())
            async with asyncio.timeout(30):
                await writing.wait()
            server.kill()
            with pytest.raises(StoreUnavailable):
                await task
            with pytest.raises(StoreUnavailable):
                await store.load(KEY)
            server.start()
            assert await store.write([entry(tried)], {KEY: token}) == {}, "the claim is there as well"
            confirmed = tried
            assert await revisions(store) == list(range(1, confirmed + 1)), turn
        assert await store.identity() != before
        assert list(await store.renew({KEY: token}, LONG)) == []
        await store.aclose()


async def test_a_server_that_is_full_has_done_nothing_and_goes_on_when_there_is_room() -> None:
    with valkey.running("--maxmemory-policy", "noeviction") as server:
        store = await opened(server.url)
        token = await started(store)
        server.do("CONFIG", "SET", "maxmemory", "1mb")
        batches: list[list[SharedChange]] = [
            [entry(2)],
            [entry(2), BatchAccepted(KEY, "r", b"")],
            [SummaryChanged(key=KEY, at=1.0)],
        ]
        for batch in batches:
            with pytest.raises(StoreUnavailable):
                await store.write(batch, {KEY: token})
        with pytest.raises(StoreUnavailable):
            await store.probe()
        assert await revisions(store) == [1], "reading goes on"
        server.do("CONFIG", "SET", "maxmemory", "0")
        assert await store.write([entry(2), BatchAccepted(KEY, "r", b"")], {KEY: token}) == {}
        assert await revisions(store) == [1, 2]
        await store.aclose()


async def test_nobody_waits_long_behind_others_while_the_server_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "AT_ONCE", 1)
    store = await opened(valkey.fresh_url(valkey.server()))

    async def wait(*_: object) -> None:
        await asyncio.Event().wait()

    with monkeypatch.context() as silent:
        silent.setattr(node, "ANSWER", 0.05)
        silent.setattr(node, "_exchange", wait)
        first = asyncio.ensure_future(store.load(KEY))
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            with pytest.raises(StoreUnavailable):
                await store.load(KEY)
        first.cancel()
        await asyncio.wait({first})
    assert await store.load(KEY) is None
    await store.aclose()


async def test_a_thread_whose_log_somebody_has_deleted_is_damaged_and_harms_no_other() -> None:
    store = await opened(valkey.fresh_url(valkey.server()))
    token = await started(store)
    same = store._keys.of(KEY).partition
    other = next(key for key in (Key(None, str(n)) for n in range(10_000)) if store._keys.of(key).partition == same)
    tokens = {KEY: token, other: await claim(store, other)}
    assert await store.write([Created(other, "agent", "epoch", True, b"{}")], tokens) == {}
    valkey.server().do("DEL", store._keys.of(KEY).log)

    place = Place("epoch", 0, 0)
    assert await store.write([Appended(other, 1, "operations", b"1")], tokens) == {}
    assert other in {tail.key for tail in await store.tails({KEY: place, other: place})}
    batches: list[list[SharedChange]] = [
        [entry(2)],
        [entry(2), BatchAccepted(KEY, "r", b"")],
        [Compacted(KEY, 2, b"{}", b"null")],
        [Moved(KEY, "ann")],
    ]
    for batch in batches:
        failed = await store.write(batch, {KEY: await claim(store)})
        assert {key: type(error) for key, error in failed.items()} == {KEY: Fenced}
    with pytest.raises(Damaged):
        await store.load(KEY)
    assert await store.write([Deleted(KEY)], {KEY: await claim(store)}) == {}
    await started(store)
    assert await revisions(store) == [1]
    await store.aclose()


async def test_scripts_that_the_server_forgets_are_sent_again() -> None:
    store = await opened(valkey.fresh_url(valkey.server()))
    token = await started(store)
    for revision in (2, 3):
        valkey.server().do("SCRIPT", "FLUSH")
        assert await store.write([entry(revision), BatchAccepted(KEY, f"r{revision}", b"")], {KEY: token}) == {}
    assert await revisions(store) == [1, 2, 3]
    await store.aclose()


async def test_a_server_that_evicts_is_refused_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    with valkey.running("--maxmemory-policy", "allkeys-lru") as server:
        with pytest.raises(StoreUnavailable, match="maxmemory-policy is allkeys-lru, and the store needs noeviction"):
            await opened(server.url)
        server.do("ACL", "SETUSER", "app", "on", ">secret", "~sc:*", "&sc:*", "+@all", "-@dangerous", "+info")
        with caplog.at_level(logging.WARNING):
            store = await opened(f"redis://app:secret@127.0.0.1:{server.port}")
        assert "cannot read maxmemory-policy" in caplog.text
        token = await started(store)
        assert await store.write([entry(2), BatchAccepted(KEY, "r", b"")], {KEY: token}) == {}
        await store.aclose()


async def test_a_user_with_the_documented_rights_can_do_everything() -> None:
    with valkey.running() as server:
        rights = "~sc:* &sc:* +@all -@dangerous +info +config|get"
        server.do("ACL", "SETUSER", "app", "on", ">secret", *rights.split())
        store = await opened(f"redis://app:secret@127.0.0.1:{server.port}")
        token = await started(store)
        assert await store.write([SummaryChanged(key=KEY, at=1.0)], {}) == {}
        await store.release({KEY: token})
        assert await store.unfinished() == []
        assert await store.idle_for(-1, lasting=True) == [KEY]
        assert await store.durability() == "process"
        assert await store.secret("s", b"1") == b"1"
        await store.aclose()


async def test_an_older_redis_and_another_program_are_refused() -> None:
    with pytest.raises(StoreUnavailable, match="Redis cannot be reached"):
        await opened("redis://127.0.0.1:1")
    with pytest.raises(StoreUnavailable, match="Redis cannot be reached"):
        await opened(f"redis://:wrong@127.0.0.1:{valkey.server().port}")


@pytest.mark.parametrize(
    ("settings", "query", "level"),
    [
        ("--appendfsync everysec", "", "process"),
        ("--appendfsync everysec", "?durable=true", "disk"),
        ("--appendfsync always", "", "disk"),
        ("--appendfsync always", "?durable=true", "disk"),
    ],
)
async def test_the_level_of_durability_is_what_is_configured(settings: str, query: str, level: str) -> None:
    with valkey.running(*settings.split()) as server:
        store = await opened(server.url + query)
        token = await started(store)
        assert await store.write([entry(2)], {KEY: token}) == {}
        assert await store.durability() == level
        await store.aclose()


async def test_a_durable_store_needs_a_server_that_writes_to_the_disk() -> None:
    with valkey.running("--appendonly", "no") as server, pytest.raises(StoreUnavailable, match="append-only file"):
        await opened(f"{server.url}?durable=true")
    with pytest.raises(StoreUnavailable, match="append-only file"):  # 7.0 cannot wait for the disk
        await opened(f"{valkey.redis_server().url}?durable=true")


@pytest.mark.slow
async def test_a_write_waits_for_replicas_and_is_written_once_when_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "PATIENCE", 200)
    with valkey.running("--repl-diskless-sync-delay", "0") as master:
        store = await opened(f"{master.url}?replicas=1")
        token = await claim(store)
        with pytest.raises(StoreUnavailable):
            await store.durability()
        created = Created(KEY, "agent", "epoch", True, b"{}")
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas"):
            await store.write([created, entry(1)], {KEY: token})
        with valkey.running("--replicaof", f"127.0.0.1 {master.port}") as replica:
            async with asyncio.timeout(60):
                while True:
                    try:
                        assert await store.durability() == "replica"
                        break
                    except StoreUnavailable:
                        await asyncio.sleep(0.05)
            assert await store.write([created, entry(1), entry(2)], {KEY: token}) == {}
            assert await revisions(store) == [1, 2]
            before = await store.identity()

            master.kill()
            replica.do("REPLICAOF", "NO", "ONE")
            other = await opened(replica.url)
            assert await revisions(other) == [1, 2]
            assert await other.identity() != before
            await other.aclose()
        await store.aclose()


async def test_a_server_that_becomes_a_replica_does_nothing_of_a_write() -> None:
    with valkey.running() as server:
        store = await opened(server.url)
        token = await started(store)
        server.do("REPLICAOF", "127.0.0.1", 1)
        batches: list[list[SharedChange]] = [[entry(2)], [entry(2), BatchAccepted(KEY, "r", b"")]]
        for batch in batches:
            with pytest.raises(StoreUnavailable):
                await store.write(batch, {KEY: token})
        server.do("REPLICAOF", "NO", "ONE")
        assert await store.write([entry(2)], {KEY: token}) == {}
        await store.aclose()


@pytest.mark.slow
async def test_hints_come_again_after_the_server_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "PROBE", 0.2)
    heard: set[str] = set()
    losses = 0

    def on_lost() -> None:
        nonlocal losses
        losses += 1

    with valkey.running() as server:
        store = await opened(server.url)
        wake = store.wake()
        topic = topic_of(KEY)
        wake.follow(topic)
        await wake.open(heard.update, on_lost)
        await until(lambda: wake.live)
        assert losses == 1

        server.kill()
        await until(lambda: not wake.live)
        wake.send({topic})  # is lost
        server.start()
        await until(lambda: wake.live)
        assert losses == 2
        assert heard == set()
        wake.send({topic, "another"})
        await until(lambda: heard == {topic})

        server.signal(signal.SIGSTOP)  # the connection stands, and nothing comes
        await until(lambda: not wake.live)
        server.signal(signal.SIGCONT)
        await until(lambda: wake.live and losses > 2)
        wake.unfollow(topic)
        await wake.aclose()
        await store.aclose()


@pytest.mark.slow
async def test_the_master_that_sentinels_name_next_is_another_engine_and_goes_on() -> None:
    with valkey.running("--repl-diskless-sync-delay", "0") as master:
        with valkey.running("--replicaof", f"127.0.0.1 {master.port}") as replica:
            await asyncio.to_thread(_until, lambda: b"up" in replica.info("master_link_status"))
            sentinel = valkey.Sentinel(master.port)
            try:
                await asyncio.to_thread(_until, lambda: b"slaves=1" in sentinel.info("master0"))
                store = await opened(f"redis+sentinel://127.0.0.1:{sentinel.port}/service?replicas=1")
                token = await started(store)
                before = await store.identity()
                wake, heard = store.wake(), set[str]()
                wake.follow("topic")
                await wake.open(heard.update, lambda: None)
                await until(lambda: wake.live)

                master.kill()
                after = before
                async with asyncio.timeout(60):
                    while after == before:
                        try:
                            after = await store.identity()
                        except StoreUnavailable:
                            await asyncio.sleep(0.05)
                other = await opened(f"redis+sentinel://127.0.0.1:{sentinel.port}/service")
                assert await other.write([entry(2)], {KEY: token}) == {}
                assert await revisions(other) == [1, 2]
                async with asyncio.timeout(60):
                    while "topic" not in heard:
                        wake.send({"topic"})
                        await asyncio.sleep(0.05)
                await wake.aclose()
                await other.aclose()
                await store.aclose()
            finally:
                sentinel.remove()


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
async def test_a_partition_of_a_cluster_may_move_while_it_is_written_and_followed() -> None:
    cluster = valkey.cluster()
    store = await opened(valkey.fresh_url(cluster))
    heard: list[str] = []
    lost = asyncio.Event()
    wake = store.wake()
    topic = topic_of(KEY)
    wake.follow(topic)
    await wake.open(heard.extend, lost.set)
    await until(lambda: wake.live)
    lost.clear()
    token = await started(store)

    hint = store._keys.partition_of(topic)
    tags = [store._keys._heads[partition].split(b"{")[1].split(b"}")[0].decode() for partition in range(PARTITIONS)]
    tag = tags[store._keys.of(KEY).partition]
    for revision, to in enumerate(cluster.servers, 2):
        await asyncio.gather(asyncio.to_thread(cluster.move, tag, to), asyncio.to_thread(cluster.move, tags[hint], to))
        tries: list[Any] = [entry(revision), BatchAccepted(KEY, f"r{revision}", b"")]
        while True:
            try:
                assert await store.write(tries, {KEY: token}) == {}
                break
            except StoreUnavailable:
                await asyncio.sleep(0.02)
        heard.clear()
        async with asyncio.timeout(60):
            while topic not in heard:
                wake.send({topic})
                await asyncio.sleep(0.05)
    assert await revisions(store) == [1, 2, 3, 4]
    async with asyncio.timeout(60):
        await lost.wait()
    await wake.aclose()
    await store.aclose()


def test_partitions_are_spread_over_the_slots() -> None:
    for masters in (3, 4, 6, 16):
        shares = [0] * masters
        for slot in Keys("sc").slots:
            shares[slot * masters // SLOTS] += 1
        assert max(shares) - min(shares) <= 1, masters
    keys = Keys("sc")
    counts = [0] * PARTITIONS
    for number in range(6_400):
        counts[keys.partition_of(f"thread_{number}")] += 1
    assert min(counts) > 50, "about a hundred each"


URLS = {
    "redis://": "expected hosts",
    "redis://localhost:port": "expected hosts",
    "redis://a:1,b:2": "expected one server",
    "redis://localhost/name": "the number of a database",
    "redis+cluster://localhost/1": "a cluster has one database",
    "redis+sentinel://localhost": "the name of a service",
    "redis://localhost?durable=maybe": "durable=true",
    "redis://localhost?replicas=-1": "replicas=1",
    "redis://localhost?other=1": "no options but",
    "redis://localhost?prefix={a}": "no options but",
    "redis+other://localhost": "expected a URL of one of",
}


@pytest.mark.parametrize("url", URLS)
def test_a_url_that_says_something_else_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=URLS[url]):
        store_of(url.replace("://", "://user:secret@") if "//l" in url else url)


def test_an_error_does_not_show_the_password() -> None:
    with pytest.raises(ValueError, match="localhost") as raised:
        store_of("redis://user:secret@localhost/name")
    assert "secret" not in str(raised.value)


async def test_what_a_newer_version_wrote_is_refused() -> None:
    url = valkey.fresh_url(valkey.server())
    store = await opened(url)
    await store.aclose()
    prefix = url.partition("prefix=")[2]
    valkey.server().do("SET", Keys(prefix).in_partition(0, b"form"), "2")
    with pytest.raises(StoreUnavailable, match="upgrade Statecast"):
        await opened(url)


async def test_a_hint_at_entries_is_sent_with_them_and_not_again() -> None:
    heard: list[str] = []
    url = valkey.fresh_url(valkey.server())
    store, other = await opened(url), await opened(url)
    sender, receiver = store.wake(), other.wake()
    topic = topic_of(KEY)
    receiver.follow(topic)
    await sender.open(lambda topics: None, lambda: None)
    await receiver.open(heard.extend, lambda: None)
    await until(lambda: sender.live and receiver.live)
    token = await started(store)
    assert await store.write([entry(2)], {KEY: token}) == {}
    await until(lambda: heard == [topic])
    sender.send({topic})  # it is for this write
    await asyncio.sleep(0.05)
    assert heard == [topic]
    sender.send({topic})
    await until(lambda: heard == [topic] * 2)
    assert await store.write([entry(2)], {KEY: token - 1}) != {}
    sender.send({topic})
    await until(lambda: len(heard) > 2)
    for wake in (sender, receiver):
        await wake.aclose()
    await store.aclose()
    await other.aclose()


async def test_a_call_that_comes_after_the_end_leaves_no_connection_open(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    connect = node.connected

    async def connected(*args: Any) -> Any:
        made.append(await connect(*args))
        return made[-1]

    monkeypatch.setattr(node, "connected", connected)
    store = await opened(valkey.fresh_url(valkey.server()))
    await store.aclose()
    assert await store.load(KEY) is None
    assert not any(connection.is_connected for connection in made)
