"""The examples for generators and smolagents, through `useAssistantTransportRuntime`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from statecast import Agent, Run, create_app
from statecast.frameworks import GeneratorAgent
from tests.clients.node import Transport, TransportReport, need_node
from tests.clients.serving import served
from tests.clients.transport_checks import check, settings
from tests.examples.model_app import ModelApp


def talk(agent: Agent, *texts: str) -> TransportReport:
    """Say each text when the answer to the one before has come, and return what the page then has."""
    need_node()
    with served(create_app(agent)) as url:
        with Transport(settings(url, "assistant-transport", threadId="t", steps=[])) as page:
            for text in texts:
                page.step("append", text=text)
                page.step("wait", **{"for": "idle"})
            report = page.report()
        check(report, url)
    return report


def test_the_report_shows_its_steps_its_totals_and_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    from examples.generator import agent as example

    monkeypatch.setattr(example, "PAUSE", 0.0)
    report = talk(example.agent, "Sales?")
    state: Any = report.final_state
    shown: Any = report.messages[1]["content"]

    assert [step["done"] for step in state["steps"]] == [True, True, True]
    assert state["totals"] == {"North": 295, "South": 260, "West": 135}
    assert [part["type"] for part in shown] == ["tool-call"] * 3 + ["text"]
    assert shown[0]["result"] == [120, 80, 95]
    assert shown[-1]["text"] == "North sold most, 295 of 690. "


def test_a_page_shows_that_an_answer_was_stopped() -> None:
    need_node()

    async def story(run: Run) -> AsyncIterator[str]:
        yield "Once"
        await asyncio.Event().wait()

    with served(create_app(GeneratorAgent(story))) as url:
        with Transport(settings(url, "assistant-transport", threadId="t", steps=[])) as page:
            page.step("append", text="Tell me a story")
            page.step("wait", **{"for": {"path": ["messages", 1, "parts", 0, "text"], "equals": "Once"}})
            httpx.post(f"{url}/cancel", json={"threadId": "t"}).raise_for_status()
            page.step("wait", **{"for": "idle"})
            report = page.report()
        check(report, url)

    answer: Any = report.messages[1]
    assert answer["content"] == [{"type": "text", "text": "Once"}]
    assert answer["status"] == {"type": "incomplete", "reason": "cancelled"}


def test_the_librarian_searches_and_remembers(monkeypatch: pytest.MonkeyPatch) -> None:
    from examples.smolagents.agent import agent

    model = ModelApp(
        [("text", "I search."), ("call", "c1", "search"), ("args", "c1", '{"words": "pond"}')],
        [("call", "c2", "final_answer"), ("args", "c2", '{"answer": "Try '), ("args", "c2", 'Walden."}')],
        [("call", "c3", "final_answer"), ("args", "c3", '{"answer": "By Thoreau."}')],
    )
    with served(model) as base:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{base}/v1")
        report = talk(agent, "Something about a pond?", "Who wrote it?")

    thought, search, answer = report.messages[1]["content"]
    assert (thought["type"], thought["text"]) == ("reasoning", "I search.")
    assert search["result"] == "Walden: Henry David Thoreau, 1854: two years in a cabin by a pond."
    assert answer["text"] == "Try Walden."
    assert report.messages[3]["content"] == [{"type": "text", "text": "By Thoreau."}]
    asked = str(model.requests[2]["messages"])
    assert "Something about a pond?" in asked
    assert "Try Walden." in asked
