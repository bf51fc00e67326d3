"""The travel agents of three frameworks, through `useAssistantTransportRuntime`: a plan, a guide, and an approval."""

from __future__ import annotations

from typing import Any

import pytest

from statecast import Agent, create_app
from tests.clients.node import Transport, need_node
from tests.clients.serving import served
from tests.clients.transport_checks import check, settings
from tests.frameworks import adk_models, ms_clients


def plan_and_book(agent: Agent) -> tuple[Any, Any, Any]:
    """Ask for a trip and approve what the agent asks: the state with the question, the question, and the last state."""
    need_node()
    with (
        served(create_app(agent)) as url,
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
    return asked, question, report.final_state


def parts_of(state: Any) -> list[Any]:
    """Return the parts of the agent's messages, but the first."""
    return [part for message in state["messages"][1:] for part in message["parts"]][1:]


def test_with_pydantic_ai(monkeypatch: pytest.MonkeyPatch) -> None:
    from examples.pydantic_ai import agent as example
    from examples.pydantic_ai import offline

    monkeypatch.setattr(example.travel, "model", offline.travel)  # whatever the environment names
    monkeypatch.setattr(example.guide, "model", offline.guide)
    asked, question, state = plan_and_book(example.agent)

    assert question["prompt"] == "Book 2 nights in Rome?"
    assert asked["plan"] == [{"city": "Rome", "nights": 2, "booked": False}]
    assert state["plan"][0]["booked"] is True
    guided, added, booked, last = parts_of(state)
    assert guided["messages"][1]["content"][0]["text"].startswith("Walk the Forum")
    assert (added["result"], booked["result"], last["text"]) == ("Rome is stop 1.", "Booked Rome.", "Rome is booked. ")


def test_with_google_adk(monkeypatch: pytest.MonkeyPatch) -> None:
    from examples.google_adk import agent as example

    call = adk_models.call
    travel = adk_models.Script(
        ["Let me see. ", call("guide", "g", request="What to see?"), call("add_stop", "a", city="Rome", nights=2)],
        [call("book", "b", city="Rome")],
        ["All is booked."],
    )
    monkeypatch.setattr(example.travel, "model", travel)
    monkeypatch.setattr(example.guide, "model", adk_models.Script(["Walk the Forum."]))
    asked, question, state = plan_and_book(example.agent)

    assert question["callId"] == "b"
    assert asked["plan"] == {"stops": [{"city": "Rome", "nights": 2, "booked": False}]}
    assert state["plan"]["stops"][0]["booked"] is True
    guided, added, booked, last = parts_of(state)
    assert guided["messages"][0]["content"] == [{"type": "text", "text": "Walk the Forum."}]
    assert (added["result"], booked["result"], last["text"]) == ("Rome is stop 1.", "Booked Rome.", "All is booked.")


def test_with_microsoft_agent_framework(monkeypatch: pytest.MonkeyPatch) -> None:
    from examples.microsoft_agent_framework import agent as example

    call = ms_clients.call
    travel = ms_clients.Script(
        ["Let me see. ", call("ask_guide", "g", '{"question": "What to see?"}')],
        [call("add_stop", "a", '{"city": "Rome", "nights": 2}')],
        [call("book", "b", '{"city": "Rome"}')],
        ["All is booked."],
    )
    monkeypatch.setattr(example.travel, "client", travel)
    monkeypatch.setattr(example.guide, "client", ms_clients.Script(["Walk the Forum."]))
    asked, question, state = plan_and_book(example.agent)

    assert question["callId"] == "b"
    assert asked["plan"] == [{"city": "Rome", "nights": 2, "booked": False}]
    assert state["plan"][0]["booked"] is True
    guided, added, booked, last = parts_of(state)
    assert guided["messages"][0]["content"] == [{"type": "text", "text": "Walk the Forum."}]
    assert (added["result"], booked["result"], last["text"]) == ("Rome is stop 1.", "Booked Rome.", "All is booked.")
