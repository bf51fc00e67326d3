"""A page that is refused by its origin or by the host's name is in the log, once, with the option that lets it in."""

from __future__ import annotations

import pytest

from statecast import Agent, create_app
from statecast.http.middleware import refusals
from statecast.testing import TestClient

pytestmark = pytest.mark.anyio

ORIGIN = "https://page.example"


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "statecast"]


async def test_a_page_of_another_origin_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    preflight = {"origin": ORIGIN, "access-control-request-method": "POST"}
    async with TestClient(create_app(Agent(), cors_origins=["https://good.example"])) as client:
        assert (await client.request("OPTIONS", "/assistant", headers=preflight)).status == 400
        for origin in (ORIGIN, ORIGIN, "https://good.example", "http://127.0.0.1"):
            await client.get("/health", headers={"origin": origin})
        await client.get("/health", headers={"origin": "https://proxied.example", "sec-fetch-site": "same-origin"})
        await client.get("/health", headers={"origin": "https://other.example"})

    first, second = logged(caplog)
    assert f"'{ORIGIN}'" in first
    assert "--cors-origin" in first
    assert "'https://other.example'" in second


async def test_an_unknown_host_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async with TestClient(create_app(Agent(), allowed_hosts=["good.example"])) as client:
        for host in ("evil.example:80", "evil.example", "good.example", "localhost"):
            await client.get("/health", headers={"host": host})

    (line,) = logged(caplog)
    assert "'evil.example'" in line
    assert "--allowed-host" in line


async def test_no_more_are_logged_than_fit(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "MOST", 2)
    async with TestClient(create_app(Agent())) as client:
        for number in range(5):
            await client.get("/health", headers={"host": f"evil{number}.example"})

    assert len(logged(caplog)) == 2
