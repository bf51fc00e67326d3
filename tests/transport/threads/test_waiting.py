"""A run may wait for its user: its responses end meanwhile, and it goes on with the next command that it wants."""

from __future__ import annotations

import asyncio
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from statecast import (
    AddMessage,
    AddToolResult,
    Agent,
    App,
    Command,
    Limits,
    Run,
    ToolFailed,
    UntypedCommand,
    create_app,
    current_run,
)
from statecast.state import Json
from statecast.testing import TestClient
from statecast.threads.runs.execution import Execution
from tests.transport.failing_store import Failing
from tests.transport.followers import PATH, following, posted, reopened, state_of, status_of, store_of, until_status
from tests.transport.held_agent import NOTE, note, said, until

pytestmark = pytest.mark.anyio

WORK = {"type": "work"}
GO: dict[str, Any] = {"type": "go"}
protocols = pytest.mark.parametrize("protocol", ["assistant-transport", "data-stream"])


def asking(**settings: Any) -> Agent:
    """Return an agent that waits for `go`, and notes what came."""
    agent = Agent(commands=["go", "other"], **settings)

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        note(run, "asks")
        answer: UntypedCommand = await run.wait_for("go")
        note(run, f"went {answer.body.get('to', 'on')}")

    @agent.on("note")
    async def noted(run: Run, command: UntypedCommand) -> None:
        note(run, command.body.get("text", "noted"))

    return agent


def active(app: App, thread_id: str = "t") -> Execution:
    thread = app.hub.loaded(thread_id)
    assert thread
    assert thread.active
    return thread.active


def call_in(state: Json, index: int = -1) -> dict[str, Any]:
    """Return a tool call in the last message."""
    calls = [part for part in state["messages"][-1]["parts"] if part["type"] == "tool-call"]
    return dict(calls[index])


def answer_to(call: dict[str, Any], result: Json, **fields: Any) -> dict[str, Any]:
    return {"type": "add-tool-result", "toolCallId": call["toolCallId"], "result": result, **fields}


# The response ends, and the next one goes on


@protocols
async def test_a_response_ends_when_its_run_waits_and_the_next_one_goes_on(protocol: str) -> None:
    path = f"/assistant?protocol={protocol}"
    async with TestClient(asking()) as client:
        first = await client.post(path, json=posted(WORK, state=None))
        assert await status_of(client) == "waiting"
        second = await client.post(path, json=posted(GO, state={"notes": ["asks"]}))

        assert await state_of(client) == {"notes": ["asks", "went on"]}
        assert await status_of(client) == "completed"
    assert b"asks" in first.content
    assert b"went on" not in first.content
    assert b"went on" in second.content
    assert b'"asks"' not in second.content
    assert second.headers["statecast-run-id"] == first.headers["statecast-run-id"]
    for response in (first, second):
        assert b"error" not in response.content
        assert response.content.endswith(b"data: [DONE]\n\n") == (protocol == "assistant-transport")


@protocols
async def test_an_answer_with_a_stale_state_gets_a_snapshot(protocol: str) -> None:
    path = f"/assistant?protocol={protocol}"
    async with TestClient(asking()) as client:
        await client.post(path, json=posted(WORK))
        answer = await client.post(path, json=posted(GO, state={"notes": []}))
        assert await state_of(client) == {"notes": ["asks", "went on"]}
    assert b'{"type":"set","path":[],"value":{"notes":["asks"' in answer.content


async def test_a_run_that_waits_for_what_would_be_refused_fails_at_once() -> None:
    agent = Agent()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        await run.wait_for("go")

    async with TestClient(create_app(agent, debug=True)) as client:
        result = await client.run(WORK, thread_id="t")
        assert await status_of(client) == "failed"
    assert result.error is not None
    assert 'got "go"; declare it: Agent(commands=["go"])' in result.error["message"]


async def test_a_run_may_wait_again_and_again() -> None:
    agent = Agent(commands=["go"])

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        for _ in range(3):
            note(run, (await run.wait_for("go")).body["to"])

    async with TestClient(agent) as client:
        results = [await client.run(WORK, thread_id="t")]
        for to in ("north", "east", "south"):
            assert await status_of(client) == "waiting"
            results.append(await client.run({**GO, "to": to}, thread_id="t", state=results[-1].state))
        assert await status_of(client) == "completed"
    assert [result.state for result in results] == [
        None,
        {"notes": ["north"]},
        {"notes": ["north", "east"]},
        {"notes": ["north", "east", "south"]},
    ]
    assert len({result.headers["statecast-run-id"] for result in results}) == 1


async def test_a_typed_command_is_waited_for_by_its_class() -> None:
    class PickColor(Command, frozen=True, kw_only=True):
        color: str

    agent = Agent(commands=[PickColor])

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        note(run, (await run.wait_for(PickColor)).color)

    async with TestClient(agent) as client:
        await client.run(WORK, thread_id="t")
        assert (await client.run(PickColor(color="red"), thread_id="t")).state == {"notes": ["red"]}


async def test_a_run_may_wait_for_one_of_several_kinds() -> None:
    class Stop(Command, frozen=True, kw_only=True):
        """Stop."""

    agent = Agent(commands=[Stop, "go"])

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        for _ in range(2):
            came = await run.wait_for(Stop, "go")
            note(run, came.type)

    async with TestClient(agent) as client:
        await client.run(WORK, thread_id="t")
        await client.run(Stop(), thread_id="t")
        assert (await client.run(GO, thread_id="t")).state == {"notes": ["stop", "go"]}


async def test_what_does_not_fit_runs_afterwards() -> None:
    agent = Agent(commands=["go"])

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        came: UntypedCommand = await run.wait_for("go", where=lambda command: command.body["to"] == "north")
        note(run, f"went {came.body['to']}")

    @agent.on("go")
    async def go(run: Run, command: UntypedCommand) -> None:
        note(run, f"its own run, {command.body['to']}")

    async with TestClient(agent) as client:
        first = await client.run(WORK, thread_id="t")
        south = await client.run({**GO, "to": "south"}, thread_id="t")
        assert (await client.get("/status/t")).json()["queued"]
        north = await client.run({**GO, "to": "north"}, thread_id="t")
        await until_status(client, "completed")
        await until(lambda: not client.app.hub.runs)  # type: ignore[attr-defined]  # an App
        assert await state_of(client) == {"notes": ["went north", "its own run, south"]}
    ids = [result.headers["statecast-run-id"] for result in (first, south, north)]
    assert ids[0] == ids[2] != ids[1]


async def test_what_the_agent_cannot_judge_runs_afterwards(caplog: pytest.LogCaptureFixture) -> None:
    agent = Agent(commands=["go"])

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        await run.wait_for("go", where=lambda command: command.body["to"] == "north")
        note(run, "went")

    async with TestClient(agent) as client:
        await client.run(WORK, thread_id="t")
        odd = await client.run(GO, thread_id="t")
        assert (odd.status, odd.error) == (200, None)
        assert (await client.get("/status/t")).json()["queued"]
        await client.run({**GO, "to": "north"}, thread_id="t")
        assert await state_of(client) == {"notes": ["went"]}
    assert "cannot tell what it waits for" in caplog.text


async def test_of_two_fitting_commands_one_answers_and_the_other_runs_afterwards() -> None:
    agent = asking()

    @agent.on("go")
    async def go(run: Run, command: UntypedCommand) -> None:
        note(run, f"its own run, {command.body['to']}")

    async with TestClient(agent) as client:
        await client.run(WORK, thread_id="t")
        both = await client.run({**GO, "to": "north"}, {**GO, "to": "south"}, thread_id="t")
        assert both.state == {"notes": ["asks", "went north", "its own run, south"]}


async def test_of_two_equal_commands_one_answers_and_the_other_runs_afterwards() -> None:
    agent = asking()

    @agent.on("go")
    async def go(run: Run, command: UntypedCommand) -> None:
        note(run, "its own run")

    async with TestClient(agent) as client:
        await client.run(WORK, thread_id="t")
        assert (await client.run(GO, GO, thread_id="t")).state == {"notes": ["asks", "went on", "its own run"]}


async def test_of_two_answers_at_once_one_answers_and_the_other_runs_afterwards() -> None:
    agent = asking()

    @agent.on("go")
    async def go(run: Run, command: UntypedCommand) -> None:
        note(run, "its own run")

    async with TestClient(agent) as client:
        await client.run(WORK, thread_id="t")
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(partial(client.run, GO, thread_id="t"))
        assert await state_of(client) == {"notes": ["asks", "went on", "its own run"]}


async def test_a_plain_function_may_wait_from_its_thread() -> None:
    agent = Agent(commands=["go"])

    @agent.on("work")
    def work(run: Run, command: UntypedCommand) -> None:
        note(run, anyio.from_thread.run(run.wait_for, "go").type)

    async with TestClient(agent) as client:
        await client.run(WORK, thread_id="t")
        assert await status_of(client) == "waiting"
        assert (await client.run(GO, thread_id="t")).state == {"notes": ["go"]}


# Tools of the page, and approvals


async def test_a_tool_of_the_page_is_called_and_its_result_returned() -> None:
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        place = await run.call_tool("locate", {"precise": True})
        run.messages.last_assistant().append_text(f"You are in {place['city']}.")

    async with TestClient(agent) as client:
        asked = await client.run("where am I?", thread_id="t")
        call = call_in(asked.state)
        assert (call["toolName"], call["args"], call["argsText"]) == ("locate", {"precise": True}, '{"precise":true}')
        assert "result" not in call
        told = await client.run(answer_to(call, {"city": "Oslo"}), thread_id="t", state=asked.state)

    parts = told.state["messages"][-1]["parts"]
    assert (parts[0]["result"], parts[0]["isError"]) == ({"city": "Oslo"}, False)
    assert parts[1] == {"type": "text", "text": "You are in Oslo."}
    assert [message["role"] for message in told.state["messages"]] == ["user", "assistant"]
    assert told.headers["statecast-run-id"] == asked.headers["statecast-run-id"]


async def test_the_result_is_in_the_first_frame() -> None:
    agent = Agent()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        await run.call_tool("locate")
        await anyio.sleep_forever()

    async with TestClient(agent) as client:
        asked = await client.run(WORK, thread_id="t")
        body = posted(answer_to(call_in(asked.state), "Oslo"), state=asked.state)
        async with client.stream("POST", PATH, json=body) as response:
            assert b'"Oslo"' in await anext(response)


async def test_a_tool_that_fails_raises() -> None:
    agent = Agent()
    raised: list[ToolFailed] = []

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        try:
            await run.call_tool("locate")
        except ToolFailed as failed:
            raised.append(failed)

    async with TestClient(agent) as client:
        call = call_in((await client.run(WORK, thread_id="t")).state)
        ended = await client.run(answer_to(call, "no GPS", isError=True), thread_id="t")

    assert [(failed.tool, failed.result, failed.code) for failed in raised] == [("locate", "no GPS", "tool_failed")]
    assert ended.error is None
    assert call_in(ended.state)["isError"] is True


async def test_a_tool_that_fails_fails_the_run_where_nothing_catches_it() -> None:
    agent = Agent()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        await run.call_tool("locate")

    async with TestClient(agent) as client:
        call = call_in((await client.run(WORK, thread_id="t")).state)
        failed = await client.run(answer_to(call, "no GPS", isError=True), thread_id="t")
        assert failed.error == {"code": "tool_failed", "message": 'the tool "locate" failed'}
        assert await status_of(client) == "failed"


@pytest.mark.parametrize(
    ("result", "fields", "approved"),
    [
        ({"approved": True}, {}, True),
        ({"approved": False}, {}, False),
        ({"approved": 1}, {}, False),
        ({"approved": "true"}, {}, False),
        ({}, {}, False),
        (True, {}, True),
        (False, {}, False),
        ("yes", {}, False),
        (None, {}, False),
        ({"approved": True}, {"isError": True}, False),
    ],
)
async def test_an_approval_is_given_or_not(result: Json, fields: dict[str, Any], approved: bool) -> None:
    agent = Agent()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        run.state["approved"] = await run.approval("Delete it?", file="a.txt")

    async with TestClient(agent) as client:
        call = call_in((await client.run(WORK, thread_id="t", state={})).state)
        assert (call["toolName"], call["args"]) == ("approval", {"question": "Delete it?", "file": "a.txt"})
        assert (await client.run(answer_to(call, result, **fields), thread_id="t")).state["approved"] is approved


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ({"type": "add-tool-result", "toolCallId": "call_other", "result": 1}, "unknown_tool_call"),
        ({"type": "add-tool-result", "toolCallId": "settled", "result": 1}, "tool_call_settled"),
    ],
)
async def test_a_result_that_fits_no_open_call_is_refused_and_the_run_waits_on(
    command: dict[str, Any], code: str
) -> None:
    agent = Agent()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        run.messages.last_assistant().add_tool_call("old", {}, id="settled").set_result(0)
        listening = run.listen(AddToolResult)
        await listening.receive()

    async with TestClient(agent) as client:
        before = (await client.run(WORK, thread_id="t")).state
        refused = await client.run(command, thread_id="t")
        assert (refused.status, refused.code) == (409, code)
        assert (await status_of(client), await state_of(client)) == ("waiting", before)


async def test_a_second_result_of_one_call_is_refused() -> None:
    agent = Agent()
    release = anyio.Event()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        run.state["result"] = await run.call_tool("locate")
        await release.wait()

    async with TestClient(agent) as client:
        call = call_in((await client.run(WORK, thread_id="t", state={})).state)
        async with client.stream("POST", PATH, json=posted(answer_to(call, "Oslo"))) as first:
            await first.read_until(b'["result"],"value":"Oslo"')
            async with client.stream("POST", PATH, json=posted(answer_to(call, "Rome"))) as second:
                release.set()
                assert b'"code":"tool_call_settled"' in await second.read()  # when its turn had come
            await first.read()
        third = await client.run(answer_to(call, "Rome"), thread_id="t")
        assert (third.status, third.code) == (409, "tool_call_settled")
        assert (await state_of(client))["result"] == "Oslo"


async def test_a_message_that_is_waited_for_is_among_the_messages() -> None:
    agent = Agent()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        came = await run.wait_for(AddMessage)
        run.messages.last_assistant().append_text(f"You said {came.message.text}.")

    async with TestClient(agent) as client:
        await client.run(WORK, thread_id="t")
        told = await client.run("yes", thread_id="t")
    texts = [(message["role"], message["parts"][0]["text"]) for message in told.state["messages"]]
    assert texts == [("user", "yes"), ("assistant", "You said yes.")]


async def test_an_agent_that_keeps_its_own_messages_applies_what_is_delivered_itself() -> None:
    agent = Agent(messages=None)

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        came = await run.wait_for(AddToolResult, where=lambda command: command.tool_call_id == "mine")
        run.state = {"mine": came.result}

    async with TestClient(agent) as client:
        await client.run(WORK, thread_id="t")
        assert (await client.run(answer_to({"toolCallId": "mine"}, 7), thread_id="t")).state == {"mine": 7}


# Several waiters, and work beside them


async def test_several_tasks_wait_side_by_side() -> None:
    agent = Agent(commands=["a", "b"])

    async def wait(run: Run, kind: str) -> None:
        note(run, (await run.wait_for(kind)).type)

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        run.start_soon(wait, run, "a")
        run.start_soon(wait, run, "b")

    async with TestClient(agent) as client:
        await client.run(WORK, thread_id="t")
        assert await status_of(client) == "waiting"
        first = await client.run({"type": "b"}, thread_id="t")
        assert (first.state, await status_of(client)) == ({"notes": ["b"]}, "waiting")
        second = await client.run({"type": "a"}, thread_id="t", state=first.state)
        assert (second.state, await status_of(client)) == ({"notes": ["b", "a"]}, "completed")


async def test_two_answers_in_one_batch_reach_two_waiters() -> None:
    agent = Agent(commands=["a", "b"])

    async def wait(run: Run, kind: str) -> None:
        note(run, (await run.wait_for(kind)).type)

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        run.start_soon(wait, run, "a")
        run.start_soon(wait, run, "b")

    async with TestClient(agent) as client:
        await client.run(WORK, thread_id="t")
        async with following(client) as follower:
            both = await client.run({"type": "b"}, {"type": "a"}, thread_id="t")
            await follower.until(lambda view: "completed" in view.statuses)
    assert sorted(both.state["notes"]) == ["a", "b"]
    assert follower.statuses == ["running", "completed"]  # and never waiting in between


@pytest.mark.parametrize("group", ["gather", "task group"])
async def test_a_handler_may_wait_for_two_tools_at_once(group: str) -> None:
    agent = Agent()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        results: dict[str, Json] = {}

        async def call(name: str) -> None:
            results[name] = await run.call_tool(name)

        if group == "gather":
            await asyncio.gather(call("one"), call("two"))
        else:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call, "one")
                tasks.start_soon(call, "two")
        run.state["results"] = results

    async with TestClient(agent) as client:
        asked = await client.run(WORK, thread_id="t", state={})
        assert await status_of(client) == "waiting"
        first = await client.run(answer_to(call_in(asked.state, 1), 2), thread_id="t", state=asked.state)
        assert call_in(first.state, 1)["result"] == 2
        assert await status_of(client) == "waiting"
        second = await client.run(answer_to(call_in(asked.state, 0), 1), thread_id="t", state=first.state)
    assert second.state["results"] == {"one": 1, "two": 2}


async def test_two_tools_may_be_answered_at_once() -> None:
    agent = Agent()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        run.state["results"] = await asyncio.gather(run.call_tool("one"), run.call_tool("two"))

    async with TestClient(agent) as client:
        asked = await client.run(WORK, thread_id="t", state={})
        answers = [answer_to(call_in(asked.state, index), index) for index in (1, 0)]
        told = await client.run(*answers, thread_id="t", state=asked.state)
    assert told.state["results"] == [0, 1]


async def test_a_run_does_not_wait_while_something_else_in_it_works() -> None:
    agent = Agent(commands=["go"])
    release = anyio.Event()

    async def compute(run: Run) -> None:
        note(run, "computing")
        await release.wait()
        note(run, "computed")

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        run.start_soon(compute, run)
        note(run, (await run.wait_for("go")).type)

    async with TestClient(agent) as client:
        async with client.stream("POST", PATH, json=posted(WORK)) as response:
            await response.read_until(b"computing")
            assert (await client.get("/status/t")).json()["isRunning"]
            release.set()
            body = await response.read()
        assert b"computed" in body
        assert await status_of(client) == "waiting"
        assert (await client.run(GO, thread_id="t")).state == {"notes": ["computing", "computed", "go"]}


async def test_a_tool_that_waits_leaves_the_response_to_another_one_that_works() -> None:
    agent = Agent(commands=["go"])
    release = anyio.Event()

    async def compute() -> None:
        run = current_run()
        with run.activity():
            note(run, "computing")
            await release.wait()
            note(run, "computed")

    async def ask() -> None:
        run = current_run()
        with run.activity():
            note(run, (await run.wait_for("go")).type)

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        await asyncio.gather(ask(), compute())

    async with TestClient(agent) as client:
        async with client.stream("POST", PATH, json=posted(WORK)) as response:
            await response.read_until(b"computing")
            assert await status_of(client) == "running"
            release.set()
            assert b"computed" in await response.read()
        assert await status_of(client) == "waiting"
        assert (await client.run(GO, thread_id="t")).state == {"notes": ["computing", "computed", "go"]}
        assert await status_of(client) == "completed"


async def test_a_tool_in_a_thread_that_ends_last_lets_the_run_wait() -> None:
    agent = Agent(commands=["go"])
    begun, release = threading.Event(), threading.Event()

    def compute() -> None:
        run = current_run()
        with run.activity():
            note(run, "computing")
            begun.set()
            release.wait()
            note(run, "computed")

    async def ask() -> None:
        run = current_run()
        with run.activity():
            note(run, (await run.wait_for("go")).type)

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        computing = asyncio.ensure_future(run.in_thread(compute))
        await asyncio.to_thread(begun.wait)
        await asyncio.gather(ask(), computing)

    async with TestClient(agent) as client:
        async with client.stream("POST", PATH, json=posted(WORK)) as response:
            await response.read_until(b"computing")
            assert await status_of(client) == "running"
            release.set()
            assert b"computed" in await response.read()
        assert await status_of(client) == "waiting"
        assert (await client.run(GO, thread_id="t")).state == {"notes": ["computing", "computed", "go"]}


async def test_a_run_waits_when_its_handler_has_ended_and_a_task_beside_it_waits() -> None:
    agent = Agent(commands=["go"])

    async def later(run: Run) -> None:
        note(run, (await run.wait_for("go")).type)

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        run.start_soon(later, run)
        note(run, "worked")

    async with TestClient(agent) as client:
        assert (await client.run(WORK, thread_id="t")).state == {"notes": ["worked"]}
        assert await status_of(client) == "waiting"
        assert (await client.run(GO, thread_id="t")).state == {"notes": ["worked", "go"]}


async def test_a_task_that_waits_goes_on_beside_work_without_the_run_having_waited() -> None:
    agent = Agent(commands=["go"])
    release = anyio.Event()

    async def later(run: Run) -> None:
        note(run, (await run.wait_for("go")).type)

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        run.start_soon(later, run)
        note(run, "working")
        await release.wait()

    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(WORK)) as response:
        await response.read_until(b"working")
        async with following(client) as follower:
            async with client.stream("POST", PATH, json=posted(GO)) as second:
                await follower.until(lambda view: view.state == {"notes": ["working", "go"]})
                release.set()
                await second.read()
            await response.read()
            await follower.until(lambda view: "completed" in view.statuses)
    assert follower.statuses == ["completed"]


# Listening: a word on the way


async def test_a_run_is_steered_while_it_works() -> None:
    agent = Agent()
    steps = [anyio.Event() for _ in range(3)]

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        steering = run.listen(AddMessage)
        for number, step in enumerate(steps):
            note(run, f"step {number}")
            await step.wait()
            for word in steering.drain():
                note(run, f"heard {word.message.text}")

    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(WORK, state={})) as first:
        await first.read_until(b"step 0")
        steps[0].set()
        await first.read_until(b"step 1")
        async with client.stream("POST", PATH, json=posted(said("left"), said("right"))) as second:
            assert second.headers["statecast-run-id"] == first.headers["statecast-run-id"]
            assert await status_of(client) == "running"
            steps[1].set()
            steps[2].set()
            assert b"heard right" in await second.read()
            assert b"heard right" in await first.read()
        state = await state_of(client)

    assert state["notes"] == ["step 0", "step 1", "heard left", "heard right", "step 2"]
    assert [message["parts"][0]["text"] for message in state["messages"]] == ["left", "right"]


async def test_a_run_that_listens_and_ends_never_waits() -> None:
    agent = Agent(commands=["go"])

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        run.listen("go")
        note(run, "worked")

    async with TestClient(agent) as client:
        await client.run(thread_id="t")
        async with following(client) as follower:
            await client.run(WORK, thread_id="t")
            await follower.until(lambda view: "completed" in view.statuses)
    assert follower.statuses == ["running", "completed"]


async def test_what_is_heard_while_the_run_waits_for_something_else_leaves_it_waiting() -> None:
    agent = Agent(commands=["go"])

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        heard = run.listen(AddMessage)
        await run.wait_for("go")
        note(run, f"heard {[message.message.text for message in heard.drain()]}")

    async with TestClient(agent) as client:
        await client.run(WORK, thread_id="t")
        told = await client.run("by the way", thread_id="t")
        assert told.state["messages"][0]["parts"][0]["text"] == "by the way"
        assert await status_of(client) == "waiting"
        ended = await client.run(GO, thread_id="t", state=told.state)
    assert ended.state["notes"] == ["heard ['by the way']"]


async def test_listening_is_an_iteration_too() -> None:
    agent = Agent(commands=["go"])

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        listening = run.listen("go")
        async for word in listening:
            note(run, word.body["to"])
            if word.body["to"] == "home":
                break
        listening.close()

    async with TestClient(agent) as client:
        await client.run(WORK, thread_id="t")
        await client.run({**GO, "to": "north"}, thread_id="t")
        assert await status_of(client) == "waiting"
        ended = await client.run({**GO, "to": "south"}, {**GO, "to": "home"}, thread_id="t")
        assert (ended.state, await status_of(client)) == ({"notes": ["north", "south", "home"]}, "completed")


async def test_what_is_not_listened_for_any_more_runs_by_itself() -> None:
    agent = Agent(commands=["go"])
    release = anyio.Event()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        run.listen("go").close()
        note(run, "working")
        await release.wait()

    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(WORK)) as first:
        await first.read_until(b"working")
        async with client.stream("POST", PATH, json=posted(GO)) as second:
            assert second.headers["statecast-run-id"] != first.headers["statecast-run-id"]
            release.set()
            await second.read()
        await first.read()


# What others see


async def test_followers_see_the_run_wait_and_go_on() -> None:
    async with TestClient(asking()) as client:
        await client.run(thread_id="t")
        async with following(client) as follower:
            ran = await client.run(WORK, thread_id="t")
            await follower.until(lambda view: "waiting" in view.statuses)
            waiting = follower.revision
            await client.run(GO, thread_id="t")
            await follower.until(lambda view: "completed" in view.statuses)

    assert follower.statuses == ["running", "waiting", "running", "completed"]
    assert {frame["run"]["id"] for frame in follower.frames if frame["type"] == "run"} == {
        ran.headers["statecast-run-id"]
    }
    asked = next(frame["revision"] for frame in follower.frames if frame["type"] == "update-state")
    assert asked < waiting


async def test_a_waiting_run_is_not_running_and_not_active_for_who_looks() -> None:
    async with TestClient(asking()) as client:
        ran = await client.run(WORK, thread_id="t")
        run_id = ran.headers["statecast-run-id"]
        status = (await client.get("/status/t")).json()
        state = (await client.get("/threads/t/state")).json()
        initial = await client.post("/initial-state", json={"threadId": "t"})
        resumed = await client.run(thread_id="t", path="/resume")

    assert (status["status"], status["isRunning"], status["runId"]) == ("waiting", False, run_id)
    assert state["run"] == {"id": run_id, "status": "waiting"}
    assert initial.status == 204
    assert (resumed.state, resumed.error) == ({"notes": ["asks"]}, None)


@protocols
async def test_a_request_behind_a_waiting_run_ends_too(protocol: str) -> None:
    path = f"/assistant?protocol={protocol}"
    async with TestClient(asking()) as client:
        await client.run(WORK, thread_id="t")
        behind = await client.post(path, json=posted(NOTE))
        assert behind.content.endswith(b"data: [DONE]\n\n") == (protocol == "assistant-transport")
        assert b"error" not in behind.content
        assert (await client.get("/status/t")).json()["queued"]
        answered = await client.run(GO, thread_id="t")
        await until(lambda: not client.app.hub.runs)  # type: ignore[attr-defined]  # an App
        assert await state_of(client) == {"notes": ["asks", "went on", "noted"]}
    assert answered.error is None


async def test_a_request_that_was_queued_before_the_run_began_to_wait_ends_when_it_does() -> None:
    agent = Agent(commands=["go"])
    release = anyio.Event()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        note(run, "working")
        await release.wait()
        note(run, "asks")
        await run.wait_for("go")

    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(WORK)) as first:
        await first.read_until(b"working")
        async with client.stream("POST", PATH, json=posted(said("hello"))) as second:
            release.set()
            assert b"asks" in await second.read()
        assert b"asks" in await first.read()
        assert await status_of(client) == "waiting"


async def test_an_answer_need_not_wait_for_room() -> None:
    async with TestClient(create_app(asking(), limits=Limits(runs=1))) as client:
        await client.run(WORK, thread_id="t")
        async with client.stream("POST", PATH, json=posted(NOTE)) as waiting:
            await anext(waiting)
            assert (await client.run(NOTE, thread_id="other")).code == "server_full"
            answered = await client.run(GO, thread_id="t")
            await waiting.read()
        assert answered.state["notes"][:2] == ["asks", "went on"]


# Time


async def test_the_time_a_run_waits_is_counted_apart() -> None:
    app = create_app(asking(), limits=Limits(run_seconds=100, waiting_seconds=1_000))
    async with TestClient(app) as client:
        await client.run(WORK, thread_id="t")
        active(app).check_time(time.monotonic() + 500)
        assert await status_of(client) == "waiting"
        active(app).check_time(time.monotonic() + 1_001)
        await until_status(client, "failed")
        run = (await client.get("/threads/t/state")).json()["run"]
    assert run["error"]["code"] == "wait_timeout"


async def test_a_run_that_waited_has_only_the_rest_of_its_time() -> None:
    agent = Agent(commands=["go"])

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        await run.wait_for("go")
        note(run, "went on")
        await anyio.sleep_forever()

    app = create_app(agent, limits=Limits(run_seconds=100, waiting_seconds=1_000))
    async with TestClient(app) as client:
        await client.run(WORK, thread_id="t")
        async with client.stream("POST", PATH, json=posted(GO)) as response:
            await response.read_until(b"went on")
            active(app).check_time(time.monotonic() + 99)
            assert await status_of(client) == "running"
            active(app).check_time(time.monotonic() + 100)
            assert b"run_timeout" in await response.read()


async def test_nobody_answers_in_time() -> None:
    app = create_app(asking(), limits=Limits(waiting_seconds=0.02))
    async with TestClient(app) as client:
        first = await client.run(WORK, thread_id="t")
        async with following(client) as follower:
            await follower.until(lambda view: view.run and view.run["status"] == "failed")
        late = await client.run(GO, thread_id="t")

    assert first.error is None
    assert follower.run
    assert follower.run["error"]["code"] == "wait_timeout"
    assert late.headers["statecast-run-id"] != first.headers["statecast-run-id"]


# Stopping


async def test_a_waiting_run_may_be_cancelled() -> None:
    app = create_app(asking())
    async with TestClient(app) as client:
        ran = await client.run(WORK, thread_id="t")
        cancelled = await client.post("/cancel", json={"threadId": "t"})
        await until_status(client, "cancelled")
        assert not app.hub.runs
        late = await client.run(GO, thread_id="t")

    run_id = ran.headers["statecast-run-id"]
    assert cancelled.json() == {"threadId": "t", "runId": run_id, "cancelled": True}
    assert late.headers["statecast-run-id"] != run_id
    assert late.state == {"notes": ["asks"]}


async def test_what_waits_behind_a_waiting_run_runs_when_it_is_cancelled() -> None:
    async with TestClient(asking()) as client:
        await client.run(WORK, thread_id="t")
        await client.run(NOTE, thread_id="t")
        await client.post("/cancel", json={"threadId": "t"})
        await until_status(client, "completed")
        assert await state_of(client) == {"notes": ["asks", "noted"]}


async def test_a_lost_connection_does_not_stop_a_run_that_waits() -> None:
    app = create_app(asking(), on_disconnect="cancel")
    async with TestClient(app) as client:
        async with client.stream("POST", PATH, json=posted(WORK)) as response:
            await response.read()
        assert await status_of(client) == "waiting"


async def test_an_agent_may_give_up_waiting() -> None:
    agent = Agent(commands=["go"])
    give_up = anyio.Event()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        note(run, "asks")
        async with anyio.create_task_group() as tasks:

            async def patience() -> None:
                await give_up.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(patience)
            await run.wait_for("go")
        note(run, "gave up")

    async with TestClient(agent) as client:
        await client.run(WORK, thread_id="t")
        assert await status_of(client) == "waiting"
        give_up.set()
        await until_status(client, "completed")
        assert await state_of(client) == {"notes": ["asks", "gave up"]}
        later = await client.run(GO, thread_id="t")
        assert later.error is None


# Ids and retries


async def test_an_answer_is_applied_once() -> None:
    async with TestClient(asking()) as client:
        first = await client.run(WORK, thread_id="t")
        answers = [await client.run({**GO, "id": "g"}, thread_id="t") for _ in range(2)]
        other = await client.run({**GO, "id": "g", "to": "else"}, thread_id="t")

    assert {answer.headers["statecast-run-id"] for answer in answers} == {first.headers["statecast-run-id"]}
    assert [answer.state for answer in answers] == [{"notes": ["asks", "went on"]}] * 2
    assert (other.status, other.code) == (409, "command_id_reused")


async def test_a_retry_of_an_answer_joins_the_run_that_it_led_to() -> None:
    agent = Agent(commands=["go"])
    release = anyio.Event()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        await run.wait_for("go")
        note(run, "went on")
        await release.wait()
        note(run, "ended")

    async with TestClient(agent) as client:
        await client.run(WORK, thread_id="t")
        body = posted({**GO, "id": "g"})
        async with client.stream("POST", PATH, json=body) as first, client.stream("POST", PATH, json=body) as again:
            await first.read_until(b"went on")
            await again.read_until(b"went on")
            release.set()
            assert b"ended" in await first.read()
            assert b"ended" in await again.read()


async def test_a_retry_of_a_request_whose_run_waits_ends_like_it() -> None:
    async with TestClient(asking()) as client:
        results = [await client.run({**WORK, "id": "w"}, thread_id="t") for _ in range(2)]
    assert [(result.state, result.error) for result in results] == [({"notes": ["asks"]}, None)] * 2


async def test_an_answer_of_a_tab_that_is_behind_is_an_answer() -> None:
    async with TestClient(asking()) as client:
        await client.run(WORK, thread_id="t")
        stale = await client.run(GO, thread_id="t", state={"notes": "of long ago"})
    assert stale.state == {"notes": ["asks", "went on"]}


# Across a restart


@pytest.mark.parametrize("kind", ["memory", "sqlite", "shared"])
async def test_after_a_restart_the_answer_comes_to_a_run_of_its_own(kind: str, tmp_path: Path) -> None:
    def agent() -> Agent:
        made = asking()

        @made.on("go")
        async def go(run: Run, command: UntypedCommand) -> None:
            note(run, "afresh")

        return made

    store = store_of(kind, tmp_path)
    async with TestClient(create_app(agent(), store=store)) as client:
        first = await client.run({**WORK, "id": "w"}, thread_id="t")
        assert await status_of(client) == "waiting"
    async with TestClient(create_app(agent(), store=reopened(store))) as client:
        assert await status_of(client) == "interrupted"
        answered = await client.run(GO, thread_id="t", state=first.state)
        again = await client.run({**WORK, "id": "w"}, thread_id="t")

    assert answered.state == {"notes": ["asks", "afresh"]}
    assert answered.headers["statecast-run-id"] != first.headers["statecast-run-id"]
    assert again.headers["statecast-run-id"] == first.headers["statecast-run-id"]
    assert again.state == answered.state


@pytest.mark.parametrize("kind", ["memory", "sqlite", "shared"])
async def test_after_a_restart_a_tools_result_settles_the_call_and_the_agent_gets_it(kind: str, tmp_path: Path) -> None:
    def agent() -> Agent:
        made = Agent()

        @made.on("work")
        async def work(run: Run, command: UntypedCommand) -> None:
            await run.call_tool("locate")

        @made.on(AddToolResult)
        async def result(run: Run, command: AddToolResult) -> None:
            run.messages.last_assistant().append_text(f"Got {command.result}.")

        return made

    store = store_of(kind, tmp_path)
    async with TestClient(create_app(agent(), store=store)) as client:
        asked = await client.run(WORK, thread_id="t")
    async with TestClient(create_app(agent(), store=reopened(store))) as client:
        told = await client.run(answer_to(call_in(asked.state), "Oslo"), thread_id="t", state=asked.state)

    call, text = told.state["messages"][-1]["parts"]
    assert (call["result"], text["text"]) == ("Oslo", "Got Oslo.")


async def test_an_answer_is_kept_before_it_is_confirmed() -> None:
    store = Failing()
    app = create_app(asking(), store=store)
    async with TestClient(app) as client:
        await client.run(WORK, thread_id="t")
        store.go = anyio.Event()
        async with anyio.create_task_group() as tasks:
            answers: list[Any] = []

            async def answer() -> None:
                async with client.stream("POST", PATH, json=posted({**GO, "id": "g"})) as response:
                    answers.append(response.status)
                    await response.read()

            tasks.start_soon(answer)
            await until(lambda: not app.hub.runs)
            assert answers == []
            store.go.set()
        assert answers == [200]
