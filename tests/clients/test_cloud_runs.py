"""Titles, and what is reported of runs, as the published client of Assistant Cloud asks for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import anyio.to_thread
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from statecast import About, Cloud, CloudReport, create_app
from tests.clients.cloud import CloudClient, CloudFailed, text_of
from tests.clients.cloud_scene import API_KEY, Bees, bees, client, refused, url
from tests.clients.node import Json
from tests.clients.serving import served
from tests.clients.transport_checks import PATIENCE

__all__ = ["bees", "client", "url"]


# Titles


def words(chunks: Json) -> list[str]:
    return [chunk["textDelta"] for chunk in chunks if chunk["type"] == "text-delta"]


def test_a_title_is_the_first_words_and_the_threads_before_the_stream_ends(client: CloudClient) -> None:
    thread_id = client.create()
    client.write(thread_id, "user", "Where do the bees of the north spend their winters?")

    assert "".join(words(client.title(thread_id))).startswith("Where do the bees")
    assert client.call("threads.get", thread_id)["title"].startswith("Where do the bees")
    told = {"role": "user", "content": [{"type": "text", "text": "Honey"}]}
    assert "".join(words(client.title(thread_id, told))) == "Honey"


def test_the_clients_own_function_for_titles_gets_one(client: CloudClient) -> None:
    thread_id = client.create()
    messages = [{"role": "user", "content": [{"type": "text", "text": "Honey and wax"}]}]

    assert client.call("generateThreadTitle", {"threadId": thread_id, "messages": messages}) == "Honey and wax"
    assert client.call("threads.get", thread_id)["title"] == "Honey and wax"


def test_an_agents_own_title_comes_as_it_makes_it(client: CloudClient, bees: Bees) -> None:
    @bees.agent.title
    async def title(about: About) -> AsyncIterator[str]:
        bees.about.append(about)
        yield "Of "
        await anyio.to_thread.run_sync(bees.go.wait, PATIENCE)
        yield "honey"

    async def release(request: Request) -> Response:
        bees.go.set()
        return Response()

    thread_id = client.create()
    client.write(thread_id, "user", "Hello")

    with served(Starlette(routes=[Route("/", release)])) as then:
        assert client.call("titleThen", {"threadId": thread_id, "then": then}) == ["Of ", "honey"]
    assert client.call("threads.get", thread_id)["title"] == "Of honey"
    assert [text_of({"parts": message["parts"]}) for message in bees.about[0].messages] == ["Hello"]


@pytest.mark.parametrize("late", [False, True])
def test_a_title_that_fails_is_an_error_that_the_client_sees(client: CloudClient, bees: Bees, late: bool) -> None:
    @bees.agent.title
    def title(about: About) -> Iterator[str]:
        if late:
            yield "Of "
        raise RuntimeError("no words today")

    thread_id = client.create(title="As it was")
    with pytest.raises(CloudFailed) as raised:
        client.title(thread_id)

    assert "no words today" not in raised.value.message
    if not late:
        assert (raised.value.status, raised.value.code) == (500, "agent_failed")
    assert client.call("threads.get", thread_id)["title"] == "As it was"


# What clients report


def test_reports_events_and_scores_are_taken(client: CloudClient) -> None:
    thread_id = client.create()
    report = {"thread_id": thread_id, "status": "completed", "total_steps": 1, "steps": [{"input_tokens": 3}]}
    run_id = client.call("runs.report", report)["run_id"]
    score = {"name": "quality", "thread_id": thread_id, "run_id": run_id}
    graded = client.call("scores.create", {**score, "data_type": "numeric", "value": 0.5, "comment": "so so"})
    named = client.call("scores.create", {**score, "data_type": "categorical", "string_value": "good"})
    agreed = client.call("scores.create", {**score, "data_type": "boolean", "value": True})
    client.call("track", [{"kind": "message_sent", "thread_id": thread_id, "value": number} for number in range(20)])

    assert (graded["value"], named["string_value"], agreed["value"]) == (0.5, "good", 1)
    assert client.requests == [{"method": "POST", "path": "/v1/events", "status": 200}]
    strange = {"thread_id": "thr_none", "status": "completed"}
    assert refused(lambda: client.call("runs.report", strange)) == (404, "unknown_thread")
    assert refused(lambda: client.call("runs.report", {**report, "status": "odd"})) == (422, "invalid_request")


def test_what_is_reported_reaches_the_apps_hook(bees: Bees) -> None:
    reports: list[CloudReport] = []
    with served(create_app(bees.agent, cloud=Cloud(api_keys=[API_KEY], report=reports.append))) as url:
        client = CloudClient(url, apiKey=API_KEY, userId="ann", workspaceId="hive")
        thread_id = client.create()
        client.call("runs.report", {"thread_id": thread_id, "status": "error", "error": "no honey"})
        client.call("track", [{"kind": "error_shown", "thread_id": thread_id}] * 20)
        client.call("scores.create", {"name": "q", "data_type": "numeric", "value": 1, "thread_id": thread_id})

    assert sorted(report.kind for report in reports) == ["event"] * 20 + ["run", "score"]
    assert {(report.thread_id, report.user.id) for report in reports} == {(thread_id, "ann")}
    assert next(report.fields["error"] for report in reports if report.kind == "run") == "no honey"
