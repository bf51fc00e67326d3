"""What one damaged row costs: one thread, or nothing. The server starts, and serves all others."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from statecast import App, Limits, create_app
from statecast.cli import main
from statecast.stores import Appended, ChangeRefused, Created, Damaged, Key, SqliteStore
from statecast.testing import TestClient
from tests.stores.damaged_files import ELSEWHERE, OF_ONE_THREAD, damage
from tests.transport.held_agent import NOTE, held

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "threads.db"


def app_of(path: Path, **settings: Any) -> App:
    return create_app(held()[0], store=SqliteStore(path), open_list=True, **settings)


async def used(path: Path) -> None:
    """Make a file with a few threads, one of which is `bad`."""
    async with TestClient(app_of(path)) as client:
        for thread in ("good", "bad", "other"):
            await client.run(NOTE, thread_id=thread)


async def notes(client: TestClient, thread: str) -> list[str]:
    state = (await client.get(f"/threads/{thread}/state")).json()["state"]
    found: list[str] = state["notes"]
    return found


async def listed(client: TestClient) -> set[str]:
    return {thread["remoteId"] for thread in (await client.get("/threads")).json()["threads"]}


@pytest.mark.parametrize("statement", OF_ONE_THREAD.values(), ids=OF_ONE_THREAD)
@pytest.mark.parametrize("cut_off", [False, True], ids=["at rest", "with a run that was cut off"])
async def test_a_thread_that_cannot_be_read_costs_no_other(
    path: Path, statement: str, cut_off: bool, caplog: pytest.LogCaptureFixture
) -> None:
    await used(path)
    damage(path, statement)
    if cut_off:
        damage(path, "UPDATE threads SET open = 1 WHERE thread_id = 'bad'")
    async with TestClient(app_of(path)) as client:
        for get in ("/threads/bad/state", "/status/bad", "/threads/bad/events"):
            answer = await client.get(get)
            assert (answer.status, answer.json()["error"]["code"]) == (409, "thread_damaged"), get
        posted = {"commands": [NOTE], "threadId": "bad"}
        for post in ("/assistant", "/cancel"):
            assert (await client.post(post, json=posted)).json()["error"]["code"] == "thread_damaged"
        assert {"good", "bad", "other"} == await listed(client)
        await client.run(NOTE, thread_id="good")
        assert await notes(client, "good") == ["noted", "noted"]
        named = [record for record in caplog.records if "'bad'" in record.getMessage() and "damaged" in record.message]
        assert len([record for record in named if record.levelno == logging.ERROR]) == 1
        assert not any(record.exc_info for record in caplog.records)

        assert (await client.request("DELETE", "/threads/bad")).status == 204
        await client.run(NOTE, thread_id="bad")
        assert await notes(client, "bad") == ["noted"]
    assert main(["check", str(path)]) == 0


@pytest.mark.parametrize("statement", ELSEWHERE.values(), ids=ELSEWHERE)
async def test_what_is_damaged_beside_the_threads_costs_none(path: Path, statement: str) -> None:
    await used(path)
    damage(path, statement)
    async with TestClient(app_of(path, limits=Limits(keep_seconds=1e6, heartbeat_seconds=0.02))) as client:
        assert {"good", "other"} <= await listed(client)
        for thread in ("good", "other"):
            await client.run(NOTE, thread_id=thread)
            assert await notes(client, thread) == ["noted", "noted"]
        assert (await client.get("/threads/bad/state")).status in (200, 404)
        assert (await client.get("/threads/bad/messages")).status in (200, 404, 409)
        body = b"hello"
        taken = await client.request(
            "POST", "/attachments?name=a.txt", content=body, headers={"content-type": "text/plain"}
        )
        assert taken.status == 201
        await app_of_client(client).hub.registry.sweep()


def app_of_client(client: TestClient) -> App:
    assert isinstance(client.app, App)
    return client.app


PAGE = b"the page that is damaged"


def damage_page(path: Path) -> None:
    """Damage a page of a large state: SQLite finds nothing behind it any more."""
    with closing(sqlite3.connect(path)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    data = bytearray(path.read_bytes())
    page = data.index(PAGE) // size * size
    data[page : page + 4] = b"\x7f\xff\xff\xff"
    path.write_bytes(data)


@pytest.mark.parametrize("killed", [False, True], ids=["while the server runs", "with entries in a segment"])
async def test_a_damaged_page_costs_no_other_thread(path: Path, killed: bool) -> None:
    bad, good = Key(None, "bad"), Key(None, "good")
    state = b'"' + bytes(30_000).replace(b"\0", b" ") + PAGE + bytes(60_000).replace(b"\0", b" ") + b'"'
    store = SqliteStore(path)
    await store.open()
    await store.commit([Created(bad, "agent", "e", True, state), Created(good, "agent", "e", True, b"0")])
    await store.aclose()
    store = SqliteStore(path)
    if not killed:
        damage_page(path)
    await store.open()
    await store.commit([Appended(key, 1, "run", b"{}", open=True) for key in (bad, good)])
    await store.commit([Appended(key, 2, "operations", b"[]") for key in (bad, good)])
    if killed:
        left = path.with_name("left")
        left.mkdir()
        for file in path.parent.glob(f"{path.name}*"):
            shutil.copy(file, left)
        await store.aclose()
        damage_page(left / path.name)
        store = SqliteStore(left / path.name)
        await store.open()
    saved = await store.load(good)
    assert saved is not None
    assert [revision for revision, _, _ in saved.entries] == [1, 2]
    assert good in await store.unfinished()
    await store.commit([Appended(good, 3, "operations", b"[]")])
    with pytest.raises(Damaged):
        await store.load(bad)
    if not killed:
        with pytest.raises(ChangeRefused, match="before"):
            await store.commit([Appended(bad, 3, "operations", b"[]")])
    await store.aclose()


async def test_a_thread_that_is_damaged_while_the_server_runs_costs_no_other(path: Path) -> None:
    await used(path)
    async with TestClient(app_of(path)) as client:
        await client.run(NOTE, thread_id="good")
        damage(path, OF_ONE_THREAD["a state cut off"])
        assert (await client.get("/threads/bad/state")).json()["error"]["code"] == "thread_damaged"
        await client.run(NOTE, thread_id="good")
        assert await notes(client, "good") == ["noted", "noted", "noted"]


KEYS = [Key(None, name) for name in ("one", "two", "three")]


async def test_a_commit_that_cannot_be_read_costs_what_follows_it(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What follows a change that is missing is of no use: the state there is not known."""
    store = SqliteStore(path)
    await store.open()
    await store.commit([Created(key, "agent", "epoch", True, b"{}") for key in KEYS])
    for revision in range(1, 7):
        await store.commit([Appended(key, revision, "operations", b"[%s]" % (b" " * revision)) for key in KEYS])
    left = tmp_path / "left"
    left.mkdir()
    for file in tmp_path.glob("threads.db*"):  # what a process leaves that is killed now
        shutil.copy(file, left / file.name)
    await store.aclose()

    segment = left / "threads.db-segment-1"
    segment.write_bytes(segment.read_bytes().replace(b"[    ]", b"[\t   ]", 1))
    assert main(["check", str(left / "threads.db")]) == 1
    store = SqliteStore(left / "threads.db")
    for number in range(2):
        await store.open()
        assert ("some threads have lost their last entries" in caplog.text) == (number == 0)
        caplog.clear()
        ends = []
        for key in KEYS:
            saved = await store.load(key)
            assert saved is not None
            ends.append(len(saved.entries))
            assert [revision for revision, _, _ in saved.entries] == list(range(1, len(saved.entries) + 1))
        assert ends == [3 + number] * 3
        await store.commit([Appended(key, end + 1, "operations", b"[]") for key, end in zip(KEYS, ends, strict=True)])
        await store.aclose()
    assert main(["check", str(left / "threads.db")]) == 0


@pytest.mark.parametrize("seed", range(30))
async def test_bytes_flipped_anywhere_in_a_thread_cost_no_other(path: Path, seed: int) -> None:
    """Only here are values damaged that nobody has thought of."""
    random = Random(seed)
    await used(path)
    table, column = random.choice(
        [("threads", "state"), ("threads", "run"), ("entries", "data"), ("applied", "digest"), ("threads", "epoch")]
    )
    where = "thread_id = 'bad'" if table == "threads" else "row = (SELECT row FROM threads WHERE thread_id = 'bad')"
    at, byte = random.randint(1, 40), f"{random.randrange(256):02x}"
    changed = f"CAST(substr({column}, 1, {at - 1}) || x'{byte}' || substr({column}, {at + 1}) AS BLOB)"
    damage(path, f"UPDATE {table} SET {column} = {changed} WHERE {where}")
    async with TestClient(app_of(path)) as client:
        assert (await client.get("/threads/bad/state")).status in (200, 409)
        for thread in ("good", "other"):
            await client.run(NOTE, thread_id=thread)
            assert await notes(client, thread) == ["noted", "noted"]
        assert (await client.request("DELETE", "/threads/bad")).status == 204


@pytest.mark.parametrize("statement", [*OF_ONE_THREAD.values(), *ELSEWHERE.values()], ids=[*OF_ONE_THREAD, *ELSEWHERE])
@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
async def test_a_check_finds_what_is_damaged(
    path: Path, statement: str, running: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    await used(path)
    assert main(["check", str(path)]) == 0
    assert "nothing is damaged" in capsys.readouterr().out
    store = SqliteStore(path)
    if running:
        await store.open()
    damage(path, statement)
    assert main(["check", str(path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    await store.aclose()


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\x00" + bytes(5_000)])
def test_a_check_of_what_is_no_store_says_so(path: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_bytes(content)
    assert main(["check", str(path)]) == 1
    assert capsys.readouterr().err.startswith(f"statecast: {path} ")
    assert main(["check", str(path.with_name("nothing"))]) == 1
    assert main(["backup", str(path), str(path.with_name("copy"))]) == 1
    assert not path.with_name("copy").exists()


async def test_a_check_finds_pages_that_are_damaged(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await used(path)
    data = bytearray(path.read_bytes())
    data[4096:8192] = bytes(4096)
    path.write_bytes(data)
    assert main(["check", str(path)]) == 1
    assert any(capsys.readouterr())


async def test_a_copy_of_a_store_in_use_has_all_of_it(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to = path.with_name("copy.db")
    async with TestClient(app_of(path)) as client:
        await client.run(NOTE, thread_id="good")
        assert main(["backup", str(path), str(to)]) == 0
        before = (await client.get("/threads/good/state")).json()
        await client.run(NOTE, thread_id="good")
    assert stat.S_IMODE(to.stat().st_mode) == 0o600
    assert {file.name for file in path.parent.glob("*copy*")} == {"copy.db"}
    assert main(["check", str(to)]) == 0
    assert main(["backup", str(path), str(to)]) == 1
    assert "already exists" in capsys.readouterr().err
    async with TestClient(app_of(to)) as client:
        after = (await client.get("/threads/good/state")).json()
    assert after["state"] == before["state"]
    assert after["revision"] == before["revision"]
    assert after["cursor"] != before["cursor"]  # in another epoch: it may go on otherwise
