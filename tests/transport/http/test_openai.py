"""OpenAI's chat completions as requests: what one means, what is refused, and what becomes of its run."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import anyio
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from statecast import AddMessage, AddToolResult, Agent, AgentError, Limits, Run, create_app
from statecast.protocol.errors import RequestError
from statecast.protocol.openai.request import read_completion
from statecast.state import Json
from statecast.testing import TestClient
from tests.transport.held_agent import until

PATH = "/v1/chat/completions"
ASK: Json = {"type": "function", "function": {"name": "ask", "parameters": {"type": "object"}}}


# What a request means


def said(*messages: Json, **more: Json) -> bytes:
    return json.dumps({"model": "bees", "messages": list(messages), **more}).encode()


def user(content: Json) -> Json:
    return {"role": "user", "content": content}


def calling(*ids: str, arguments: str = "{}") -> Json:
    calls = [{"id": id, "type": "function", "function": {"name": "ask", "arguments": arguments}} for id in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def answered(id: str, content: Json) -> Json:
    return {"role": "tool", "tool_call_id": id, "content": content}


def test_parts_of_a_users_message_are_those_of_the_state() -> None:
    content = [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,AAAA", "filename": "a.txt"}},
    ]
    (message,) = read_completion(said(user(content))).conversation.messages

    assert message.parts == [
        {"type": "text", "text": "Look"},
        {"type": "image", "image": "https://example.com/a.png"},
        {"type": "file", "data": "AAAA", "mimeType": "audio/mp3"},
        {"type": "file", "data": "data:text/plain;base64,AAAA", "mimeType": "text/plain", "filename": "a.txt"},
    ]


def test_an_assistants_messages_and_its_tools_results_are_one_message() -> None:
    thought = {"role": "assistant", "content": "Well.", "reasoning_content": "Hm.", "refusal": None}
    messages = [user("x"), thought, calling("a", "b"), answered("a", "1"), answered("b", "yes"), calling("c")]
    conversation = read_completion(said(*messages, answered("c", [{"type": "text", "text": "no"}]))).conversation
    _, assistant = conversation.messages

    assert [part["type"] for part in assistant.parts] == ["reasoning", "text", *["tool-call"] * 3]
    assert [part["result"] for part in assistant.parts[2:]] == [1, "yes", "no"]
    assert set(assistant.results_of_others) == {"a", "b"}, "whose results it has been told already"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, null]}', {"a": [1, None]}),
        ("true", True),
        ("1.5", 1.5),
        ('"quoted"', "quoted"),
        ("plain", "plain"),
        ("", ""),
        ("12345678901234567890", "12345678901234567890"),
        ('{"__proto__": 1}', '{"__proto__": 1}'),
        ("[" * 80 + "]" * 80, "[" * 80 + "]" * 80),
        ("NaN", "NaN"),
    ],
)
def test_a_tools_result_is_json_if_a_state_can_hold_it_and_else_text(text: str, value: Json) -> None:
    conversation = read_completion(said(user("x"), calling("a"), answered("a", text))).conversation

    assert conversation.messages[-1].parts[0]["result"] == value


def test_settings_reach_the_agent_and_a_tool_choice_of_none_hides_the_tools() -> None:
    settings = {"max_tokens": 1, "max_completion_tokens": 2, "top_p": 0.5, "seed": 3, "stop": ["x"], "n": 1}
    request = read_completion(said(user("x"), tools=[ASK], **settings)).conversation.request

    assert (request.call_settings.max_tokens, request.call_settings.top_p, request.call_settings.seed) == (2, 0.5, 3)
    assert request.tools == {"ask": {"parameters": {"type": "object"}}}
    assert request.extra == {"stop": ["x"]}
    assert read_completion(said(user("x"), tools=[ASK], tool_choice="none")).conversation.request.tools == {}


BAD = [
    ({"messages": [user("x")]}, None),
    ({"model": "bees"}, None),
    ({"model": 1, "messages": [user("x")]}, None),
    ({"messages": {}}, None),
    ({"messages": ["x"]}, None),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
    ({"messages": [user("x"), {"role": "assistant", "content": "y"}]}, "messages"),
    ({"messages": [user(None)]}, "messages[0].content"),
    ({"messages": [user(["x"])]}, "messages[0].content"),
    ({"messages": [user([{"type": "text"}])]}, "messages[0].content[0].text"),
    ({"messages": [user([{"type": "video", "video": {}}])]}, "messages[0].content[0].type"),
    ({"messages": [user([{"type": "image_url", "image_url": "x"}])]}, "messages[0].content[0].image_url.url"),
    ({"messages": [user([{"type": "file", "file": {"file_id": "x"}}])]}, "messages[0].content[0].file.file_data"),
    ({"messages": [{"role": "function", "name": "x", "content": "y"}]}, "messages[0].role"),
    ({"messages": [{"content": "y"}]}, "messages[0].role"),
    ({"messages": [user("x"), calling("a"), answered("b", "1")]}, "messages[2].tool_call_id"),
    ({"messages": [answered("b", "1")]}, "messages[0].tool_call_id"),
    ({"messages": [user("x"), {"role": "assistant", "tool_calls": 5}, user("y")]}, "messages[1].tool_calls"),
    ({"messages": [user("x"), {"role": "assistant", "tool_calls": [5]}, user("y")]}, "messages[1].tool_calls[0]"),
    ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
    ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
    ({"metadata": {"thread_id": 5}}, "metadata.thread_id"),
    ({"stream": "yes"}, None),
]


@pytest.mark.parametrize(("change", "param"), BAD)
def test_what_is_wrong_is_named(change: Json, param: str | None) -> None:
    body = {"model": "bees", "messages": [user("x")], **change} if param or "model" not in change else change
    if change == {"messages": [user("x")]}:
        body = change
    with pytest.raises(RequestError) as refused:
        read_completion(json.dumps(body).encode())

    assert refused.value.code == "invalid_request"
    assert refused.value.fields().get("param") == param


@pytest.mark.parametrize(
    "change",
    [
        {"n": 2},
        {"n": True},
        {"logprobs": True},
        {"top_logprobs": 3},
        {"modalities": ["text", "audio"]},
        {"audio": {"voice": "x", "format": "wav"}},
        {"functions": [{"name": "x"}]},
        {"function_call": "auto"},
    ],
)
def test_what_an_answer_cannot_have_is_refused(change: Json) -> None:
    with pytest.raises(RequestError) as refused:
        read_completion(said(user("x"), **change))

    assert (refused.value.code, refused.value.fields()) == ("unsupported_parameter", {"param": next(iter(change))})


# The endpoint


def echo(**settings: Any) -> Agent:
    """Return an agent that says what it was told, and how many messages there are."""
    agent = Agent("bees", **settings)

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        if command.message.text == "fail":
            raise AgentError("There are no bees.", code="no_bees")
        if command.message.text == "hang":
            run.messages.assistant().append_text("So ")
            run.flush()
            await anyio.sleep_forever()
        run.messages.assistant().append_text(f"{len(run.messages)}: {command.message.text}")

    @agent.on(AddToolResult)
    def settle(run: Run, command: AddToolResult) -> None:
        run.messages.last_assistant().append_text("settled")

    return agent


def asked(text: str, **more: Json) -> Json:
    return {"model": "bees", "messages": [user(text)], **more}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("request_", "status", "code", "kind"),
    [
        ({"content": b"{"}, 400, "malformed_json", "invalid_request_error"),
        ({"content": b"[]"}, 400, "invalid_request", "invalid_request_error"),
        ({"content": b"{}"}, 400, "invalid_request", "invalid_request_error"),
        ({"content": b'{"model":"bees","messages":' + b"[" * 200}, 400, "too_deep", "invalid_request_error"),
        ({"json": asked("x"), "headers": {"content-type": "text/plain"}}, 415, "unsupported_media_type", None),
        ({"json": asked("x" * 3000)}, 413, "body_too_large", "invalid_request_error"),
        ({"json": {**asked("x"), "model": "wasps"}}, 404, "model_not_found", "invalid_request_error"),
        ({"json": asked("x", seed=2**60)}, 400, "number_out_of_range", "invalid_request_error"),
        ({"json": asked("x"), "headers": {"statecast-thread-id": "a/b"}}, 400, "invalid_thread_id", None),
        ({"json": asked("fail")}, 500, "no_bees", "server_error"),
    ],
)
async def test_a_refusal_has_openais_form(request_: Json, status: int, code: str, kind: str | None) -> None:
    app = create_app(echo(), limits=Limits(body=2000))
    headers = {"content-type": "application/json", **request_.get("headers", {})}
    async with TestClient(app) as client:
        response = await client.post(PATH, **{**request_, "headers": headers})
        error = response.json()["error"]

    assert (response.status, error["code"]) == (status, code)
    assert list(error) == ["message", "type", "param", "code"]
    assert kind is None or error["type"] == kind
    assert response.headers["x-should-retry"] == "false"


@pytest.mark.anyio
@pytest.mark.parametrize(("method", "path"), [("GET", PATH), ("DELETE", "/v1/models"), ("POST", "/v1/models/bees")])
async def test_other_methods_are_refused_in_the_same_form(method: str, path: str) -> None:
    async with TestClient(echo()) as client:
        response = await client.request(method, path)

    assert (response.status, response.json()["error"]["code"]) == (405, "method_not_allowed")
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert "allow" in response.headers


@pytest.mark.anyio
async def test_a_key_counts_only_where_the_app_identifies() -> None:
    async def who(request: HTTPConnection) -> str:
        name = request.headers.get("authorization", "").removeprefix("Bearer ")
        if name not in ("ann", "bob"):
            raise HTTPException(401, "who are you?")
        return name

    def key(name: str) -> dict[str, str]:
        return {"authorization": f"Bearer {name}", "statecast-thread-id": "t"}

    async with TestClient(create_app(echo())) as client:
        assert (await client.post(PATH, json=asked("x"), headers=key("anything"))).status == 200
    async with TestClient(create_app(echo(), identify=who)) as client:
        refused = await client.post(PATH, json=asked("x"), headers=key("anything"))
        assert (refused.status, refused.json()["error"]["type"]) == (401, "authentication_error")
        for name in ("ann", "bob"):
            answer = await client.post(PATH, json=asked(name), headers=key(name))
            assert answer.json()["choices"][0]["message"]["content"] == f"2: {name}", "nothing of the other's thread"


@pytest.mark.anyio
async def test_a_thread_is_named_by_header_before_query_before_metadata() -> None:
    named = {"metadata": {"thread_id": "c"}}
    async with TestClient(echo()) as client:
        first = await client.post(f"{PATH}?thread=b", json=asked("x", **named), headers={"statecast-thread-id": "a"})
        second = await client.post(f"{PATH}?thread=b", json=asked("x", **named))
        third = await client.post(PATH, json=asked("x", **named))

    assert [response.headers["statecast-thread-id"] for response in (first, second, third)] == ["a", "b", "c"]


@pytest.mark.anyio
async def test_what_is_posted_without_a_thread_is_gone_with_the_run() -> None:
    history = [user("one"), {"role": "assistant", "content": "1"}, user("two")]
    async with TestClient(echo()) as client:
        answer = await client.post(PATH, json={"model": "bees", "messages": history})
        assert answer.json()["choices"][0]["message"]["content"] == "4: two"
        again = await client.post(PATH, json=asked("three"))
        assert again.json()["choices"][0]["message"]["content"] == "2: three"
    async with TestClient(echo(adopt=False)) as client:
        answer = await client.post(PATH, json={"model": "bees", "messages": history})
        assert answer.json()["choices"][0]["message"]["content"] == "2: two", "no history is taken from a client"


@pytest.mark.anyio
@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize(("named", "query"), [({}, ""), ({"metadata": {"thread_id": "t"}}, "?onDisconnect=cancel")])
async def test_leaving_stops_a_run_of_no_thread_or_one_that_was_to_be_stopped(
    streams: bool, named: Json, query: str
) -> None:
    app = create_app(echo())
    async with TestClient(app) as client:
        task = asyncio.create_task(client.post(PATH + query, json=asked("hang", stream=streams, **named)))
        await until(lambda: any(run.begun for run in app.hub._runs))
        task.cancel()
        await until(lambda: app.hub.runs == 0)


@pytest.mark.anyio
async def test_leaving_stops_no_run_of_a_thread() -> None:
    app = create_app(echo())
    async with TestClient(app) as client:
        task = asyncio.create_task(client.post(PATH, json=asked("hang", metadata={"thread_id": "t"})))
        await until(lambda: any(run.begun for run in app.hub._runs))
        task.cancel()
        await asyncio.wait({task})
        assert (await client.get("/status/t")).json()["status"] == "running"


@pytest.mark.anyio
async def test_a_server_that_stops_ends_no_stream_as_if_the_answer_were_complete() -> None:
    app = create_app(echo())
    async with TestClient(app) as client, client.stream("POST", PATH, json=asked("hang", stream=True)) as response:
        await response.read_until(b"So ")
        await app.hub.aclose()
        await response.read()

    assert b'"code":"run_interrupted"' in response.content
    async with TestClient(create_app(echo())) as client:
        reply = asyncio.create_task(client.post(PATH, json=asked("hang")))
        await until(lambda: any(run.begun for run in client.app.hub._runs))  # type: ignore[attr-defined]  # an App
        await client.app.hub.aclose()  # type: ignore[attr-defined]  # likewise
        refused = await reply

    assert (refused.status, refused.json()["error"]["code"]) == (503, "run_interrupted")
    assert "x-should-retry" not in refused.headers
    assert refused.headers["retry-after"] == "2"


@pytest.mark.anyio
async def test_a_run_that_another_client_began_is_followed_live() -> None:
    agent, go = Agent("bees"), anyio.Event()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        message.append_text("Honey ")
        run.flush()
        await go.wait()
        message.append_text("bees.")

    command = {"type": "add-message", "message": {"role": "user", "parts": [{"type": "text", "text": "Which?"}]}}
    body = asked("Which?", stream=True, metadata={"thread_id": "t"})
    async with TestClient(agent) as client:
        async with client.stream("POST", "/assistant", json={"commands": [command], "threadId": "t"}) as first:
            await first.read_until(b"Honey ")
            async with client.stream("POST", PATH, json=body) as second:
                await second.read_until(b"Honey ")
                go.set()
                await second.read()
            await first.read()

    chunks = [json.loads(line[6:]) for line in second.content.decode().split("\n\n") if line.startswith("data: {")]
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "Honey bees."
    assert first.headers["statecast-run-id"] == second.headers["statecast-run-id"]
