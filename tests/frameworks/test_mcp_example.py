"""The example with an MCP server: through assistant-ui's client, with a server that a command starts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from examples.mcp import agent as example
from statecast import create_app
from tests.clients.driver import Driver
from tests.clients.node import Transport, TransportReport, need_node
from tests.clients.serving import served
from tests.clients.transport_checks import check, settings
from tests.frameworks.model_server import Delta, provider

pytestmark = pytest.mark.anyio

Json = Any


def calling(id: str, name: str, args: str = "{}") -> list[Delta]:
    return [("call", id, name), ("args", id, args)]


@pytest.mark.slow
async def test_the_waiter_shows_the_menu_and_books_when_the_user_has_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the example's own server, in a process of its own and started anew for each run, shows that it can be."""
    need_node()
    calls = [*calling("call_m", "menu"), *calling("call_b", "book", '{"time": "19:00"}')]
    async with provider(calls, [("text", "Booked.")]) as model:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{model.url}/v1")
        asked, report = await asyncio.to_thread(_order)

    (question,) = asked["pending"]
    shown, booked = report.final_state["messages"][1]["parts"]
    assert question["prompt"] == "Who comes at 19:00?"
    assert question["schema"]["properties"]["guests"]["maximum"] == 12
    assert shown["result"]["structuredContent"] == {"result": ["Tomato soup", "Mushroom risotto"]}
    found, none = _apps_in(report.final_state["messages"][1])
    assert found["app"] == {"resourceUri": "ui://restaurant/menu.html", "serverId": "restaurant"}
    assert found["resource"]["mimeType"] == "text/html;profile=mcp-app"
    assert "<h1>Today</h1>" in found["resource"]["html"]
    assert none == {"app": None, "resource": None}
    assert booked["result"] == "Booked at 19:00 for Ann, 2 guests."
    assert report.final_state["messages"][-1]["parts"] == [{"type": "text", "text": "Booked."}]


def _apps_in(message: Json) -> Json:
    """Return the app of each tool call, as assistant-ui finds it."""
    driver = Driver("mcp_apps.mjs")
    try:
        driver.tell(message)
        return driver.hear()
    finally:
        driver.close()


def _order() -> tuple[Json, TransportReport]:
    with served(create_app(example.agent)) as url:
        with Transport(settings(url, "assistant-transport", threadId="dinner")) as page:
            page.step("append", text="What is there to eat? And a table for 19:00.")
            page.step("wait", **{"for": "idle"})
            asked = page.told().final_state
            answer = {asked["pending"][0]["id"]: {"name": "Ann", "guests": 2}}
            page.step("command", command={"type": "answer", "answers": answer})
            page.step("wait", **{"for": "idle"})
            report = page.report()
            check(report, url)
    return asked, report
