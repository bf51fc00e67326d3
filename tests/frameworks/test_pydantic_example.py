"""The example with Pydantic AI: through assistant-ui's client, with its stand-ins for models."""

from __future__ import annotations

import pytest

from examples.pydantic_ai import agent as example
from examples.pydantic_ai import offline
from statecast import create_app
from tests.clients.node import Transport, need_node
from tests.clients.serving import served
from tests.clients.transport_checks import check, settings


def test_the_travel_agent_plans_asks_its_guide_and_books_when_the_user_approves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    need_node()
    monkeypatch.setattr(example.travel, "model", offline.travel)  # whatever the environment names
    monkeypatch.setattr(example.guide, "model", offline.guide)

    with (
        served(create_app(example.agent)) as url,
        Transport(settings(url, "assistant-transport", threadId="rome")) as page,
    ):
        page.step("append", text="Two nights in Rome")
        page.step("wait", **{"for": "idle"})
        asked = page.told().final_state
        (question,) = asked["pending"]
        page.step("command", command={"type": "answer", "answers": {question["id"]: True}})
        page.step("wait", **{"for": "idle"})
        report = page.report()
        check(report, url)

    assert question["prompt"] == "Book 2 nights in Rome?"
    assert asked["plan"] == [{"city": "Rome", "nights": 2, "booked": False}]
    assert report.final_state["plan"][0]["booked"] is True
    _, guided, added, booked, last = report.final_state["messages"][1]["parts"]
    assert guided["messages"][1]["content"][0]["text"].startswith("Walk the Forum")
    assert (added["result"], booked["result"], last["text"]) == ("Rome is stop 1.", "Booked Rome.", "Rome is booked. ")
