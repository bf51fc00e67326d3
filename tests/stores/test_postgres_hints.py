"""Hints by NOTIFY: they come again after a loss, and behind a pooler by a way past it, or not at all."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection
from urllib.parse import quote

import anyio
import pytest

from statecast.stores import NoWake
from statecast.stores.postgres import PostgresStore
from statecast.stores.postgres.wake import PostgresWake
from statecast.stores.wake import Wake
from tests.engines import pgbouncer, postgres, valkey
from tests.engines.valve import Valve

pytestmark = pytest.mark.anyio


class Ear:
    """Hears hints, and losses of them."""

    def __init__(self, wake: Wake) -> None:
        self.wake = wake
        self.heard: set[str] = set()
        self.losses = 0
        self._news = anyio.Event()

    async def open(self) -> None:
        await self.wake.open(self._hear, self._lose)

    async def until_heard(self, sender: Wake, *topics: str) -> None:
        """Send hints until all of them are heard."""
        self.heard.clear()
        with anyio.fail_after(60):
            while not set(topics) <= self.heard:
                sender.send(topics)
                with anyio.move_on_after(0.2):
                    await self._news.wait()

    async def until_lost(self, times: int) -> None:
        with anyio.fail_after(60):
            while self.losses < times:
                await self._news.wait()

    def _hear(self, topics: Collection[str]) -> None:
        self.heard.update(topics)
        self._tell()

    def _lose(self) -> None:
        self.losses += 1
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()


@pytest.fixture
async def sender() -> AsyncIterator[PostgresWake]:
    """Send hints past everything."""
    wake = PostgresWake(postgres.server().url, channels="hints")
    await wake.open(lambda topics: None, lambda: None)
    yield wake
    await wake.aclose()


@pytest.fixture
async def ear(request: pytest.FixtureRequest) -> AsyncIterator[Ear]:
    ear = Ear(PostgresWake(postgres.server().url, channels="hints"))
    await ear.open()
    yield ear
    await ear.wake.aclose()


async def test_topics_of_any_length_and_number_are_heard(ear: Ear, sender: PostgresWake) -> None:
    topics = {f"t:{number}" for number in range(2_000)} | {"u:" + "ä" * 5_000, "u:\x00\ud800'"}
    for topic in topics:
        ear.wake.follow(topic)
    ear.wake.follow("t:1")
    await ear.until_heard(sender, *topics)
    assert ear.heard == topics

    for topic in topics - {"t:7"}:
        ear.wake.unfollow(topic)
    await ear.until_heard(sender, "t:7")
    sender.send(topics)
    await ear.until_heard(sender, "t:7")
    assert ear.heard == {"t:7"}


async def test_hints_come_again_when_the_connection_was_lost(sender: PostgresWake) -> None:
    async with Valve(postgres.server().port) as valve:
        url = postgres.server().url.replace(str(postgres.server().port), str(valve.port))
        ear = Ear(PostgresWake(url, channels="hints"))
        ear.wake.follow("t:1")
        await ear.open()
        await ear.until_heard(sender, "t:1")
        assert ear.wake.live
        losses = ear.losses
        valve.cut()
        await ear.until_lost(losses + 1)  # it listens again: look for what came meanwhile
        ear.wake.follow("t:2")
        await ear.until_heard(sender, "t:1", "t:2")
        await ear.wake.aclose()
        assert not ear.wake.live


async def test_a_connection_that_is_silent_for_long_is_tried(
    sender: PostgresWake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("statecast.stores.postgres.wake.QUIET", 0.05)
    monkeypatch.setattr("statecast.stores.postgres.wake.PATIENCE", 1.0)
    async with Valve(postgres.server().port) as valve:
        url = postgres.server().url.replace(str(postgres.server().port), str(valve.port))
        ear = Ear(PostgresWake(url, channels="hints"))
        ear.wake.follow("t:1")
        await ear.open()
        await ear.until_heard(sender, "t:1")
        valve.replies = False
        with anyio.fail_after(60):
            while ear.wake.live:  # noqa: ASYNC110  # until it has noticed
                await anyio.sleep(0.01)
        valve.cut()
        await ear.until_heard(sender, "t:1")
        await ear.wake.aclose()


async def test_hints_go_past_a_pooler_that_is_told_where(sender: PostgresWake) -> None:
    url = pgbouncer.fresh_url()
    store = PostgresStore(url)
    wake, ear = store.wake(), Ear(PostgresStore(url).wake())
    await wake.open(lambda topics: None, lambda: None)
    ear.wake.follow("t:1")
    await ear.open()
    await ear.until_heard(wake, "t:1")
    assert ear.wake.live
    await wake.aclose()
    await ear.wake.aclose()


async def test_a_pooler_that_passes_no_hints_on_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("statecast.stores.postgres.wake.ECHO", 0.5)
    pgbouncer.need_pgbouncer()
    ear = Ear(PostgresWake(pgbouncer.pooler().url, channels="pooled"))
    ear.wake.follow("t:1")
    with caplog.at_level(logging.WARNING, "statecast"):
        await ear.open()
        with anyio.fail_after(60):
            while "passes no notifications on" not in caplog.text:  # noqa: ASYNC110  # until it has noticed
                await anyio.sleep(0.01)
    assert not ear.wake.live
    ear.wake.send(["t:1"])  # others may listen
    await ear.wake.aclose()


async def test_hints_can_go_by_redis() -> None:
    with valkey.running() as server:
        url = f"{postgres.fresh_url()}&wake={quote(server.url, safe='')}"
        wake, ear = PostgresStore(url).wake(), Ear(PostgresStore(url).wake())
        ear.wake.follow("t:1")
        await wake.open(lambda topics: None, lambda: None)
        await ear.open()
        await ear.until_heard(wake, "t:1")
        ear.wake.follow("t:2")
        await ear.until_heard(wake, "t:1", "t:2")
        assert ear.wake.live
        await wake.aclose()
        await ear.wake.aclose()


async def test_redis_may_be_away(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    url = f"{postgres.fresh_url()}&wake=redis%3A%2F%2F127.0.0.1%3A{postgres.free_port()}"
    ear = Ear(PostgresStore(url).wake())
    ear.wake.follow("t:1")
    await ear.open()
    ear.wake.send(["t:1"])
    with anyio.fail_after(60):
        while "polls for changes" not in caplog.text:  # noqa: ASYNC110  # until it has tried
            await anyio.sleep(0.01)
    assert not ear.wake.live
    await ear.wake.aclose()


async def test_hints_can_be_off() -> None:
    assert isinstance(PostgresStore(postgres.fresh_url() + "&wake=none").wake(), NoWake)


async def test_nothing_is_raised_while_the_server_is_away(caplog: pytest.LogCaptureFixture) -> None:
    ear = Ear(PostgresWake(f"postgresql://postgres@127.0.0.1:{postgres.free_port()}/postgres", channels="away"))
    ear.wake.follow("t:1")
    await ear.open()
    for number in range(5):
        ear.wake.send([f"t:{number}"])
    with anyio.fail_after(60):
        while "polls for changes" not in caplog.text:  # noqa: ASYNC110  # until it has tried
            await anyio.sleep(0.01)
    assert not ear.wake.live
    await ear.wake.aclose()
