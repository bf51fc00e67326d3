"""What the log has of an exception of the agent: that one alone, from the agent's own first frame on."""

from __future__ import annotations

import logging
import traceback

import anyio
import pytest

from statecast import Agent, Run, UntypedCommand, create_app
from statecast.testing import TestClient
from statecast.threads.tracebacks import from_the_users, unwrapped

pytestmark = pytest.mark.anyio


async def broken() -> None:
    raise LookupError("hunter2")


async def nested() -> None:
    async with anyio.create_task_group() as outer, anyio.create_task_group() as inner:
        outer.start_soon(anyio.lowlevel.checkpoint)
        inner.start_soon(broken)


async def test_the_log_shows_a_single_exception_without_its_groups(caplog: pytest.LogCaptureFixture) -> None:
    agent = Agent()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        await nested()

    async with TestClient(create_app(agent, debug=True)) as client:
        failed = await client.run({"type": "work"})

    text = logging.Formatter().format(next(record for record in caplog.records if record.name == "statecast"))
    assert "ExceptionGroup" not in text
    frames = [line for line in text.splitlines() if line.startswith("  File")]
    assert [frame.rpartition(", in ")[2] for frame in frames] == ["broken"]
    assert "ExceptionGroup" not in str(failed.error)
    assert "hunter2" in str(failed.error)


def test_several_exceptions_stay_a_group() -> None:
    several = ExceptionGroup("several", [ValueError("a"), ValueError("b")])
    assert unwrapped(ExceptionGroup("one", [several])) is several


def test_what_never_reaches_users_code_keeps_all_its_frames() -> None:
    try:
        create_app([])
    except ValueError as error:
        ours = error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
        assert len(traceback.extract_tb(from_the_users(ours)[2])) == len(traceback.extract_tb(ours.__traceback__)) > 0
