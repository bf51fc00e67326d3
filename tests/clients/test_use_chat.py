"""`useChat` of the AI SDK, as published, in a page: what it shows is what the agent's state holds.

The chat below the hook is tested in test_ai_sdk_client.py; here is what React adds to it.
"""

from __future__ import annotations

import httpx
import pytest

from tests.clients.chat import IDLE, agrees, chatting, checked, play, send, shown, state_of
from tests.clients.conversing_agent import held
from tests.clients.scenes import Gates
from tests.clients.transport_checks import PATIENCE

STRICT = pytest.mark.parametrize("strict", [False, True], ids=["plain", "strict mode"])


@STRICT
def test_the_hook_shows_what_the_state_holds(url: str, strict: bool) -> None:
    steps = [send(text) for text in ("text", "think", "look", "show", "steps", "title")]
    report = play(url, *steps, hook=True, strictMode=strict)

    assert len(report.requests) == len(steps)
    assert (report.main["status"], report.main["error"]) == ("ready", None)
    states = [part["state"] for part in report.main["messages"][5]["parts"] if part["type"].startswith("tool-")]
    assert states == ["output-available", "output-error"]
    assert report.main["data"][-1] == {**report.main["data"][-1], "type": "data-state-operations", "transient": True}


def test_the_hook_shows_an_answer_while_it_is_being_made(url: str, gates: Gates) -> None:
    with chatting(url, hook=True) as chats:
        chats.step("send", text="mixed")
        chats.step("wait", **{"for": {"part": {"type": "tool-weather", "state": "input-streaming"}}})
        half = chats.step("wait", **{"for": {"status": "streaming"}})["messages"]
        gates[f"{chats.told().main['id']}/half"].set()
        chats.step(**IDLE)
        report = checked(chats.told())

    assert shown(half)[1][1] == [
        ("text", "Let me look."),
        ("reasoning", "It may rain."),
        ("tool-call", "weather", {"city": "Bo"}),
    ]
    assert len(agrees(report, url)[1][1]) == 6


@pytest.mark.parametrize("text", ["ask", "wait"])
@pytest.mark.parametrize("by", ["the page", "a person"])
def test_a_tool_of_the_page_answers_in_a_second_request(url: str, text: str, by: str) -> None:
    alone = by == "the page"
    answer = [] if alone else [{"do": "tool-output", "toolName": "add", "output": {"sum": 3}, "for": "idle"}]
    tools = {"tools": {"add": {"sum": 3}}} if alone else {}
    report = play(url, send(text), *answer, send("text"), hook=True, automatically="tool-calls", **tools)

    assert len(report.requests) == 3
    last = shown(report.main["messages"])[1][1][-1]
    assert last == ("text", 'It is {"sum":3}.' if text == "wait" else 'add gave {"sum":3}')


def test_an_approval_is_given(url: str) -> None:
    steps = [send("approve"), {"do": "approve", "approved": True, "for": "idle"}]
    report = play(url, *steps, hook=True, automatically="approvals")

    assert shown(report.main["messages"])[1][1][-1] == ("text", "Deleted.")


def test_an_answer_is_made_anew_and_a_message_is_edited(url: str) -> None:
    with chatting(url, hook=True) as chats:
        first = chats.step(**send("title"))["messages"][0]["id"]
        chats.step("regenerate", **{"for": "idle"})
        checked(chats.told())
        agrees(chats.told(), url)
        chats.step(**send("text"))
        chats.step(**send("look", messageId=first))
        report = checked(chats.told())

    assert [parts for role, parts in agrees(report, url) if role == "user"] == [[("text", "look")]]
    assert len({response["headers"]["statecast-run-id"] for response in report.responses}) == 4
    assert state_of(url, report.main["id"])["count"] == 2


def test_stopping_leaves_the_run_alone_and_cancelling_ends_it(url: str) -> None:
    with chatting(url, hook=True) as chats:
        chats.step("send", text="hold")
        chats.step("stop", when={"text": "half"})
        thread = chats.told().main["id"]
        status = httpx.get(f"{url}/status/{thread}").json()["status"]
        httpx.post(f"{url}/cancel", json={"threadId": thread})
        httpx.post(f"{url}/resume", json={"threadId": thread}, timeout=PATIENCE)  # it ends with the run
        stopped = httpx.get(f"{url}/status/{thread}").json()["status"]
        chats.step(**send("text"))
        report = checked(chats.told())

    assert (status, stopped) == ("running", "cancelled")
    assert report.main["finishes"][0]["isAbort"] is True
    assert agrees(report, url)[1] == ("assistant", [("text", "half")])


def test_a_failure_is_the_hooks_error_until_the_conversation_goes_on(url: str) -> None:
    with chatting(url, hook=True) as chats:
        chats.step(**send("fail"))
        failed = chats.told().main
        chats.step(**send("text"))
        report = checked(chats.told(), errors={"main": ["The library is closed."]})

    assert (failed["status"], failed["error"]) == ("error", "The library is closed.")
    assert (report.main["status"], report.main["error"]) == ("ready", None)
    assert len(agrees(report, url)) == 4


@STRICT
def test_a_page_that_is_loaded_again_follows_the_run_by_itself(url: str, gates: Gates, strict: bool) -> None:
    with chatting(url, hook=True, strictMode=strict) as chats:
        chats.step("send", text="mixed")
        seen = chats.step("wait", **{"for": {"part": {"type": "tool-weather"}}})["messages"]
        for name, messages in (("reloaded", seen), ("elsewhere", seen[:1])):
            chats.step("open", chat=name, messages=messages, resume=True)
            chats.step("wait", chat=name, **{"for": {"status": "streaming"}})
            chats.step("wait", chat=name, **{"for": {"part": {"type": "tool-weather", "state": "input-streaming"}}})
        gates[f"{chats.told().main['id']}/half"].set()
        chats.step(**IDLE)
        report = checked(chats.told())

    said = held(state_of(url, report.main["id"]))
    assert len(said[1][1]) == 6
    assert [agrees(report, url, name) for name in report.chats] == [said] * 3


@STRICT
def test_a_page_that_is_loaded_when_nothing_runs_stays_as_it_is(url: str, strict: bool) -> None:
    with chatting(url, hook=True, strictMode=strict) as chats:
        seen = chats.step(**send("text"))["messages"]
        chats.step("open", chat="reloaded", messages=seen, resume=True)
        chats.step("wait", chat="reloaded", **{"for": {"heads": 2}})
        chats.step(**IDLE)
        chats.step(**send("think", chat="reloaded"))
        report = checked(chats.told())

    statuses = [response["status"] for response in report.responses]
    assert [status for status in statuses if status is not None] == [200, 204, 200]  # None: given up by strict mode
    assert len(agrees(report, url, "reloaded")) == 4


def test_a_page_loads_what_the_server_has_and_goes_on(url: str, gates: Gates) -> None:
    with chatting(url, hook=True) as chats:
        for text in ("text", "look", "show", "steps"):
            chats.step(**send(text))
        thread = chats.told().main["id"]
        chats.step("send", text="mixed")
        chats.step("wait", **{"for": {"part": {"type": "tool-weather"}}})
        loaded = httpx.get(f"{url}/chat/{thread}").json()
        chats.step("open", chat="reloaded", messages=loaded, resume=True)
        chats.step("wait", chat="reloaded", **{"for": {"status": "streaming"}})
        gates[f"{thread}/half"].set()
        chats.step(**IDLE)
        chats.step(**send("text", chat="reloaded"))
        report = checked(chats.told())

    assert [message["id"] for message in loaded] == [message["id"] for message in report.main["messages"]]
    assert len(agrees(report, url, "reloaded")) == 12
