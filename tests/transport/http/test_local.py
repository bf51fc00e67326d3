"""`/text`, `/sse` and `/json`: what a request means, and how a failure shows."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

import anyio
import pytest

from statecast import AddMessage, AddToolResult, Agent, AgentError, Run, create_app
from statecast.protocol.errors import RequestError
from statecast.protocol.local.request import read_local
from statecast.state import Json
from statecast.testing import TestClient
from tests.transport.held_agent import until

PATHS = ["/text", "/sse", "/sse?form=content", "/json"]


# What a request means


def test_a_threads_messages_are_taken_as_they_are() -> None:
    call = {"type": "tool-call", "toolCallId": "a", "toolName": "ask", "args": {"x": 1}, "argsText": '{"x":1}'}
    body = {
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be kind."}]},
            {"id": "u", "role": "user", "content": "Hello", "attachments": [], "metadata": {"custom": {}}},
            {"id": "v", "role": "assistant", "content": [call], "status": {"type": "complete"}},
            {"id": "w", "role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.b/c"}}]},
        ],
        "system": "Be brief.",
        "callSettings": {"temperature": 0.5},
        "config": {"modelName": "m"},
        "tools": {"ask": {"parameters": {}}},
        "runConfig": {"custom": 1},
    }
    conversation = read_local(json.dumps(body).encode())
    request = conversation.request

    assert [(message.id, message.parts) for message in conversation.messages] == [
        ("u", [{"type": "text", "text": "Hello"}]),
        ("v", [call]),
        ("w", [{"type": "image", "image": "https://a.b/c"}]),
    ]
    assert (request.system, request.tools) == ("Be brief.\n\nBe kind.", {"ask": {"parameters": {}}})
    assert (request.call_settings.temperature, request.config.model_name) == (0.5, "m")
    assert request.extra == {"runConfig": {"custom": 1}}


def test_the_message_that_is_to_be_written_is_no_message_yet() -> None:
    said = {"role": "user", "content": "Hello"}
    messages = [said, {"role": "assistant", "content": [], "status": {"type": "running"}}]

    assert [message.role for message in read_local(json.dumps({"messages": messages}).encode()).messages] == ["user"]


BAD: list[tuple[Json, str]] = [
    ({}, "invalid_request"),
    ({"messages": 5}, "invalid_request"),
    ({"messages": []}, "invalid_request"),
    ({"messages": [], "threadId": "t", "truncate": True}, "invalid_request"),
    ({"messages": [5]}, "invalid_request"),
    ({"messages": [{"role": "user"}]}, "invalid_request"),
    ({"messages": [{"role": "king", "content": "x"}]}, "invalid_request"),
    ({"messages": [{"role": "user", "content": [5]}]}, "invalid_request"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "invalid_request"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "invalid_request"),
    ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}, "invalid_request"),
    ({"messages": [{"role": "user", "content": "x"}], "threadId": 5}, "invalid_request"),
    ({"messages": [{"role": "user", "content": "x"}], "toolResults": [{}]}, "invalid_request"),
    ({"messages": [{"role": "user", "content": "x"}], "toolResults": [{"toolCallId": "a"}]}, "thread_id_required"),
]


@pytest.mark.parametrize(("body", "code"), BAD)
def test_what_is_wrong_is_refused(body: Json, code: str) -> None:
    with pytest.raises(RequestError) as refused:
        read_local(json.dumps(body).encode())

    assert refused.value.code == code


# The endpoints


def agent_of(sent: anyio.Event | None = None) -> Agent:
    agent = Agent("bees")

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        text = command.message.text
        message = run.messages.assistant()
        if text == "ask":
            message.append_text("Well? ")
            message.add_tool_call("ask", {"x": 1}, id="c")
            return
        if text in ("fail late", "hang"):
            message.append_text("Half ")
            run.flush()
        if text == "hang":
            await anyio.sleep_forever()
        if text == "fail late" and sent is not None:
            await sent.wait()
        if text.startswith("fail"):
            raise AgentError("There are no bees.", code="no_bees")
        if text != "nothing":
            message.append_text(f"{len(run.messages)}: {text}")

    @agent.on(AddToolResult)
    def settle(run: Run, command: AddToolResult) -> None:
        run.messages.last_assistant().append_text(f"So it is {command.result}.")

    return agent


def said(text: str, **more: Json) -> Json:
    return {"messages": [{"role": "user", "content": text}], **more}


@pytest.mark.anyio
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"content": b"{"}, 400, "malformed_json"),
        ({"content": b"[]"}, 422, "invalid_request"),
        ({"json": said("x"), "headers": {"content-type": "text/plain;charset=UTF-8"}}, 415, "unsupported_media_type"),
        ({"json": said("x", threadId="a/b")}, 422, "invalid_thread_id"),
        ({"json": said("x", agent="wasps")}, 404, "unknown_agent"),
        ({"json": {"messages": [], "threadId": "t"}}, 404, "unknown_thread"),
        ({"json": said("x", callSettings={"temperature": "hot"})}, 422, "invalid_request"),
        ({"json": said("fail")}, 500, "no_bees"),
    ],
)
async def test_a_refusal_is_a_status_and_says_why(path: str, request_: Json, status: int, code: str) -> None:
    headers = {"content-type": "application/json", **request_.get("headers", {})}
    async with TestClient(agent_of()) as client:
        response = await client.post(path, **{**request_, "headers": headers})

    assert (response.status, response.json()["error"]["code"]) == (status, code)
    assert response.headers["content-type"] == "application/json"


@pytest.mark.anyio
async def test_a_form_of_events_that_there_is_not_is_refused() -> None:
    async with TestClient(agent_of()) as client:
        response = await client.post("/sse?form=morse", json=said("x"))

    assert (response.status, response.json()["error"]["code"]) == (422, "unknown_format")


@pytest.mark.anyio
@pytest.mark.parametrize("path", PATHS)
async def test_an_answer_says_which_thread_and_run_it_is_of(path: str) -> None:
    async with TestClient(agent_of()) as client:
        response = await client.post(path, json=said("x", threadId="t"))

    assert (response.status, response.headers["statecast-thread-id"]) == (200, "t")
    assert response.headers["statecast-run-id"].startswith("run_")
    kinds = {"/text": "text/plain; charset=utf-8", "/json": "application/json"}
    assert response.headers["content-type"] == kinds.get(path, "text/event-stream; charset=utf-8")


@pytest.mark.anyio
async def test_an_empty_answer_is_an_answer() -> None:
    async with TestClient(agent_of()) as client:
        text = await client.post("/text", json=said("nothing"))
        reply = await client.post("/json", json=said("nothing"))

    assert (text.status, text.content) == (200, b"")
    assert (reply.status, reply.json()["text"], reply.json()["parts"]) == (200, "", [])


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/text", "/sse", "/sse?form=content"])
async def test_a_run_that_fails_when_something_was_sent_cuts_the_connection(path: str) -> None:
    sent = anyio.Event()
    async with TestClient(agent_of(sent)) as client, client.stream("POST", path, json=said("fail late")) as response:
        await response.read_until(b"Half ")
        sent.set()
        with pytest.raises(EOFError):
            await response.read()

    assert response.status == 200
    assert b"Half " in response.content
    assert (b"no_bees" in response.content) == (path != "/text")


@pytest.mark.anyio
@pytest.mark.parametrize("path", PATHS)
async def test_a_run_that_is_cancelled_ends_as_it_is(path: str) -> None:
    async with TestClient(agent_of()) as client:
        answer = asyncio.create_task(client.post(path, json=said("hang", threadId="t")))
        await until(partial(_is_running, client))
        await client.post("/cancel", json={"threadId": "t"})
        response = await answer

    assert (response.status, b"Half " in response.content) == (200, True)


def _is_running(client: Any, runs: int = 1) -> bool:
    return client.app.hub.runs == runs and any(run.begun for run in client.app.hub._runs)


def _is_idle(client: Any) -> bool:
    return bool(client.app.hub.runs == 0)


@pytest.mark.anyio
@pytest.mark.parametrize("path", PATHS)
async def test_who_only_looks_is_shown_the_last_answer_and_follows_the_one_that_is_made(path: str) -> None:
    look = {"messages": [], "threadId": "t"}
    async with TestClient(agent_of()) as client:
        told = await client.post(path, json=said("x", threadId="t"))
        again = await client.post(path, json=look)
        first = asyncio.create_task(client.post(path, json=said("hang", threadId="t")))
        await until(partial(_is_running, client))
        second = asyncio.create_task(client.post(path, json=look))
        await until(partial(_is_read, client, "t", readers=2))
        await client.post("/cancel", json={"threadId": "t"})
        answers = [await first, await second]
        state = (await client.get("/threads/t/state")).json()["state"]

    assert (again.status, again.content) == (told.status, told.content)
    assert b"Half " in answers[0].content
    assert answers[0].content == answers[1].content
    assert len({answer.headers["statecast-run-id"] for answer in answers}) == 1
    assert len(state["messages"]) == 4


def _is_read(client: Any, thread_id: str, readers: int) -> bool:
    return bool(client.app.hub.loaded(thread_id).readers == readers)


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/text", "/sse", "/sse?form=content"])
async def test_a_server_that_stops_ends_no_stream_as_if_it_were_complete(path: str) -> None:
    app = create_app(agent_of())
    async with TestClient(app) as client, client.stream("POST", path, json=said("hang")) as response:
        await response.read_until(b"Half ")
        await app.hub.aclose()
        with pytest.raises(EOFError):
            await response.read()


@pytest.mark.anyio
async def test_a_server_that_stops_says_so_where_nothing_was_said_yet() -> None:
    app = create_app(agent_of())
    async with TestClient(app) as client:
        answer = asyncio.create_task(client.post("/json", json=said("hang")))
        await until(partial(_is_running, client))
        await app.hub.aclose()
        response = await answer

    assert (response.status, response.json()["error"]["code"]) == (503, "run_interrupted")
    assert response.headers["retry-after"] == "2"


@pytest.mark.anyio
@pytest.mark.parametrize("path", PATHS)
async def test_a_server_that_stops_gives_no_answer_to_what_is_still_to_run(path: str) -> None:
    app = create_app(agent_of())
    async with TestClient(app) as client:
        first = asyncio.create_task(client.post("/json", json=said("hang", threadId="t")))
        await until(partial(_is_running, client))
        second = asyncio.create_task(client.post(path, json=said("x", threadId="t")))
        await until(partial(_is_running, client, 2))
        await app.hub.aclose()
        await first
        response = await second

    assert (response.status, response.json()["error"]["code"]) == (503, "server_stopping")


@pytest.mark.anyio
async def test_results_go_on_with_the_answer_whether_they_are_in_the_message_or_beside_it() -> None:
    call = {"type": "tool-call", "toolCallId": "c", "toolName": "ask", "args": {"x": 1}, "result": "yes"}
    inside = {"role": "assistant", "content": [{"type": "text", "text": "Well? "}, call]}
    for number, more in enumerate([{}, {}, {"toolResults": [{"toolCallId": "c", "result": "yes"}]}]):
        named: Json = {} if number == 0 else {"threadId": f"t{number}"}
        async with TestClient(agent_of()) as client:
            first = await client.post("/json", json=said("ask", **named))
            body = said("ask", **named, **more)
            body["messages"] += [] if more else [inside]
            second = await client.post("/json", json=body)

        assert first.json()["toolCall"] == {"id": "c", "name": "ask", "args": {"x": 1}}
        assert first.json()["finishReason"] == "tool-calls"
        assert second.json()["text"] == "So it is yes.", number
        assert "toolCall" not in second.json()


@pytest.mark.anyio
async def test_leaving_before_the_first_word_stops_a_run_of_no_thread() -> None:
    agent = Agent("bees")

    @agent.on(AddMessage)
    async def hang(run: Run, command: AddMessage) -> None:
        await anyio.sleep_forever()

    for path in PATHS:
        app = create_app(agent)
        async with TestClient(app) as client:
            task = asyncio.create_task(client.post(path, json=said("x")))
            await until(partial(_is_running, client))
            task.cancel()
            await until(partial(_is_idle, client))
