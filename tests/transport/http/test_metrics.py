"""Metrics, as Prometheus's own parser reads them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from statecast import AddMessage, Agent, App, Run, UntypedCommand, create_app
from statecast.cli.commands import parser
from statecast.cli.settings import METRICS_TOKEN, app_of
from statecast.http.counted import Counted, summed, sums
from statecast.testing import TestClient
from statecast_agents import Usage
from tests.transport.failing_store import Failing

pytestmark = pytest.mark.anyio

TOKEN = "a-token-of-the-scraper"


def agent() -> Agent:
    agent = Agent("poet", commands=["hold"])

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        await asyncio.sleep(0)
        message = run.messages.assistant()
        message.append_text("Hello")
        message.set_metadata(usage=Usage(3, 4))

    @agent.on("hold")
    async def hold(run: Run, command: UntypedCommand) -> None:
        run.state = {"held": True}
        await asyncio.Event().wait()

    return agent


async def scraped(client: TestClient, **body: Any) -> dict[tuple[str, ...], float]:
    answer = await client.get("/metrics", **body)
    assert answer.status == 200, answer.content
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
        if not sample.name.endswith(("_bucket", "_created"))
    }


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_runs_are_counted_with_what_they_took(store: str, tmp_path: Any) -> None:
    url = store if store == "memory" else f"sqlite:///{tmp_path / 'threads.db'}"
    async with TestClient(create_app(agent(), store=url, metrics=True)) as client:
        for thread in ("a", "b"):
            await client.run("hi", thread_id=thread)
        async with client.stream("POST", "/assistant", json={"threadId": "c", "commands": [{"type": "hold"}]}) as held:
            await held.read_until(b"held")
            found = await scraped(client)
            await client.post("/cancel", json={"threadId": "c"})
            await held.read()
        later = await scraped(client)

    assert found["statecast_runs_total", "poet", "completed"] == 2
    assert found["statecast_run_seconds_count", "poet"] == 2
    assert found["statecast_run_queue_seconds_count", "poet"] == 2
    assert found["statecast_run_first_entry_seconds_count", "poet"] == 2
    assert found["statecast_tokens_total", "poet", "output"] == 8
    assert found["statecast_runs_live", "poet", "running"] == 1
    assert found["statecast_followers",] == 1
    assert found["statecast_threads",] == 3
    assert found["statecast_open_requests",] == 2
    assert found["statecast_sent_bytes_total",] > 0
    assert later["statecast_entries_total",] > found["statecast_entries_total",] > 4
    assert later["statecast_runs_total", "poet", "cancelled"] == 1
    assert later["statecast_followers",] == 0
    assert (found.get(("statecast_store_changes_total",), 0) > 0) == (store == "sqlite")


async def test_no_metric_has_a_label_that_clients_choose() -> None:
    async with TestClient(create_app(agent(), metrics=True)) as client:
        await client.run("hi", thread_id="a-thread-of-somebody")
        text = (await client.get("/metrics")).content.decode()
    labels = {
        label for family in text_string_to_metric_families(text) for sample in family.samples for label in sample.labels
    }
    assert labels <= {"agent", "status", "direction", "reason", "le"}
    assert "a-thread-of-somebody" not in text


async def test_a_store_that_is_away_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    store = Failing()
    async with TestClient(create_app(agent(), store=store, metrics=True)) as client:
        await client.run("hi", thread_id="t")
        store.broken = True
        assert (await client.run("hi", thread_id="t")).code == "store_unavailable"
        assert (await scraped(client))["statecast_store_failures_total", "unavailable"] >= 1
        store.broken = False


@pytest.mark.parametrize(
    ("metrics", "headers", "status"),
    [
        (False, {}, 404),
        (True, {}, 200),
        (True, {"x-forwarded-for": "10.0.0.1"}, 401),
        (TOKEN, {}, 401),
        (TOKEN, {"authorization": "Bearer another"}, 401),
        (TOKEN, {"authorization": f"Bearer {TOKEN}"}, 200),
        (TOKEN, {"authorization": f"Bearer {TOKEN}", "x-forwarded-for": "10.0.0.1"}, 200),
    ],
)
async def test_who_may_read_metrics(metrics: bool | str, headers: dict[str, str], status: int) -> None:
    async with TestClient(create_app(agent(), metrics=metrics)) as client:
        assert (await client.get("/metrics", headers=headers)).status == status


async def test_each_app_counts_for_itself() -> None:
    first, second = (create_app(agent(), metrics=True) for _ in range(2))
    assert isinstance(first, App)
    async with TestClient(first) as one, TestClient(second) as other:
        await one.run("hi")
        assert ("statecast_runs_total", "poet", "completed") in await scraped(one)
        assert ("statecast_runs_total", "poet", "completed") not in await scraped(other)


def test_a_short_token_is_refused() -> None:
    with pytest.raises(TypeError, match="at least 16 characters"):
        create_app(agent(), metrics="short")


@pytest.mark.parametrize(("token", "status"), [("", 200), (TOKEN, 401)])
async def test_the_command_line_takes_the_token_from_the_environment(
    token: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(METRICS_TOKEN, token)
    app = app_of(parser().parse_args(["demo", "--metrics"]))
    async with TestClient(app) as client:
        assert (await client.get("/metrics")).status == status


def test_what_processes_count_is_added_and_of_some_levels_the_highest_counts() -> None:
    def of(runs: float, lag: float, since: float) -> list[Counted]:
        return [
            Counted(
                "statecast_runs",
                "Runs",
                "counter",
                [
                    ("statecast_runs_total", {"agent": "poet", "status": "failed"}, runs),
                    ("statecast_runs_created", {"agent": "poet", "status": "failed"}, since),
                ],
            ),
            Counted("statecast_follower_lag_entries", "Lag", "gauge", [("statecast_follower_lag_entries", {}, lag)]),
            Counted("statecast_threads", "Threads", "gauge", [("statecast_threads", {}, lag)]),
        ]

    together = {name: value for family in summed([of(2, 7, 20), of(3, 5, 10)]) for name, _, value in family.samples}
    assert together == {
        "statecast_runs_total": 5,
        "statecast_runs_created": 10,
        "statecast_follower_lag_entries": 7,
        "statecast_threads": 12,
    }
    assert [family.name for family in sums(of(1, 1, 1))] == ["statecast_runs"]
