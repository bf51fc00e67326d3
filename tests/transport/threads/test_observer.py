"""What observers learn of runs, and the line that the log has of each."""

from __future__ import annotations

import json
import logging

import pytest

from statecast import AddMessage, Agent, AgentError, App, Run, UntypedCommand, create_app
from statecast.logs import JsonFormatter
from statecast.testing import TestClient
from statecast.threads import Answered, ObservedRun, Observer
from statecast_agents import Usage
from tests.transport.followers import until_status

pytestmark = pytest.mark.anyio

TRACE = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


class Witness(Observer):
    """Notes what it learns."""

    def __init__(self, app: App) -> None:
        self.events: list[tuple[str, str]] = []
        self.ended: list[ObservedRun] = []
        self.answers: list[Answered] = []
        app.hub.observer.add(self)

    def run_accepted(self, run: ObservedRun) -> None:
        self.events.append(("accepted", run.id))

    def run_begun(self, run: ObservedRun) -> None:
        self.events.append(("begun", run.id))

    def run_left(self, run: ObservedRun) -> None:
        self.events.append(("left", run.id))

    def run_ended(self, run: ObservedRun) -> None:
        self.events.append(("ended", run.id))
        self.ended.append(run)
        self.answers.append(run.answer())


def answering() -> Agent:
    agent = Agent("poet", commands=["fail", "wait"])

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        message.append_text("Hel")
        message.set_metadata(steps=[Usage(3, 4), Usage(10, 20)])
        message.add_tool_call("look", {"at": "x"}).set_result(1)
        message.add_tool_call("ask", {})

    @agent.on("fail")
    async def fail(run: Run, command: UntypedCommand) -> None:
        run.state["tried"] = True
        run.flush()
        raise AgentError("no ink", code="no_ink")

    @agent.on("wait")
    async def wait(run: Run, command: UntypedCommand) -> None:
        await run.wait_for("wait")

    return agent


async def test_a_run_is_observed_from_its_acceptance_to_its_end() -> None:
    app = create_app(answering())
    witness = Witness(app)
    async with TestClient(app) as client:
        await client.run("hi", thread_id="t")

    (run,) = witness.ended
    assert witness.events == [("accepted", run.id), ("begun", run.id), ("ended", run.id)]
    assert (run.thread_id, run.agent, run.state.status, run.tries) == ("t", "poet", "completed", 0)
    assert run.begun is not None
    assert run.ended is not None
    assert run.accepted <= run.begun <= run.ended
    assert run.entries >= 3
    (answer,) = witness.answers
    assert answer.usage == Usage(13, 24)
    assert [(call.name, call.failed) for call in answer.calls] == [("look", False), ("ask", None)]
    assert [message["role"] for message in answer.messages] == ["assistant"]


async def test_the_next_run_is_not_charged_for_earlier_ones() -> None:
    app = create_app(answering())
    witness = Witness(app)
    async with TestClient(app) as client:
        await client.run("hi", thread_id="t")
        await client.run({"type": "fail"}, thread_id="t")

    failed = witness.ended[-1]
    assert failed.state.error is not None
    assert (failed.state.status, failed.state.error.code) == ("failed", "no_ink")
    assert witness.answers[-1] == Answered(None, [], [])


async def test_a_queued_run_that_is_cancelled_ends_without_having_begun() -> None:
    app = create_app(answering())
    witness = Witness(app)
    async with TestClient(app) as client:
        await client.run({"type": "wait"}, thread_id="t")
        body = {"threadId": "t", "commands": [{"type": "fail"}]}
        async with client.stream("POST", "/assistant", json=body):
            await client.post("/cancel", json={"threadId": "t", "queued": True})
            await until_status(client, "cancelled")
    assert [(run.state.status, run.begun is None) for run in witness.ended] == [
        ("cancelled", False),
        ("cancelled", True),
    ]
    assert witness.ended[1].seconds == 0


async def test_what_an_observer_raises_concerns_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Observer):
        def run_begun(self, run: ObservedRun) -> None:
            raise RuntimeError("broken")

    app = create_app(answering())
    app.hub.observer.add(Broken())
    witness = Witness(app)
    async with TestClient(app) as client:
        result = await client.run("hi", thread_id="t")
    assert result.error is None
    assert len(witness.ended) == 1
    assert "Broken failed to observe run_begun" in caplog.text


async def test_the_trace_of_a_request_is_stored_with_its_batch() -> None:
    app = create_app(answering())
    witness = Witness(app)
    body = {"threadId": "t", "commands": [{"type": "fail"}]}
    async with TestClient(app) as client:
        await client.post("/assistant", json=body, headers=TRACE)
    assert witness.ended[0].trace == TRACE


async def test_the_log_has_a_line_of_each_run(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "statecast.runs")
    async with TestClient(create_app(answering())) as client:
        await client.run("hi", thread_id="my:thread~")

    (record,) = [record for record in caplog.records if record.name == "statecast.runs"]
    line = json.loads(JsonFormatter().format(record))
    assert (line["thread_id"], line["agent"], line["status"]) == ("my:thread~", "poet", "completed")
    assert (line["input_tokens"], line["output_tokens"]) == (13, 24)
    assert {"time", "level", "logger", "message", "run_id", "queued_seconds", "seconds"} <= line.keys()
    assert 0 < line["operations"] < line["entries"]
    assert "status=completed" in record.getMessage()
