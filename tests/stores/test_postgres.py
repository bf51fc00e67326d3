"""What is PostgreSQL's own: addresses, the schema and its migrations, damage, and what the server says of itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import anyio
import psycopg
import pytest

from statecast.stores import (
    Appended,
    BatchAccepted,
    Claimed,
    Created,
    Damaged,
    Held,
    Key,
    Place,
    Post,
    PostTaken,
    StoreUnavailable,
    SummaryChanged,
    store_of,
)
from statecast.stores.postgres import PostgresStore, schema, wake
from statecast.stores.postgres.address import Address
from statecast.stores.postgres.columns import read_text, write_text
from statecast.stores.postgres.schema import Migration, named
from tests.engines import postgres
from tests.engines.valve import Valve
from tests.stores.every_store import Ticks

pytestmark = pytest.mark.anyio

KEY = Key(None, "t")


def created(key: Key = KEY) -> Created:
    return Created(key, "agent", "epoch", True, b"{}")


def entry(revision: int, key: Key = KEY) -> Appended:
    return Appended(key, revision, "operations", b"%d" % revision)


@pytest.fixture
def url() -> str:
    return postgres.fresh_url()


@pytest.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url)
    await store.open()
    yield store
    await store.aclose()


async def execute(url: str, statement: str, *values: object) -> list[tuple[object, ...]]:
    """Execute a statement on the tables of a store."""
    address = Address.of(url)
    async with await psycopg.AsyncConnection.connect(address.conninfo, autocommit=True) as connection:
        cursor = await connection.execute(named(statement, address.schema), values)
        return await cursor.fetchall() if cursor.description else []


async def test_what_runs_all_the_time_is_not_planned_again(store: PostgresStore) -> None:
    claimed = await store.claim(KEY, "a", 60.0)
    assert isinstance(claimed, Claimed)
    tokens = {KEY: claimed.token}
    await store.write([created()], tokens)
    for number in range(20):
        await store.write([entry(2 * number + 1), entry(2 * number + 2)], tokens)
        assert await store.tails({KEY: Place("epoch", number, -1)})
    kept = "SELECT statement FROM pg_prepared_statements WHERE generic_plans > 0"
    planned = [statement for (statement,) in await store._connections.fetch(kept)]
    for often in ("WITH mine AS", "SELECT number, thread.epoch"):
        assert any(often in statement for statement in planned), f"expected a plan that is kept for {often}"


ADDRESSES = {
    "postgresql://ann@db/chat": Address(conninfo="postgresql://ann@db/chat"),
    "postgres://ann:s3cret@a:1,b:2/chat?target_session_attrs=read-write&schema=mine": Address(
        conninfo="postgres://ann:s3cret@a:1,b:2/chat?target_session_attrs=read-write", schema="mine"
    ),
    "postgresql://db/chat?pool=25&wake=postgresql%3A%2F%2Fdirect%2Fchat&synchronous_commit=remote_apply": Address(
        conninfo="postgresql://db/chat",
        pool=25,
        wake="postgresql://direct/chat",
        synchronous_commit="remote_apply",
    ),
    "postgresql:///chat?host=%2Frun%2Fpostgresql&wake=none": Address(
        conninfo="postgresql:///chat?host=%2Frun%2Fpostgresql", wake="none"
    ),
}


@pytest.mark.parametrize("url", ADDRESSES)
def test_a_url_names_a_server_and_options_of_the_store(url: str) -> None:
    assert Address.of(url) == ADDRESSES[url]
    assert isinstance(store_of(url), PostgresStore)


REFUSED = {
    "postgresql://db/chat?schema=Mine": "expected a schema",
    "postgresql://db/chat?schema=a;drop": "expected a schema",
    "postgresql://db/chat?pool=1": "expected a pool",
    "postgresql://db/chat?pool=many": "expected a pool",
    "postgresql://db/chat?synchronous_commit=off": "expected synchronous_commit",
    "postgresql://db/chat?wake=amqp%3A%2F%2Fdb": "expected wake",
    "postgresql://db/chat?unknown=1": "expected a URL",
    "postgresql://db:port:port/chat?x": "expected a URL",
}


@pytest.mark.parametrize("url", REFUSED)
def test_a_url_that_names_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=REFUSED[url]):
        store_of(url)


def test_a_password_is_in_no_message() -> None:
    assert Address.of("postgresql://ann:s3cret@db/chat").name == "db/chat (statecast)"
    assert Address.of("postgresql://db/chat?user=ann@db&password=s3@cret").name == "db/chat (statecast)"
    for mark in ("%", " ", "/", "@", "#/"):  # are to be encoded
        with pytest.raises(ValueError, match=r"\bexpected a URL\b") as refused:
            Address.of(f"postgresql://ann:s3{mark}cret@db/chat")
        assert "s3" not in str(refused.value)
        assert "cret" not in str(refused.value)
    with pytest.raises(ValueError, match="expected wake") as refused:
        Address.of("postgresql://db/chat?wake=valkey%3A%2F%2F%3As3cret%40db")
    assert "s3cret" not in str(refused.value)


async def test_a_migration_may_take_longer_than_other_statements(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Migration(pre=schema.MIGRATIONS[0].pre + "; SELECT pg_sleep(3)")
    monkeypatch.setattr(schema, "MIGRATIONS", (slow,))
    stores = [PostgresStore(url, patience=2.0) for _ in range(2)]
    await asyncio.gather(*(store.open() for store in stores))
    for store in stores:
        assert await store.load(KEY) is None
        await store.aclose()


async def test_the_next_host_is_tried_if_one_does_not_answer(url: str) -> None:
    port = postgres.server().port
    async with Valve(port) as valve:
        valve.replies = False
        both = url.replace(f"127.0.0.1:{port}", f"127.0.0.1:{valve.port},127.0.0.1:{port}")
        store = PostgresStore(both)
        await store.open()
        assert await store.load(KEY) is None
        await store.aclose()


async def test_processes_that_change_the_same_summaries_do_not_wait_in_a_circle(store: PostgresStore, url: str) -> None:
    other = PostgresStore(url)
    await other.open()
    keys = [Key(None, f"t{number}") for number in range(30)]

    async def change(store: PostgresStore, keys: list[Key]) -> None:
        for at in range(20):
            assert await store.write([SummaryChanged(key=key, at=at) for key in keys], {}) == {}

    await asyncio.gather(change(store, keys), change(other, keys[::-1]))
    await other.aclose()


async def test_hints_end_while_the_server_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake, "QUIET", 0.01)
    monkeypatch.setattr(wake, "PATIENCE", 1.0)
    async with Valve(postgres.server().port) as valve:
        hints = wake.PostgresWake(f"postgresql://postgres@127.0.0.1:{valve.port}/postgres", channels="silent")
        await hints.open(lambda topics: None, lambda: None)
        with anyio.fail_after(30):
            while not hints.live:  # noqa: ASYNC110  # until it has connected
                await anyio.sleep(0.01)
            valve.replies = False
            before = valve.swallowed
            while valve.swallowed == before:  # noqa: ASYNC110  # until it waits for a reply
                await anyio.sleep(0.01)
            await hints.aclose()


@pytest.mark.parametrize("text", ["", "a", "\x00", "\x01", "\x00\x01\x02", "\x01\x01", "\x01\x02", "ä\x00🌍"])
def test_texts_that_postgresql_cannot_carry_are_escaped(text: str) -> None:
    assert "\x00" not in write_text(text)
    assert read_text(write_text(text)) == text
    for other in ("\x00", "\x01", "\x02", "a"):
        assert (write_text(text) < write_text(other)) == (text < other)


async def test_a_row_that_cannot_be_read_damages_its_thread_only(store: PostgresStore, url: str) -> None:
    other = Key(None, "other")
    await store.commit([created(), entry(1), created(other), entry(1, other)])
    row = "(SELECT row FROM statecast.thread WHERE thread_id = %s)"
    await execute(url, f"UPDATE statecast.entry SET data = 'no entry' WHERE row = {row}", KEY.thread_id)
    with pytest.raises(Damaged):
        await store.load(KEY)
    saved = await store.load(other)
    assert saved is not None
    assert len(saved.entries) == 1


async def test_two_processes_may_open_a_schema_at_once(url: str) -> None:
    stores = [PostgresStore(url) for _ in range(4)]
    async with anyio.create_task_group() as tasks:
        for store in stores:
            tasks.start_soon(store.open)
    await stores[0].commit([created()])
    for store in stores:
        assert await store.load(KEY) is not None
        await store.aclose()


#: What a later version may bring: a column that it fills, in place of one that it needs no longer.
LATER = Migration(
    pre="ALTER TABLE statecast.inbox ADD COLUMN priority integer NOT NULL DEFAULT 0",
    post="ALTER TABLE statecast.thread DROP COLUMN process",
)
LATEST = Migration(pre="ALTER TABLE statecast.applied ADD COLUMN at timestamptz DEFAULT clock_timestamp()")


async def test_an_older_process_goes_on_while_a_newer_one_runs(
    store: PostgresStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.commit([created(), entry(1)])
    first = schema.MIGRATIONS
    monkeypatch.setattr(schema, "MIGRATIONS", (*first, LATER))
    newer = PostgresStore(url)
    await newer.open()
    for number, one in enumerate((store, newer, store, newer), 2):
        await one.commit([entry(number), BatchAccepted(KEY, f"run_{number}", b"")])
    assert isinstance(await newer.claim(KEY, "b", 60), Claimed)
    assert await store.claim(KEY, "a", 60) == Held("b")
    saved = await store.load(KEY)
    assert saved is not None
    assert [revision for revision, _, _ in saved.entries] == [1, 2, 3, 4, 5]
    assert len(saved.inbox) == 4

    monkeypatch.setattr(schema, "MIGRATIONS", first)
    again = PostgresStore(url)  # as after a rollback
    await again.open()
    await again.commit([entry(6)])
    for one in (again, newer):
        await one.aclose()


async def test_a_process_refuses_a_schema_that_lacks_what_it_needs(
    store: PostgresStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.aclose()
    first = schema.MIGRATIONS
    monkeypatch.setattr(schema, "MIGRATIONS", (*first, LATER, LATEST))
    newest = PostgresStore(url)
    await newest.open()
    await newest.aclose()
    monkeypatch.setattr(schema, "MIGRATIONS", first)
    with pytest.raises(StoreUnavailable, match="a newer version of Statecast"):
        await PostgresStore(url).open()
    monkeypatch.setattr(schema, "MIGRATIONS", (*first, LATER))
    between = PostgresStore(url)
    await between.open()
    await between.aclose()


async def test_a_database_that_does_not_exist_is_said_so(url: str) -> None:
    with pytest.raises(StoreUnavailable, match='database "nowhere" does not exist'):
        await PostgresStore(url.replace("/postgres?", "/nowhere?")).open()


async def test_a_write_survives_what_the_server_is_configured_for(url: str) -> None:
    async def durability(*settings: str) -> str:
        options = "".join(f"%20-c%20{setting.replace('=', '%3D')}" for setting in settings)
        store = PostgresStore(f"{url}&options={options}")
        await store.open()
        try:
            return await store.durability()
        finally:
            await store.aclose()

    assert await durability() == "process", "the server of the tests does not sync"
    with postgres.running("full_page_writes=on") as machine:
        url = f"{machine.url}?schema=durable"
        assert await durability() == "disk"
        assert await durability("synchronous_commit=off") == "process"
        before = await identity_of(url)
        await execute(url, "ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        await execute(url, "SELECT pg_reload_conf()")
        while await execute(url, "SHOW synchronous_standby_names") != [("standby",)]:
            pass
        assert await durability("synchronous_commit=local") == "disk"
        assert await identity_of(url + "&synchronous_commit=local") == before


async def identity_of(url: str) -> str:
    store = PostgresStore(url)
    await store.open()
    try:
        return await store.identity()
    finally:
        await store.aclose()


async def test_a_server_is_known_by_its_name_and_timeline(store: PostgresStore, url: str) -> None:
    identity = await store.identity()
    ((system,),) = await execute(url, "SELECT system_identifier::text FROM pg_control_system()")
    assert identity == f"{system}-1"


async def test_a_server_that_does_not_tell_its_name_is_known_by_the_schemas(store: PostgresStore, url: str) -> None:
    name = Address.of(url).schema
    await execute(url, f"CREATE ROLE {name} LOGIN")
    await execute(url, f"GRANT ALL ON SCHEMA {name} TO {name}")
    await execute(url, f"GRANT ALL ON ALL TABLES IN SCHEMA {name} TO {name}")
    await execute(url, "REVOKE EXECUTE ON FUNCTION pg_control_system FROM PUBLIC")
    try:
        theirs = url.replace("postgres@", f"{name}@")
        identity = await identity_of(theirs)
        assert identity == await identity_of(theirs)
        assert identity != await store.identity()
    finally:
        await execute(url, "GRANT EXECUTE ON FUNCTION pg_control_system TO PUBLIC")


async def test_what_nobody_needs_any_more_is_deleted(url: str) -> None:
    ticks = Ticks()
    store = PostgresStore(url, clock=ticks)
    await store.open()
    guard, thread, carded = Key(None, "guard"), KEY, Key("ann", "carded")
    tokens = {}
    for key in (guard, thread, carded):
        claimed = await store.claim(key, "a", 60)
        tokens[key] = claimed.token  # type: ignore[union-attr]  # nobody else holds it
    await store.write([created(thread), SummaryChanged(key=carded, at=1.0)], tokens)
    await store.post(Post(thread, "p", "b", b"call"))
    await store.write([PostTaken(thread, "p", "b", b"reply")], tokens)
    await execute(url, "UPDATE statecast.reply SET at = at - interval '1 hour'")
    await execute(url, "UPDATE statecast.thread SET until = until - interval '1 year'")
    await store.idle_for(1e9, lasting=True)
    assert await store.replies("b") == {}
    assert await execute(url, "SELECT thread_id FROM statecast.thread") == [("t",)]
    assert await store.summary(carded) is not None
    await store.aclose()
