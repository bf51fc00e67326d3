"""`POST /ag-ui`, from turn to turn: who joins, who edits, who waits, and who is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest
from starlette.requests import HTTPConnection

from statecast import AddMessage, Agent, AgentError, Limits, Run, UntypedCommand, create_app
from statecast.testing import TestClient
from statecast_agents import Json
from tests.clients.ag_ui import shown
from tests.transport.strict_ag_ui_client import SAID, TOOLS, Reading, carried, events_in, posted, types

pytestmark = pytest.mark.anyio


def echo(**options: Any) -> Agent:
    agent = Agent(**options)

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        for word in f"You said: {command.message.text}".split(" "):
            message.append_text(word + " ")
            await asyncio.sleep(0)

    return agent


async def run(client: TestClient, *messages: Json, path: str = "/ag-ui", **more: Json) -> Reading:
    """Send a request, and return what a client has in the end that has these messages."""
    response = await client.post(path, json=posted(*messages, **more))
    assert response.status == 200, response.content
    return Reading(messages, more.get("state")).read(response.content)


async def state_of(client: TestClient, thread_id: str = "t") -> Json:
    return (await client.get(f"/threads/{thread_id}/state")).json()["state"]


async def test_a_conversation_goes_on_from_turn_to_turn() -> None:
    async with TestClient(echo()) as client:
        first = await run(client, SAID)
        second = await run(client, *first.messages, {**SAID, "id": "u2", "content": "more"})
        state = await state_of(client)

    assert shown(second.messages) == carried(state)
    assert [message["role"] for message in state["messages"]] == ["user", "assistant"] * 2
    assert second.types[:2] == ["RUN_STARTED", "TEXT_MESSAGE_START"]


async def test_the_response_is_a_stream_of_events_with_the_threads_headers() -> None:
    async with TestClient(echo()) as client:
        response = await client.post("/ag-ui", json=posted(SAID))

    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache, no-transform"
    assert response.headers["statecast-thread-id"] == "t"
    assert response.headers["statecast-run-id"].startswith("run_")
    assert response.content.startswith(b'data: {"type":"RUN_STARTED"')


async def test_whoever_joins_is_shown_everything_and_starts_nothing() -> None:
    async with TestClient(echo(initial={"title": "Bees"})) as client:
        await run(client, SAID)
        before = (await client.get("/status/t")).json()
        joined = await run(client)
        again = await run(client, *joined.messages, state=joined.state)
        status = (await client.get("/status/t")).json()
        state = await state_of(client)

    assert shown(joined.messages) == shown(again.messages) == carried(state)
    assert joined.state == {"title": "Bees"}
    assert joined.types[:3] == ["RUN_STARTED", "MESSAGES_SNAPSHOT", "STATE_SNAPSHOT"]
    assert status == before


async def test_whoever_asks_again_what_is_being_answered_joins() -> None:
    agent = Agent()
    begun, go_on = anyio.Event(), anyio.Event()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        begun.set()
        await go_on.wait()
        run.messages.assistant().append_text("once")

    async with TestClient(agent) as client:
        async with client.stream("POST", "/ag-ui", json=posted(SAID)) as response:
            await begun.wait()
            async with client.stream("POST", "/ag-ui", json=posted(SAID)) as again:
                go_on.set()
                both = [await response.read(), await again.read()]
        state = await state_of(client)

    readings = [Reading([SAID]).read(data) for data in both]
    assert [shown(reading.messages) for reading in readings] == [carried(state)] * 2
    assert len(state["messages"]) == 2
    assert response.headers["statecast-run-id"] == again.headers["statecast-run-id"]


async def test_a_call_that_comes_behind_what_was_posted_is_in_a_message_that_is_new() -> None:
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        for number in range(3):
            await run.call_tool("ask", {"number": number}, message=message)
        message.append_text("Done.")

    async with TestClient(agent) as client:
        reading = await run(client, SAID, tools=TOOLS)
        for number in range(3):
            known = {message["id"] for message in reading.messages[:-1]}
            call = reading.messages[-1]["toolCalls"][-1]["id"]
            assert reading.messages[-1]["id"] not in known
            result = {"id": f"r{number}", "role": "tool", "toolCallId": call, "content": str(number)}
            reading = await run(client, *reading.messages, result, tools=TOOLS)
            assert "MESSAGES_SNAPSHOT" not in reading.types
        joined = await run(client)
        state = await state_of(client)

    assert shown(reading.messages) == shown(joined.messages) == carried(state)
    assert [len(message.get("toolCalls", [])) for message in reading.messages] == [0, 1, 0, 1, 0, 1, 0, 0]


async def test_joining_a_thread_that_is_not_there_makes_none() -> None:
    async with TestClient(echo()) as client:
        joined = await run(client)
        found = await client.get("/status/t")

    assert joined.types == ["RUN_STARTED", "RUN_FINISHED"]
    assert found.status == 404


async def test_a_run_that_failed_before_is_no_failure_of_who_joins_later() -> None:
    agent = Agent()

    @agent.on(AddMessage)
    def answer(run: Run, command: AddMessage) -> None:
        raise AgentError("No.", code="no")

    async with TestClient(agent) as client:
        failed = await run(client, SAID)
        joined = await run(client)

    assert failed.events[-1] == {"type": "RUN_ERROR", "message": "No.", "code": "no"}
    assert joined.types[-1] == "RUN_FINISHED"
    assert joined.messages == [SAID]


async def test_nobody_joins_or_goes_on_with_anothers_thread() -> None:
    async def identify(connection: HTTPConnection) -> str | None:
        return connection.headers.get("x-user")

    async with TestClient(create_app(echo(), identify=identify)) as client:
        mine = await client.post("/ag-ui", json=posted(SAID), headers={"x-user": "ann"})
        joined = await client.post("/ag-ui", json=posted(), headers={"x-user": "bob"})
        theirs = await client.post("/ag-ui", json=posted({**SAID, "content": "mine"}), headers={"x-user": "bob"})
        again = await client.post("/ag-ui", json=posted(), headers={"x-user": "ann"})

    assert b"hello" in mine.content
    assert types(events_in(joined.content)) == ["RUN_STARTED", "RUN_FINISHED"]
    assert b"hello" not in theirs.content
    assert b"mine" not in again.content


async def test_a_message_that_was_said_elsewhere_is_not_dropped() -> None:
    async with TestClient(echo()) as client:
        first = await run(client, SAID)
        await client.run("elsewhere", thread_id="t")
        second = await run(client, *first.messages, {**SAID, "id": "u3", "content": "and here"})
        state = await state_of(client)

    said = [message["parts"][0]["text"] for message in state["messages"] if message["role"] == "user"]
    assert said == ["hello", "elsewhere", "and here"]
    assert shown(second.messages) == carried(state)


async def test_messages_that_clients_know_of_are_dropped_by_cutting_them() -> None:
    async with TestClient(echo()) as client:
        first = await run(client, SAID)
        await client.run("elsewhere", thread_id="t")
        joined = await run(client)
        edited = await run(client, *joined.messages[:2], {**SAID, "id": "u3", "content": "instead"})
        state = await state_of(client)

    said = [message["parts"][0]["text"] for message in state["messages"] if message["role"] == "user"]
    assert said == ["hello", "instead"]
    assert shown(edited.messages) == carried(state)
    assert len(first.messages) == 2


async def test_a_client_whose_state_is_another_drops_nothing_unless_it_says_so() -> None:
    async with TestClient(echo(initial={"title": "Bees"})) as client:
        first = await run(client, SAID)
        second = await run(client, *first.messages, {**SAID, "id": "u2"}, state=first.state)
        other = {**SAID, "id": "u3", "content": "instead"}
        kept = await run(client, *first.messages, other, state={"title": "Wasps"})
        named = await run(client, *first.messages, {**other, "id": "u4"}, state={}, forwardedProps={"sourceId": "u2"})
        state = await state_of(client)

    assert [message["id"] for message in kept.messages if message["role"] == "user"] == ["u1", "u2", "u3"]
    assert [message["id"] for message in named.messages if message["role"] == "user"] == ["u1", "u4"]
    assert shown(named.messages) == carried(state)
    assert len(second.messages) == 4


async def test_an_agent_that_keeps_its_own_messages_is_told_what_is_new() -> None:
    agent = Agent(messages=None, initial={"heard": []})

    @agent.batch
    async def hear(run: Run) -> None:
        for command in run.commands:
            run.state["heard"].append(command.type)
        if isinstance(run.commands[0], AddMessage):
            run.parts.append_text("Call it.")
            run.parts.add_tool_call("ask", {"x": 1}, id="c1")

    async with TestClient(agent) as client:
        first = await run(client, SAID, protocolVersion="1.0", tools=TOOLS)
        answer = {"id": "x", "role": "tool", "toolCallId": "c1", "content": "2"}
        second = await run(client, *first.messages, answer, state=first.state, tools=TOOLS)
        state = await state_of(client)

    assert first.types.count("TOOL_CALL_START") == 1
    assert "MESSAGES_SNAPSHOT" not in second.types
    assert second.state == state == {"heard": ["add-message", "add-tool-result"]}


async def test_changes_of_the_state_leave_at_their_pace() -> None:
    agent = Agent()
    released = anyio.Event()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        for number in range(100):
            run.state["count"] = number
            await asyncio.sleep(0)
        run.messages.assistant().append_text("over")
        await released.wait()
        run.state["count"] = -1

    async with TestClient(create_app(agent, limits=Limits(state_frames=0.001))) as client:
        async with client.stream("POST", "/ag-ui", json=posted(SAID)) as response:
            before = await response.read_until(b'"over"')
            released.set()
            data = await response.read()
    reading = Reading([SAID]).read(data)

    assert types(events_in(before)).count("STATE_DELTA") <= 1
    assert reading.types.count("STATE_DELTA") <= 2
    assert reading.types[-2:] == ["STATE_DELTA", "RUN_FINISHED"]
    assert reading.state == {"count": -1}


async def test_what_is_held_leaves_though_nothing_follows() -> None:
    agent = Agent()
    told = [anyio.Event() for _ in range(3)]

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        for number, event in enumerate(told):
            run.state["count"] = number
            await event.wait()

    async with TestClient(create_app(agent, limits=Limits(state_frames=1_000))) as client:
        async with client.stream("POST", "/ag-ui", json=posted(SAID)) as response:
            for number, event in enumerate(told):
                await response.read_until(b'"value":%d' % number)
                event.set()
            data = await response.read()

    assert Reading([SAID]).read(data).state == {"count": 2}


async def test_a_lost_connection_stops_the_run_where_the_query_says_so() -> None:
    agent = Agent()
    stopped = anyio.Event()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text("half")
        try:
            await anyio.sleep_forever()
        finally:
            stopped.set()

    async with TestClient(agent) as client:
        async with client.stream("POST", "/ag-ui?onDisconnect=cancel", json=posted(SAID)) as response:
            await response.read_until(b"half")
        with anyio.fail_after(10):
            await stopped.wait()


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/ag-ui", {"messages": []}, 422, "invalid_request"),
        ("/ag-ui", [], 422, "invalid_request"),
        ("/ag-ui", posted(SAID, threadId="no/thread"), 422, "invalid_thread_id"),
        ("/ag-ui", posted({**SAID, "id": "x" * 200}), 422, "invalid_command"),
        ("/ag-ui", posted(SAID, state={"__proto__": 1}), 422, "forbidden_key"),
        ("/ag-ui?agent=nobody", posted(SAID), 404, "unknown_agent"),
        ("/ag-ui?onDisconnect=maybe", posted(SAID), 422, "invalid_request"),
        ("/ag-ui", posted(resume=[{"interruptId": "c9", "status": "resolved"}]), 409, "unknown_interrupt"),
    ],
)
async def test_a_request_that_is_refused_says_why_and_leaves_nothing(
    path: str, body: Json, status: int, code: str
) -> None:
    async with TestClient(echo()) as client:
        refused = await client.post(path, json=body)
        found = await client.get("/status/t")

    assert (refused.status, refused.json()["error"]["code"]) == (status, code)
    assert found.status == 404


async def test_a_body_that_is_no_json_is_refused() -> None:
    async with TestClient(echo()) as client:
        headers = {"content-type": "application/json"}
        refused = [
            await client.post("/ag-ui", content=b"{", headers=headers),
            await client.post("/ag-ui", content=b"{}"),
            await client.get("/ag-ui"),
        ]

    assert [(one.status, one.json()["error"]["code"]) for one in refused] == [
        (400, "malformed_json"),
        (415, "unsupported_media_type"),
        (405, "method_not_allowed"),
    ]


@pytest.mark.parametrize(
    ("entry", "status", "code"),
    [
        ({"interruptId": "nothing", "status": "resolved"}, 409, "unknown_interrupt"),
        ({"interruptId": None, "status": "resolved", "payload": "bees"}, 422, "invalid_resume"),
        ({"interruptId": None, "status": "resolved", "payload": {"type": "other"}}, 422, "unknown_command"),
    ],
)
async def test_an_answer_that_no_interrupt_asks_for_is_refused(entry: Json, status: int, code: str) -> None:
    agent = Agent(commands=["note"])

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        note: UntypedCommand = await run.wait_for("note")
        run.state["note"] = note.body["text"]

    async with TestClient(agent) as client:
        first = await run(client, SAID, protocolVersion="1.0")
        (interrupt,) = first.events[-1]["outcome"]["interrupts"]
        id = entry["interruptId"] or interrupt["id"]
        refused = await client.post("/ag-ui", json=posted(SAID, resume=[{**entry, "interruptId": id}]))
        payload = {"type": "note", "text": "bees"}
        resume = [{"interruptId": interrupt["id"], "status": "resolved", "payload": payload}]
        last = await run(client, SAID, resume=resume)

    assert (refused.status, refused.json()["error"]["code"]) == (status, code)
    assert last.state == {"note": "bees"}
