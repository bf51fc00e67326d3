"""`/threads`: what a list shows of threads, how it is paged, what changes it, and titles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

from statecast import AddMessage, Agent, create_app
from statecast.state import Json
from statecast.testing import Response, TestClient
from statecast_agents import About
from tests.transport.history_app import ANN, BOB, app_of, echoing, store, text, who
from tests.transport.http.test_requests import code_of

__all__ = ["store"]

pytestmark = pytest.mark.anyio


async def made(client: TestClient, **fields: Json) -> str:
    response = await client.post("/threads", json=fields)
    assert response.status == 201, response.content
    id: str = response.json()["remoteId"]
    return id


async def listed(client: TestClient, query: str = "", **settings: Any) -> Json:
    response = await client.get(f"/threads{query}", **settings)
    assert response.status == 200, response.content
    return response.json()


async def test_a_thread_is_in_the_list_from_its_first_request_on(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        id = await made(client, threadId="t-1", title="Bees", externalId="7", custom={"a": [1]})
        await client.run("Hello", thread_id="t-2")
        threads = (await listed(client))["threads"]
        one = await client.get("/threads/t-1")

    assert id == "t-1"
    assert [thread["remoteId"] for thread in threads] == ["t-2", "t-1"]
    assert one.json() == threads[1]
    times = {name: threads[1].pop(name) for name in ("createdAt", "lastMessageAt")}
    said = {"title": "Bees", "externalId": "7", "custom": {"a": [1]}}
    assert threads[1] == {"remoteId": "t-1", "status": "regular", **said}
    assert all(time.endswith("Z") and len(time) == 24 for time in times.values())
    assert {"title", "custom"}.isdisjoint(threads[0])


async def test_a_list_shows_what_runs_do_where_that_is_asked_for(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        await made(client, threadId="t-1")
        await client.run("Hello", thread_id="t-2")
        threads = (await listed(client, "?runs=true"))["threads"]
        without = (await listed(client))["threads"]

    assert {thread["remoteId"]: thread.get("run", {}).get("status") for thread in threads} == {
        "t-1": None,
        "t-2": "completed",
    }
    assert [thread for thread in without if "run" in thread] == []


async def test_to_make_a_thread_again_changes_nothing(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        await made(client, threadId="t", title="Bees", externalId="7")
        before = (await client.get("/threads/t")).json()
        again = await client.post("/threads", json={"threadId": "t", "title": "Wasps"})
        after = (await client.get("/threads/t")).json()
        others = {await made(client) for _ in range(3)}

    assert (again.status, again.json()) == (201, {"remoteId": "t", "externalId": "7"})
    assert after == before
    assert len(others) == 3


async def test_what_is_given_is_changed_and_null_takes_it_away(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        await made(client, threadId="t", title="Bees", custom={"a": 1}, externalId="7")
        seen = []
        changes: list[Json] = [
            {"title": "Wasps"},
            {"status": "archived"},
            {"custom": {"b": {}}},
            {},
            {"status": "regular", "title": None, "custom": None, "externalId": None},
        ]
        for change in changes:
            answer = await client.request("PATCH", "/threads/t", json=change)
            assert answer.status == 200
            assert answer.json() == (await client.get("/threads/t")).json()
            seen.append(answer.json())

    assert [card.get("title") for card in seen] == ["Wasps"] * 4 + [None]
    assert [card["status"] for card in seen] == ["regular", *["archived"] * 3, "regular"]
    assert [card.get("custom") for card in seen] == [{"a": 1}, {"a": 1}, {"b": {}}, {"b": {}}, None]
    assert [card.get("externalId") for card in seen[3:]] == ["7", None]


async def test_the_list_is_paged_and_every_thread_comes_once(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        ids = [await made(client, threadId=f"t-{number}") for number in range(7)]
        found: list[str] = []
        query, pages = "?limit=3", 0
        while query:
            page = await listed(client, query)
            found += [thread["remoteId"] for thread in page["threads"]]
            pages += 1
            query = f"?limit=3&after={page['nextCursor']}" if "nextCursor" in page else ""

    assert pages == 3
    assert found == ids[::-1]


async def test_a_thread_with_a_new_message_comes_first(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        for id in ("a", "b", "c"):
            await made(client, threadId=id)
        await client.post("/threads/a/messages", json={"message": text("user", "Hi")})
        await client.request("PATCH", "/threads/b", json={"title": "Not a message"})
        order = [thread["remoteId"] for thread in (await listed(client))["threads"]]

    assert order == ["a", "c", "b"]


async def test_the_list_can_be_of_one_status(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        for id in ("a", "b", "c"):
            await made(client, threadId=id)
        await client.request("PATCH", "/threads/b", json={"status": "archived"})
        found = {
            status: [thread["remoteId"] for thread in (await listed(client, f"?status={status}"))["threads"]]
            for status in ("regular", "archived")
        }

    assert found == {"regular": ["c", "a"], "archived": ["b"]}


async def test_a_deleted_thread_is_gone_with_all_that_was_kept_of_it(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        await made(client, threadId="t", title="Bees")
        await client.run("Hello", thread_id="t")
        await client.request("PUT", "/threads/t/messages/m", json={"message": text("user", "Hi")})
        deleted = await client.request("DELETE", "/threads/t")
        gone = [
            code_of(await client.get("/threads/t")),
            code_of(await client.get("/threads/t/state")),
            code_of(await client.get("/threads/t/messages")),
            code_of(await client.request("DELETE", "/threads/t")),
        ]
        await made(client, threadId="t")
        again = (await client.get("/threads/t/messages")).json()["messages"]
        (card,) = (await listed(client))["threads"]

    assert (deleted.status, deleted.content) == (204, b"")
    assert gone == [(404, "unknown_thread")] * 4
    assert again == []
    assert "title" not in card


@pytest.mark.parametrize(
    "query", ["?limit=0", "?limit=201", "?limit=x", "?limit=-1", "?limit=1e3", "?status=gone", "?after=x"]
)
async def test_a_malformed_query_is_refused(query: str) -> None:
    async with TestClient(app_of("memory")) as client:
        status, code = code_of(await client.get(f"/threads{query}"))

    assert (status, code) == (422, "invalid_cursor" if "after" in query else "invalid_request")


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "/threads", {"threadId": "a b"}, (422, "invalid_thread_id")),
        ("POST", "/threads", {"threadId": ""}, (422, "invalid_thread_id")),
        ("POST", "/threads", {"threadId": 7}, (422, "invalid_request")),
        ("POST", "/threads", [], (422, "invalid_request")),
        ("POST", "/threads", {"title": 7}, (422, "invalid_request")),
        ("POST", "/threads", {"title": "x" * 1_001}, (422, "invalid_request")),
        ("POST", "/threads", {"externalId": "x" * 501}, (422, "invalid_request")),
        ("POST", "/threads", {"custom": [1]}, (422, "invalid_request")),
        ("POST", "/threads", {"status": "gone"}, (422, "invalid_request")),
        ("PATCH", "/threads/t", {"status": "new"}, (422, "invalid_request")),
        ("PATCH", "/threads/t", {"custom": "x"}, (422, "invalid_request")),
        ("PATCH", "/threads/u", {"title": "x"}, (404, "unknown_thread")),
        ("GET", "/threads/u", None, (404, "unknown_thread")),
        ("DELETE", "/threads/u", None, (404, "unknown_thread")),
        ("GET", "/threads/a%20b", None, (422, "invalid_thread_id")),
        ("POST", "/threads/u/title", {}, (404, "unknown_thread")),
        ("POST", "/threads/t/title", {"messages": {}}, (422, "invalid_request")),
        ("POST", "/threads/t/title", {"messages": ["x"]}, (422, "invalid_request")),
        ("PUT", "/threads/t", {}, (405, "method_not_allowed")),
    ],
)
async def test_a_malformed_request_is_refused(method: str, path: str, body: Json, expected: tuple[int, str]) -> None:
    async with TestClient(app_of("memory")) as client:
        await made(client, threadId="t")
        fields: Any = {} if body is None else {"json": body}
        response = await client.request(method, path, **fields)
        cards = (await listed(client))["threads"]

    assert code_of(response) == expected
    assert [card["remoteId"] for card in cards] == ["t"]
    assert (cards[0]["status"], cards[0].get("title")) == ("regular", None)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"title": "\\ud800"}'])
async def test_a_body_that_is_no_json_is_refused(body: bytes) -> None:
    headers = {"content-type": "application/json"}
    async with TestClient(app_of("memory")) as client:
        response = await client.request("POST", "/threads", content=body, headers=headers)
        cards = (await listed(client))["threads"]

    assert response.status in (400, 422)
    assert cards == []


async def test_lists_and_threads_are_their_owners_alone(store: str) -> None:
    async with TestClient(app_of(store, identify=who, open_list=False)) as client:
        for owner in (ANN, BOB):
            await client.post("/threads", json={"threadId": "same", "title": owner["authorization"]}, headers=owner)
        await client.post("/threads", json={"threadId": "anns"}, headers=ANN)
        anns = [thread["remoteId"] for thread in (await listed(client, headers=ANN))["threads"]]
        bobs = [thread["remoteId"] for thread in (await listed(client, headers=BOB))["threads"]]
        tried: list[Response] = [
            await client.get("/threads/anns", headers=BOB),
            await client.request("PATCH", "/threads/anns", json={"title": "Bob's"}, headers=BOB),
            await client.request("DELETE", "/threads/anns", headers=BOB),
            await client.post("/threads/anns/title", json={}, headers=BOB),
            await client.get("/threads/anns/messages", headers=BOB),
            await client.post("/threads/anns/messages", json={"message": text("user", "Hi")}, headers=BOB),
            await client.request("DELETE", "/threads/anns/messages/m", headers=BOB),
            await client.post("/threads/anns/messages/m/feedback", json={"type": "positive"}, headers=BOB),
            await client.post("/threads/anns/suggestions", json={}, headers=BOB),
        ]
        await client.request("DELETE", "/threads/same", headers=BOB)
        left = await client.get("/threads/same", headers=ANN)
        nobody = await client.get("/threads")

    assert (anns, bobs) == (["anns", "same"], ["same"])
    assert [code_of(response) for response in tried] == [(404, "unknown_thread")] * len(tried)
    assert left.json()["title"] == "ann"
    assert nobody.status == 401


async def test_a_list_of_everybodys_threads_is_refused_unless_it_is_meant_to_be_open() -> None:
    async with TestClient(app_of("memory", open_list=False)) as client:
        await made(client, threadId="t")
        refused = code_of(await client.get("/threads"))
        known = await client.get("/threads/t")

    assert refused == (403, "owner_required")
    assert known.status == 200


# Titles


async def title_of(client: TestClient, id: str, **body: Json) -> tuple[str, Json]:
    """Return a title as it was sent, and as the list has it."""
    response = await client.post(f"/threads/{id}/title", json=body)
    assert response.status == 200, response.content
    assert response.headers["content-type"].startswith("text/plain")
    return response.content.decode(), (await client.get(f"/threads/{id}")).json().get("title")


async def test_without_a_hook_a_title_is_the_first_words(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        await client.run("What do bees do?", thread_id="state")
        await made(client, threadId="written")
        await client.post("/threads/written/messages", json={"message": text("user", "What do wasps do?")})
        await made(client, threadId="new")
        titles = [
            await title_of(client, "state"),
            await title_of(client, "written"),
            await title_of(client, "new", messages=[text("user", "What do  ants\ndo?")]),
            await title_of(client, "new", messages=[text("user", "word " * 100)]),
        ]
        await made(client, threadId="silent")
        silent = await title_of(client, "silent")

    assert titles[:3] == [(title, title) for title in ("What do bees do?", "What do wasps do?", "What do ants do?")]
    assert titles[3][0] == " ".join(["word"] * 12) + "…"
    assert silent == ("", None)


def plain(about: About) -> str:
    return f"  About {len(about.messages)} "


async def later(about: About) -> str:
    return plain(about)


def bit_by_bit(about: About) -> Iterator[str]:
    yield from ("  About ", f"{len(about.messages)} ")


async def bit_by_bit_later(about: About) -> AsyncIterator[str]:
    for piece in bit_by_bit(about):
        yield piece


@pytest.mark.parametrize("hook", [plain, later, bit_by_bit, bit_by_bit_later])
async def test_a_hook_of_any_kind_makes_the_title(hook: Any) -> None:
    agent = echoing()
    agent.title(hook)
    async with TestClient(app_of("memory", agent)) as client:
        await client.run("Hello", thread_id="t")
        sent, kept = await title_of(client, "t")

    assert (sent, kept) == ("  About 2 ", "About 2")


async def test_a_title_is_sent_as_it_is_made_and_is_there_before_it_ends(store: str) -> None:
    agent, go = echoing(), anyio.Event()

    @agent.title
    async def title(about: About) -> AsyncIterator[str]:
        yield "Bees"
        await go.wait()
        yield " and wasps"

    async with TestClient(app_of(store, agent)) as client:
        await made(client, threadId="t")
        async with client.stream("POST", "/threads/t/title", json={}) as response:
            await response.read_until(b"Bees")
            before = (await client.get("/threads/t")).json()
            go.set()
            await response.read()
            after = (await client.get("/threads/t")).json()

    assert "title" not in before
    assert after["title"] == response.content.decode() == "Bees and wasps"


async def test_a_title_that_never_ends_is_cut() -> None:
    agent = echoing()

    @agent.title
    def title(about: About) -> Iterator[str]:
        yield from ("ab" * 300 for _ in range(5))

    async with TestClient(app_of("memory", agent)) as client:
        await made(client, threadId="t")
        sent, kept = await title_of(client, "t")

    assert sent == kept == "ab" * 500


@pytest.mark.parametrize("wrong", [ValueError("secret"), 7, None, {"title": "x"}])
async def test_a_hook_that_fails_at_once_is_a_failure(wrong: Any, caplog: pytest.LogCaptureFixture) -> None:
    agent = echoing()

    @agent.title
    def title(about: About) -> Any:
        if isinstance(wrong, Exception):
            raise wrong
        return wrong

    async with TestClient(app_of("memory", agent)) as client:
        await made(client, threadId="t", title="Before")
        response = await client.post("/threads/t/title", json={})
        kept = (await client.get("/threads/t")).json()["title"]

    assert code_of(response) == (500, "agent_failed")
    assert b"secret" not in response.content
    assert kept == "Before"
    assert "the hook for a title failed on thread t" in caplog.text


async def test_a_hook_that_fails_on_the_way_cuts_the_title_off(caplog: pytest.LogCaptureFixture) -> None:
    agent = echoing()

    @agent.title
    async def title(about: About) -> AsyncIterator[str]:
        yield "Half a "
        raise ValueError("secret")

    async with TestClient(app_of("memory", agent), raise_app_exceptions=False) as client:
        await made(client, threadId="t", title="Before")
        async with client.stream("POST", "/threads/t/title", json={}) as response:
            with pytest.raises(EOFError):
                await response.read()
        kept = (await client.get("/threads/t")).json()["title"]

    assert (response.status, response.content) == (200, b"Half a ")
    assert kept == "Before"
    assert "the hook for a title failed on thread t" in caplog.text


async def test_the_hook_of_the_threads_own_agent_is_asked() -> None:
    first, second = echoing(), Agent("other")
    second.on(AddMessage)(lambda run, command: None)
    second.title(lambda about: f"The other's, of {about.thread_id}")
    async with TestClient(create_app([first, second])) as client:
        body = {"messages": [{"role": "user", "content": "Hello"}], "threadId": "t"}
        assert (await client.post("/json?agent=other", json=body)).status == 200
        title, _ = await title_of(client, "t")

    assert title == "The other's, of t"


LARGEST = 2**16 - len('{"a":""}')


async def test_the_data_of_a_card_is_bounded() -> None:
    async with TestClient(create_app(echoing(), open_list=True)) as client:
        allowed = await client.post("/threads", json={"threadId": "a", "custom": {"a": "x" * LARGEST}})
        refused = await client.post("/threads", json={"threadId": "b", "custom": {"a": "x" * (LARGEST + 1)}})
        changed = await client.request("PATCH", "/threads/a", json={"custom": {"a": "x" * (LARGEST + 1)}})
        threads = (await listed(client))["threads"]

    assert allowed.status == 201
    assert code_of(refused) == code_of(changed) == (413, "field_too_large")
    assert [len(thread["custom"]["a"]) for thread in threads] == [LARGEST]


async def test_a_list_is_bounded_in_bytes_and_can_be_read_to_its_end() -> None:
    async with TestClient(create_app(echoing(), open_list=True)) as client:
        for number in range(40):
            await made(client, threadId=f"t-{number}", custom={"a": "x" * LARGEST})
        found: list[str] = []
        pages: list[int] = []
        page = {"nextCursor": ""}
        while "nextCursor" in page:
            after = f"&after={page['nextCursor']}" if pages else ""
            response = await client.get(f"/threads?limit=200{after}")
            page = response.json()
            found += [thread["remoteId"] for thread in page["threads"]]
            pages.append(len(response.content))

    assert found == [f"t-{number}" for number in reversed(range(40))]
    assert len(pages) == 3
    assert max(pages) < 1.1 * 2**20
