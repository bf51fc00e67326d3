"""`/threads/{id}/messages`: what clients write and read of a thread's history; feedback and suggestions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import msgspec
import pytest

from statecast import AddMessage, AddToolResult, Agent, Feedback, Limits, Run, create_app
from statecast.state import Json
from statecast.testing import TestClient
from statecast_agents import About
from tests.transport.history_app import app_of, echoing, store, text
from tests.transport.http.test_requests import code_of

__all__ = ["store"]

pytestmark = pytest.mark.anyio

PATH = "/threads/t/messages"


async def begun(client: TestClient) -> None:
    assert (await client.post("/threads", json={"threadId": "t"})).status == 201


async def write(
    client: TestClient, id: str, parent: str | None, words: str, role: str = "user", query: str = ""
) -> None:
    body = {"message": text(role, words), "parentId": parent}
    response = await client.request("PUT", f"{PATH}/{id}{query}", json=body)
    assert (response.status, response.json()) == (200, {"id": id})


async def read(client: TestClient, query: str = "") -> Json:
    response = await client.get(PATH + query)
    assert response.status == 200, response.content
    return response.json()


def tree(loaded: Json) -> list[tuple[str, str | None, str]]:
    """Return each message's id, the one before it, and what it says."""
    return [
        (item["message"]["id"], item["parentId"], "".join(part["text"] for part in item["message"]["content"]))
        for item in loaded["messages"]
    ]


async def test_what_is_written_is_read_with_its_branches(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        await begun(client)
        empty = await read(client)
        await write(client, "q", None, "Hi")
        await write(client, "a1", "q", "Hello", "assistant")
        await write(client, "a2", "q", "Good morning", "assistant")
        await write(client, "r", None, "Other words")
        loaded = await read(client)

    assert empty == {"headId": None, "messages": [], "unstable_resume": False}
    assert tree(loaded) == [
        ("q", None, "Hi"),
        ("a1", "q", "Hello"),
        ("a2", "q", "Good morning"),
        ("r", None, "Other words"),
    ]
    assert loaded["headId"] == "r"
    assert all(item["message"]["createdAt"].endswith("Z") for item in loaded["messages"])


async def test_a_message_is_kept_as_it_was_written(store: str) -> None:
    message = {
        "role": "assistant",
        "content": [{"type": "text", "text": "Grüße 😀\u2028"}, {"type": "x-new", "deep": [{"a": None, "b": 1.5}]}],
        "status": {"type": "complete", "reason": "stop"},
        "metadata": {"custom": {"__proto__x": 1}},
        "anything": [True],
    }
    async with TestClient(app_of(store)) as client:
        await begun(client)
        given = {**message, "id": "m", "createdAt": "2020-01-01T00:00:00.000Z"}
        await client.post(PATH, json={"message": given, "parentId": None})
        (item,) = (await read(client))["messages"]

    assert item["message"].pop("id") == "m"
    assert item["message"].pop("createdAt") != given["createdAt"]  # it is the server's
    assert item["message"] == message


async def test_to_write_a_message_again_replaces_it_in_its_place(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        await begun(client)
        await write(client, "a", None, "one")
        await write(client, "b", "a", "two", "assistant")
        before = await read(client)
        await write(client, "a", None, "one")  # a retry
        again = await read(client)
        await write(client, "a", None, "other")
        posted = await client.post(PATH, json={"message": text("assistant", "words", id="b"), "parentId": "a"})
        after = await read(client)

    assert again == before
    assert posted.json() == {"id": "b"}
    assert tree(after) == [("a", None, "other"), ("b", "a", "words")]
    times = [[item["message"]["createdAt"] for item in loaded["messages"]] for loaded in (before, after)]
    assert times[0] == times[1]


async def test_a_message_without_an_id_is_given_one(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        await begun(client)
        first = (await client.post(PATH, json={"message": text("user", "one")})).json()["id"]
        second = (await client.post(PATH, json={"message": text("user", "two"), "parentId": first})).json()["id"]
        loaded = await read(client)

    assert tree(loaded) == [(first, None, "one"), (second, first, "two")]


async def test_what_follows_a_deleted_message_follows_what_that_followed(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        await begun(client)
        for id, parent in (("a", None), ("b", "a"), ("c", "b"), ("d", "b"), ("e", "d")):
            await write(client, id, parent, id)
        deleted = await client.request("DELETE", f"{PATH}/b")
        without_b = await read(client)
        await client.request("DELETE", f"{PATH}/a")
        without_a = await read(client)
        again = code_of(await client.request("DELETE", f"{PATH}/b"))
        state = (await client.get("/threads/t/state")).json()["state"]["messages"]

    assert (deleted.status, deleted.content) == (204, b"")
    assert [item[:2] for item in tree(without_b)] == [("a", None), ("c", "a"), ("d", "a"), ("e", "d")]
    assert [item[:2] for item in tree(without_a)] == [("c", None), ("d", None), ("e", "d")]
    assert again == (404, "unknown_message")
    assert [message["id"] for message in state] == ["d", "e"]


async def test_a_message_that_the_agents_state_has_as_well_stays_deleted(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        await begun(client)
        await write(client, "q", None, "Hi")
        body = {"messages": [{"id": "q", "role": "user", "content": "Hi"}], "threadId": "t"}
        await client.post("/json", json=body)
        await write(client, "a", "q", "You said: Hi", "assistant")
        await write(client, "q2", "a", "And?")
        for id in ("q", "a"):
            assert (await client.request("DELETE", f"{PATH}/{id}")).status == 204
        deleted = await read(client)
        again = code_of(await client.request("DELETE", f"{PATH}/a"))
        await write(client, "a", "q", "You said: Hi", "assistant")
        back = await read(client)

    assert tree(deleted) == [("q2", None, "And?")]
    assert again == (404, "unknown_message")
    assert tree(back) == [("a", None, "You said: Hi"), ("q2", "a", "And?")]


async def test_a_message_that_only_the_agent_has_is_not_to_be_deleted(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        await client.run("Hi", thread_id="t")
        loaded = await read(client)
        (_, answer) = tree(loaded)
        refused = code_of(await client.request("DELETE", f"{PATH}/{answer[0]}"))

    assert refused == (409, "agents_message")
    assert [item[2] for item in tree(loaded)] == ["Hi", "You said: Hi"]


async def test_each_form_of_messages_is_there_for_its_clients(store: str) -> None:
    mine = {"role": "user", "parts": [{"type": "text", "text": "Hi"}]}
    async with TestClient(app_of(store)) as client:
        await begun(client)
        await client.request("PUT", f"{PATH}/m?format=ai-sdk/v6", json={"message": mine, "parentId": None})
        await client.request("PUT", f"{PATH}/n?format=mine/v1", json={"message": {"x": 1}, "parentId": "m"})
        ai = (await read(client, "?format=ai-sdk/v6"))["messages"]
        own = (await read(client, "?format=mine/v1"))["messages"]

    assert [(item["message"]["id"], item["parentId"]) for item in ai] == [("m", None)]
    assert ai[0]["message"]["parts"] == mine["parts"]
    assert [item["message"]["x"] for item in own] == [1]
    assert own[0]["parentId"] is None  # what it followed is in another form


async def test_while_a_run_is_under_way_its_answer_is_left_to_be_followed(store: str) -> None:
    agent, go = Agent("slow"), anyio.Event()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text("Half ")
        run.flush()
        await go.wait()

    async with TestClient(app_of(store, agent)) as client:
        body = {"messages": [{"id": "q", "role": "user", "content": "Hi"}], "threadId": "t"}
        async with client.stream("POST", "/sse", json=body) as response:
            await response.read_until(b"Half ")
            meanwhile = await read(client)
            go.set()
            await response.read()
        after = await read(client)

    assert (tree(meanwhile), meanwhile["headId"], meanwhile["unstable_resume"]) == ([("q", None, "Hi")], "q", True)
    assert [item[2] for item in tree(after)] == ["Hi", "Half "]
    assert after["unstable_resume"] is False


async def test_many_who_write_at_once_lose_nothing(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        await begun(client)
        await write(client, "m0", None, "0")
        await asyncio.gather(*(write(client, f"m{number}", "m0", f"{number}") for number in range(1, 30)))
        loaded = await read(client)
        state = (await client.get("/threads/t/state")).json()["state"]["messages"]

    assert sorted(item[0] for item in tree(loaded)) == sorted(f"m{number}" for number in range(30))
    assert len(state) == 2


LONG = "x" * 129


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "", {}, (422, "invalid_request")),
        ("POST", "", {"message": "Hi"}, (422, "invalid_request")),
        ("POST", "", {"message": text("user", "Hi"), "parentId": 7}, (422, "invalid_request")),
        ("POST", "", {"message": text("user", "Hi"), "parentId": LONG}, (422, "invalid_request")),
        ("POST", "", {"message": text("user", "Hi"), "parentId": ""}, (422, "invalid_request")),
        ("POST", "", {"message": text("user", "Hi", id=LONG)}, (422, "invalid_request")),
        ("POST", "", {"message": text("user", "Hi", id=7)}, (422, "invalid_request")),
        ("POST", "", [], (422, "invalid_request")),
        ("PUT", "/n", {"message": text("user", "Hi", id="o")}, (422, "invalid_request")),
        ("PUT", f"/{LONG}", {"message": text("user", "Hi")}, (422, "invalid_request")),
        ("PUT", "/n", {"parentId": None}, (422, "invalid_request")),
        ("DELETE", "/n", None, (404, "unknown_message")),
        ("PATCH", "/m", {}, (405, "method_not_allowed")),
        ("POST", "/n/feedback", {"type": "positive"}, (404, "unknown_message")),
        ("POST", "/m/feedback", {"type": "neutral"}, (422, "invalid_request")),
        ("POST", "/m/feedback", {}, (422, "invalid_request")),
        ("POST", "/m/feedback", {"type": "positive", "comment": 7}, (422, "invalid_request")),
    ],
)
async def test_a_malformed_request_is_refused_and_changes_nothing(
    method: str, path: str, body: Json, expected: tuple[int, str]
) -> None:
    async with TestClient(app_of("memory")) as client:
        await begun(client)
        await write(client, "m", None, "Hi")
        before = await read(client)
        fields: Any = {} if body is None else {"json": body}
        response = await client.request(method, PATH + path, **fields)
        after = await read(client)

    assert code_of(response) == expected
    assert after == before


@pytest.mark.parametrize("path", ["/messages", "/messages/m", "/messages/m/feedback", "/suggestions"])
async def test_a_thread_that_nobody_made_has_no_history(path: str) -> None:
    method = "PUT" if path.endswith("/m") else "POST"
    async with TestClient(app_of("memory")) as client:
        response = await client.request(method, f"/threads/t{path}", json={"message": {}, "type": "positive"})
        cards = (await client.get("/threads")).json()["threads"]

    assert code_of(response) == (404, "unknown_thread")
    assert cards == []


# Feedback


async def test_feedback_is_shown_with_its_message_and_told_to_the_agent(store: str) -> None:
    agent, told = echoing(), list[Feedback]()
    agent.feedback(told.append)
    async with TestClient(app_of(store, agent)) as client:
        await client.run("Hi", thread_id="t")
        answer = tree(await read(client))[1][0]
        for opinion in ({"type": "negative"}, {"type": "positive", "comment": "Nice"}):
            response = await client.post(f"{PATH}/{answer}/feedback", json=opinion)
            assert (response.status, list(response.json())) == (200, ["id"])
        messages = (await read(client))["messages"]

    assert messages[1]["message"]["metadata"]["submittedFeedback"] == {"type": "positive", "comment": "Nice"}
    assert "submittedFeedback" not in messages[0]["message"]["metadata"]
    assert [(each.type, each.comment, each.message_id, each.thread_id) for each in told] == [
        ("negative", None, answer, "t"),
        ("positive", "Nice", answer, "t"),
    ]
    assert told[0].message["parts"] == [{"type": "text", "text": "You said: Hi"}]


async def test_feedback_is_kept_even_if_the_hook_fails(caplog: pytest.LogCaptureFixture) -> None:
    agent = echoing()

    @agent.feedback
    async def feedback(feedback: Feedback) -> None:
        raise ValueError("secret")

    async with TestClient(app_of("memory", agent)) as client:
        await begun(client)
        await write(client, "a", None, "Hello", "assistant")
        response = await client.post(f"{PATH}/a/feedback", json={"type": "positive"})
        (item,) = (await read(client))["messages"]

    assert code_of(response) == (500, "agent_failed")
    assert b"secret" not in response.content
    assert item["message"]["metadata"]["submittedFeedback"] == {"type": "positive"}
    assert "the hook for feedback failed on thread t" in caplog.text


async def test_feedback_goes_with_its_message(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        await begun(client)
        await write(client, "a", None, "Hello", "assistant")
        await client.post(f"{PATH}/a/feedback", json={"type": "positive"})
        await client.request("DELETE", f"{PATH}/a")
        await write(client, "a", None, "Hello", "assistant")
        (item,) = (await read(client))["messages"]

    assert "submittedFeedback" not in item["message"].get("metadata", {})


# Suggestions


async def suggested(client: TestClient, **body: Json) -> list[Json]:
    response = await client.post("/threads/t/suggestions", json=body)
    assert response.status == 200, response.content
    assert response.headers["content-type"] == "application/x-ndjson"
    return [msgspec.json.decode(line) for line in response.content.splitlines()]


async def test_without_a_hook_there_are_no_suggestions(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        await begun(client)
        assert await suggested(client) == [[]]


def returned(about: About) -> list[Json]:
    return ["One?", {"prompt": f"{len(about.messages)}?", "title": "How many"}]


async def returned_later(about: About) -> list[Json]:
    return returned(about)


def yielded(about: About) -> Iterator[Json]:
    yield from returned(about)


async def lists(about: About) -> AsyncIterator[list[Json]]:
    yield returned(about)[:1]
    yield returned(about)


@pytest.mark.parametrize("hook", [returned, returned_later, yielded, lists])
async def test_a_hook_of_any_kind_makes_suggestions(hook: Any) -> None:
    agent = echoing()
    agent.suggest(hook)
    async with TestClient(app_of("memory", agent)) as client:
        await client.run("Hi", thread_id="t")
        ours = await suggested(client)
        theirs = await suggested(client, messages=[text("user", "Hi")])

    assert ours[-1] == [{"prompt": "One?"}, {"prompt": "2?", "title": "How many"}]
    assert ours[:-1] in ([], [[{"prompt": "One?"}]])
    assert theirs[-1][1]["prompt"] == "1?"


async def test_suggestions_are_sent_as_they_are_made() -> None:
    agent, go = echoing(), anyio.Event()

    @agent.suggest
    async def suggest(about: About) -> AsyncIterator[str]:
        yield "One?"
        await go.wait()
        yield "Two?"

    async with TestClient(app_of("memory", agent)) as client:
        await begun(client)
        async with client.stream("POST", "/threads/t/suggestions", json={}) as response:
            first = await response.read_until(b"\n")
            go.set()
            await response.read()

    assert first == b'[{"prompt":"One?"}]\n'
    assert response.content.splitlines()[1:] == [b'[{"prompt":"One?"},{"prompt":"Two?"}]']


@pytest.mark.parametrize("wrong", [ValueError("secret"), 7, [7], [{"title": "x"}]])
async def test_a_hook_that_fails_at_once_is_a_failure(wrong: Any) -> None:
    agent = echoing()

    @agent.suggest
    def suggest(about: About) -> Any:
        if isinstance(wrong, Exception):
            raise wrong
        return wrong

    async with TestClient(app_of("memory", agent)) as client:
        await begun(client)
        response = await client.post("/threads/t/suggestions", json={})

    assert code_of(response) == (500, "agent_failed")
    assert b"secret" not in response.content


async def test_a_hook_that_fails_on_the_way_cuts_the_suggestions_off() -> None:
    agent = echoing()

    @agent.suggest
    async def suggest(about: About) -> AsyncIterator[str]:
        yield "One?"
        raise ValueError("secret")

    async with TestClient(app_of("memory", agent)) as client:
        await begun(client)
        async with client.stream("POST", "/threads/t/suggestions", json={}) as response:
            with pytest.raises(EOFError):
                await response.read()

    assert response.content == b'[{"prompt":"One?"}]\n'


@pytest.mark.parametrize("messages", [{}, ["x"], 7])
async def test_malformed_messages_are_refused(messages: Json) -> None:
    async with TestClient(app_of("memory")) as client:
        await begun(client)
        response = await client.post("/threads/t/suggestions", json={"messages": messages})

    assert code_of(response) == (422, "invalid_request")


async def test_what_others_have_answered_is_in_the_history(store: str) -> None:
    agent = Agent("asks")

    @agent.on(AddMessage)
    def ask(run: Run, command: AddMessage) -> None:
        run.messages.assistant().add_tool_call("ask_user", {"question": "How many?"}, id="call_1")

    @agent.on(AddToolResult)
    def go_on(run: Run, command: AddToolResult) -> None: ...

    async with TestClient(app_of(store, agent)) as client:
        asked = await client.run("Hi", thread_id="t")
        above, id = (item["message"]["id"] for item in (await read(client))["messages"])
        call = {"type": "tool-call", "toolCallId": "call_1", "toolName": "ask_user", "args": {"question": "How many?"}}
        shown = {"role": "assistant", "content": [call], "status": {"type": "requires-action", "reason": "tool-calls"}}
        await client.request("PUT", f"{PATH}/{id}", json={"message": shown, "parentId": above})
        answer = {"type": "add-tool-result", "toolCallId": "call_1", "toolName": "ask_user", "result": 3}
        await client.run(answer, thread_id="t", state=asked.state)
        last = (await read(client))["messages"][-1]["message"]

    assert last["content"][0]["result"] == 3
    assert last.get("status", {}).get("type") != "requires-action"


async def test_an_answer_that_failed_is_a_failure_in_the_history(store: str) -> None:
    async with TestClient(app_of(store)) as client:
        await client.run("Hi", thread_id="t")
        above, id = (item["message"]["id"] for item in (await read(client))["messages"])
        status = {
            "type": "incomplete",
            "reason": "error",
            "error": {"code": "no_bees", "message": "There are no bees."},
        }
        shown = {"role": "assistant", "content": [], "status": status}
        await client.request("PUT", f"{PATH}/{id}", json={"message": shown, "parentId": above})
        last = (await read(client))["messages"][-1]["message"]

    assert last["content"] == [{"type": "text", "text": "You said: Hi"}]
    assert last["status"] == status


async def written(client: TestClient, id: str, parent: str | None, size: int) -> int:
    """Return the status of a message with so many characters, written into the history."""
    body = {"message": text("user", "x" * size), "parentId": parent}
    response = await client.request("PUT", f"{PATH}/{id}", json=body)
    if response.status == 413:
        assert response.json()["error"]["code"] == "state_too_large"
    return response.status


async def test_what_is_written_counts_against_the_limit_of_the_state() -> None:
    async with TestClient(create_app(echoing(), limits=Limits(state=4_000))) as client:
        await begun(client)
        statuses = [
            await written(client, "a", None, 1_000),  # a message alone
            await written(client, "b", "a", 1_000),  # behind the last
            await written(client, "c", "a", 1_000),  # on another branch
            await written(client, "d", "c", 1_000),
            await written(client, "e", None, 1_000),
            await written(client, "a", None, 1_500),  # written anew, and larger
            await written(client, "a", None, 10),  # and smaller
            await written(client, "e", None, 1_000),
        ]
        state = (await client.get("/threads/t/state")).content
        loaded = await client.get(PATH)

    assert statuses == [200, 200, 200, 413, 413, 413, 200, 200]
    assert len(state) < 4_500
    assert len(loaded.content) < 5_000


async def test_what_is_written_leaves_a_state_within_its_limit() -> None:
    agent = Agent("large", initial={"messages": [], "beside": "x" * 2_500})
    async with TestClient(create_app(agent, limits=Limits(state=4_000))) as client:
        await begun(client)
        statuses = [await written(client, id, None, 600) for id in ("a", "b")]
        statuses += [await written(client, "c", "b", 600), await written(client, "d", "c", 600)]
        alone = await written(client, "e", None, 1_500)
        state = (await client.get("/threads/t/state")).json()["state"]

    assert statuses == [200, 200, 200, 413]
    assert alone == 413
    assert [message["id"] for message in state["messages"]] == ["b", "c"]


async def test_messages_that_come_at_once_are_counted_together() -> None:
    async with TestClient(create_app(echoing(), limits=Limits(state=4_000))) as client:
        await begun(client)
        statuses: list[int] = []

        async def one(id: str) -> None:
            statuses.append(await written(client, id, None, 1_500))

        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(one, f"m{number}")

    assert sorted(statuses) == [200, 200, 413, 413, 413, 413]


async def test_feedback_is_bounded() -> None:
    async with TestClient(create_app(echoing())) as client:
        await begun(client)
        await write(client, "a", None, "Hi")
        path = f"{PATH}/a/feedback"
        refused = await client.post(path, json={"type": "positive", "comment": "x" * 2**16})
        allowed = await client.post(path, json={"type": "positive", "comment": "x" * 2**15})

    assert code_of(refused) == (413, "field_too_large")
    assert allowed.status == 200
