"""The example for LangGraph, through `useAssistantTransportRuntime`: plan, sub-agent, progress and approval."""

from __future__ import annotations

from typing import Any

import pytest

from examples.langgraph.agent import agent
from statecast import create_app
from tests.clients.node import Transport, need_node
from tests.clients.serving import served
from tests.clients.transport_checks import check, settings


@pytest.mark.parametrize(("approved", "says"), [(True, "Booked the 07:05 to Rome."), (False, "Then I book nothing.")])
def test_the_planner_shows_its_plan_and_books_what_is_approved(approved: bool, says: str) -> None:
    need_node()
    with served(create_app(agent)) as url:
        with Transport(settings(url, "assistant-transport", threadId="trip", steps=[])) as page:
            page.step("append", text="Plan a trip to Rome")
            page.step("wait", **{"for": "idle"})
            waiting: Any = page.told().final_state
            (question,) = waiting["pending"]
            page.step("command", command={"type": "answer", "answers": {question["id"]: approved}})
            page.step("wait", **{"for": "idle"})
            report = page.report()
        check(report, url)

    assert question["callId"] == "book"
    assert [todo["status"] for todo in waiting["agent"]["todos"]] == ["completed", "completed", "in_progress"]
    assert waiting["custom"] == {"search": {"to": "Rome", "done": 3, "of": 3}}
    calls = {
        part["toolCallId"]: part
        for message in report.final_state["messages"]
        for part in message["parts"]
        if part["type"] == "tool-call"
    }
    (sights,) = calls["guide"]["messages"][-1]["content"]
    assert sights["text"].strip() == "In Rome, see the old town, the museum and the river."
    assert calls["book"]["approval"]["approved"] is approved
    assert says in report.final_state["messages"][-1]["parts"][0]["text"]
    shown = [part for message in report.messages for part in message["content"] if part["type"] == "tool-call"]
    assert [part["toolCallId"] for part in shown] == [*calls]
