"""A history is matched once: which message of the state a client's is, is kept, and joined by ids afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from statecast.history import matching
from statecast.history.client_message import ClientMessage
from statecast.history.formats import read_message, write_message
from statecast.history.matching import match
from statecast.state import Json
from statecast.testing import TestClient
from tests.transport.history_app import app_of, store, text

__all__ = ["store"]

pytestmark = pytest.mark.anyio

PATH = "/threads/t/messages"


@contextmanager
def reading(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Note which of the written messages are read for their words."""
    read: list[str] = []

    def noting(content: Any, format: str, id: str) -> Any:
        read.append(id)
        return read_message(content, format, id)

    with monkeypatch.context() as patch:
        patch.setattr(matching, "read_message", noting)
        yield read


async def converse(client: TestClient) -> None:
    """Let an agent answer, and a client write down what it shows, under ids of its own."""
    assert (await client.run("hi", thread_id="t")).error is None
    await write(client, "w1", None, text("user", "hi"))
    await write(client, "w2", "w1", text("assistant", "You said: hi"))


async def write(client: TestClient, id: str, parent: str | None, message: dict[str, Json]) -> None:
    response = await client.request("PUT", f"{PATH}/{id}", json={"message": message, "parentId": parent})
    assert response.status == 200, response.content


async def tree(client: TestClient, query: str = "") -> list[tuple[str, str | None]]:
    """Return each message's id, and the one before it."""
    loaded = (await client.get(PATH + query)).json()
    return [(item["message"]["id"], item["parentId"]) for item in loaded["messages"]]


async def test_words_are_compared_by_the_first_reader_alone(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with TestClient(app_of(store)) as client:
        await converse(client)
        with reading(monkeypatch) as words:
            first = await tree(client)
        assert set(words) == {"w1", "w2"}
        with reading(monkeypatch) as words:
            assert await tree(client) == first == [("w1", None), ("w2", "w1")]
        assert words == []


async def test_what_was_matched_is_known_after_a_restart(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = f"sqlite:///{tmp_path / 'threads.db'}"
    async with TestClient(app_of(store)) as client:
        await converse(client)
        first = await tree(client)
    async with TestClient(app_of(store)) as client:
        with reading(monkeypatch) as words:
            assert await tree(client) == first
    assert words == []


async def test_only_what_is_new_is_compared(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with TestClient(app_of(store)) as client:
        await converse(client)
        await tree(client)
        await client.run("more", thread_id="t")
        await write(client, "w3", "w2", text("user", "more"))
        with reading(monkeypatch) as words:
            loaded = await tree(client)

    assert set(words) == {"w3"}
    assert [item[0] for item in loaded[:3]] == ["w1", "w2", "w3"]
    assert loaded[3][1] == "w3"


async def test_a_message_that_is_written_anew_with_other_words_is_matched_anew(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        await converse(client)
        await tree(client)
        await write(client, "w2", "w1", text("assistant", "Something else"))
        loaded = await tree(client)

    assert len(loaded) == 3  # the agent's is there as well
    assert {("w1", None), ("w2", "w1")} < set(loaded)


async def test_reading_a_history_does_not_touch_its_thread(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        await converse(client)
        before = (await client.get("/threads/t")).json()
        await tree(client)
        assert (await client.get("/threads/t")).json() == before


def said(id: str, role: str, words: str) -> dict[str, Json]:
    return {"id": id, "role": role, "parts": [{"type": "text", "text": words}]}


def written(id: str, parent: str | None, role: str, words: str, at: float) -> ClientMessage:
    return ClientMessage(id, parent, "aui/v0", write_message(said(id, role, words), "aui/v0"), at, at)


def test_an_edit_that_leaves_a_message_its_id_makes_it_another_one() -> None:
    items = [written("w1", None, "user", "hi", 1.0), written("w2", None, "user", "ho", 2.0)]
    before = match(items, [said("s1", "user", "hi")], format="aui/v0")
    after = match(items, [said("s1", "user", "ho")], format="aui/v0", aliases=before.found)

    assert (before.counterparts, after.counterparts) == ({"s1": "w1"}, {"s1": "w2"})


@pytest.mark.parametrize(
    "ours",
    [
        said("s1", "assistant", "hel"),
        said("s1", "assistant", ""),
        {"role": "assistant", "parts": [{"type": "text", "text": "hello"}]},
    ],
    ids=["the beginning", "nothing yet", "without an id"],
)
def test_what_may_turn_out_to_be_another_message_is_matched_again(ours: Json) -> None:
    matched = match([written("w1", None, "assistant", "hello", 1.0)], [ours], format="aui/v0")

    assert list(matched.counterparts.values()) == ["w1"]
    assert matched.found == {}
