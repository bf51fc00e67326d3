"""The agents of three frameworks, through `useAssistantTransportRuntime`: a list, a sub-agent, and an approval."""

from __future__ import annotations

from typing import Any

import pytest

from statecast import Agent, create_app
from tests.clients.node import Transport, need_node
from tests.clients.serving import served
from tests.clients.transport_checks import check, settings
from tests.frameworks import adk_models, ms_clients


def ask_and_approve(agent: Agent, text: str) -> tuple[Any, Any, Any]:
    """Say a text and approve what the agent asks: the state with the question, the question, and the last state."""
    need_node()
    with (
        served(create_app(agent)) as url,
        Transport(settings(url, "assistant-transport", threadId="one")) as page,
    ):
        page.step("append", text=text)
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
    asked, question, state = ask_and_approve(example.agent, "Two nights in Rome")

    assert question["prompt"] == "Book 2 nights in Rome?"
    assert asked["plan"] == [{"city": "Rome", "nights": 2, "booked": False}]
    assert state["plan"][0]["booked"] is True
    guided, added, booked, last = parts_of(state)
    assert guided["messages"][1]["content"][0]["text"].startswith("Walk the Forum")
    assert (added["result"], booked["result"], last["text"]) == ("Rome is stop 1.", "Booked Rome.", "Rome is booked. ")


def test_with_google_adk(monkeypatch: pytest.MonkeyPatch) -> None:
    from examples.google_adk import agent as example

    call = adk_models.call
    gardener = adk_models.Script(
        ["Let me see. ", call("botanist", "g", request="What it needs?"), call("add_bed", "a", plant="basil", area=3)],
        [call("water", "b", plant="basil")],
        ["All is done."],
    )
    monkeypatch.setattr(example.gardener, "model", gardener)
    monkeypatch.setattr(example.botanist, "model", adk_models.Script(["Basil likes sun."]))
    asked, question, state = ask_and_approve(example.agent, "I planted basil. Water it.")

    assert question["callId"] == "b"
    assert asked["greenhouse"] == {"beds": [{"plant": "basil", "area": 3, "watered": False}]}
    assert state["greenhouse"]["beds"][0]["watered"] is True
    advised, added, watered, last = parts_of(state)
    assert advised["messages"][0]["content"] == [{"type": "text", "text": "Basil likes sun."}]
    assert (added["result"], watered["result"]) == ("Bed 1 has basil.", "Watered the basil.")
    assert last["text"] == "All is done."


def test_with_microsoft_agent_framework(monkeypatch: pytest.MonkeyPatch) -> None:
    from examples.microsoft_agent_framework import agent as example

    call = ms_clients.call
    helpdesk = ms_clients.Script(
        ["Let me see. ", call("ask_expert", "g", '{"question": "Why is mail-2 slow?"}')],
        [call("open_ticket", "a", '{"server": "mail-2", "problem": "slow"}')],
        [call("restart", "b", '{"server": "mail-2"}')],
        ["All is done."],
    )
    monkeypatch.setattr(example.helpdesk, "client", helpdesk)
    monkeypatch.setattr(example.expert, "client", ms_clients.Script(["Its queue is stuck."]))
    asked, question, state = ask_and_approve(example.agent, "mail-2 is slow")

    assert question["callId"] == "b"
    assert asked["tickets"] == [{"server": "mail-2", "problem": "slow", "solved": False}]
    assert state["tickets"][0]["solved"] is True
    advised, opened, restarted, last = parts_of(state)
    assert advised["messages"][0]["content"] == [{"type": "text", "text": "Its queue is stuck."}]
    assert (opened["result"], restarted["result"]) == ("Opened ticket 1.", "Restarted mail-2.")
    assert last["text"] == "All is done."
