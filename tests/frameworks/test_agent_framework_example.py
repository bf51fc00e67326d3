"""The example with Microsoft Agent Framework: through assistant-ui's client, with models that answer from a script."""

from __future__ import annotations

import pytest

from examples.microsoft_agent_framework import agent as example
from statecast import create_app
from tests.clients.node import Transport, need_node
from tests.clients.serving import served
from tests.clients.transport_checks import check, settings
from tests.frameworks.ms_clients import Script, call


def test_the_travel_agent_plans_asks_its_guide_and_books_when_the_user_approves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    need_node()
    travel = Script(
        ["Let me see. ", call("ask_guide", "g", '{"question": "What to see?"}')],
        [call("add_stop", "a", '{"city": "Rome", "nights": 2}')],
        [call("book", "b", '{"city": "Rome"}')],
        ["All is booked."],
    )
    monkeypatch.setattr(example.travel, "client", travel)
    monkeypatch.setattr(example.guide, "client", Script(["Walk the Forum."]))

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

    assert question["callId"] == "b"
    assert asked["plan"] == [{"city": "Rome", "nights": 2, "booked": False}]
    assert report.final_state["plan"][0]["booked"] is True
    _, guided, added, booked, last = report.final_state["messages"][1]["parts"]
    assert guided["messages"][0]["content"] == [{"type": "text", "text": "Walk the Forum."}]
    assert (added["result"], booked["result"], last["text"]) == ("Rome is stop 1.", "Booked Rome.", "All is booked.")
