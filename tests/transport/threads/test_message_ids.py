"""A message with an id is said once, over every protocol: retried, queued, in one batch, after a restart."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from statecast import AddMessage, Agent, Run, UntypedCommand, create_app
from statecast.state import Json
from statecast.testing import Response, TestClient
from tests.transport.followers import PATH, crashed, posted, state_of, store_of
from tests.transport.held_agent import HOLD, held, note, until

pytestmark = pytest.mark.anyio


def echo(**settings: Any) -> Agent:
    agent, _ = holding(**settings)
    return agent


def holding(**settings: Any) -> tuple[Agent, Any]:
    """Return an agent that echoes, and whose `hold` waits until it is released."""
    agent, release = held(**settings)

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text(f"said {command.message.text}")

    return agent, release


def message(id: str | None, text: str = "hello", *, role: str = "user", **fields: Any) -> dict[str, Any]:
    named = {} if id is None else {"id": id}
    return {
        "type": "add-message",
        "message": {**named, "role": role, "parts": [{"type": "text", "text": text}]},
        **fields,
    }


def said_by_users(state: Json) -> list[str]:
    return [m["parts"][0]["text"] for m in state["messages"] if m["role"] == "user"]


def ids_in(state: Json) -> list[str]:
    return [m["id"] for m in state["messages"]]


# POST /assistant


async def test_a_retry_of_a_message_is_applied_once_and_names_its_run() -> None:
    async with TestClient(echo()) as client:
        first = await client.run(message("m1"), thread_id="t", state={})
        again = await client.run(message("m1"), thread_id="t", state=None)

        assert (again.status, again.error) == (200, None)
        assert again.headers["statecast-run-id"] == first.headers["statecast-run-id"]
        assert said_by_users(await state_of(client)) == ["hello"]
        assert again.state == await state_of(client)


async def test_a_message_that_is_queued_twice_is_said_once() -> None:
    agent, release = holding()
    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(HOLD, state={})) as first:
        await first.read_until(b"held")
        async with (
            client.stream("POST", PATH, json=posted(message("m1"))) as one,
            client.stream("POST", PATH, json=posted({**message("m1"), "id": "a try"})) as two,
        ):
            assert one.headers["statecast-run-id"] == two.headers["statecast-run-id"]
            release.set()
            await one.read()
            await two.read()

        assert said_by_users(await state_of(client)) == ["hello"]


async def test_a_message_that_is_in_a_batch_twice_is_said_once() -> None:
    async with TestClient(echo()) as client:
        await client.run(message("m1"), message("m1"), message("m2"), thread_id="t", state={})

        assert said_by_users(await state_of(client)) == ["hello", "hello"]
        assert len(set(ids_in(await state_of(client)))) == 4


@pytest.mark.parametrize("where", ["alone", "in one batch", "queued"])
@pytest.mark.parametrize(
    "other",
    [
        message("m1", "something else"),
        {"type": "add-message", "message": {"id": "m1", "role": "user", "parts": []}},
        {
            "type": "add-message",
            "message": {
                "id": "m1",
                "role": "user",
                "parts": [{"type": "text", "text": "hello"}],
                "metadata": {"a": 1},
            },
        },
    ],
)
async def test_another_message_under_a_known_id_is_refused(other: Json, where: str) -> None:
    agent, release = holding()
    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(HOLD, state={})) as first:
        await first.read_until(b"held")
        if where == "alone":
            release.set()
            await first.read()
        if where != "in one batch":
            queued = client.stream("POST", PATH, json=posted(message("m1")))
            async with queued:
                refused = await client.post(PATH, json=posted(other))
                release.set()
        else:
            refused = await client.post(PATH, json=posted(message("m1"), other))
        release.set()

        assert (refused.status, refused.json()["error"]["code"]) == (409, "command_id_reused")


async def test_an_edit_that_keeps_the_id_of_its_message_is_another_message() -> None:
    async with TestClient(echo()) as client:
        await client.run(message("m1"), thread_id="t", state={})
        edited = message("m1", "hallo", sourceId="m1", parentId=None)
        await client.run(edited, thread_id="t")
        assert said_by_users(await state_of(client)) == ["hallo"]
        await client.run(edited, thread_id="t")  # to have it answered anew

        assert said_by_users(await state_of(client)) == ["hallo"]


async def test_what_an_edit_has_dropped_does_not_come_back_with_a_retry() -> None:
    async with TestClient(echo()) as client:
        await client.run(message("m1"), thread_id="t", state={})
        await client.run(message("m2", "else", sourceId="m1", parentId=None), thread_id="t")
        await client.run(message("m1"), thread_id="t")

        assert said_by_users(await state_of(client)) == ["else"]


async def test_a_message_that_a_run_waited_for_is_said_once() -> None:
    agent = Agent()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        note(run, (await run.wait_for(AddMessage)).message.text)

    async with TestClient(agent) as client:
        await client.run({"type": "work"}, thread_id="t", state={})
        for _ in range(2):
            await client.run(message("m1"), thread_id="t")

        state = await state_of(client)
    assert (said_by_users(state), state["notes"]) == (["hello"], ["hello"])


async def test_an_agent_that_keeps_its_own_messages_is_told_once() -> None:
    agent = Agent(messages=None)
    agent.on(AddMessage)(lambda run, command: note(run, command.message.text))
    async with TestClient(agent) as client:
        for _ in range(2):
            await client.run(message("m1"), thread_id="t")

        assert await state_of(client) == {"notes": ["hello"]}


@pytest.mark.parametrize("moment", ["after it was answered", "while it waits"])
async def test_a_retry_after_a_restart_is_known(moment: str, tmp_path: Path) -> None:
    agent, release = holding()
    store: Any = store_of("sqlite", tmp_path)
    async with TestClient(create_app(agent, store=store)) as client:
        async with client.stream("POST", PATH, json=posted(HOLD, state={})) as first:
            await first.read_until(b"held")
            if moment == "after it was answered":
                release.set()
                await first.read()
                await client.run(message("m1"), thread_id="t")
                found = crashed(store, tmp_path)
            else:
                async with client.stream("POST", PATH, json=posted(message("m1"))):
                    found = crashed(store, tmp_path)
            release.set()
    async with TestClient(create_app(echo(), store=found)) as client:
        await client.run(message("m1"), thread_id="t")
        await until(lambda: not client.app.hub.runs)  # type: ignore[attr-defined]  # an App

        assert said_by_users(await state_of(client)) == ["hello"]


# Clients that hold the messages themselves

Post = Callable[[list[tuple[str, str]]], tuple[str, Json]]


def _ui(said: list[tuple[str, str]]) -> tuple[str, Json]:
    messages = [{"id": id, "role": "user", "parts": [{"type": "text", "text": text}]} for id, text in said]
    return "/chat", {"id": "t", "trigger": "submit-message", "messages": messages}


def _model(said: list[tuple[str, str]]) -> tuple[str, Json]:
    messages = [{"role": "user", "content": [{"type": "text", "text": text}]} for _, text in said]
    body = {"threadId": "t", "parentId": said[-1][0], "messages": messages}
    return "/chat?protocol=data-stream", body


def _model_without_ids(said: list[tuple[str, str]]) -> tuple[str, Json]:
    messages = [{"role": "user", "content": [{"type": "text", "text": text}]} for _, text in said]
    return "/chat?protocol=data-stream", {"threadId": "t", "messages": messages}


def _ag_ui(said: list[tuple[str, str]]) -> tuple[str, Json]:
    messages = [{"id": id, "role": "user", "content": text} for id, text in said]
    return "/ag-ui", {"threadId": "t", "runId": "r", "messages": messages, "state": {}}


def _local(path: str) -> Post:
    def post(said: list[tuple[str, str]]) -> tuple[str, Json]:
        messages = [{"id": id, "role": "user", "content": text} for id, text in said]
        return path, {"threadId": "t", "messages": messages}

    return post


def _local_without_ids(said: list[tuple[str, str]]) -> tuple[str, Json]:
    messages = [{"role": "user", "content": text} for _, text in said]
    return "/text", {"threadId": "t", "messages": messages}


def _openai(said: list[tuple[str, str]]) -> tuple[str, Json]:
    messages = [{"role": "user", "content": text} for _, text in said]
    body = {"model": "agent", "messages": messages, "stream": True, "metadata": {"thread_id": "t"}}
    return "/v1/chat/completions", body


POSTS: dict[str, Post] = {
    "the AI SDK": _ui,
    "data-stream": _model,
    "data-stream without ids": _model_without_ids,
    "AG-UI": _ag_ui,
    "/text": _local("/text"),
    "/sse": _local("/sse"),
    "/text without ids": _local_without_ids,
    "OpenAI": _openai,
}


def slow() -> tuple[Agent, anyio.Event]:
    """Return an agent whose answer to "slow" waits until it is released."""
    agent, release = Agent(), anyio.Event()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        answer = run.messages.assistant()
        if command.message.text == "slow":
            answer.append_text("held")
            await release.wait()
        answer.append_text(f"said {command.message.text}")

    return agent, release


FIRST, SECOND = ("u1", "slow"), ("u2", "quick")


@contextlib.asynccontextmanager
async def posting(protocol: str, *said: list[tuple[str, str]]) -> AsyncIterator[tuple[TestClient, list[Response]]]:
    """Post one after the other behind a run that waits; then let all of it go on, to the end."""
    agent, release = slow()
    answers: list[Response] = []
    async with TestClient(agent) as client, anyio.create_task_group() as tasks:

        async def post(messages: list[tuple[str, str]]) -> None:
            path, body = POSTS[protocol](messages)
            answers.append(await client.post(path, json=body))

        for count, messages in enumerate(said, 1):
            tasks.start_soon(post, messages)
            await until(lambda count=count: _readers(client) == count)  # type: ignore[misc]  # mypy knows no defaults
        release.set()
        await until(lambda: len(answers) == len(said))
        yield client, answers


def _readers(client: TestClient) -> int:
    thread = client.app.hub.loaded("t")  # type: ignore[attr-defined]  # an App
    return 0 if thread is None else thread.readers


FIRST, SECOND = ("u1", "slow"), ("u2", "quick")


@pytest.mark.parametrize("protocol", POSTS)
async def test_a_queued_message_that_is_posted_again_is_one_message(protocol: str) -> None:
    async with posting(protocol, [FIRST], [FIRST, SECOND], [FIRST, SECOND]) as (client, answers):
        assert said_by_users(await state_of(client)) == ["slow", "quick"]
    assert sum(b"quick" in answer.content for answer in answers) == 2


@pytest.mark.parametrize("protocol", POSTS)
async def test_the_same_words_said_twice_are_two_messages(protocol: str) -> None:
    again = [FIRST, SECOND, ("u3", "quick")]
    async with posting(protocol, [FIRST], [FIRST, SECOND], again) as (client, _):
        assert said_by_users(await state_of(client)) == ["slow", "quick", "quick"]


@pytest.mark.parametrize("protocol", ["data-stream", "AG-UI"])
async def test_a_page_may_go_back_to_what_it_has_dropped(protocol: str) -> None:
    async with TestClient(echo()) as client:
        for said in ([("u1", "one")], [("u2", "two")], [("u1", "one")]):
            path, body = POSTS[protocol](said)
            response = await client.post(path, json=body)

    assert response.status == 200
    assert b"said one" in response.content


PICTURES = [
    ("/chat", "parts", [{"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,%s"}]),
    ("/chat?protocol=data-stream", "content", [{"type": "file", "mediaType": "image/png", "data": "%s"}]),
    ("/text", "content", [{"type": "image", "image": "data:image/png;base64,%s"}]),
    ("/v1/chat/completions", "content", [{"type": "image_url", "image_url": {"url": "data:image/png;base64,%s"}}]),
]


@pytest.mark.parametrize(("path", "name", "parts"), PICTURES, ids=[row[0] for row in PICTURES])
async def test_another_picture_is_another_message(path: str, name: str, parts: Json) -> None:
    def body(*pictures: str) -> Json:
        made = [{"role": "user", name: json.loads(json.dumps(parts) % picture)} for picture in pictures]
        thread = {"metadata": {"thread_id": "t"}, "model": "agent"} if path.startswith("/v1") else {"threadId": "t"}
        return {**thread, "messages": made}

    async with TestClient(echo()) as client:
        for pictures in (["AAAA"], ["AAAA", "BBBB"], ["AAAA", "BBBB", "CCCC"]):
            await client.post(path, json=body(*pictures))
        users = [m for m in (await state_of(client))["messages"] if m["role"] == "user"]

    assert [m["parts"][0]["image"][-4:] for m in users] == ["AAAA", "BBBB", "CCCC"]


async def test_no_two_messages_of_a_thread_share_an_id() -> None:
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        for _ in range(2):
            run.messages.assistant(id="a").append_text("x")

    def user(id: str) -> Json:
        return {"id": id, "role": "user", "parts": [{"type": "text", "text": id}]}

    history = [user("u"), {**user("u"), "role": "assistant"}, user("u"), {**user("a"), "role": "assistant"}, user("v")]
    async with TestClient(agent) as client:
        await client.post("/chat", json={"id": "t", "messages": history})
        ids = ids_in(await state_of(client))

    assert len(set(ids)) == len(ids) == 7
