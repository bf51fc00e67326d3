"""Whether a server says that it takes nothing, before anybody has sent it anything."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from statecast import App, create_app
from statecast.stores import MemoryStore, SqliteStore, Store
from statecast.testing import TestClient
from statecast.threads import readiness
from tests.transport.failing_store import Failing
from tests.transport.held_agent import held

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each look be a new one, and wait for the disk of a busy machine; a test of what is silent sets less."""
    monkeypatch.setattr(readiness, "FRESH", 0.0)
    monkeypatch.setattr(readiness, "PATIENCE", 30.0)


async def ready(client: TestClient) -> tuple[int, dict[str, Any]]:
    answer = await client.get("/health/ready")
    return answer.status, answer.json()


def renamed(path: Path) -> Callable[[], object]:
    away = path.with_name("away")
    path.rename(away)
    return lambda: away.rename(path)


def removed_log(path: Path) -> Callable[[], object]:
    return renamed(Path(f"{path}-wal"))


def removed_folder(path: Path) -> Callable[[], object]:
    away = path.parent.with_name("folder-away")
    path.parent.rename(away)
    return lambda: away.rename(path.parent)


def replaced(path: Path) -> Callable[[], object]:
    back = renamed(path)
    path.write_bytes(b"another")

    def undo() -> None:
        path.unlink()
        back()

    return undo


@pytest.mark.parametrize("kind", ["memory", "sqlite", "sqlite, durable"])
@pytest.mark.parametrize("lifespan", [True, False])
async def test_a_server_that_works_is_ready(kind: str, lifespan: bool, tmp_path: Path) -> None:
    store: Store = MemoryStore() if kind == "memory" else SqliteStore(tmp_path / "x.db", durable="durable" in kind)
    app = create_app(held()[0], store=store)
    async with TestClient(app, lifespan=lifespan) as client:
        for _ in range(3):
            assert await ready(client) == (200, {"status": "ready"})
        assert (await client.get("/health/live")).json() == {"status": "live"}
        assert (await client.get("/health")).json()["status"] == "ok"
        await app.hub.aclose()


@pytest.mark.parametrize(
    ("store", "name", "durability"),
    [
        ("memory", "memory", None),
        ("sqlite:///{}/x.db", "sqlite", "process"),
        ("sqlite:///{}/x.db?durable=true", "sqlite", "disk"),
    ],
)
async def test_a_server_says_what_its_store_survives(store: str, name: str, durability: str, tmp_path: Path) -> None:
    app = create_app(held()[0], store=store.format(tmp_path))
    async with TestClient(app) as client:
        health = (await client.get("/health")).json()
    assert (health["store"], health["durability"]) == (name, durability)
    assert health["process"] == app.hub.registry.process
    assert health["process"].startswith("proc_")


async def test_each_start_is_another_process() -> None:
    app = create_app(held()[0])
    seen = set()
    for _ in range(2):
        async with TestClient(app) as client:
            seen.add((await client.get("/health")).json()["process"])
    assert len(seen) == 2


async def test_a_store_that_is_silent_has_no_durability(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(MemoryStore):
        async def durability(self) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr(readiness, "PATIENCE", 0.01)
    async with TestClient(create_app(held()[0], store=Silent())) as client:
        assert "durability" not in (await client.get("/health")).json()


async def test_a_server_whose_store_does_not_open_is_unready_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(MemoryStore):
        opens = asyncio.Event()

        async def open(self) -> None:
            await self.opens.wait()

    monkeypatch.setattr(readiness, "PATIENCE", 0.01)
    store = Closed()
    app = create_app(held()[0], store=store)
    async with TestClient(app, lifespan=False) as client:
        assert (await ready(client))[1]["reason"] == "store_unavailable"
        assert (await client.get("/health/live")).status == 200
        store.opens.set()
        monkeypatch.setattr(readiness, "PATIENCE", 60.0)
        assert (await ready(client))[0] == 200
        await app.hub.aclose()


async def test_a_server_whose_work_has_ended_by_itself_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(held()[0])

    async def fail(now: float) -> None:
        raise RuntimeError("an error of this library")

    async with TestClient(app, lifespan=False) as client:
        await app.hub.start()
        assert (await client.get("/health/live")).status == 200
        monkeypatch.setattr(app.hub.registry, "tend", fail)
        with anyio.fail_after(30):
            while app.hub.alive:  # noqa: ASYNC110  # nothing tells
                await anyio.sleep(0.01)
        answer = await client.get("/health/live")
    assert (answer.status, answer.json()) == (503, {"status": "dead"})


@pytest.mark.skipif(os.name == "nt", reason="open files cannot be renamed there")
@pytest.mark.parametrize("happens", [renamed, removed_log, removed_folder, replaced])
async def test_a_server_whose_volume_is_gone_is_not_ready_until_it_is_back(
    happens: Callable[[Path], Callable[[], object]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "folder" / "threads.db"
    path.parent.mkdir()
    async with TestClient(create_app(held()[0], store=SqliteStore(path))) as client:
        assert await ready(client) == (200, {"status": "ready"})
        undo = happens(path)
        for _ in range(3):
            status, body = await ready(client)
            assert (status, body["status"], body["reason"]) == (503, "unready", "store_unavailable")
            assert str(path) not in body["message"]
            assert (await client.get("/health/live")).status == 200
        assert [record.message.partition(":")[0] for record in caplog.records] == ["not ready"]
        undo()
        assert await ready(client) == (200, {"status": "ready"})


async def test_a_server_whose_disk_is_full_is_not_ready(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = SqliteStore(tmp_path / "threads.db")
    async with TestClient(create_app(held()[0], store=store)) as client:
        assert (await ready(client))[0] == 200
        assert store._database is not None
        connection = store._database.connection
        connection.execute("PRAGMA query_only = ON")  # as on a volume that was mounted anew to be read only
        assert (await ready(client))[0] == 503
        connection.execute("PRAGMA query_only = OFF")
        assert (await ready(client))[0] == 200
    assert "readonly" in caplog.text


async def test_a_store_that_cannot_be_opened_makes_a_server_unready(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "threads.db"
    path.write_bytes(b"no database")
    async with TestClient(create_app(held()[0], store=SqliteStore(path)), lifespan=False) as client:
        assert (await ready(client))[1]["reason"] == "store_unavailable"
        path.unlink()
        assert (await ready(client))[0] == 200
        assert isinstance(client.app, App)
        await client.app.hub.aclose()


async def test_a_store_that_does_not_answer_makes_a_server_unready(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Silent(Failing):
        asked = 0
        answers = asyncio.Event()

        async def probe(self) -> None:
            self.asked += 1
            await self.answers.wait()

    monkeypatch.setattr(readiness, "PATIENCE", 0.01)
    store = Silent()
    async with TestClient(create_app(held()[0], store=store)) as client:
        for _ in range(3):
            assert (await ready(client))[0] == 503
        assert store.asked == 1
        store.answers.set()
        assert (await ready(client))[0] == 200


async def test_those_who_ask_within_a_second_share_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counting(MemoryStore):
        asked = 0

        async def probe(self) -> None:
            self.asked += 1

    monkeypatch.setattr(readiness, "FRESH", 1e9)
    store = Counting()
    async with TestClient(create_app(held()[0], store=store)) as client:
        answers = await asyncio.gather(*[ready(client) for _ in range(20)])
        assert {status for status, _ in answers} == {200}
        assert store.asked == 1


async def test_a_server_that_stops_is_not_ready(tmp_path: Path) -> None:
    app = create_app(held()[0], store=SqliteStore(tmp_path / "threads.db"))
    async with TestClient(app) as client:
        await app.hub.aclose()
        assert (await ready(client))[1]["reason"] == "server_stopping"
        assert (await client.get("/health/live")).status == 200
