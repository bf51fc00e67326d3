"""Every store keeps the history of threads: earlier revisions are read, forked and rewound to, also after a restart."""

from __future__ import annotations

import msgspec
import pytest

from statecast import create_app
from statecast.stores import Key
from statecast.testing import TestClient
from tests.stores.every_store import Make
from tests.transport.followers import state_of
from tests.transport.travels import (
    SHORT,
    first_answer,
    fork,
    read_history,
    rewind,
    said,
    states_of,
    without_ids,
    writer,
)

pytestmark = pytest.mark.anyio


async def test_a_thread_is_known_at_every_revision_and_goes_on_from_any(make: Make) -> None:
    async with TestClient(create_app(writer(), store=make(), limits=SHORT)) as client:
        await said(client, "one", *["word " * 30] * 8)
        states = states_of(await read_history(client))
        assert sorted(states) == list(range(len(states)))
        first = first_answer(states)
        made = (await fork(client, first)).json()["threadId"]
        assert await state_of(client, made) == states[first]
        assert (await rewind(client, first)).status == 200
        await said(client, "two")
    store = make()
    async with TestClient(create_app(writer(), store=store, limits=SHORT)) as client:
        assert (await state_of(client))["memory"] == ["one", "two"]
        assert await state_of(client, made) == states[first]
        later = states_of(await read_history(client))
        assert {revision: later[revision] for revision in states} == states
        assert (await rewind(client, max(states))).status == 200
        assert msgspec.json.encode(await state_of(client)) == msgspec.json.encode(states[max(states)])
        await client.request("DELETE", "/threads/t")
        assert await store.records(Key(None, "t"), "history") == []


async def test_a_document_is_a_thread_again_with_its_history_and_runs(make: Make) -> None:
    async with TestClient(create_app(writer(), store=make(), limits=SHORT)) as client:
        await said(client, "one", *["word " * 30] * 4)
        document = (await client.get("/threads/t/export")).json()
        made = await client.post("/threads/import", json={**document, "threadId": "copy"})
        assert made.status == 201
        assert without_ids((await client.get("/threads/copy/export")).json()) == without_ids(document)
    async with TestClient(create_app(writer(), store=make(), limits=SHORT)) as client:
        assert without_ids((await client.get("/threads/copy/export")).json()) == without_ids(document)
        states = states_of(await read_history(client, "copy"))
        earlier = max(states) // 2
        assert (await rewind(client, earlier, "copy")).status == 200
        assert await state_of(client, "copy") == states[earlier]
        await said(client, "two", thread_id="copy")
        assert (await client.get("/threads/copy/export")).json()["revision"] > document["revision"]
