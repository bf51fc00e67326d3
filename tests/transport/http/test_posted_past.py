"""What a page posts of the past locks no thread: whatever is odd in it, the next message is heard."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statecast import AddMessage, AddToolResult, Agent, Run
from statecast.protocol.lenient import held_part, mended
from statecast.state import Json
from statecast.testing import TestClient
from statecast_agents import Document
from tests.transport.followers import state_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

BIG = 1795913919258000001
DEEP: Json = [[[["x"]]]]
for _ in range(100):
    DEEP = [DEEP]

#: Parts of messages that some client may have, at some time, for whatever reason.
ODD: list[Json] = [
    5,
    None,
    "text",
    [],
    {},
    {"type": 5},
    {"type": "smell"},
    {"type": "text"},
    {"type": "text", "text": 1},
    {"type": "text", "text": "half an emoji \ud83d"},
    {"type": "text", "text": "x", "__proto__": {"a": 1}},
    {"type": "reasoning"},
    {"type": "file"},
    {"type": "file", "url": 5, "data": 5},
    {"type": "image", "image": {"constructor": 1}},
    {"type": "source-url", "url": 5, "sourceId": BIG},
    {"type": "data-x", "data": {"constructor": [BIG]}},
    {"type": "tool-call"},
    {"type": "tool-call", "toolCallId": 5, "toolName": None},
    {"type": "tool-call", "toolCallId": "c", "toolName": "t", "args": {"n": BIG}, "result": {"__proto__": 1}},
    {"type": "tool-call", "toolCallId": "c", "toolName": "t", "input": {"constructor": 1}, "args": 5, "argsText": 5},
    {"type": "tool-x"},
    {"type": "tool-x", "toolCallId": {}, "state": "output-available"},
    {"type": "tool-x", "toolCallId": "c", "state": "output-available", "input": BIG, "output": {"prototype": DEEP}},
    {"type": "dynamic-tool", "toolCallId": "c", "state": 5, "approval": 5},
    {"type": "tool-result"},
    {"type": "tool-result", "toolCallId": "c", "output": {"type": "json", "value": BIG}},
    {"type": "binary"},
    {"type": "image", "source": {"type": "data", "value": 5}},
    {"type": "image_url", "image_url": 5},
]

#: What is odd about a message as a whole, beside what it is in.
ODD_MESSAGES: list[Json] = [
    5,
    None,
    {},
    {"role": "nobody"},
    {"role": "assistant"},
    {"role": "user", "id": 5},
    {"role": "tool", "id": "x", "toolCallId": 5, "content": 5},
    {"role": "tool", "tool_call_id": "never called", "content": "x"},
    {"role": "tool", "content": [{"type": "tool-result"}, 5]},
    {"role": "assistant", "id": "a", "content": {"constructor": 1}, "parts": {"constructor": 1}},
    {"role": "assistant", "id": "a", "content": None, "toolCalls": [5, {}, {"id": 5, "function": {}}]},
    {"role": "assistant", "id": "a", "content": None, "tool_calls": [5, {}, {"id": 5, "function": {}}]},
    {"role": "assistant", "id": "a", "content": None, "toolCalls": 5, "tool_calls": 5},
    {"role": "user", "id": "u", "content": [5], "parts": [5], "metadata": {"constructor": BIG}},
    {"role": "reasoning", "id": "r", "content": 5},
    {"role": "activity"},
]

Body = Callable[[str, list[Json]], tuple[str, Json]]


def chat(thread: str, messages: list[Json]) -> tuple[str, Json]:
    return "/chat", {"id": thread, "messages": messages}


def model(thread: str, messages: list[Json]) -> tuple[str, Json]:
    return "/chat?protocol=data-stream", {"threadId": thread, "messages": messages}


def ag_ui(thread: str, messages: list[Json]) -> tuple[str, Json]:
    return "/ag-ui", {"threadId": thread, "runId": "r", "messages": messages}


def local(path: str) -> Body:
    return lambda thread, messages: (path, {"threadId": thread, "messages": messages})


def openai(thread: str, messages: list[Json]) -> tuple[str, Json]:
    body = {"model": "agent", "stream": True, "messages": messages, "metadata": {"thread_id": thread}}
    return "/v1/chat/completions", body


#: How a protocol's request is made, and what its messages call their parts.
PROTOCOLS: dict[str, tuple[Body, str]] = {
    "the AI SDK": (chat, "parts"),
    "data-stream": (model, "content"),
    "AG-UI": (ag_ui, "content"),
    "/text": (local("/text"), "content"),
    "/sse": (local("/sse"), "content"),
    "/json": (local("/json"), "content"),
    "OpenAI": (openai, "content"),
}


def echo() -> Agent:
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text(f"heard {command.message.text}")

    @agent.on(AddToolResult)
    async def go_on(run: Run, command: AddToolResult) -> None:
        run.messages.last_assistant().append_text("heard a result")

    return agent


def said(id: str, text: str, name: str, role: str = "user") -> Json:
    return {"id": id, "role": role, name: [{"type": "text", "text": text}]}


async def post(client: TestClient, path: str, body: Json) -> Any:
    content = json.dumps(body).encode()  # with escapes, as JavaScript writes half an emoji
    return await client.post(path, content=content, headers={"content-type": "application/json"})


@pytest.mark.parametrize("protocol", PROTOCOLS)
@settings(max_examples=30, deadline=None)
@given(
    odd=st.lists(st.sampled_from(ODD), min_size=1, max_size=4),
    whole=st.lists(st.sampled_from(ODD_MESSAGES), max_size=3),
    role=st.sampled_from(["user", "assistant", "tool"]),
    known=st.booleans(),
    at=st.integers(0, 2),
)
async def test_whatever_is_odd_in_the_past_the_next_message_is_heard(
    protocol: str, odd: list[Json], whole: list[Json], role: str, known: bool, at: int
) -> None:
    make, name = PROTOCOLS[protocol]
    async with TestClient(echo()) as client:
        past: list[Json] = [said("u1", "one", name), said("a1", "heard one", name, "assistant")]
        if known:
            await post(client, *make("t", past[:1]))
        past[at:at] = [{"id": "odd", "role": role, name: odd}, *whole]
        for id, text in (("u2", "two"), ("u3", "three")):
            past.append(said(id, text, name))
            answer = await post(client, *make("t", past))
            assert (answer.status, f"heard {text}") == (200, f"heard {text}"), answer.content
            assert f"heard {text}".encode() in answer.content, answer.content
            past.append(said(f"a {id}", f"heard {text}", name, "assistant"))

        state = await state_of(client)
    Document(state)
    users = [m["parts"][-1].get("text") for m in state["messages"] if m["role"] == "user" and m["parts"]]
    assert users[-2:] == ["two", "three"]
    assert len({m["id"] for m in state["messages"]}) == len(state["messages"])


LAST: list[tuple[str, Json]] = [
    ("/chat", {"id": "t", "messages": [{"role": "user", "parts": [{"type": "text", "text": 1}]}]}),
    ("/chat", {"id": "t", "messages": [{"role": "user", "parts": [{"type": "data-x", "data": {"constructor": 1}}]}]}),
    ("/chat", {"id": "t", "messages": [{"role": "user", "parts": [{"type": "data-x", "data": BIG}]}]}),
    ("/chat?protocol=data-stream", {"threadId": "t", "messages": [{"role": "user", "content": [{"type": "file"}]}]}),
    ("/ag-ui", {"threadId": "t", "runId": "r", "messages": [{"id": "u", "role": "user", "content": [{}]}]}),
    ("/text", {"threadId": "t", "messages": [{"role": "user", "content": [{"type": "image"}]}]}),
    ("/text", {"threadId": "t", "messages": [5]}),
]


@pytest.mark.parametrize(("path", "body"), LAST)
async def test_the_message_that_a_request_is_about_is_checked(path: str, body: Json) -> None:
    async with TestClient(echo()) as client:
        refused = await post(client, path, body)
        assert refused.status == 422
        assert (await client.get("/status/t")).status == 404
        body["messages"].append(said("u9", "and now", "parts" if path == "/chat" else "content"))
        after = await post(client, path, body)

    assert after.status == 200
    assert b"heard and now" in after.content


async def test_the_rest_of_a_request_is_checked_as_before() -> None:
    body = {"id": "t", "messages": [said("u", "hi", "parts")]}
    async with TestClient(echo()) as client:
        for more, code in (({"tools": {"constructor": 1}}, "forbidden_key"), ({"mine": BIG}, "number_out_of_range")):
            assert (await post(client, "/chat", {**body, **more})).json()["error"]["code"] == code


RESULTS: list[tuple[Json, Json]] = [
    ({"id": 1152921504606847000}, {"id": 1152921504606847000}),
    ({"id": BIG}, '{"id":1795913919258000001}'),
    ({"constructor": 1}, '{"constructor":1}'),
    ("12345678901234567890", "12345678901234567890"),
]


@pytest.mark.parametrize(("output", "result"), RESULTS)
async def test_a_result_that_a_state_cannot_hold_is_kept_as_text(output: Json, result: Json) -> None:
    agent = echo()

    @agent.on("ask")
    async def ask(run: Run, command: Any) -> None:
        run.messages.assistant(id="a1").add_tool_call("ask", {}, id="c")

    part = {"type": "tool-ask", "toolCallId": "c", "input": {}, "state": "output-available", "output": output}
    async with TestClient(agent) as client:
        await client.run({"type": "ask"}, thread_id="t", state={})
        answer = await post(
            client, "/chat", {"id": "t", "messages": [{"id": "a1", "role": "assistant", "parts": [part]}]}
        )
        state = await state_of(client)

    assert answer.status == 200
    assert state["messages"][0]["parts"][0]["result"] == result
    assert b"heard a result" in answer.content


@given(st.lists(st.sampled_from(["\\ud83d", "\\ude00", "\\\\", "\\\\ud83d", "\\n", "\\u0041", "x", '\\"'])))
def test_half_an_emoji_becomes_what_browsers_make_of_it(pieces: list[str]) -> None:
    text = f'{{"a":"{"".join(pieces)}","messages":"{"".join(pieces)}"}}'.encode()
    before = json.loads(text)["messages"]
    expected = before.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    assert json.loads(mended(text)) == {"a": before, "messages": expected}


@pytest.mark.parametrize("part", [part for part in ODD if isinstance(part, dict) and "type" in part])
def test_a_part_of_the_past_is_one_that_a_state_can_hold(part: dict[str, Any]) -> None:
    Document(held_part(part))
