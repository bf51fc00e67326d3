"""The whole agent of the guide to model clients, in the page of `statecast dev`, with a provider on this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.node import need_chromium
from tests.clients.serving import Restarting, served
from tests.docs.pages import ROOT, load
from tests.examples.model_app import ModelApp
from tests.page.demo_page import AGENT, Page, part

GUIDE = load(ROOT / "docs" / "guides" / "model-clients.md")
(SOURCE,) = (block.text for block in GUIDE.blocks if block.file == "my_agent.py")
COST = '[data-testid="run"] dd'


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    """Return a folder with the guide's agent."""
    (tmp_path / "my_agent.py").write_text(SOURCE, encoding="utf-8")
    return tmp_path


@pytest.fixture
def start(agent: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield what serves the guide's agent beside a provider, and returns the address of the page."""
    need_chromium()
    with contextlib.ExitStack() as stack:

        def started(model: ModelApp) -> str:
            monkeypatch.setenv("OPENAI_BASE_URL", f"{stack.enter_context(served(model))}/v1")
            monkeypatch.setenv("OPENAI_API_KEY", "any")
            server = Restarting("dev", "my_agent.py", "--store", "memory", folder=agent)
            return f"{stack.enter_context(server).url}/"

        yield started


def call(id: str, name: str, args: str) -> list[tuple[Any, ...]]:
    return [("call", id, name), ("args", id, args)]


def test_the_example_is_the_agent_of_the_guide() -> None:
    example = (ROOT / "examples" / "openai_tools" / "agent.py").read_text(encoding="utf-8")
    assert SOURCE.replace("AgentError, Run\n", "AgentError, Run, serve\n") in example


def test_it_asks_before_it_books_and_notes_what_each_run_costs(start: Any, tmp_path: Path) -> None:
    model = ModelApp(
        [
            ("text", "Let me see."),
            *call("c1", "find_restaurants", '{"time": "19:00"}'),
            ("usage", 2_000_000, 1_000_000),
        ],
        [*call("c2", "book_table", '{"restaurant": "Sushi Kai", "time": "19:00"}'), ("usage", 4_000_000, 0)],
        [*call("c3", "book_table", '{"restaurant": "Trattoria Bella", "time": "19:00"}'), ("usage", 0, 500_000)],
        [("text", "It is booked."), ("usage", 8_000_000, 500_000)],
    )
    with Page(start(model), tmp_path, viewport={"width": 1440, "height": 900}) as page:
        page.say("A table at 19:00, please")
        page.wait(part("tool-call"), text="find_restaurants")
        page.wait(part("question"), text="Sushi Kai")  # nobody approves what they do not see
        page.shoot("asked")
        page.click(part("question-approve"))  # which fails, because it has no table then
        page.wait(part("tool-call"), count=3)
        page.wait(part("question"))
        assert page.state()["bookings"] == []
        page.click(part("question-approve"))
        page.wait(AGENT, text="It is booked.")
        page.rest()
        page.open("runs")
        page.wait(COST, text="$3.50")
        page.shoot("booked")
        assert page.state()["bookings"] == [{"restaurant": "Trattoria Bella", "time": "19:00"}]
        runs = page.server(f"threads/{page.thread}/runs")["runs"]

    told = [message["content"] for message in model.requests[2]["messages"] if message["role"] == "tool"]
    assert told[-1] == "Sushi Kai has no table at 19:00."
    assert sorted(run["cost"] for run in runs) == pytest.approx([1.0, 3.0, 3.5])


def test_stop_closes_the_connection_and_retry_asks_again_after_a_refusal(start: Any, tmp_path: Path) -> None:
    model = ModelApp([("text", "One moment"), ("hang",)], [("refuse", 401)], [("text", "Good evening.")])
    with Page(start(model), tmp_path, viewport={"width": 1440, "height": 900}) as page:
        page.say("Hello")
        page.wait(AGENT, text="One moment")
        page.click(part("composer-stop"))
        page.wait(part("unfinished"))
        assert model.left.wait(60)
        page.say("Hello again")
        page.wait(part("run-error"))
        page.shoot("refused")
        page.open("runs")
        page.click(f'{part("run")}[data-status="failed"] >> {part("run-retry")}')
        page.wait(AGENT, text="Good evening.")
        page.rest()
