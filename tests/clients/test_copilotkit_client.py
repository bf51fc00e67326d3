"""CopilotKit's core, as published, against `/ag-ui`: agents that it reaches by itself, through either version of AG-UI.

As with AG-UI's own clients, what it ends up showing, messages and state, is what the agent's state holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import uuid4

import httpx
import pytest

from tests.clients.ag_ui import Clients, ClientsReport, Version, agrees, checked, shown
from tests.clients.conversing_agent import Json
from tests.clients.scenes import Gates
from tests.clients.transport_checks import PATIENCE

NUMBERS = {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}}
ADD = {"description": "Add two numbers.", "parameters": NUMBERS}
ADDS = {"add": {**ADD, "execute": "async ({a, b}) => ({sum: a + b})"}}
IDLE = {"do": "wait", "for": "idle"}


@contextmanager
def kit(url: str, version: Version, **settings: Json) -> Iterator[Clients]:
    named = {"url": f"{url}/ag-ui", "threadId": f"kit-{uuid4().hex[:12]}", "version": version}
    with Clients({**named, "copilotKit": True, **settings}) as clients:
        yield clients


def play(url: str, version: Version, *steps: Mapping[str, Json], **settings: Json) -> ClientsReport:
    """Play steps in which nothing goes wrong, and check what is shown at the end."""
    with kit(url, version, **settings) as clients:
        for step in steps:
            clients.step(**step)
        report = checked(clients.told())
    agrees(report, url)
    return report


def say(text: str) -> Json:
    return {"do": "say", "text": text, "for": "idle"}


def test_a_conversation_and_its_state_are_shown(url: str, version: Version) -> None:
    texts = ["text", "think", "look", "title", "steps", "several", "rename", "delegate"]
    report = play(url, version, *map(say, texts))

    assert [request["url"] for request in report.requests] == [f"{url}/ag-ui"] * len(texts)
    assert report.main["state"] == {"title": "Bees and honey", "count": 1}


@pytest.mark.parametrize("text", ["ask", "wait", "both"])
def test_a_tool_of_the_page_runs_and_the_agent_goes_on_with_its_result(url: str, version: Version, text: str) -> None:
    report = play(url, version, say(text), say("text"), tools=ADDS)

    assert len(report.requests) == 3
    assert report.requests[0]["body"]["tools"][0]["parameters"]["properties"] == NUMBERS["properties"]
    last = shown(report.main["messages"])[1][1][-1]
    assert last == ("text", 'It is {"sum":3}.' if text == "wait" else 'add gave {"sum":3}')


def test_one_tool_after_another_runs_though_they_are_in_one_message_of_the_state(url: str, version: Version) -> None:
    report = play(url, version, say("wait_twice"), say("text"), tools=ADDS)

    calls = [message["toolCalls"] for message in report.main["messages"] if "toolCalls" in message]
    assert [len(each) for each in calls] == [1, 1]
    assert shown(report.main["messages"])[1][1][-1] == ("text", 'They are {"sum":3} and {"sum":7}.')


@pytest.mark.parametrize("approved", [True, False])
def test_an_approval_is_a_tool_that_a_person_answers(url: str, version: Version, approved: bool) -> None:
    answer = {"do": "answer", "toolName": "approval", "result": {"approved": approved}}
    tools = {"approval": {"description": "Ask the user.", "parameters": {"type": "object", "properties": {}}}}
    report = play(url, version, {"do": "say", "text": "approve"}, answer, IDLE, tools=tools)

    assert shown(report.main["messages"])[1][1][-1] == ("text", "Deleted." if approved else "Kept.")


def test_a_page_that_is_loaded_again_asks_its_user_again(url: str, version: Version) -> None:
    tools = {"approval": {"description": "Ask the user.", "parameters": {"type": "object", "properties": {}}}}
    with kit(url, version) as clients:
        clients.step(**say("approve"))
        clients.step("open", client="reloaded", tools=tools)
        clients.step("run", client="reloaded")
        clients.step("answer", client="reloaded", toolName="approval", result={"approved": True})
        clients.step(**IDLE)
        report = checked(clients.told())

    assert agrees(report, url, "reloaded")[1][1][-1] == ("text", "Deleted.")


def test_a_failure_is_an_error_of_the_core_and_the_conversation_goes_on(url: str, version: Version) -> None:
    with kit(url, version) as clients:
        clients.step(**say("fail"))
        clients.step(**say("text"))
        report = checked(clients.told(), errors={"main": ["closed", "agent_run_error_event"]})

    assert report.main["errors"][-1]["message"] == "The library is closed."
    assert len(agrees(report, url)) == 4


def test_a_chat_that_appears_joins_the_run_that_is_under_way(url: str, version: Version, gates: Gates) -> None:
    with kit(url, version) as clients:
        clients.step(**say("title"))
        clients.step("say", text="mixed")
        clients.step("wait", **{"for": {"text": "Let me look."}})
        clients.step("open", client="joining")
        clients.step("run", client="joining")
        clients.step("wait", client="joining", **{"for": {"text": "Let me look."}})
        gates[f"{clients.told().main['threadId']}/half"].set()
        clients.step(**IDLE)
        clients.step(**{**say("text"), "client": "joining"})
        report = checked(clients.told())

    assert agrees(report, url, "joining")[:4] == shown(report.main["messages"])
    assert report.clients["joining"]["state"] == report.main["state"]


def test_stopping_leaves_the_run_alone_and_cancelling_ends_it(url: str, version: Version) -> None:
    with kit(url, version) as clients:
        clients.step("say", text="hold")
        clients.step("abort", when={"text": "half"})
        thread = clients.told().main["threadId"]
        status = httpx.get(f"{url}/status/{thread}").json()["status"]
        httpx.post(f"{url}/cancel", json={"threadId": thread})
        httpx.post(f"{url}/resume", json={"threadId": thread}, timeout=PATIENCE)  # it ends with the run
        stopped = httpx.get(f"{url}/status/{thread}").json()["status"]
        clients.step(**say("text"))
        report = checked(clients.told(), errors={"main": ["abort"]})

    assert (status, stopped) == ("running", "cancelled")
    assert agrees(report, url)[1] == ("assistant", [("text", "half")])
