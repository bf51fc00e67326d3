"""`config.apiKey` is for the agent's eyes; `config.baseUrl` only where an agent asked for it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from statecast import Agent, Run, UntypedCommand, create_app
from statecast.testing import TestClient

pytestmark = pytest.mark.anyio

KEY = "sk-5ecret"
CONFIG = {"apiKey": KEY, "baseUrl": "http://model.example", "modelName": "m"}


async def whatever_it_tells(client: TestClient, body: dict[str, Any]) -> str:
    """Return everything that any endpoint has to say after a request."""
    told: list[Any] = []
    for query in ("", "?protocol=assistant-transport"):
        response = await client.post(f"/assistant{query}", json=body)
        told += [response.headers, response.content]
    told += [(await client.post("/resume", json={"threadId": "t"})).content]
    for path in ("/threads/t/state", "/status/t", "/openapi.json", "/agents", "/health"):
        told.append((await client.get(path)).content)
    return " ".join(map(str, told))


@pytest.mark.parametrize("debug", [False, True])
async def test_a_failing_run_tells_nobody_of_the_key(debug: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    agent = Agent()
    seen: list[str | None] = []

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        seen.append(run.request.config.api_key)
        run.state = {
            "extra": run.request.extra,
            "config": repr(run.request.config),
        }
        raise LookupError(f"no model for {run.request}")

    async with TestClient(create_app(agent, debug=debug)) as client:
        body = {"commands": [{"type": "work"}], "threadId": "t", "config": CONFIG, "apiKey": KEY, "modelName": "m"}
        told = await whatever_it_tells(client, body)

    assert seen == [KEY, KEY]
    assert "LookupError" in caplog.text
    assert ("LookupError" in told) == debug
    assert KEY not in told
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    "body",
    [
        {"config": {**CONFIG, "modelName": 5}},
        {"config": {**CONFIG, "apiKey": [KEY]}},
        {"config": KEY},
        {"config": CONFIG, "apiKey": KEY, "system": 5},
        {"config": {**CONFIG, "seed": 2**60}},
        {"config": {**CONFIG, "__proto__": KEY}},
    ],
    ids=str,
)
async def test_a_refused_request_tells_nobody_either(body: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with TestClient(Agent()) as client:
        refused = await client.post("/assistant", json={"commands": [], **body})

    assert 400 <= refused.status < 500
    assert KEY.encode() not in refused.content
    assert KEY not in caplog.text


async def test_a_malformed_body_is_not_quoted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with TestClient(Agent()) as client:
        body = f'{{"commands":[],"config":{{"apiKey":"{KEY}"'.encode()
        refused = await client.post("/assistant", content=body, headers={"content-type": "application/json"})

    assert refused.status == 400
    assert KEY.encode() not in refused.content
    assert KEY not in caplog.text


@pytest.mark.parametrize(("accepted", "expected"), [(False, None), (True, "http://model.example")])
async def test_the_base_url_reaches_the_agent_only_where_it_asked_for_it(accepted: bool, expected: str | None) -> None:
    agent = Agent(accept_base_url=accepted)
    seen: list[Any] = []

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        seen.append((run.request.config.base_url, run.request.extra))

    async with TestClient(agent) as client:
        await client.run({"type": "work"}, config=CONFIG, baseUrl="http://spread.example")
    assert seen == [(expected, {})]
