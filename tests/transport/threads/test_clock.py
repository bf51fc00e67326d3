"""The clock that a hub is given: its times count by it, and not by the machine's."""

from __future__ import annotations

import anyio
import pytest

from statecast import Agent, Limits, Run, UntypedCommand
from statecast.stores import Key
from statecast.threads.hub import Hub
from statecast.threads.rules import Posted

pytestmark = pytest.mark.anyio


async def test_a_run_and_a_thread_age_by_the_clock_of_the_hub() -> None:
    now = 0.0
    began = anyio.Event()
    agent = Agent()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        began.set()
        await anyio.sleep_forever()

    hub = Hub({"assistant": agent}, limits=Limits(run_seconds=100, idle_seconds=1_000), clock=lambda: now)
    await hub.start()
    posted = Posted(agent=agent, commands=[b'{"type":"work"}'], thread_id="t")
    thread = (await hub.submit(posted)).thread
    await began.wait()
    now = 101.0  # the supervisor looks once a second
    await hub._runs.idle.wait()
    assert thread.run is not None
    assert thread.run.error is not None
    assert thread.run.error.code == "run_timeout"
    now = 1_102.0
    hub.registry.unload_idle(now)
    assert hub.registry.get(Key(None, "t")) is None
    await hub.aclose()
