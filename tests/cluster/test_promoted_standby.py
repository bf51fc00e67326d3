"""A standby of PostgreSQL that lags is promoted: entries are lost that clients have seen, and they learn of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from statecast import create_app
from statecast.protocol import Cursor
from statecast.stores import store_of
from statecast.testing import TestClient
from tests.engines import postgres
from tests.engines.postgres import Postgres
from tests.engines.valve import Valve
from tests.transport.followers import Follower, following
from tests.transport.held_agent import held

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PATIENCE = 60.0  #: seconds after which a fact that does not come counts as missing


@pytest.fixture
def servers() -> Iterator[tuple[Postgres, Postgres]]:
    """Start a server, and a standby of it."""
    with postgres.running(*postgres.QUICK) as primary:
        standby = Postgres(*postgres.QUICK, standby_of=primary)
        try:
            yield primary, standby
        finally:
            standby.remove()


async def until(fact: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await asyncio.to_thread(fact):  # noqa: ASYNC110  # it is a server's
            await asyncio.sleep(0.05)


def note(text: str) -> dict[str, Any]:
    return {"threadId": "t", "commands": [{"type": "note", "text": text}]}


async def identity_at(url: str) -> str:
    store = store_of(url)
    await store.open()
    try:
        return await store.identity()  # type: ignore[attr-defined]  # of a shared one
    finally:
        await store.aclose()


async def test_clients_get_a_new_epoch_when_a_standby_that_lags_is_promoted(servers: tuple[Postgres, Postgres]) -> None:
    primary, standby = servers
    async with Valve(primary.port) as valve:
        url = f"postgresql://postgres@127.0.0.1:{valve.port}/postgres?schema=promoted"
        app = create_app(held()[0], store=url)
        async with TestClient(app) as client:
            assert (await client.post("/assistant", json=note("kept"))).status == 200
            before = await identity_at(url)
            there = await asyncio.to_thread(primary.do, "SELECT pg_current_wal_lsn()")
            reached = f"SELECT pg_last_wal_replay_lsn() >= '{there}'"
            await until(lambda: standby.do(reached) == "t")
            await asyncio.to_thread(standby.do, "ALTER SYSTEM SET primary_conninfo = ''")
            await asyncio.to_thread(standby.do, "SELECT pg_reload_conf()")
            await until(lambda: primary.do("SELECT count(*) FROM pg_stat_replication") == "0")

            async with following(client) as follower:
                await until_notes(follower, "kept")
                assert (await client.post("/assistant", json=note("lost"))).status == 200
                await until_notes(follower, "kept", "lost")
                seen = follower.cursor

                primary.kill()
                await asyncio.to_thread(standby.promote)
                valve.target = standby.port
                valve.cut()
                await until_notes(follower, "kept")
                assert follower.kinds[-1] == "snapshot"
                async with following(client, cursor=seen) as later:
                    await until_notes(later, "kept")
                    assert epoch(later.cursor) != epoch(seen)
                await until_accepted(client, note("new"))
                await until_notes(follower, "kept", "new")
                assert epoch(follower.cursor) == epoch(later.cursor)
            assert await identity_at(url) != before


async def until_notes(follower: Follower, *notes: str) -> None:
    """Read until the state is this."""
    wanted = {"notes": list(notes)}
    async with asyncio.timeout(PATIENCE):
        while follower.state != wanted:
            with contextlib.suppress(TimeoutError):  # the client's own, which is shorter
                await follower.until(lambda view: view.state == wanted)


async def until_accepted(client: TestClient, body: dict[str, Any]) -> None:
    """Post, as a client does, until the store is back."""
    async with asyncio.timeout(PATIENCE):
        while (await client.post("/assistant", json=body)).status == 503:  # noqa: ASYNC110  # asked over HTTP
            await asyncio.sleep(0.1)


def epoch(cursor: str) -> str:
    found = Cursor.parse(cursor)
    assert found is not None
    return found.epoch
