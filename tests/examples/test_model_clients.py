"""The examples for OpenAI's and Anthropic's clients and the OpenAI Agents SDK, through `useAssistantTransportRuntime`.

The real packages ask a provider on this machine.
"""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from statecast import create_app
from tests.clients.node import Transport, TransportReport, need_node
from tests.clients.serving import served
from tests.clients.transport_checks import check, settings
from tests.examples.model_app import ModelApp
from tests.frameworks.wires import SECRET

Json = Any


def asked_and_answered(module: str, text: str, *, approved: bool) -> tuple[Json, TransportReport]:
    """Say `text` to an example's agent, answer its question, and return the state that it waited in, and the report."""
    need_node()
    agent = importlib.import_module(f"examples.{module}.agent").agent
    with served(create_app(agent)) as url:
        with Transport(settings(url, "assistant-transport", threadId="t", steps=[])) as page:
            page.step("append", text=text)
            page.step("wait", **{"for": "idle"})
            waiting: Any = page.told().final_state
            (question,) = waiting["pending"]
            page.step("command", command={"type": "answer", "answers": {question["id"]: approved}})
            page.step("wait", **{"for": "idle"})
            report = page.report()
        check(report, url)
    assert SECRET not in str(report.responses)
    return waiting, report


def calls_of(report: TransportReport) -> dict[str, Json]:
    """Return the calls in the state, which are those that the page shows, by their ids."""
    parts = [part for message in report.final_state["messages"] for part in message["parts"]]
    calls = {part["toolCallId"]: part for part in parts if part["type"] == "tool-call"}
    shown: list[Json] = [part for message in report.messages for part in message["content"]]
    assert [part["toolCallId"] for part in shown if part["type"] == "tool-call"] == [*calls]
    return calls


def call(id: str, name: str, args: str) -> list[tuple[Any, ...]]:
    return [("call", id, name), ("args", id, args)]


@pytest.mark.parametrize("approved", [True, False])
def test_the_concierge_books_what_is_approved(approved: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    booking = '{"restaurant": "Trattoria Bella", "time": "19:00"}'
    model = ModelApp(
        [("text", "Let me see."), *call("c1", "find_restaurants", '{"time": "19:00"}')],
        call("c2", "book_table", booking),
        [("text", "As you like.")],
    )
    with served(model) as base:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{base}/v1")
        waiting, report = asked_and_answered("openai_tools", "A table at 19:00", approved=approved)

    assert waiting["bookings"] == []
    assert calls_of(report)["c1"]["result"] == {"Trattoria Bella": ["19:00", "21:00"]}
    assert calls_of(report)["c2"]["approval"]["approved"] is approved
    assert len(report.final_state["bookings"]) == approved
    assert report.final_state["messages"][-1]["parts"][0]["text"] == "As you like."


def test_the_bookkeeper_pays_what_is_approved(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ModelApp(
        [("reasoning", "The bills first."), ("signature", SECRET), *call("c1", "open_bills", "{}")],
        call("c2", "pay", '{"number": 1}'),
        [("text", "It is paid.")],
    )
    with served(model) as base:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", base)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
        waiting, report = asked_and_answered("anthropic_tools", "Pay the smallest bill", approved=True)

    thought, _ = report.messages[1]["content"]
    assert (thought["type"], thought["text"]) == ("reasoning", "The bills first.")
    assert model.requests[1]["messages"][1]["content"][0]["signature"] == SECRET
    assert [bill["number"] for bill in waiting["bills"]] == [1, 2]
    assert [bill["number"] for bill in report.final_state["bills"]] == [2]
    assert calls_of(report)["c2"]["result"] == "Paid."


def test_the_support_desk_hands_over_and_refunds_what_is_approved(monkeypatch: pytest.MonkeyPatch) -> None:
    agents = pytest.importorskip("agents")
    agents.set_tracing_disabled(True)
    model = ModelApp(
        call("c1", "transfer_to_billing", "{}"),
        call("c2", "ask_policy", '{"input": "After one week?"}'),
        [("text", "Yes: "), ("text", "within 30 days.")],
        call("c3", "refund", '{"order": "A7", "amount": 20}'),
        [("text", "You get 20 back.")],
    )
    with served(model) as base:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{base}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "any")
        waiting, report = asked_and_answered("openai_agents", "Refund 20 of A7", approved=True)

    assert waiting["agent"] == "Billing"
    shown = calls_of(report)
    assert [*shown] == ["c2", "c3"]
    assert shown["c2"]["messages"][0]["content"][0]["text"] == "Yes: within 30 days."
    assert shown["c3"]["result"] == "Refunded."
    assert report.final_state["refunds"] == [{"order": "A7", "amount": 20}]
    assert report.final_state["messages"][-1]["parts"][0]["text"] == "You get 20 back."
