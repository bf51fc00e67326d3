"""The Redis store on a network that loses commands and replies, and delivers commands late: each is done once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.exceptions import ConnectionError

from statecast.stores import (
    Appended,
    BatchAccepted,
    BatchSettled,
    Change,
    Claimed,
    Created,
    Deleted,
    Fenced,
    Key,
    Post,
    PostTaken,
    SharedChange,
    StoreUnavailable,
)
from statecast.stores.redis import RedisStore, node
from tests.counts import count
from tests.engines import valkey
from tests.stores.model import KEYS, Author, Held, holds, shown

pytestmark = pytest.mark.anyio

KEY = Key(None, "t")
LONG = 600.0  #: seconds

exchange = node._exchange


class Network:
    """What lies between the store and the engine.

    Args:
        random: What decides.
    """

    def __init__(self, random: Random) -> None:
        self.faults: list[str] = []  #: of the next exchanges: "lost", "unanswered", "late", or ""
        self.late: list[Sequence[Any]] = []  #: commands that have not arrived yet
        self.often = 0.0  #: how often an exchange has a fault by chance
        self._random = random

    async def exchange(self, connection: Any, commands: Sequence[Any]) -> list[Any]:
        fault = self.faults.pop(0) if self.faults else ""
        if self._random.random() < self.often:
            fault = self._random.choice(["lost", "unanswered", "late"])
        if self.late and self._random.random() < 0.3:
            await exchange(connection, self.late.pop(self._random.randrange(len(self.late))))
        if fault == "late":
            self.late.append(commands)
        if fault in ("late", "lost"):
            raise ConnectionError("it was lost")
        replies = await exchange(connection, commands)
        if fault == "unanswered":
            raise ConnectionError("the reply was lost")
        return replies


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    network = Network(Random(1))
    monkeypatch.setattr(node, "_exchange", network.exchange)
    return network


@pytest.fixture
async def store() -> AsyncIterator[RedisStore]:
    store = RedisStore(valkey.fresh_url(valkey.server()))
    await store.open()
    yield store
    await store.aclose()


async def claim(store: RedisStore, key: Key = KEY, process: str = "a") -> int:
    found = await store.claim(key, process, LONG)
    assert isinstance(found, Claimed)
    return found.token


def entry(revision: int, data: bytes = b"") -> Appended:
    return Appended(KEY, revision, "operations", data or b"%d" % revision)


async def started(store: RedisStore) -> int:
    token = await claim(store)
    assert await store.write([Created(KEY, "agent", "epoch", True, b"{}"), entry(1)], {KEY: token}) == {}
    return token


async def lines(store: RedisStore) -> list[tuple[int, bytes]]:
    saved = await store.load(KEY)
    assert saved is not None
    return [(revision, data) for revision, _, data in saved.entries]


BATCHES: dict[str, list[SharedChange]] = {
    "entries": [entry(2), entry(3)],
    "a batch": [entry(2), BatchAccepted(KEY, "r1", b"1"), BatchAccepted(KEY, "r2", b"2"), BatchSettled(KEY, "r1")],
}


@pytest.mark.parametrize("fault", ["lost", "unanswered", "late"])
@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
async def test_what_is_written_again_with_more_behind_it_is_there_once(
    store: RedisStore, network: Network, batch: list[SharedChange], fault: str
) -> None:
    tokens = {KEY: await started(store)}
    network.faults = [fault]
    with pytest.raises(StoreUnavailable):
        await store.write(batch, tokens)
    last = max(change.revision for change in batch if isinstance(change, Appended))
    assert await store.write([*batch, entry(last + 1)], tokens) == {}
    assert await store.write([entry(last + 2), BatchAccepted(KEY, "r3", b"3")], tokens) == {}
    for commands in network.late:  # the first try arrives at last
        await store._engine.run([(store._keys.slots[store._keys.of(KEY).partition], command) for command in commands])
    saved = await store.load(KEY)
    assert saved is not None
    assert [revision for revision, _, _ in saved.entries] == list(range(1, last + 3))
    assert [run_id for run_id, _ in saved.inbox] == (["r3"] if len(batch) == 2 else ["r2", "r3"])


async def test_a_batch_that_was_written_and_is_taken_back_leaves_its_process_fenced(
    store: RedisStore, network: Network
) -> None:
    tokens = {KEY: await started(store)}
    network.faults = ["unanswered"]
    with pytest.raises(StoreUnavailable):
        await store.write([entry(2, b"taken back")], tokens)
    failed = await store.write([entry(2, b"another")], tokens)
    assert {key: type(error) for key, error in failed.items()} == {KEY: Fenced}
    assert await lines(store) == [(1, b"1"), (2, b"taken back")]
    assert await store.write([entry(3)], {KEY: await claim(store)}) == {}


async def test_a_batch_that_was_not_written_may_be_taken_back(store: RedisStore, network: Network) -> None:
    tokens = {KEY: await started(store)}
    network.faults = ["lost"]
    with pytest.raises(StoreUnavailable):
        await store.write([entry(2, b"taken back")], tokens)
    assert await store.write([entry(2, b"another")], tokens) == {}
    assert await lines(store) == [(1, b"1"), (2, b"another")]


async def test_entries_that_come_late_do_not_get_into_a_thread_that_was_made_since(
    store: RedisStore, network: Network
) -> None:
    tokens = {KEY: await started(store)}
    network.faults = ["late"]
    with pytest.raises(StoreUnavailable):
        await store.write([entry(2), entry(3)], tokens)
    assert await store.write([entry(2), entry(3), Deleted(KEY)], tokens) == {}
    created = Created(KEY, "agent", "another", True, b"{}")
    assert {type(error) for error in (await store.write([created], tokens)).values()} == {Fenced}
    tokens = {KEY: await claim(store)}
    assert await store.write([created], tokens) == {}
    for commands in network.late:
        await store._engine.run([(store._keys.slots[store._keys.of(KEY).partition], command) for command in commands])
    assert await lines(store) == []


async def test_a_claim_between_two_tries_fences_the_second(store: RedisStore, network: Network) -> None:
    tokens = {KEY: await started(store)}
    network.faults = ["lost"]
    with pytest.raises(StoreUnavailable):
        await store.write([entry(2)], tokens)
    await store.renew(tokens, 0.0)
    other = RedisStore(store.url)
    await other.open()
    newer = await claim(other, process="b")
    assert {type(error) for error in (await store.write([entry(2)], tokens)).values()} == {Fenced}
    assert await other.write([entry(2, b"b's")], {KEY: newer}) == {}
    assert await lines(store) == [(1, b"1"), (2, b"b's")]
    await other.aclose()


async def test_the_reply_of_a_call_is_read_again_when_it_was_lost(store: RedisStore, network: Network) -> None:
    token = await claim(store)
    await store.post(Post(KEY, "p1", "b", b"call"))
    await store.write([PostTaken(KEY, "p1", "b", b"reply")], {KEY: token})
    await store.post(Post(KEY, "p1", "b", b"call"))  # again, since its reply may have been lost
    assert await store.posts([KEY]) == []
    network.faults = ["unanswered", "unanswered"]
    with pytest.raises(StoreUnavailable):
        await store.replies("b")
    assert await store.replies("b") == {"p1": b"reply"}


async def found(store: RedisStore) -> Held:
    """Return what a store has of threads that are claimed."""
    held: Held = {}
    for key in KEYS:
        saved, place = await store.load(key), store._keys.of(key)
        if saved is not None:
            is_open = await store._do(place.partition, ("HGET", place.meta, "open"))
            held[key] = saved, is_open == b"1"
    return held


@settings(max_examples=count("FAULTS", 25, long=1_000), deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_faults_leave_what_the_batches_amount_to(seed: int) -> None:
    async def scenario() -> None:
        random = Random(seed)
        network = Network(random)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(node, "_exchange", network.exchange)
            store = RedisStore(valkey.fresh_url(valkey.server()))
            await store.open()
            tokens = {key: await claim(store, key) for key in KEYS}
            author = Author(random, {})
            for _ in range(15):
                batch: list[Change] = list(author.commit())
                network.often = 0.4
                for tries in range(1_000):
                    network.often = 0.4 if tries < 100 else 0.0
                    try:
                        failed = await store.write(batch, tokens)
                        break
                    except StoreUnavailable:
                        if random.random() < 0.3 and tries < 10:
                            batch += author.commit()
                network.often = 0.0
                if failed:  # a thread began again, while entries of the one before could still come
                    assert {type(error) for error in failed.values()} == {Fenced}
                    tokens = {key: await claim(store, key) for key in KEYS}
                    author.held = await found(store)
                for key in KEYS:
                    assert (await store.load(key) is not None) == (key in author.held)
            slots = store._keys.slots
            for commands in network.late.copy():
                await store._engine.run([(slots[store._keys.of(KEYS[0]).partition], command) for command in commands])
            await store.release(tokens)
            assert await holds(store) == shown(author.held)
            await store.aclose()

    asyncio.run(scenario())
