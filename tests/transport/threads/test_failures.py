"""A failing agent is a failed run, told in each protocol; what went wrong stays in the log unless debug is on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from statecast import Agent, AgentError, Limits, Run, UntypedCommand, create_app
from statecast.testing import TestClient
from statecast.threads.runs.failures import MAX_TEXT
from tests.transport.held_agent import HOLD, NOTE, held, note, said

pytestmark = pytest.mark.anyio

HIDDEN = {"code": "agent_failed", "message": "The agent failed. The reason is in the server's log."}
WORK = {"type": "work"}


def agent_that(does: Callable[[Run], Any], **settings: Any) -> Agent:
    agent = Agent(**settings)

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        await does(run)

    return agent


async def no_luck(run: Run) -> None:
    note(run, "tried")
    raise AgentError("No luck.", code="no_luck")


async def secret(run: Run) -> None:
    note(run, "tried")
    raise LookupError("the password is hunter2")


async def test_an_agents_own_error_reaches_the_user() -> None:
    async with TestClient(agent_that(no_luck)) as client:
        failed = await client.run(WORK, thread_id="t")
        lines = await client.post("/assistant", json={"commands": [WORK]})
        status = (await client.get("/status/t")).json()
        run = (await client.get("/threads/t/state")).json()["run"]

    assert failed.error == {"code": "no_luck", "message": "No luck."}
    assert failed.state == {"notes": ["tried"]}
    assert lines.content.endswith(b'3:"No luck."\n')
    assert (status["status"], status["isRunning"]) == ("failed", False)
    assert run["error"] == failed.error


async def test_any_other_exception_is_hidden_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with TestClient(agent_that(secret)) as client:
        failed = await client.run(WORK)

    assert failed.error == HIDDEN
    (record,) = caplog.records
    assert failed.headers["statecast-run-id"] in record.getMessage()
    assert "hunter2" in caplog.text


async def test_debug_shows_it_traceback_and_all() -> None:
    async with TestClient(create_app(agent_that(secret), debug=True)) as client:
        failed = await client.run(WORK)

    assert failed.code == "agent_failed"
    assert "hunter2" in (failed.error or {})["message"]
    assert "Traceback" in (failed.error or {})["message"]


@pytest.mark.parametrize("others", [[], [secret], [secret, secret]])
@pytest.mark.parametrize("first", [True, False])
async def test_of_a_group_the_agents_own_error_counts(others: list[Callable[[Run], Any]], first: bool) -> None:
    async def group(run: Run) -> None:
        async with anyio.create_task_group() as tasks:
            for task in [no_luck, *others] if first else [*others, no_luck]:
                tasks.start_soon(task, run)

    async with TestClient(agent_that(group)) as client:
        assert (await client.run(WORK)).code == "no_luck"


async def test_an_agents_own_error_is_no_matter_for_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with TestClient(agent_that(no_luck)) as client:
        await client.run(WORK)
    assert caplog.records == []


async def test_a_failed_run_leaves_its_thread_usable() -> None:
    async with TestClient(agent_that(secret)) as client:
        first = await client.run(WORK, thread_id="t")
        second = await client.run(WORK, thread_id="t", state=first.state)

    assert second.state == {"notes": ["tried", "tried"]}


async def test_a_failed_handler_ends_its_batch() -> None:
    agent = agent_that(no_luck)
    called: list[str] = []

    @agent.on("next")
    def follow_up(run: Run, command: UntypedCommand) -> None:
        called.append("next")

    async with TestClient(agent) as client:
        await client.run(WORK, {"type": "next"})
    assert called == []


async def test_a_run_that_takes_too_long_fails() -> None:
    async def sleep(run: Run) -> None:
        await anyio.sleep_forever()

    async with TestClient(create_app(agent_that(sleep), limits=Limits(run_seconds=0.01))) as client:
        assert (await client.run(WORK)).code == "run_timeout"


async def test_a_run_that_takes_too_long_and_complains_fails_as_such() -> None:
    async def complain(run: Run) -> None:
        try:
            await anyio.sleep_forever()
        except BaseException:
            raise ConnectionError("interrupted") from None

    async with TestClient(create_app(agent_that(complain), limits=Limits(run_seconds=0.01))) as client:
        assert (await client.run(WORK)).code == "run_timeout"


async def test_a_state_that_grows_too_large_fails_its_run() -> None:
    async def grow(run: Run) -> None:
        run.state = {"text": ""}
        while True:
            run.state["text"] += "x" * 100
            await anyio.lowlevel.checkpoint()

    async with TestClient(create_app(agent_that(grow), limits=Limits(state=2_000))) as client:
        failed = await client.run(WORK)

    assert failed.code == "state_too_large"
    assert len(failed.state["text"]) == 1_900


async def test_a_state_at_its_limit_may_be_rewritten_for_ever() -> None:
    async def rewrite(run: Run) -> None:
        for number in range(100):
            run.state = {"text": "x" * 1_800 + str(number)}
            await anyio.lowlevel.checkpoint()

    async with TestClient(create_app(agent_that(rewrite), limits=Limits(state=2_000))) as client:
        assert (await client.run(WORK)).error is None


async def test_a_message_that_makes_the_state_too_large_fails_its_run() -> None:
    async with TestClient(create_app(Agent(), limits=Limits(state=2_000))) as client:
        assert (await client.run(said("x" * 3_000))).code == "state_too_large"


async def test_what_the_state_refuses_fails_the_run_at_its_line() -> None:
    async def assign(run: Run) -> None:
        run.state = {"before": 1}
        run.state["set"] = {1, 2}

    async with TestClient(agent_that(assign)) as client:
        failed = await client.run(WORK)
    assert (failed.error, failed.state) == (HIDDEN, {"before": 1})


async def test_a_background_task_belongs_to_its_run() -> None:
    async def beside(run: Run) -> None:
        await anyio.lowlevel.checkpoint()
        note(run, "beside")

    async def work(run: Run) -> None:
        run.start_soon(beside, run)
        note(run, "handler ended")

    async with TestClient(agent_that(work)) as client:
        assert (await client.run(WORK)).state == {"notes": ["handler ended", "beside"]}


async def test_a_failing_background_task_fails_its_run() -> None:
    async def work(run: Run) -> None:
        run.start_soon(no_luck, run)
        await anyio.sleep_forever()

    async with TestClient(agent_that(work)) as client:
        assert (await client.run(WORK)).code == "no_luck"


async def test_tasks_are_started_from_within_a_handler() -> None:
    kept: list[Run] = []

    async def keep(run: Run) -> None:
        kept.append(run)

    async with TestClient(agent_that(keep)) as client:
        await client.run(WORK)
        with pytest.raises(RuntimeError, match="an active run"):
            kept[0].start_soon(keep, kept[0])


async def test_plain_functions_run_beside_the_event_loop() -> None:
    agent = Agent()

    @agent.on("work")
    def work(run: Run, command: UntypedCommand) -> None:
        with pytest.raises(RuntimeError):
            anyio.get_current_task()
        for number in range(100):
            note(run, str(number))
            run.parts.append_text(f"{number} ")
            run.flush()

    async with TestClient(agent) as client:
        result = await client.run(WORK)
    assert result.state == {"notes": [str(number) for number in range(100)]}
    texts = [chunk["textDelta"] for chunk in result.chunks if chunk["type"] == "text-delta"]
    assert "".join(texts) == "".join(f"{number} " for number in range(100))


async def test_a_function_over_the_batch_sees_all_of_it() -> None:
    agent = Agent(commands=["one", "two"])

    @agent.batch
    async def batch(run: Run) -> None:
        run.state = [command.type for command in run.commands]

    async with TestClient(agent) as client:
        assert (await client.run({"type": "two"}, {"type": "one"})).state == ["two", "one"]


async def test_what_goes_wrong_with_a_batch_before_its_agent_runs_is_no_matter_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(run: Run, *rest: Any, **named: Any) -> None:
        if run.thread_id == "broken":
            raise LookupError("an odd state")

    agent, release = held()
    monkeypatch.setattr("statecast.threads.runs.execution.apply_built_in", broken)
    body = {"commands": [HOLD], "threadId": "other"}
    async with TestClient(agent) as client, client.stream("POST", "/assistant", json=body) as other:
        await other.read_until(b"held")
        assert (await client.run(NOTE, thread_id="broken")).error == HIDDEN
        assert (await client.get("/status/broken")).json()["status"] == "failed"
        release.set()
        assert b"went on" in await other.read()


async def test_parts_are_closed_at_the_end_of_a_run_however_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    async def work(run: Run) -> None:
        run.parts.append_text("half an ans")
        run.parts.add_tool_call("look")
        raise LookupError

    caplog.set_level(logging.CRITICAL)
    async with TestClient(agent_that(work)) as client:
        chunks = (await client.run(WORK)).chunks
    finished = [chunk["path"] for chunk in chunks if chunk["type"] == "part-finish"]
    assert finished == [[0], [1]]
    assert chunks[-1]["type"] == "error"


async def overloaded(run: Run) -> None:
    raise AgentError("The provider is busy.", code="busy") from LookupError("the password is hunter2")


async def test_the_cause_of_an_agents_own_error_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with TestClient(agent_that(overloaded)) as client:
        failed = await client.run(WORK)
    async with TestClient(create_app(agent_that(overloaded), debug=True)) as client:
        shown = await client.run(WORK)

    assert failed.error == {"code": "busy", "message": "The provider is busy."}
    assert "hunter2" in caplog.text
    assert shown.code == "busy"
    assert (shown.error or {})["message"].startswith("The provider is busy.\n\nLookupError")
    assert "hunter2" in (shown.error or {})["message"]


async def long_winded(run: Run) -> None:
    raise AgentError("Busy. " * 10_000, code="busy") from LookupError("hunter2 " * 10_000)


async def test_under_debug_the_text_and_the_end_of_its_traceback_fit_into_the_bound() -> None:
    async with TestClient(create_app(agent_that(long_winded), debug=True)) as client:
        failed = await client.run(WORK)

    message = (failed.error or {})["message"]
    assert len(message) == MAX_TEXT
    assert message.startswith("Busy. ")
    assert message.endswith("Busy. \n")
