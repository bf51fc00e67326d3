"""Refresh tokens of the cloud API: each is used once, a copy is noticed, a lost answer is none, all can be ended."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statecast import App, Cloud, create_app
from statecast.testing import Response, TestClient
from tests.transport.held_agent import said
from tests.transport.history_app import echoing, store

__all__ = ["store"]

pytestmark = pytest.mark.anyio

SECRET: Final = "a secret of the server, kept in a safe place"
KEY: Final = "an-api-key-of-the-app"


def app_of(store: str = "memory", **fields: Any) -> App:
    return create_app(echoing(), store=store, cloud=Cloud(secret=SECRET, api_keys=[KEY], **fields))


class Page:
    """What a page has of its identity."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.access = self.refresh = ""

    async def begin(self) -> None:
        self._has((await self.client.post("/v1/auth/tokens/anonymous", json={})).json())

    async def renew(self, token: str | None = None, *, lost: bool = False) -> Response:
        """Use a refresh token; `lost`: the answer never comes."""
        body = {"refresh_token": token or self.refresh}
        answer = await self.client.post("/v1/auth/tokens/refresh", json=body)
        if answer.status == 200 and not lost:
            self._has(answer.json())
        return answer

    async def use(self, token: str | None = None) -> int:
        headers = {"authorization": f"Bearer {token or self.access}"}
        return (await self.client.get("/v1/threads", headers=headers)).status

    def _has(self, tokens: Any) -> None:
        self.access, self.refresh = tokens["access_token"], tokens["refresh_token"]["token"]


async def test_a_refresh_token_leads_to_the_next_of_the_same_identity(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        page = Page(client)
        await page.begin()
        headers = {"authorization": f"Bearer {page.access}"}
        await client.post("/assistant", json={"threadId": "t", "commands": [said("hi")]}, headers=headers)
        tokens = [page.refresh]
        for _ in range(3):
            assert (await page.renew()).status == 200
            tokens.append(page.refresh)
        threads = (await client.get("/threads", headers={"authorization": f"Bearer {page.access}"})).json()["threads"]

    assert len(set(tokens)) == 4
    assert [thread["remoteId"] for thread in threads] == ["t"]


@pytest.mark.parametrize("used", ["access", "refresh"])
async def test_a_refresh_token_that_is_used_again_ends_all_tokens_of_the_identity(store: str, used: str) -> None:
    async with TestClient(app_of(store)) as client:
        page = Page(client)
        await page.begin()
        headers = {"authorization": f"Bearer {page.access}"}
        await client.post("/assistant", json={"threadId": "t", "commands": [said("hi")]}, headers=headers)
        stolen = page.refresh
        await page.renew()
        if used == "access":
            assert await page.use() == 200
        else:
            await page.renew()
        async with client.stream("GET", "/threads/t/events", headers=headers) as response:
            await response.read_until(b"You said")
            again = await page.renew(stolen)
            await response.read()  # the stream ends
        after = [await page.use(), (await page.renew()).status]
        other = Page(client)
        await other.begin()

        assert (again.status, again.json()["error"]) == (401, "invalid_token")
        assert after == [401, 401]
        assert await other.use() == 200


async def test_a_page_that_was_reloaded_before_the_answer_came_is_the_same_identity(store: str) -> None:
    """Else a user without an account would lose all threads by reloading at the wrong moment."""
    async with TestClient(app_of(store)) as client:
        page = Page(client)
        await page.begin()
        first = jwt.decode(page.refresh, SECRET, ["HS256"])["sub"]
        for _ in range(3):
            assert (await page.renew(lost=True)).status == 200
        assert (await page.renew()).status == 200
        assert await page.use() == 200
        assert (await page.renew()).status == 200
        assert jwt.decode(page.refresh, SECRET, ["HS256"])["sub"] == first


async def test_two_tabs_that_renew_at_once_are_both_served(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        page = Page(client)
        await page.begin()
        token = page.refresh
        answers = await asyncio.gather(*(page.renew(token) for _ in range(4)))

        assert [answer.status for answer in answers] == [200] * 4
        assert await page.use() == 200
        assert (await page.renew()).status == 200


async def test_what_has_ended_stays_so_after_a_restart(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'threads.db'}"
    async with TestClient(app_of(store)) as client:
        page, ended = Page(client), Page(client)
        await page.begin()
        await ended.begin()
        old = page.refresh
        await page.renew()
        await page.use()
        await client.post("/v1/auth/tokens/revoke", json={"refresh_token": ended.refresh})
    async with TestClient(app_of(store)) as client:
        ended.client = page.client = client
        assert await page.use() == 200
        assert [await ended.use(), (await ended.renew()).status] == [401, 401]
        assert (await page.renew(old)).status == 401


# Ending them


async def test_tokens_are_ended_by_whoever_has_the_refresh_token(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        page = Page(client)
        await page.begin()
        revoked = await client.post("/v1/auth/tokens/revoke", json={"refresh_token": page.refresh})
        again = await client.post("/v1/auth/tokens/revoke", json={"refresh_token": page.refresh})
        nonsense = await client.post("/v1/auth/tokens/revoke", json={"refresh_token": page.access})

        assert [revoked.status, again.status, nonsense.status] == [204, 204, 401]
        assert [await page.use(), (await page.renew()).status] == [401, 401]


async def test_an_apps_server_ends_the_tokens_of_a_workspace_and_makes_new_ones(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        page = Page(client)
        key = {"authorization": f"Bearer {KEY}", "aui-user-id": "ann", "aui-workspace-id": "hive"}
        old = (await client.post("/v1/auth/tokens", headers=key)).json()["token"]
        before = await page.use(old)
        refused = await client.post("/v1/auth/tokens/revoke", json={}, headers={"authorization": f"Bearer {old}"})
        revoked = await client.post("/v1/auth/tokens/revoke", json={}, headers=key)
        new = (await client.post("/v1/auth/tokens", headers=key)).json()["token"]

        assert (before, refused.status, revoked.status) == (200, 403, 204)
        assert [await page.use(old), await page.use(new)] == [401, 200]


async def test_streams_that_are_opened_after_tokens_were_ended_stay_open() -> None:
    app = app_of()
    async with TestClient(app) as client:
        key = {"authorization": f"Bearer {KEY}", "aui-user-id": "ann", "aui-workspace-id": "hive"}
        await client.post("/assistant", json={"threadId": "t", "commands": [said("one")]}, headers=key)
        async with client.stream("GET", "/threads/t/events", headers=key) as before:
            await before.read_until(b"You said: one")
            await app.revoke("hive")
            await before.read()
        async with client.stream("GET", "/threads/t/events", headers=key) as after:
            await after.read_until(b"You said: one")
            await client.post("/assistant", json={"threadId": "t", "commands": [said("two")]}, headers=key)
            await after.read_until(b"You said: two")


async def test_the_app_ends_tokens_and_the_streams_that_were_opened_with_them() -> None:
    app = app_of()
    async with TestClient(app) as client:
        page = Page(client)
        await page.begin()
        workspace = jwt.decode(page.refresh, SECRET, ["HS256"])["sub"]
        headers = {"authorization": f"Bearer {page.access}"}
        await client.post("/assistant", json={"threadId": "t", "commands": [said("hi")]}, headers=headers)
        async with client.stream("GET", "/threads/t/events", headers=headers) as response:
            await response.read_until(b"You said")
            await app.revoke(workspace)
            await response.read()
        assert await page.use() == 401


async def test_an_app_without_the_cloud_api_has_no_tokens_to_end() -> None:
    with pytest.raises(RuntimeError, match="cloud API"):
        await create_app(echoing()).revoke("hive")


async def test_tokens_of_before_the_rotation_still_count_once() -> None:
    now = int(time.time())
    old = {"iss": "statecast", "use": "refresh", "iat": now - 60, "exp": now + 3600, "sub": "anon_before"}
    token = jwt.encode(old, SECRET, "HS256")
    async with TestClient(app_of()) as client:
        page = Page(client)
        assert (await page.renew(token)).status == 200
        assert await page.use() == 200
        assert (await page.renew(token)).status == 401


async def test_a_claim_takes_a_token_that_counts_and_no_other() -> None:
    async with TestClient(app_of()) as client:
        page = Page(client)
        await page.begin()
        old = page.refresh
        await page.renew()
        await page.use()
        key = {"authorization": f"Bearer {KEY}", "aui-user-id": "ann", "aui-workspace-id": "hive"}
        claims = [
            await client.post("/v1/threads/claim", json={"refresh_token": token}, headers=key)
            for token in (old, page.refresh)
        ]
        assert await page.use() == 200

    assert [claim.status for claim in claims] == [401, 200]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["renew", "lost", "use", "replay"]), st.integers(0, 4)), max_size=12))
def test_whatever_a_page_does_it_stays_itself_until_a_token_is_replayed(steps: list[tuple[str, int]]) -> None:
    """Any order of renewals, lost answers and requests is served; a token of before the last one received ends all."""

    async def scenario() -> None:
        async with TestClient(app_of()) as client:
            page, spent, over = Page(client), list[str](), False
            await page.begin()
            for step, which in steps:
                expected = 401 if over else 200
                if step == "use":
                    assert await page.use() == expected
                elif step == "replay" and spent:
                    await page.use()  # whoever has the latest answer has used it
                    over = True
                    assert (await page.renew(spent[which % len(spent)])).status == 401
                elif step == "lost":
                    assert (await page.renew(lost=True)).status == expected
                elif step == "renew":
                    token = page.refresh
                    assert (await page.renew()).status == expected
                    if not over:
                        spent.append(token)

    asyncio.run(scenario())
