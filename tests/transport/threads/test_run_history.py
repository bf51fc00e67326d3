"""What the server remembers of runs, and running one of them again."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import anyio
import pytest

from statecast import AddMessage, AddToolResult, Agent, AgentError, App, Run, UntypedCommand, create_app
from statecast.parts import Usage
from statecast.stores import RecordErased
from statecast.testing import Response, Result, TestClient
from statecast.threads import thread as thread_module
from statecast.threads.records import run_history
from tests.transport.followers import store_of, until_status

pytestmark = pytest.mark.anyio

MESSAGE = {"type": "add-message", "message": {"role": "user", "parts": [{"type": "text", "text": "hi"}]}}


def failing(*failures: BaseException) -> Agent:
    """Return an agent whose runs fail with these, and then no more."""
    agent, left = Agent("poet", commands=["wait", "tell", "go"]), list(failures)

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        message.append_text("Hel")
        if left:
            raise left.pop(0)
        message.append_text("lo")
        message.set_metadata(steps=[Usage(3, 4), Usage(10, 20)], custom={"cost": 0.25})

    @agent.on(AddToolResult)
    async def go_on(run: Run, command: AddToolResult) -> None:
        if left:
            raise left.pop(0)
        run.messages.last_assistant().append_text(f", {command.result}")

    @agent.on("tell")
    async def tell(run: Run, command: UntypedCommand) -> None:
        run.messages.assistant().add_tool_call("ask", {}, id="call-1")

    @agent.on("wait")
    async def wait(run: Run, command: UntypedCommand) -> None:
        await run.wait_for("go")

    return agent


async def runs(client: TestClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get("/threads/t/runs")).json()["runs"]
    return found


def run_of(result: Result) -> str:
    return result.headers["statecast-run-id"]


async def state(client: TestClient) -> Any:
    return (await client.get("/threads/t/state")).json()["state"]


async def retried(client: TestClient, **body: str) -> dict[str, Any]:
    """Run a run again, and return what was answered, once the thread rests."""
    answer = await client.post("/threads/t/retry", json=body)
    if answer.status == 202:
        await until_status(client, "completed", "failed")
    found: dict[str, Any] = answer.json()
    return found


async def test_a_run_is_remembered_with_its_times_tokens_and_cost() -> None:
    async with TestClient(failing()) as client:
        result = await client.run("hi", thread_id="t")
        (run,) = await runs(client)

    assert (run["id"], run["agent"], run["status"], run["error"]) == (run_of(result), "poet", "completed", None)
    assert run["queuedAt"] <= run["startedAt"] <= run["firstAt"] <= run["endedAt"]
    assert run["operations"] >= 1
    assert run["bytes"] > 100
    assert run["steps"] == 2
    assert run["usage"] == {"inputTokens": 13, "outputTokens": 24}
    assert run["cost"] == 0.25


@pytest.mark.parametrize("kind", ["memory", "shared", "sqlite"])
async def test_runs_of_one_millisecond_are_listed_the_newest_first(kind: str, tmp_path: Path) -> None:
    async with TestClient(create_app(failing(), store=store_of(kind, tmp_path))) as client:
        ids = [run_of(await client.run({"type": "tell"}, thread_id="t")) for _ in range(20)]
        listed = [run["id"] for run in await runs(client)]

    assert listed == ids[::-1]


async def test_a_run_behind_an_answer_counts_only_what_it_has_cost_itself() -> None:
    async with TestClient(failing()) as client:
        await client.run("hi", thread_id="t")
        await client.run({"type": "tell"}, thread_id="t")
        later, earlier = await runs(client)

    assert (earlier["cost"], later["cost"]) == (0.25, None)


async def test_a_run_that_gives_a_continued_message_a_lower_cost_has_that_cost() -> None:
    agent = Agent("poet", initial={})

    @agent.on("tell")
    async def tell(run: Run, command: UntypedCommand) -> None:
        message = run.messages.last_assistant()
        message.append_text("and ")
        message.set_metadata(custom={"cost": command.body["cost"]})

    async with TestClient(agent) as client:
        for cost in (0.5, 0.25, 0.75):
            await client.run({"type": "tell", "cost": cost}, thread_id="t")
        costs = [run["cost"] for run in await runs(client)]

    assert costs == [0.5, 0.25, 0.5]


@pytest.mark.parametrize("debug", [True, False])
async def test_the_traceback_is_for_those_who_debug(debug: bool) -> None:
    async with TestClient(create_app(failing(LookupError("a detail")), debug=debug)) as client:
        await client.run("hi", thread_id="t")
        (run,) = await runs(client)

    assert run["error"]["code"] == "agent_failed"
    assert ("traceback" in run["error"]) == debug
    assert ("a detail" in str(run["error"])) == debug
    if debug:
        assert run["error"]["message"] == "LookupError: a detail"


async def test_runs_under_way_come_first() -> None:
    async with TestClient(failing()) as client:
        await client.run("hi", thread_id="t")
        async with client.stream("POST", "/assistant", json={"threadId": "t", "commands": [{"type": "wait"}]}):
            await until_status(client, "waiting")
            active, before = await runs(client)
            refused = await client.post("/threads/t/retry", json={})

    assert (active["status"], active["endedAt"], before["status"]) == ("waiting", None, "completed")
    assert active["startedAt"] is not None
    assert refused.json()["error"]["code"] == "run_active"


async def test_a_failed_answer_is_replaced_by_another_try() -> None:
    async with TestClient(failing(AgentError("no ink", code="no_ink"))) as client:
        failed = await client.run("hi", thread_id="t")
        before = await state(client)
        answer = await retried(client)
        after, (newer, older) = await state(client), await runs(client)
        again = await client.post("/threads/t/retry", json={"runId": run_of(failed)})

    assert (answer["threadId"], answer["retries"]) == ("t", run_of(failed))
    assert [message["parts"][0]["text"] for message in before["messages"]] == ["hi", "Hel"]
    assert [message["parts"][0]["text"] for message in after["messages"]] == ["hi", "Hello"]
    assert after["messages"][0]["id"] == before["messages"][0]["id"]
    assert [newer["id"], newer["status"], older["id"], older["status"]] == [
        answer["runId"],
        "completed",
        run_of(failed),
        "failed",
    ]
    assert (again.status, again.json()["error"]["code"]) == (409, "run_not_retryable")


async def test_of_requests_to_retry_a_run_that_come_at_once_one_begins_a_run(tmp_path: Path) -> None:
    async with TestClient(create_app(failing(ValueError()), store=store_of("sqlite", tmp_path))) as client:
        failed = run_of(await client.run("hi", thread_id="t"))
        answers: list[Response] = []

        async def retry() -> None:
            answers.append(await client.post("/threads/t/retry", json={"runId": failed}))

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(retry)
        await until_status(client, "completed")
        begun = {answer.json()["runId"] for answer in answers if answer.status == 202}
        assert {answer.status for answer in answers} <= {202, 409}
        assert [run["id"] for run in await runs(client)] == [*begun, failed]
        assert (await client.post("/threads/t/retry", json={"runId": failed})).status == 409


async def test_a_tool_result_stays_and_its_run_is_tried_again() -> None:
    result = {"type": "add-tool-result", "toolCallId": "call-1", "result": "Ada"}
    async with TestClient(failing(AgentError("no ink"))) as client:
        await client.run({"type": "tell"}, thread_id="t")
        failed = await client.run(result, thread_id="t")
        assert failed.error is not None
        await retried(client)
        parts = (await state(client))["messages"][-1]["parts"]

    assert parts[0]["result"] == "Ada"
    assert parts[1]["text"] == ", Ada"


async def test_a_run_that_was_dropped_in_the_queue_runs_when_it_is_asked_for() -> None:
    async with TestClient(failing()) as client:
        waiting = {"threadId": "t", "commands": [{"type": "wait"}]}
        async with client.stream("POST", "/assistant", json=waiting):
            await until_status(client, "waiting")
            body = {"threadId": "t", "commands": [MESSAGE], "policy": "enqueue"}
            async with client.stream("POST", "/assistant", json=body):
                await client.post("/cancel", json={"threadId": "t", "queued": True})
            await until_status(client, "cancelled")
        dropped = next(run for run in await runs(client) if run["startedAt"] is None)
        assert dropped["status"] == "cancelled"
        await retried(client, runId=dropped["id"])
        messages = (await state(client))["messages"]

    assert [message["parts"][0]["text"] for message in messages] == ["hi", "Hello"]


async def test_a_run_whose_end_is_not_stored_is_interrupted() -> None:
    async with TestClient(failing(AgentError("no ink"))) as client:
        failed = await client.run("hi", thread_id="t")
        hub = _app(client).hub
        key = (await hub.find("t")).key
        await hub.directory.change(key, RecordErased(key, "run", run_of(failed)))
        (run,) = await runs(client)
        await retried(client)
        newest = (await runs(client))[0]

    assert (run["status"], run["endedAt"], run["error"]["code"]) == ("interrupted", None, "run_interrupted")
    assert newest["status"] == "completed"


@pytest.mark.parametrize(
    ("thread", "body", "status", "code"),
    [
        ("t", {}, 409, "run_not_retryable"),
        ("t", {"runId": "run_none"}, 404, "unknown_run"),
        ("none", {}, 404, "unknown_thread"),
        ("t", {"runId": 5}, 422, "invalid_request"),
    ],
)
async def test_what_cannot_be_tried_again(thread: str, body: dict[str, Any], status: int, code: str) -> None:
    async with TestClient(failing()) as client:
        await client.run("hi", thread_id="t")
        refused = await client.post(f"/threads/{thread}/retry", json=body)

    assert (refused.status, refused.json()["error"]["code"]) == (status, code)


async def test_only_the_last_runs_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MOST_RUNS": 3, "MOST_BATCHES": 1, "ERASED_AFTER": 2}.items():
        monkeypatch.setattr(run_history, name, value)
    failures = (AgentError(str(number)) for number in itertools.count())
    async with TestClient(failing(*itertools.islice(failures, 8))) as client:
        ids = [run_of(await client.run("hi", thread_id="t")) for _ in range(8)]
        hub = _app(client).hub
        thread = await hub.find("t")
        await hub._history.erase_old()
        kept = [[id for id, _ in await hub.directory.records(thread.key, kind)] for kind in ("run", "run-batch")]

    assert kept == [ids[-3:], ids[-1:]]


async def test_so_it_is_for_a_thread_that_is_unloaded_after_each_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_history, "MOST_RUNS", 3)
    for module in (run_history, thread_module):
        monkeypatch.setattr(module, "ERASED_AFTER", 2)
    kept: list[int] = []
    lives = 20
    for _ in range(lives):  # in every second one, on average, old runs are erased
        async with TestClient(create_app(failing(), store=store_of("sqlite", tmp_path))) as client:
            await client.run("hi", thread_id="t")
            hub = _app(client).hub
            await hub._history.erase_old()
            kept.append(len(await hub.directory.records((await hub.find("t")).key, "run")))
    assert 3 <= kept[-1] < lives


def _app(client: TestClient) -> App:
    assert isinstance(client.app, App)
    return client.app
