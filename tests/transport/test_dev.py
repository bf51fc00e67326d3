"""`statecast dev`: the page, a restart when the code changes, and one that the page asks for."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from statecast import create_app
from statecast.cli.commands import parser
from statecast.cli.settings import app_of, page_hint
from statecast.demo import agent
from statecast.http import add_restart
from statecast.testing import TestClient
from tests.clients.serving import Restarting

PATIENCE = 60
AGENT = """
from statecast import AddMessage, Agent

agent = Agent("mine")
SAYS = "first"

@agent.on(AddMessage)
async def answer(run, command):
    run.messages.assistant().append_text(SAYS)

@agent.on("fail")
async def fail(run, command):
    raise LookupError("a detail")
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Restarting]:
    (tmp_path / "my_agent.py").write_text(AGENT)
    with Restarting("dev", "my_agent.py", folder=tmp_path) as server:
        yield server


def get(server: Restarting, path: str) -> httpx.Response:
    return httpx.get(f"{server.url}{path}", timeout=PATIENCE)


def said(server: Restarting, text: str) -> str:
    """Say something in the thread `t`, and return what the agent has said last."""
    body: dict[str, Any] = {
        "threadId": "t",
        "commands": [{"type": "add-message", "message": {"role": "user", "parts": [{"type": "text", "text": text}]}}],
    }
    httpx.post(f"{server.url}/assistant", json=body, timeout=PATIENCE)
    last: str = messages(server)[-1]["parts"][0]["text"]
    return last


def messages(server: Restarting) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(server, "/threads/t/state").json()["state"]["messages"]
    return found


def until(fact: Callable[[], bool]) -> None:
    """Ask again until it is so; a connection may go with its process."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(httpx.TransportError):
            if fact():
                return
    pytest.fail("in vain")


@pytest.mark.slow
def test_a_server_that_the_page_kills_comes_back_with_everything(server: Restarting) -> None:
    assert "<html" in get(server, "/").text
    assert said(server, "Hello") == "first"
    assert [thread["remoteId"] for thread in get(server, "/threads").json()["threads"]] == ["t"]
    failed = httpx.post(f"{server.url}/assistant", json={"commands": [{"type": "fail"}]}, timeout=PATIENCE)
    assert "a detail" in failed.text

    before = get(server, "/dev/restart").json()["process"]
    killed = httpx.post(f"{server.url}/dev/restart", timeout=PATIENCE)
    assert (killed.status_code, killed.json()) == (202, {"process": before})

    until(lambda: get(server, "/dev/restart").json()["process"] != before)
    assert len(messages(server)) == 2


@pytest.mark.slow
def test_a_change_of_the_code_starts_the_server_again_and_a_mistake_waits_for_the_next(
    server: Restarting, tmp_path: Path
) -> None:
    code, log = tmp_path / "my_agent.py", tmp_path / "log"
    line = AGENT.count("\n") + 1
    code.write_text(AGENT + "def (\n")
    until(lambda: get(server, "/threads").status_code == 503)
    error = get(server, "/threads").json()["error"]
    assert error["code"] == "agent_not_loaded"
    assert f"cannot import {code}, line {line}: SyntaxError" in error["message"]
    assert "def (" in error["traceback"]
    page, module = get(server, "/"), get(server, "/client.js")  # the page can be opened meanwhile, and shows it
    assert ("<html" in page.text, module.status_code) == (True, 200)
    assert "SyntaxError" in log.read_text()
    code.write_text(AGENT.replace('"first"', '"second"'))
    until(lambda: get(server, "/threads").status_code == 200)

    assert said(server, "Hello") == "second"


@pytest.mark.parametrize(
    ("line", "page"),
    [
        ("serve statecast.demo:agent", False),
        ("serve statecast.demo:agent --page", True),
        ("dev statecast.demo:agent", True),
        ("dev statecast.demo:agent --host ::1", True),
        ("dev statecast.demo:agent --host 0.0.0.0", False),
        ("demo", True),
        ("demo --host 192.168.1.5", False),
    ],
)
@pytest.mark.anyio
async def test_the_page_is_there_for_whoever_develops_on_this_machine(line: str, page: bool) -> None:
    options = parser().parse_args([*line.split(), "--store", "memory"])
    async with TestClient(app_of(options)) as client:
        root, restart = await client.get("/"), await client.get("/dev/restart")

    assert root.status == (200 if page else 404)
    assert restart.status == (200 if page and "serve" not in line else 404)
    assert ("Open it in a browser" in page_hint(options)) == page


def test_the_page_on_other_machines_needs_to_know_who_asks() -> None:
    options = parser().parse_args(["dev", "statecast.demo:agent", "--host", "0.0.0.0", "--page", "--store", "memory"])

    with pytest.raises(ValueError, match="identify"):
        app_of(options)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://wasps.example"},
        {"origin": "null"},
        {"x-forwarded-for": "203.0.113.5"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=lambda headers: next(iter(headers.values())),
)
@pytest.mark.anyio
async def test_no_page_from_elsewhere_restarts_the_server(headers: dict[str, str]) -> None:
    app = create_app(agent)
    add_restart(app)
    async with TestClient(app) as client:
        answers = [
            await client.post("/dev/restart", headers=headers),
            await client.get("/dev/restart", headers=headers),
        ]

    assert [(one.status, one.json()["error"]["code"]) for one in answers] == [(403, "origin_not_allowed")] * 2
