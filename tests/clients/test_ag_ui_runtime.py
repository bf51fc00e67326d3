"""assistant-ui's `useAgUiRuntime`, as published, against `/ag-ui`: with the client it was made with, and with 1.0.0.

Whatever a test is about, the page has nothing to complain of, and shows what the agent's state holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import uuid4

import httpx
import pytest

from tests.clients.ag_ui_page import Page, PageReport, agrees, checked, shown
from tests.clients.conversing_agent import EMITTED, Json
from tests.clients.scenes import Gates
from tests.clients.transport_checks import PATIENCE

SCHEMA = {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}, "required": ["a", "b"]}
BY_HAND = {"add": {"description": "Add two numbers.", "parameters": SCHEMA}}
BY_ITSELF = {"add": {**BY_HAND["add"], "execute": "async ({a, b}) => ({sum: a + b})"}}


@pytest.fixture(params=["own", "1.0"])
def version(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@contextmanager
def open_page(url: str, version: str, **settings: Json) -> Iterator[Page]:
    config = {"url": f"{url}/ag-ui", "threadId": f"ag-{uuid4().hex[:12]}", "version": version, **settings}
    with Page(config) as page:
        yield page


def play(url: str, version: str, *steps: Mapping[str, Json], **settings: Json) -> PageReport:
    """Play steps in which nothing goes wrong, and check what is shown at the end."""
    with open_page(url, version, **settings) as page:
        for step in steps:
            page.step(**step)
        report = checked(page.told())
    agrees(report, url)
    return report


def say(text: str, **more: Json) -> Json:
    return {"do": "append", "text": text, "for": "idle", **more}


def texts(report: PageReport) -> list[str]:
    return [part[1] for _, parts in shown(report.messages) for part in parts if part[0] == "text"]


def types(events: list[Json]) -> list[str]:
    return [event["type"] for event in events]


@pytest.mark.parametrize("text", ["text", "think", "show", "title", "steps", "several", "rename", "delegate"])
def test_what_the_page_shows_is_what_the_state_holds(url: str, version: str, text: str) -> None:
    report = play(url, version, say(text), say("text again"))

    assert types(report.events[1])[:2] == ["RUN_STARTED", "TEXT_MESSAGE_START"]


def test_a_call_and_its_result_are_shown(url: str, version: str) -> None:
    with open_page(url, version) as page:
        page.step(**say("look"))
        page.step(**say("text again"))
        report = checked(page.told())

    assert shown(report.messages)[1][1] == [
        ("text", "Looking."),
        ("tool-call", "weather", {"city": "Bonn", "days": [1, 2]}, {"degrees": 12.5, "sky": None}, False),
        ("tool-call", "count", {}, "out of numbers", False),  # it knows no failed result
        ("text", "It is 12."),
    ]
    assert types(report.events[1])[:2] == ["RUN_STARTED", "TEXT_MESSAGE_START"]


def test_what_is_emitted_outside_the_state_is_shown(url: str, version: str) -> None:
    with open_page(url, version) as page:
        page.step(**say("parts"))
        page.step(**say("text"))
        report = checked(page.told())

    assert shown(report.messages)[1] == ("assistant", [part for part in EMITTED if part[0] not in ("source", "file")])


@pytest.mark.parametrize("text", ["ask", "both", "wait"])
def test_a_tool_of_the_page_runs_there_and_the_run_goes_on(url: str, version: str, text: str) -> None:
    report = play(url, version, say(text), say("text"), tools=BY_ITSELF)

    assert len(report.requests) == 3
    assert [part for _, parts in shown(report.messages) for part in parts if part[:2] == ("tool-call", "add")] == [
        ("tool-call", "add", {"a": 1, "b": 2}, {"sum": 3}, False)
    ]


@pytest.mark.parametrize("text", ["ask", "wait"])
def test_a_person_may_answer_a_call(url: str, version: str, text: str) -> None:
    answer = {"do": "tool-result", "toolName": "add", "result": {"sum": 3}, "for": "idle"}
    report = play(url, version, say(text), answer, tools=BY_HAND)

    assert '{"sum":3}' in texts(report)[-1]


@pytest.mark.parametrize(("approved", "last"), [(True, "Deleted."), (False, "Kept.")])
def test_an_approval_is_decided_by_the_buttons_of_the_page(url: str, approved: bool, last: str) -> None:
    report = play(url, "1.0", say("approve"), {"do": "approve", "approved": approved, "for": "idle"}, say("text"))

    assert report.events[0][-1]["outcome"]["type"] == "interrupt"
    assert last in texts(report)


def test_older_clients_answer_an_approval_as_a_call(url: str) -> None:
    answer = {"do": "tool-result", "toolName": "approval", "result": {"approved": True}, "for": "idle"}
    report = play(url, "own", say("approve"), answer)

    assert texts(report)[-1] == "Deleted."


@pytest.mark.parametrize(("index", "said"), [(0, ["text other"]), (2, ["text one", "text other"])])
def test_an_edit_drops_what_followed(url: str, version: str, index: int, said: list[str]) -> None:
    edit = {"do": "edit", "index": index, "text": "text other", "for": "idle"}
    report = play(url, version, say("text one"), say("think two"), edit)

    assert [text for text in texts(report) if text.startswith(("text", "think"))] == said


def test_an_answer_is_made_anew(url: str, version: str) -> None:
    report = play(url, version, say("text one"), say("title"), {"do": "reload", "index": 3, "for": "idle"})

    assert len(report.messages) == 4
    assert report.state["count"] == 2


def test_a_failing_run_is_shown_as_one(url: str, version: str) -> None:
    with open_page(url, version) as page:
        page.step(**say("fail"))
        page.step(**say("text"))
        report = checked(page.told(), errors=["The library is closed."])
    agrees(report, url)

    status = report.messages[1]["status"]
    assert (status["type"], status["reason"], status["error"]) == ("incomplete", "error", "The library is closed.")


def test_after_a_stop_the_next_turn_goes_on_from_there(url: str, version: str, gates: Gates) -> None:
    with open_page(url, version) as page:
        page.step("append", text="hold")
        page.step("cancel", when={"text": "half"})
        thread_id = page.told().thread_id
        answer = httpx.post(f"{url}/cancel", json={"threadId": thread_id}, timeout=PATIENCE)
        page.step(**say("text"))
        report = checked(page.told())
    agrees(report, url)

    assert answer.json()["cancelled"] is True
    assert texts(report)[:3] == ["hold", "half", "text"]


def test_what_others_said_is_in_its_place(url: str, version: str) -> None:
    with open_page(url, version) as page:
        page.step(**say("text one"))
        thread_id = page.told().thread_id
        message = {"role": "user", "parts": [{"type": "text", "text": "think elsewhere"}]}
        commands = [{"type": "add-message", "message": message}]
        httpx.post(f"{url}/assistant", json={"threadId": thread_id, "commands": commands}, timeout=PATIENCE)
        page.step(**say("text two"))
        report = checked(page.told())
    said = agrees(report, url)

    assert [parts[0][1] for role, parts in said if role == "user"] == ["text one", "think elsewhere", "text two"]


def test_instructions_of_the_page_reach_the_agent(url: str, version: str) -> None:
    report = play(url, version, say("text"), system="Be brief.")

    assert report.requests[0]["body"]["context"] == [{"description": "system", "value": "Be brief."}]
