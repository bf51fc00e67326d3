"""Every store keeps the history of threads: earlier revisions are read, forked and rewound to, also after a restart."""

from __future__ import annotations

import msgspec
import pytest

from statecast import create_app
from statecast.stores import Key
from statecast.testing import TestClient
from tests.stores.every_store import Make
from tests.transport.followers import state_of
from tests.transport.travels import SHORT, first_answer, fork, read_history, rewind, said, states_of, writer

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
