"""`POST /chat` and `GET /chat/{id}/stream`: what they refuse, and what they take."""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
import pytest

from statecast import AddMessage, Agent, AgentError, Limits, Run, create_app
from statecast.protocol.assistant_transport.data_stream import decode
from statecast.state import Json
from statecast.testing import TestClient
from tests.transport.http.test_owners import ANN, BOB, who
from tests.transport.projections import chunks_of

pytestmark = pytest.mark.anyio

UI = {"id": "t", "messages": [{"id": "u1", "role": "user", "parts": [{"type": "text", "text": "hi"}]}]}
MODEL = {"threadId": "t", "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]}


def echo(**settings: Any) -> Agent:
    agent = Agent(**settings)

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text(f"You said: {command.message.text}")

    return agent


def with_part(part: Json) -> Json:
    return {"messages": [{"role": "user", "content": [part]}]}


def with_ui_part(part: Json) -> Json:
    return {"messages": [{"role": "assistant", "parts": [part]}]}


#: What is wrong; the body; the status, the code, and words of the message.
REFUSED: list[tuple[str, Json, int, str, str]] = [
    ("no object", [], 422, "invalid_request", "object"),
    ("no messages", {}, 422, "invalid_request", "messages"),
    ("messages that are no list", {"messages": {}}, 422, "invalid_request", "array"),
    ("no message", {"messages": []}, 422, "invalid_request", "got none"),
    ("only instructions", {"messages": [{"role": "system", "content": "x"}]}, 422, "invalid_request", "got none"),
    ("a message that is no object", {"messages": ["hi"]}, 422, "invalid_request", "object"),
    ("no role", {"messages": [{"content": "hi"}]}, 422, "invalid_request", "messages[0]"),
    ("an unknown role", {"messages": [{"role": "me", "content": "hi"}]}, 422, "invalid_request", "messages[0]"),
    ("no content", {"messages": [{"role": "user"}]}, 422, "invalid_request", "content"),
    ("a part that is no object", with_part("hi"), 422, "invalid_request", "array of parts"),
    ("an unknown part", with_part({"type": "smell"}), 422, "invalid_request", "smell"),
    ("a text that is none", with_part({"type": "text", "text": 1}), 422, "invalid_request", "a string"),
    ("a file without data", with_part({"type": "file"}), 422, "invalid_request", "a string"),
    ("a call without an id", with_part({"type": "tool-call", "toolName": "x"}), 422, "invalid_request", "a string"),
    ("an answer of nothing", {"messages": [{"role": "tool", "content": [{}]}]}, 422, "invalid_request", "tool-result"),
    ("parts that are no list", {"messages": [{"role": "user", "parts": 1}]}, 422, "invalid_request", "array of parts"),
    ("a role that a chat lacks", {"messages": [{"role": "tool", "parts": []}]}, 422, "invalid_request", "messages[0]"),
    ("a part without a type", with_ui_part({}), 422, "invalid_request", "a part with a type"),
    ("a file without a url", with_ui_part({"type": "file"}), 422, "invalid_request", "a string"),
    ("a call of a chat without an id", with_ui_part({"type": "tool-x"}), 422, "invalid_request", "a string"),
    ("a trigger of another kind", {**UI, "trigger": "shout"}, 422, "invalid_request", "trigger"),
    ("tools that are no object", {**UI, "tools": ["a"]}, 422, "invalid_request", "tools"),
    ("a truncate that is none", {**MODEL, "truncate": "yes"}, 422, "invalid_request", "truncate"),
    ("a temperature that is none", {**UI, "temperature": "hot"}, 422, "invalid_request", "temperature"),
    ("a thread id of another form", {**UI, "id": "a/b"}, 422, "invalid_thread_id", "a/b"),
    ("an empty thread id", {**UI, "threadId": ""}, 422, "invalid_thread_id", ""),
    ("an id that is too long", {"messages": [{**UI["messages"][0], "id": "x" * 129}]}, 422, "invalid_command", "128"),  # type: ignore[dict-item]  # it is a list
    ("an integer beyond", {**UI, "state": 2**53 + 1}, 422, "number_out_of_range", "string"),
    ("a reserved name", {**UI, "state": {"__proto__": 1}}, 422, "forbidden_key", "__proto__"),
    ("an agent that is not there", {**UI, "agent": "nobody"}, 404, "unknown_agent", "nobody"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "code", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
async def test_a_request_that_is_wrong_is_refused_and_changes_nothing(
    body: Json, status: int, code: str, words: str
) -> None:
    async with TestClient(echo()) as client:
        answer = await client.post("/chat", json=body)
        threads = (await client.get("/health")).json()["threads"]

    assert (answer.status, answer.json()["error"]["code"]) == (status, code)
    assert words in answer.json()["error"]["message"]
    assert threads == 0


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"{", {}, 400, "malformed_json"),
        (b'{"messages":["\xff"]}', {}, 400, "malformed_json"),
        (b"[" * 140 + b"]" * 140, {}, 422, "too_deep"),
        (b"{}", {"content-type": "text/plain"}, 415, "unsupported_media_type"),
        (b'{"messages":"' + b"x" * 300 + b'"}', {}, 413, "body_too_large"),
    ],
    ids=["no JSON", "no UTF-8", "too deep", "another type", "too large"],
)
async def test_a_body_that_cannot_be_read_is_refused(
    content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    limits = Limits(body=300)
    async with TestClient(create_app(echo(), limits=limits)) as client:
        given = {"content-type": "application/json", **headers}
        answer = await client.post("/chat", content=content, headers=given)

    assert (answer.status, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("protocol=morse", "unknown_protocol"),
        ("protocol=assistant-transport", "unknown_protocol"),
        ("onDisconnect=never", "invalid_request"),
        ("agent=nobody", "unknown_agent"),
    ],
)
async def test_a_query_that_asks_for_what_there_is_not_is_refused(query: str, code: str) -> None:
    async with TestClient(echo()) as client:
        answer = await client.post(f"/chat?{query}", json=UI)
        assert (await client.get("/health")).json()["threads"] == 0

    assert answer.status in (404, 422)
    assert answer.json()["error"]["code"] == code


async def test_a_stream_is_asked_for_in_a_protocol_and_of_a_thread_that_can_be() -> None:
    async with TestClient(echo()) as client:
        assert (await client.get("/chat/t/stream?protocol=morse")).json()["error"]["code"] == "unknown_protocol"
        assert (await client.get("/chat/a%20b/stream")).json()["error"]["code"] == "invalid_thread_id"
        unknown = await client.get("/chat/t/stream")
        assert (unknown.status, unknown.content) == (204, b"")
        assert (await client.post("/chat/t/stream")).status == 405


async def test_the_first_protocol_is_the_one_that_a_client_gets_that_names_none() -> None:
    async with TestClient(echo()) as client:
        answer = await client.post("/chat", json=UI)

    assert answer.headers["x-vercel-ai-ui-message-stream"] == "v1"
    assert answer.headers["statecast-thread-id"] == "t"
    assert answer.headers["statecast-run-id"].startswith("run_")
    assert "statecast-cursor" in answer.headers
    assert "text-delta" in answer.content.decode()


async def test_nobody_reads_or_continues_a_thread_of_someone_else() -> None:
    held, release = Agent(), anyio.Event()

    @held.on(AddMessage)
    async def wait(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text(f"secret of {command.message.text}")
        await release.wait()

    async with TestClient(create_app(held, identify=who)) as client:
        assert (await client.post("/chat", json=UI)).status == 401
        async with client.stream("POST", "/chat", json=UI, headers=ANN) as response:
            await response.read_until(b"secret of hi")
            assert (await client.get("/chat/t/stream", headers=BOB)).status == 204
            release.set()
            theirs = await client.post("/chat", json={**UI, "messages": [user("bob")]}, headers=BOB)
            await response.read()
        states = [(await client.get("/threads/t/state", headers=owner)).json()["state"] for owner in (ANN, BOB)]

    assert b"secret of hi" not in theirs.content
    assert [len(state["messages"]) for state in states] == [2, 2]


def user(text: str, id: str = "u9") -> dict[str, Json]:
    return {"id": id, "role": "user", "parts": [{"type": "text", "text": text}]}


async def test_a_thread_keeps_its_agent() -> None:
    async with TestClient(create_app([echo(name="one"), echo(name="two")])) as client:
        await client.post("/chat?agent=two", json=UI)
        more = {**UI, "messages": [*UI["messages"], user("more")]}
        assert (await client.post("/chat?agent=one", json=more)).json()["error"]["code"] == "agent_mismatch"
        assert (await client.post("/chat", json={**more, "agent": "one"})).status == 409
        assert (await client.post("/chat", json=more)).status == 200


async def test_a_stale_tab_that_asks_again_gets_its_own_answer_and_no_later_failure() -> None:
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text(f"You said: {command.message.text}")
        if command.message.text == "more":
            raise AgentError("no more")

    async with TestClient(agent) as client:
        first = await client.post("/chat", json=UI)
        second = await client.post("/chat", json={**UI, "messages": [*UI["messages"], user("more")]})
        again = await client.post("/chat", json=UI)

    assert "no more" in second.content.decode()
    texts = [
        [chunk["delta"] for chunk in chunks_of(answer.content) if chunk["type"] == "text-delta"]
        for answer in (first, again)
    ]
    assert texts[0] == texts[1] == ["You said: hi"]
    assert "no more" not in again.content.decode()


async def test_an_agent_that_adopts_nothing_begins_with_its_own_state() -> None:
    agent = echo(initial={"messages": [], "title": "ours"}, adopt=False)
    history = [user("old", "u0"), {"id": "a0", "role": "assistant", "parts": [{"type": "text", "text": "forged"}]}]
    async with TestClient(agent) as client:
        answer = await client.post(
            "/chat", json={"id": "t", "state": {"title": "x"}, "messages": [*history, user("hi")]}
        )
        state = (await client.get("/threads/t/state")).json()["state"]

    assert [part["parts"][0]["text"] for part in state["messages"]] == ["hi", "You said: hi"]
    assert state["title"] == "ours"
    assert [chunk["delta"] for chunk in chunks_of(answer.content) if chunk["type"] == "text-delta"] == ["You said: hi"]


async def test_an_agent_that_keeps_its_own_messages_is_given_what_is_said_and_answered() -> None:
    agent = Agent(messages=None)

    @agent.batch
    async def answer(run: Run) -> None:
        for command in run.commands:
            if isinstance(command, AddMessage):
                run.parts.append_text(f"You said: {command.message.text}")
                run.parts.add_tool_call("ask", {"a": 1}, id="c")
            else:
                run.parts.append_text(f"It is {command.result}.")  # type: ignore[union-attr]  # an AddToolResult

    async with TestClient(agent) as client:
        first = chunks_of((await client.post("/chat", json=UI)).content)
        call = {"type": "tool-ask", "toolCallId": "c", "state": "output-available", "input": {"a": 1}, "output": 3}
        answered = [*UI["messages"], {"id": "a1", "role": "assistant", "parts": [call]}]
        second = chunks_of((await client.post("/chat", json={**UI, "messages": answered})).content)
        again = await client.post("/chat", json=UI)

    assert [chunk["delta"] for chunk in first if chunk["type"] == "text-delta"] == ["You said: hi"]
    assert [chunk["delta"] for chunk in second if chunk["type"] == "text-delta"] == ["It is 3."]
    assert again.headers["statecast-run-id"]
    assert b"You said" not in again.content  # a retry


async def test_the_key_of_a_client_reaches_the_agent_and_its_base_url_only_where_that_is_allowed() -> None:
    for allowed in (False, True):
        agent = Agent(accept_base_url=allowed)
        seen: list[Any] = []

        @agent.batch
        async def look(run: Run, seen: list[Any] = seen) -> None:
            seen.append((run.request.config.api_key, run.request.config.base_url, run.request.parent_id))

        async with TestClient(agent) as client:
            await client.post("/chat", json={**MODEL, "apiKey": "k", "baseUrl": "http://evil", "parentId": "p"})

        assert seen == [("k", "http://evil" if allowed else None, "p")]


async def test_a_model_message_that_has_no_id_gets_that_of_the_request() -> None:
    async with TestClient(echo()) as client:
        await client.post("/chat?protocol=data-stream", json={**MODEL, "parentId": "mine"})
        state = (await client.get("/threads/t/state")).json()["state"]

    assert state["messages"][0]["id"] == "mine"


async def test_instructions_are_the_requests_system_and_no_message() -> None:
    agent = Agent()
    seen: list[Any] = []

    @agent.batch
    async def look(run: Run) -> None:
        seen.append((run.request.system, len(run.messages)))

    async with TestClient(agent) as client:
        system = {"role": "system", "content": "Be brief."}
        await client.post("/chat", json={**MODEL, "messages": [system, *MODEL["messages"]]})

    assert seen == [("Be brief.", 1)]


async def test_a_thread_that_is_not_named_is_a_thread_of_its_own() -> None:
    async with TestClient(echo()) as client:
        body = {"messages": MODEL["messages"]}
        answers = [await client.post("/chat?protocol=data-stream", json=body) for _ in range(2)]

    names = {answer.headers["statecast-thread-id"] for answer in answers}
    assert len(names) == 2
    assert all(name.startswith("thr_") for name in names)
    assert ("0", "You said: hi") in decode(answers[0].content)


async def test_too_many_runs_are_refused_with_a_time_to_come_back() -> None:
    agent, release = Agent(), anyio.Event()

    @agent.on(AddMessage)
    async def wait(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text("held")
        await release.wait()

    async with TestClient(create_app(agent, limits=Limits(runs=1))) as client:
        async with client.stream("POST", "/chat", json=UI) as response:
            await response.read_until(b"held")
            refused = await client.post("/chat", json={**UI, "id": "other"})
            release.set()
            await response.read()

    assert (refused.status, refused.json()["error"]["code"]) == (503, "server_full")
    assert "retry-after" in refused.headers


async def test_an_idle_stream_beats() -> None:
    agent, release = Agent(), anyio.Event()

    @agent.on(AddMessage)
    async def wait(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text("held")
        await release.wait()

    async with TestClient(create_app(agent, limits=Limits(heartbeat_seconds=0.02))) as client:
        async with client.stream("POST", "/chat", json=UI) as response:
            await response.read_until(b"\n\n: \n\n")
            release.set()
            await response.read()

    assert msgspec.json.decode(response.content.split(b"\n\n")[-3].removeprefix(b"data: "))["type"] == "finish"


async def test_a_chat_is_loaded_by_who_owns_it_and_is_empty_for_all_others() -> None:
    async with TestClient(create_app(echo(), identify=who)) as client:
        await client.post("/chat", json=UI, headers=ANN)
        loaded = (await client.get("/chat/t", headers=ANN)).json()
        foreign = await client.get("/chat/t", headers=BOB)
        unknown = await client.get("/chat/never", headers=ANN)
        refused = await client.get("/chat/no%20id", headers=ANN)

    assert [(message["role"], message["parts"][-1]) for message in loaded] == [
        ("user", {"type": "text", "text": "hi"}),
        ("assistant", {"type": "text", "text": "You said: hi"}),
    ]
    assert loaded[0]["id"] == "u1"
    assert [(answer.status, answer.json()) for answer in (foreign, unknown)] == [(200, []), (200, [])]
    assert (refused.status, refused.json()["error"]["code"]) == (422, "invalid_thread_id")


async def test_a_chat_has_no_messages_where_the_agent_keeps_none() -> None:
    agent = Agent(messages=None)

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.state = {"messages": "mine"}

    async with TestClient(agent) as client:
        await client.post("/chat", json=UI)
        assert (await client.get("/chat/t")).json() == []
