"""assistant-ui's published hook behind a load balancer: each of its requests reaches another process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import httpx
import pytest

from tests.clients.node import Json, Protocol, Transport, TransportReport, need_node
from tests.clients.transport_checks import IDLE, check, said, settings
from tests.cluster.cluster import Cluster, Engine, Member
from tests.cluster.engines import ENGINES
from tests.cluster.paged_agents import GATE
from tests.cluster.round_robin import RoundRobin

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@asynccontextmanager
async def balanced(folder: Path, engine: str) -> AsyncIterator[RoundRobin]:
    """Yield a load balancer before three servers."""
    need_node()

    def member(name: str, place: Path, shared: Engine) -> Member:
        agents = "tests.cluster.paged_agents:agents"
        return Member(name, place, shared, target=agents, environment={GATE: str(folder / "gate")})

    with ENGINES[engine]() as shared:
        async with Cluster(folder, shared, Random(1), make=member) as cluster:
            async with RoundRobin([member.served.url for member in cluster.members]) as balancer:
                yield balancer
        assert b"Traceback" not in cluster.errors


def page(balancer: RoundRobin, thread: str, protocol: Protocol) -> dict[str, Json]:
    """Return the settings of a page on a thread."""
    resuming = {
        "resumeApi": f"{balancer.url}/resume?protocol={protocol}",
        "resumeStateApi": f"{balancer.url}/initial-state",
    }
    return settings(balancer.url, protocol, threadId=thread, cancelApi=f"{balancer.url}/cancel", **resuming)


def text(words: str) -> Json:
    return {"do": "wait", "for": {"path": ["messages", 1, "parts", 0, "text"], "equals": words}}


@pytest.mark.parametrize("engine", ENGINES)
async def test_pages_go_on_in_whichever_process_they_reach(tmp_path: Path, engine: str) -> None:
    async with balanced(tmp_path, engine) as balancer:
        for protocol in ("assistant-transport", "data-stream"):
            (tmp_path / "gate").unlink(missing_ok=True)
            await asyncio.to_thread(reload_and_resume, balancer, protocol, tmp_path / "gate")
            await asyncio.to_thread(approve_in_another_tab, balancer, protocol)
            await asyncio.to_thread(stop_from_a_third, balancer, protocol)


def reload_and_resume(balancer: RoundRobin, protocol: Protocol, gate: Path) -> None:
    """A page is left in mid-run, and the one that is loaded in its place follows the run to its end."""
    setup = page(balancer, f"slow-{protocol}", protocol)
    with Transport(setup) as one:
        one.step("append", text="slow")
        one.step(**text("half"))
        one.step("unmount")
        with Transport(setup) as other:
            other.step("resume")
            other.step(**text("half"))
            gate.touch()
            other.step(**IDLE)
            report = other.report()
    check(report, balancer.url)
    assert said(report.final_state) == [("user", "slow"), ("assistant", "half and half")]
    sent, resumed = (balancer.servers(path)[-1] for path in ("/assistant", "/resume"))
    assert sent != resumed


def approve_in_another_tab(balancer: RoundRobin, protocol: Protocol) -> None:
    """A question that one page is asked is answered in another one."""
    setup = page(balancer, f"delete-{protocol}", protocol)
    with Transport(setup) as one, Transport(setup) as other:
        one.step("append", text="delete")
        one.step(**IDLE)
        asked_in = balancer.servers("/assistant")[-1]
        state = httpx.get(f"{balancer.url}/threads/delete-{protocol}/state").json()["state"]
        other.step("import-state", state=state)
        other.step("command", command={"type": "answer", "answers": {"ask-a": True}})
        other.step(**IDLE)
        report = other.report()
    check(report, balancer.url)
    (call, done) = report.final_state["messages"][1]["parts"]
    assert (call["result"], done["text"]) == ("gone", "Done.")
    assert balancer.servers("/assistant")[-1] != asked_in


def stop_from_a_third(balancer: RoundRobin, protocol: Protocol) -> None:
    """A run that one page started, and a second one follows, is stopped from a third."""
    setup = page(balancer, f"stay-{protocol}", protocol)
    reports: list[TransportReport] = []
    with Transport(setup) as one, Transport(setup) as other:
        one.step("append", text="stay")
        one.step(**text("I begin"))
        other.step("resume")
        other.step(**text("I begin"))
        httpx.get(f"{balancer.url}/status/stay-{protocol}")  # the next one goes to the third
        stopped = httpx.post(f"{balancer.url}/cancel", json={"threadId": f"stay-{protocol}"}).json()
        assert stopped["cancelled"] is True
        for client in (one, other):
            client.step(**IDLE)
            reports.append(client.report())
    for report in reports:
        check(report, balancer.url)
    started, followed, stopped_by = (balancer.servers(path)[-1] for path in ("/assistant", "/resume", "/cancel"))
    assert len({started, followed, stopped_by}) == 3
