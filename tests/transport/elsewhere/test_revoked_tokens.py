"""Tokens of the cloud API that one process ends: no other process takes them, or goes on with their streams."""

from __future__ import annotations

from typing import Final

import anyio
import jwt
import pytest

from statecast import Cloud
from statecast.http.cloud import refresh_tokens
from statecast.stores import MemoryStore, NoWake, Sharing, Wake
from statecast.threads.elsewhere import owners
from tests.transport.elsewhere.apps import processes
from tests.transport.held_agent import said, until
from tests.transport.history_app import echoing

pytestmark = pytest.mark.anyio

SECRET: Final = "a secret of the server, kept in a safe place"
CLOUD: Final = Cloud(secret=SECRET, api_keys=["an-api-key-of-the-app"])
KEY: Final = {"authorization": "Bearer an-api-key-of-the-app", "aui-user-id": "ann", "aui-workspace-id": "hive"}
HELLO: Final = {"threadId": "t", "commands": [said("hello")]}


class SilentStore(Sharing):
    """A store all of whose hints are lost."""

    def wake(self) -> Wake:
        return NoWake()


@pytest.mark.parametrize("hints", [True, False])
async def test_streams_end_in_every_process(hints: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hints:
        monkeypatch.setattr(owners, "LOOK", 0.01)
    store = Sharing(MemoryStore()) if hints else SilentStore(MemoryStore())
    async with processes(echoing(), 2, store=store, cloud=CLOUD) as (one, two):
        await one.client.post("/assistant", json=HELLO, headers=KEY)
        elsewhere = two.app.hub._elsewhere
        assert elsewhere is not None
        async with two.client.stream("GET", "/threads/t/events", headers=KEY) as before:
            await before.read_until(b"You said: hello")
            await until(lambda: elsewhere.owners._marks == {"hive": None})
            await one.app.revoke("hive")
            await before.read()
        async with two.client.stream("GET", "/threads/t/events", headers=KEY) as after:
            await after.read_until(b"You said: hello")
            await one.client.post("/assistant", json={"threadId": "t", "commands": [said("two")]}, headers=KEY)
            await after.read_until(b"You said: two")


async def test_streams_end_of_which_the_mark_was_not_read_before() -> None:
    async with processes(echoing(), 2, cloud=CLOUD) as (one, two):
        await one.client.post("/assistant", json=HELLO, headers=KEY)
        elsewhere, go = two.app.hub._elsewhere, anyio.Event()
        assert elsewhere is not None
        assert elsewhere.owners.read_mark is not None
        read_mark = elsewhere.owners.read_mark

        async def read_late(owner: str) -> object:
            await go.wait()
            return await read_mark(owner)

        elsewhere.owners.read_mark = read_late
        async with two.client.stream("GET", "/threads/t/events", headers=KEY) as stream:
            await stream.read_until(b"You said: hello")
            await one.app.revoke("hive")
            go.set()
            await stream.read()


async def test_tokens_are_refused_and_renewed_in_every_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh_tokens, "FRESH", 0.0)
    async with processes(echoing(), 2, cloud=CLOUD) as (one, two):
        tokens = (await one.client.post("/v1/auth/tokens/anonymous", json={})).json()
        for process in (two, one, two, one):
            body = {"refresh_token": tokens["refresh_token"]["token"]}
            tokens = (await process.client.post("/v1/auth/tokens/refresh", json=body)).json()
            headers = {"authorization": f"Bearer {tokens['access_token']}"}
            assert [(await each.client.get("/v1/threads", headers=headers)).status for each in (one, two)] == [200, 200]
        await one.app.revoke(jwt.decode(tokens["access_token"], SECRET, ["HS256"])["sub"])
        assert [(await each.client.get("/v1/threads", headers=headers)).status for each in (one, two)] == [401, 401]
