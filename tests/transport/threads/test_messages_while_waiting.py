"""What the user says while a run waits for an answer: it runs at once, and the question is dismissed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from statecast import AddMessage, AddToolResult, Agent, Run, ToolFailed, create_app
from statecast.state import Json
from statecast.testing import TestClient
from tests.transport.followers import PATH, following, posted, reopened, state_of, status_of, store_of
from tests.transport.held_agent import NOTE, held, said, until

pytestmark = pytest.mark.anyio

DISMISSED = {"result": {"dismissed": True}, "isError": True}


def asker(**settings: Any) -> Agent:
    """Return an agent that asks on "ask", asks for approval on "approve", and echoes the rest."""
    agent = Agent(**settings)

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        match command.message.text:
            case "ask":
                message.append_text(f"got {await run.call_tool('ask_user', {'q': '?'}, message=message)}")
            case "approve":
                message.append_text("yes" if await run.approval("Delete it?") else "no")
            case "begin":
                message.add_tool_call("search", {}, id="search")
                await anyio.sleep_forever()
            case text:
                message.append_text(f"said {text}")

    @agent.on(AddToolResult)
    async def go_on(run: Run, command: AddToolResult) -> None:
        run.messages.last_assistant().append_text(f"result {command.result}")

    return agent


def calls_in(state: Json) -> list[Json]:
    return [part for message in state["messages"] for part in message["parts"] if part["type"] == "tool-call"]


def texts_in(state: Json) -> list[str]:
    return [part["text"] for message in state["messages"] for part in message["parts"] if part["type"] == "text"]


def result_of(call: Json, result: Json = "late") -> dict[str, Any]:
    return {"type": "add-tool-result", "toolCallId": call["toolCallId"], "toolName": call["toolName"], "result": result}


@pytest.mark.parametrize("protocol", ["assistant-transport", "data-stream"])
@pytest.mark.parametrize("question", ["ask", "approve"])
async def test_a_message_runs_at_once_and_dismisses_the_question(protocol: str, question: str) -> None:
    async with TestClient(asker()) as client:
        first = await client.run(said(question), thread_id="t", state={})
        assert await status_of(client) == "waiting"
        second = await client.run(
            said("never mind"), thread_id="t", state=first.state, path=f"/assistant?protocol={protocol}"
        )

        state = await state_of(client)
    assert second.state == state
    assert second.error is None
    assert texts_in(state) == [question, "never mind", "said never mind"]
    (call,) = calls_in(state)
    assert {name: call[name] for name in DISMISSED} == DISMISSED


async def test_the_run_that_waited_is_interrupted_without_an_error() -> None:
    async with TestClient(asker()) as client:
        await client.run(said("ask"), thread_id="t", state={})
        async with following(client) as follower:
            await follower.until(lambda view: view.run)
            await client.run(said("else"), thread_id="t")
            await follower.until(lambda view: view.statuses[-1:] == ["completed"])

    assert follower.statuses[-3:] == ["interrupted", "running", "completed"]
    assert all("error" not in frame.get("run", {}) for frame in follower.frames)


async def test_a_question_that_was_dismissed_cannot_be_answered_any_more() -> None:
    async with TestClient(asker()) as client:
        first = await client.run(said("ask"), thread_id="t", state={})
        await client.run(said("else"), thread_id="t")
        late = await client.run(result_of(calls_in(first.state)[0]), thread_id="t")

        assert (late.status, late.code) == (409, "tool_call_settled")
        assert "late" not in "".join(texts_in(await state_of(client)))


@pytest.mark.parametrize(
    ("policy", "status", "after"),
    [
        ("enqueue", 200, "waiting"),
        ("reject", 409, "waiting"),
        ("deliver", 409, "waiting"),
        ("interrupt", 200, "completed"),
        ("rollback", 200, "completed"),
    ],
)
@pytest.mark.parametrize("by", ["agent", "request"])
async def test_the_policy_says_otherwise(policy: Any, status: int, after: str, by: str) -> None:
    agent = asker(waiting_policy=policy) if by == "agent" or policy == "rollback" else asker()
    fields = {} if by == "agent" else {"policy": policy}
    async with TestClient(agent) as client:
        await client.run(said("ask"), thread_id="t", state={})
        answer = await client.post(PATH, json=posted(said("else"), **fields))

        assert answer.status == status
        assert await status_of(client) == after
        if policy == "rollback":
            assert texts_in(await state_of(client)) == ["else", "said else"]


async def test_other_commands_wait_for_the_answer_as_before() -> None:
    agent = asker()
    agent.on("note")(lambda run, command: run.state.update(noted=True))
    async with TestClient(agent) as client:
        first = await client.run(said("ask"), thread_id="t", state={})
        await client.run(NOTE, thread_id="t")
        assert await status_of(client) == "waiting"
        await client.run(result_of(calls_in(first.state)[0], 1), thread_id="t")
        await until(lambda: not client.app.hub.runs)  # type: ignore[attr-defined]  # an App

        state = await state_of(client)
    assert state["noted"] is True
    assert texts_in(state)[-1] == "got 1"


async def test_an_answer_and_a_message_in_one_batch_are_both_heard() -> None:
    async with TestClient(asker()) as client:
        first = await client.run(said("ask"), thread_id="t", state={})
        await client.run(result_of(calls_in(first.state)[0], 1), said("and more"), thread_id="t")

        assert texts_in(await state_of(client)) == ["ask", "got 1", "and more", "said and more"]


async def test_a_message_that_the_run_waits_for_is_its_answer() -> None:
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        reply = await run.wait_for(AddMessage)
        run.messages.assistant().append_text(f"got {reply.message.text}")

    async with TestClient(agent) as client:
        await client.run(said("one"), thread_id="t", state={})
        await client.run(said("two"), thread_id="t")

        assert texts_in(await state_of(client)) == ["one", "two", "got two"]


async def test_an_agent_that_keeps_its_own_messages_is_interrupted_too() -> None:
    agent = Agent(messages=None)

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        if command.message.text == "ask":
            await run.wait_for(AddToolResult)
        run.state = [*(run.state or []), command.message.text]

    async with TestClient(agent) as client:
        await client.run(said("ask"), thread_id="t")
        await client.run(said("else"), thread_id="t")

        assert await state_of(client) == ["else"]


# Stopping


async def test_stopping_a_run_that_waits_dismisses_its_question() -> None:
    async with TestClient(asker()) as client:
        first = await client.run(said("ask"), thread_id="t", state={})
        await client.post("/cancel", json={"threadId": "t"})
        await until(lambda: not client.app.hub.runs)  # type: ignore[attr-defined]  # an App
        late = await client.run(result_of(calls_in(first.state)[0]), thread_id="t")
        (call,) = calls_in(await state_of(client))

    assert (late.status, late.code) == (409, "tool_call_settled")
    assert call["result"] == {"dismissed": True}


async def test_a_call_that_a_stop_cut_off_is_nobodys_to_answer() -> None:
    async with (
        TestClient(asker()) as client,
        client.stream("POST", PATH, json=posted(said("begin"), state={})) as stream,
    ):
        await stream.read_until(b"search")
        await client.post("/cancel", json={"threadId": "t"})
        await stream.read()
        (call,) = calls_in(await state_of(client))
        late = await client.run(result_of(call), thread_id="t")

        assert (call["cutOff"], "result" in call) == (True, False)
        assert (late.status, late.code) == (409, "tool_call_settled")
        assert await status_of(client) == "cancelled"


async def test_a_call_that_was_open_before_the_stopped_run_can_still_be_answered() -> None:
    agent = Agent()

    @agent.on(AddMessage)
    async def ask(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        message.add_tool_call("a", {}, id="a")
        message.add_tool_call("b", {}, id="b")

    @agent.on(AddToolResult)
    async def go_on(run: Run, command: AddToolResult) -> None:
        if command.tool_call_id == "a":
            run.messages.last_assistant().add_tool_call("c", {}, id="c")
            await anyio.sleep_forever()

    async with TestClient(agent) as client:
        await client.run(said("ask"), thread_id="t", state={})
        answer = result_of({"toolCallId": "a", "toolName": "a"})
        async with client.stream("POST", PATH, json=posted(answer)) as stream:
            await stream.read_until(b'"c"')
            await client.post("/cancel", json={"threadId": "t"})
            await stream.read()
        statuses = {
            name: (await client.run(result_of({"toolCallId": name, "toolName": name}), thread_id="t")).status
            for name in "bc"
        }

    assert statuses == {"b": 200, "c": 409}


async def test_a_question_that_the_server_itself_stopped_can_be_answered_when_it_is_back(tmp_path: Path) -> None:
    store = store_of("sqlite", tmp_path)
    async with TestClient(create_app(asker(), store=store)) as client:
        first = await client.run(said("ask"), thread_id="t", state={})
    async with TestClient(create_app(asker(), store=reopened(store))) as client:
        answered = await client.run(result_of(calls_in(first.state)[0], 7), thread_id="t")

        assert answered.error is None
        assert texts_in(await state_of(client)) == ["ask", "result 7"]


async def test_a_tool_that_fails_is_not_a_question_that_was_dismissed() -> None:
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        try:
            await run.call_tool("ask_user")
        except ToolFailed as failed:
            run.messages.last_assistant().append_text(f"failed {failed.result}")

    async with TestClient(agent) as client:
        first = await client.run(said("ask"), thread_id="t", state={})
        await client.run({**result_of(calls_in(first.state)[0], "no"), "isError": True}, thread_id="t")

        assert texts_in(await state_of(client)) == ["ask", "failed no"]


# What is queued


async def queue_of(client: TestClient) -> Json:
    return (await client.get("/status/t")).json()["queued"]


async def test_what_waits_behind_a_run_is_visible_in_its_order() -> None:
    agent, release = held()
    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted({"type": "hold"})) as first:
        await first.read_until(b"held")
        assert await queue_of(client) == []
        note = {**NOTE, "text": "noted"}
        async with (
            client.stream("POST", PATH, json=posted(said("one"))) as one,
            client.stream("POST", PATH, json=posted(note, said("three"))) as two,
        ):
            queue = await queue_of(client)
            assert [entry["runId"] for entry in queue] == [r.headers["statecast-run-id"] for r in (one, two)]
            assert [[command["type"] for command in entry["commands"]] for entry in queue] == [
                ["add-message"],
                ["note", "add-message"],
            ]
            assert queue[0]["commands"][0]["message"]["parts"] == [{"type": "text", "text": "one"}]
            release.set()
            await two.read()
        assert await queue_of(client) == []


async def test_followers_see_the_queue_grow_and_shrink() -> None:
    agent, release = held()
    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted({"type": "hold"})) as first:
        await first.read_until(b"held")
        async with following(client) as early:
            async with client.stream("POST", PATH, json=posted(said("one"))):
                await early.until(lambda view: "queued" in view.kinds)
                async with following(client) as late:
                    await late.until(lambda view: "queued" in view.kinds)
                    assert late.frames[-1] == early.frames[-1]
                    release.set()
                    for follower in (early, late):
                        await follower.until(lambda view: view.statuses.count("completed") == 2)
    for follower in (early, late):
        queues = [frame["queued"] for frame in follower.frames if frame["type"] == "queued"]
        assert [len(queue) for queue in queues] == [1, 0]


async def test_a_run_that_begins_at_once_was_never_queued() -> None:
    agent, _ = held()
    async with TestClient(agent) as client:
        await client.run(NOTE, thread_id="t")
        async with following(client) as follower:
            await follower.until(lambda view: view.run)
            await client.run(NOTE, thread_id="t")
            await follower.until(lambda view: view.statuses[-1:] == ["completed"])

    assert "queued" not in follower.kinds


async def test_what_is_dropped_leaves_the_queue() -> None:
    agent, release = held()
    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted({"type": "hold"})) as first:
        await first.read_until(b"held")
        async with following(client) as follower, client.stream("POST", PATH, json=posted(said("one"))):
            await follower.until(lambda view: "queued" in view.kinds)
            await client.post("/cancel", json={"threadId": "t", "queued": True})
            await follower.until(lambda view: view.frames[-1].get("queued") == [] or view.kinds.count("queued") == 2)
        release.set()

        assert await queue_of(client) == []


async def test_a_large_queue_is_shown_without_its_commands() -> None:
    agent, release = held()
    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted({"type": "hold"})) as first:
        await first.read_until(b"held")
        large = [client.stream("POST", PATH, json=posted(said(letter * 40_000))) for letter in "ab"]
        async with large[0], large[1]:
            queue = await queue_of(client)
            assert [sorted(entry) for entry in queue] == [["commands", "runId"], ["runId"]]
            release.set()
