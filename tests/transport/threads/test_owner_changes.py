"""Threads that become another owner's: all of them moves, and nothing is left where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from statecast import Cloud, create_app
from statecast.stores import SqliteStore
from statecast.testing import TestClient
from tests.transport.followers import posted, store_of
from tests.transport.held_agent import HOLD, NOTE, held
from tests.transport.thread_remains import is_unknown

pytestmark = pytest.mark.anyio

KEY = "an-api-key-of-the-app"
HIVE = {"authorization": f"Bearer {KEY}", "aui-user-id": "ann", "aui-workspace-id": "hive"}


@pytest.fixture(params=["memory", "sqlite", "shared"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return store_of(request.param, tmp_path)


async def guest(client: TestClient) -> tuple[dict[str, str], str]:
    """Return the headers of a new guest, and the token by which its threads can be claimed."""
    tokens = (await client.post("/v1/auth/tokens/anonymous", json={})).json()
    return {"authorization": f"Bearer {tokens['access_token']}"}, tokens["refresh_token"]["token"]


async def test_a_claimed_thread_is_moved_with_what_there_is_of_its_run(store: Any) -> None:
    agent, release = held()
    app = create_app(agent, store=store, cloud=Cloud(api_keys=[KEY]))
    async with TestClient(app) as client:
        headers, token = await guest(client)
        async with client.stream("POST", "/assistant", json=posted(HOLD), headers=headers) as response:
            await response.read_until(b"held")
            claim = await client.post("/v1/threads/claim", json={"refresh_token": token}, headers=HIVE)
            await response.read()

        assert claim.json() == {"moved": 1}
        assert await is_unknown(client, **headers)
        state = (await client.get("/threads/t/state", headers=HIVE)).json()["state"]
        assert state == {"notes": ["held"]}
        status = (await client.get("/status/t", headers=HIVE)).json()["status"]
        assert status == "cancelled"
        release.set()
        await client.post("/assistant", json=posted(NOTE), headers=HIVE)
        assert (await client.get("/threads/t/state", headers=HIVE)).json()["state"]["notes"] == ["held", "noted"]
        await client.post("/assistant", json=posted(NOTE), headers=headers)
        assert (await client.get("/threads/t/state", headers=headers)).json()["state"] == {"notes": ["noted"]}


async def test_a_thread_whose_id_the_workspace_has_is_left_where_it_is(store: Any) -> None:
    agent, _ = held()
    app = create_app(agent, store=store, cloud=Cloud(api_keys=[KEY]))
    async with TestClient(app) as client:
        headers, token = await guest(client)
        await client.post("/assistant", json=posted(NOTE, state={"who": "guest"}), headers=headers)
        await client.post("/assistant", json=posted(NOTE, state={"who": "ann"}), headers=HIVE)
        other = {"commands": [NOTE], "threadId": "u"}
        await client.post("/assistant", json=other, headers=headers)
        claim = await client.post("/v1/threads/claim", json={"refresh_token": token}, headers=HIVE)

        assert claim.json() == {"moved": 1}
        states = [(await client.get("/threads/t/state", headers=who)).json()["state"]["who"] for who in (headers, HIVE)]
        assert states == ["guest", "ann"]
        assert (await client.get("/threads/u/state", headers=HIVE)).status == 200


async def test_a_claim_is_kept(tmp_path: Path) -> None:
    cloud = Cloud(api_keys=[KEY])
    path = tmp_path / "bees.db"
    async with TestClient(create_app(held()[0], store=SqliteStore(path), cloud=cloud)) as client:
        headers, token = await guest(client)
        await client.post("/assistant", json=posted({**NOTE, "text": "before"}), headers=headers)
        await client.post("/v1/threads/claim", json={"refresh_token": token}, headers=HIVE)
    async with TestClient(create_app(held()[0], store=SqliteStore(path), cloud=cloud)) as client:
        assert (await client.get("/threads/t/state", headers=HIVE)).json()["state"] == {"notes": ["before"]}
        assert await is_unknown(client, **headers)
