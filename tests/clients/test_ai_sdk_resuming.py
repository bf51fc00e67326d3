"""The AI SDK's chats in several tabs, again, and after a reload: nothing is lost, and nothing runs twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.chat import IDLE, ChatsReport, agrees, chatting, checked, play, send, shown, state_of
from tests.clients.conversing_agent import Json, held
from tests.clients.node import need_node
from tests.clients.scenes import Gates
from tests.clients.serving import Restarting


def test_a_stale_tab_never_loses_what_it_has_not_seen(url: str) -> None:
    with chatting(url) as chats:
        chats.step("open", chat="other")
        chats.step(**send("text"))
        chats.step(**send("think", chat="other"))
        chats.step(**send("look"))
        report = checked(chats.told())

    said = [parts for role, parts in held(state_of(url, report.main["id"])) if role == "user"]
    assert said == [[("text", "text")], [("text", "think")], [("text", "look")]]
    assert shown(report.main["messages"]) == [*held(state_of(url, report.main["id"]))[:2], *agreed_end(report, url)]


def agreed_end(report: ChatsReport, url: str) -> Json:
    return held(state_of(url, report.main["id"]))[-2:]


def test_a_call_is_answered_by_two_tabs_and_one_answer_counts(url: str) -> None:
    with chatting(url, automatically="tool-calls") as chats:
        seen = chats.step(**send("ask"))["messages"]
        chats.step("open", chat="other", messages=seen)
        chats.step("tool-output", toolName="add", output=3, **{"for": "idle"})
        chats.step("tool-output", chat="other", toolName="add", output=4, **{"for": "idle"})
        report = checked(chats.told())

    said = agrees(report, url)
    assert said[1][1][1:] == [("tool-call", "add", {"a": 1, "b": 2}, 3, False), ("text", "add gave 3")]
    assert shown(report.chats["other"]["messages"]) == said
    assert len(report.requests) == 3


def test_what_is_posted_again_is_answered_by_the_same_run(url: str) -> None:
    with chatting(url) as chats:
        said = chats.step(**send("text"))["messages"][:1]
        chats.step("open", chat="again", messages=said)
        chats.step("send-again", chat="again", **{"for": "idle"})
        report = checked(chats.told())

    assert len({response["headers"]["statecast-run-id"] for response in report.responses}) == 1
    assert report.chats["again"]["messages"] == report.main["messages"]
    agrees(report, url, "again")


def test_what_is_posted_again_in_mid_run_is_followed(url: str, gates: Gates) -> None:
    with chatting(url) as chats:
        chats.step("send", text="hold")
        said = chats.step("wait", **{"for": {"text": "half"}})["messages"][:1]
        chats.step("open", chat="again", messages=said)
        chats.step("send-again", chat="again")
        chats.step("wait", chat="again", **{"for": {"text": "half"}})
        gates[f"{chats.told().main['id']}/half"].set()
        chats.step(**IDLE)
        report = checked(chats.told())

    assert len({response["headers"]["statecast-run-id"] for response in report.responses}) == 1
    assert agrees(report, url) == agrees(report, url, "again")


def test_what_is_posted_twice_behind_a_run_is_said_once(url: str, gates: Gates) -> None:
    with chatting(url) as chats:
        chats.step("send", text="hold")
        half = chats.step("wait", **{"for": {"text": "half"}})["messages"]
        message = {"id": "twice", "role": "user", "parts": [{"type": "text", "text": "text"}]}
        for name in ("one", "two"):
            chats.step("open", chat=name, messages=[*half, message])
            chats.step("send-again", chat=name)
        chats.step("wait", **{"for": {"heads": 3}})
        gates[f"{chats.told().main['id']}/half"].set()
        chats.step(**IDLE)
        report = checked(chats.told())

    users = [parts for role, parts in held(state_of(url, report.main["id"])) if role == "user"]
    assert users == [[("text", "hold")], [("text", "text")]]
    assert shown(report.chats["one"]["messages"])[-1] == shown(report.chats["two"]["messages"])[-1]
    assert shown(report.chats["one"]["messages"])[-1] == held(state_of(url, report.main["id"]))[-1]


def test_nothing_is_resumed_where_nothing_runs(url: str) -> None:
    report = play(url, send("text"), {"do": "resume", "for": "idle"})

    assert report.requests[1]["url"] == f"{url}/chat/{report.main['id']}/stream"
    assert report.responses[1]["status"] == 204
    assert report.main["status"] == "ready"


def test_a_thread_that_is_not_known_has_nothing_to_resume(url: str) -> None:
    with chatting(url) as chats:
        chats.step("resume", **{"for": "idle"})
        report = checked(chats.told())

    assert [response["status"] for response in report.responses] == [204]


@pytest.mark.parametrize("knows", ["nothing", "the question", "half of the answer"])
def test_a_reloaded_page_follows_the_run_from_its_start(url: str, gates: Gates, knows: str) -> None:
    with chatting(url) as chats:
        chats.step("send", text="hold")
        seen = chats.step("wait", **{"for": {"text": "half"}})["messages"]
        known = {"nothing": [], "the question": seen[:1], "half of the answer": seen}[knows]
        chats.step("open", chat="reloaded", messages=known)
        chats.step("resume", chat="reloaded")
        chats.step("wait", chat="reloaded", **{"for": {"text": "half"}})
        gates[f"{chats.told().main['id']}/half"].set()
        chats.step(**IDLE)
        report = checked(chats.told())

    said = agrees(report, url)
    assert shown(report.chats["reloaded"]["messages"]) == (said[1:] if knows == "nothing" else said)
    assert report.chats["reloaded"]["messages"][-1]["id"] == report.main["messages"][-1]["id"]


def test_a_reloaded_page_answers_what_a_run_waits_for(url: str) -> None:
    with chatting(url, automatically="tool-calls") as chats:
        seen = chats.step(**send("wait"))["messages"]
        chats.step("open", chat="reloaded", messages=seen, tools={"add": 3})
        chats.step("resume", chat="reloaded", **{"for": "idle"})
        report = checked(chats.told())

    assert agrees(report, url, "reloaded")[1][1][-1] == ("text", "It is 3.")


AGENT = """
import asyncio
from statecast import AddMessage, Agent, Run

agent = Agent(restartable=True)

@agent.on(AddMessage)
async def answer(run: Run, command: AddMessage) -> None:
    message = run.messages.assistant()
    message.append_text("again" if len(run.messages) > 2 else "half")
    if len(run.messages) == 2:
        await asyncio.Event().wait()
"""


def test_a_run_that_a_restart_began_again_is_followed(tmp_path: Path) -> None:
    need_node()
    (tmp_path / "my_agent.py").write_text(AGENT)
    with Restarting("serve", "my_agent:agent", folder=tmp_path) as server, chatting(server.url) as chats:
        chats.step("send", text="hello")
        seen = chats.step("wait", **{"for": {"text": "half"}})["messages"]
        server.kill()
        chats.step("wait", **{"for": {"status": "error"}})
        server.start()
        chats.step("open", chat="reloaded", messages=seen[:1])
        chats.step("resume", chat="reloaded", **{"for": "idle"})
        chats.step("open", chat="later", messages=seen)
        chats.step("resume", chat="later", **{"for": "idle"})
        report = chats.told()
        state = state_of(server.url, report.main["id"])

    assert report.main["finishes"][0]["isError"] is True
    assert held(state)[1][1] == [("text", "halfagain")]
    assert [response["status"] for response in report.responses][1] in (200, 204)
    assert report.responses[-1]["status"] == 204
    assert report.invalid_chunks == []
