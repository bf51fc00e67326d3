"""Reports of the cloud API: the app's hook gets each, and the page's answer does not depend on it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from statecast import Agent, Cloud, CloudReport, create_app
from statecast.stores import Key, MemoryStore
from statecast.testing import Response, TestClient

pytestmark = pytest.mark.anyio

KEY = "an-api-key-of-the-app"
HEADERS = {"authorization": f"Bearer {KEY}", "aui-user-id": "ann", "aui-workspace-id": "hive"}


def serving(**settings: Any) -> TestClient:
    return TestClient(create_app(Agent(), cloud=Cloud(api_keys=[KEY], **settings)))


async def post(client: TestClient, path: str, body: Any) -> Response:
    return await client.post(path, json=body, headers=HEADERS)


async def reported(client: TestClient) -> tuple[str, list[Response]]:
    """Report a run, events and a score; return the thread, and the answers."""
    thread = (await post(client, "/v1/threads", {})).json()["thread_id"]
    run = {"thread_id": thread, "status": "completed", "a_field_of_tomorrow": [1]}
    events = [{"kind": kind, "thread_id": where} for kind, where in (("a", thread), ("b", "thr_none"), ("c", thread))]
    score = {"name": "quality", "data_type": "boolean", "value": True, "thread_id": thread}
    return thread, [
        await post(client, "/v1/runs", run),
        await post(client, "/v1/events", {"events": events}),
        await post(client, "/v1/scores", score),
    ]


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_the_hook_gets_each_report_before_the_page_gets_its_answer(kind: str) -> None:
    reports: list[CloudReport] = []

    async def later(report: CloudReport) -> None:
        reports.append(report)

    async with serving(report=reports.append if kind == "plain" else later) as client:
        thread, answers = await reported(client)

    assert [report.kind for report in reports] == ["run", "event", "event", "score"]
    assert {(report.thread_id, report.user.id, report.user.workspace) for report in reports} == {
        (thread, "ann", "hive")
    }
    assert reports[0].fields == {"thread_id": thread, "status": "completed", "a_field_of_tomorrow": [1]}
    assert [report.fields["kind"] for report in reports[1:3]] == ["a", "c"]
    assert [answer.json() for answer in answers] == [
        {"run_id": reports[0].id},
        {"kept": 2},
        {
            "score_id": reports[3].id,
            "value": 1.0,
            "name": "quality",
            "data_type": "boolean",
            "string_value": None,
        },
    ]


async def test_a_report_that_is_refused_does_not_reach_the_hook() -> None:
    reports: list[CloudReport] = []
    async with serving(report=reports.append) as client:
        assert (await post(client, "/v1/runs", {"thread_id": "thr_none", "status": "completed"})).status == 404
        assert (await post(client, "/v1/scores", {"name": "q", "data_type": "odd"})).status == 422

    assert reports == []


async def test_a_hook_that_fails_is_in_the_log_only(caplog: pytest.LogCaptureFixture) -> None:
    def fails(report: CloudReport) -> None:
        raise LookupError("hunter2")

    async with serving(report=fails) as client:
        with caplog.at_level(logging.ERROR, "statecast"):
            _, answers = await reported(client)

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert all(b"hunter2" not in answer.content for answer in answers)
    assert [record.message.split(" failed")[0] for record in caplog.records] == ["the hook for a report"] * 3


async def test_without_a_hook_reports_are_answered_and_not_kept() -> None:
    store = MemoryStore()
    async with TestClient(create_app(Agent(), store=store, cloud=Cloud(api_keys=[KEY]))) as client:
        thread, answers = await reported(client)
        kept = [await store.records(Key("hive", thread), kind) for kind in ("run", "report", "event", "score")]

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert kept == [[], [], [], []]


def test_a_hook_that_is_no_function_is_refused() -> None:
    with pytest.raises(TypeError, match=r"expected Cloud\.report to be a function, got 'print'"):
        Cloud(report="print")  # type: ignore[arg-type]  # that is the mistake
