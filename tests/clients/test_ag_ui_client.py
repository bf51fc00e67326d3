"""AG-UI's own clients, as published, against `/ag-ui`: `HttpAgent` of 1.0.0 and of 0.0.59.

Whatever a test is about: the events pass the verifiers and schemas of both versions and the Python types, and what a
client ends up showing, messages and state, is what the agent's state holds.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from statecast import AddMessage, Agent, Run, UntypedCommand, create_app
from tests.clients.ag_ui import Clients, ClientsReport, Version, agrees, checked, shown, state_of
from tests.clients.conversing_agent import EMITTED, Json, conversing, held
from tests.clients.node import ScenarioFailed, need_node
from tests.clients.scenes import Gates
from tests.clients.serving import Restarting, served
from tests.clients.transport_checks import PATIENCE

IDLE = {"for": "idle"}
HOLDING = """
import asyncio
from statecast import AddMessage, Agent

agent = Agent()

@agent.on(AddMessage)
async def answer(run, command):
    run.messages.assistant().append_text("half")
    await asyncio.Event().wait()
"""
ADD = {
    "add": {
        "description": "Add two numbers.",
        "parameters": {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}},
    }
}


@pytest.fixture(scope="module")
def url(gates: Gates) -> Iterator[str]:
    need_node()
    with served(create_app([conversing(gates), noting()])) as base:
        yield base


def noting() -> Agent:
    """Return an agent that waits for a command of its own."""
    agent = Agent("noting", commands=["note"])

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        message.append_text("What shall I note?")
        note: UntypedCommand = await run.wait_for("note")
        message.append_text(f" Noted: {note.body['text']}.")

    return agent


@contextmanager
def open_clients(url: str, version: Version, *, query: str = "", **settings: Json) -> Iterator[Clients]:
    config = {"url": f"{url}/ag-ui{query}", "threadId": f"ag-{uuid4().hex[:12]}", "version": version, **settings}
    with Clients(config) as clients:
        yield clients


def play(url: str, version: Version, *steps: Mapping[str, Json], **settings: Json) -> ClientsReport:
    """Play steps in which nothing goes wrong, and check what is shown at the end."""
    with open_clients(url, version, **settings) as clients:
        for step in steps:
            clients.step(**step)
        report = checked(clients.told())
    agrees(report, url)
    return report


def say(text: str, **more: Json) -> Json:
    return {"do": "say", "text": text, "for": "idle", **more}


def texts(report: ClientsReport, client: str = "main") -> list[str]:
    parts = [part for _, parts in shown(report.clients[client]["messages"]) for part in parts]
    return [part[1] for part in parts if part[0] == "text"]


def types(events: list[Json]) -> list[str]:
    return [event["type"] for event in events]


SAID = ["text", "think", "look", "both", "show", "progress", "title", "steps", "several", "rename", "delegate"]


@pytest.mark.parametrize("text", SAID)
def test_what_a_client_shows_is_what_the_state_holds(url: str, version: Version, text: str) -> None:
    report = play(url, version, say(text))

    assert report.main["outcomes"] in ([None], [{"type": "success", "pendingToolCallIds": []}])
    assert report.events[0][0].get("protocolVersion") == ("1.0" if version == "1.0" else None)
    assert report.events[0][0]["runId"] == report.requests[0]["body"]["runId"]
    assert report.main["messages"][0]["id"] == state_of(url, report.main["threadId"])["messages"][0]["id"]


@pytest.mark.parametrize("text", SAID)
def test_a_later_turn_carries_only_what_is_new(url: str, version: Version, text: str) -> None:
    report = play(url, version, say(text), say("text again"))

    assert types(report.events[1])[:3] == ["RUN_STARTED", "TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT"]


def test_text_comes_delta_by_delta(url: str, version: Version) -> None:
    report = play(url, version, say("text"))

    deltas = [event["delta"] for event in report.events[0] if event["type"] == "TEXT_MESSAGE_CONTENT"]
    assert "".join(deltas) == 'Grüß "Gott",\n\\ \u2028 😀 done'
    assert len(deltas) == 5


def test_what_is_emitted_outside_the_state_is_shown(url: str, version: Version) -> None:
    with open_clients(url, version) as clients:
        clients.step(**say("parts"))
        clients.step(**say("text"))
        report = checked(clients.told())

    said = shown(report.main["messages"])
    assert said[1] == ("assistant", [part for part in EMITTED if part[0] not in ("source", "file", "data")])
    assert [one["name"] for one in report.main["custom"]] == ["source", "file", "chart", "annotations"]
    assert said[2:] == held(state_of(url, report.main["threadId"]))[1:]


def test_parts_without_a_form_of_their_own_are_custom_events(url: str, version: Version) -> None:
    report = play(url, version, say("show"))

    assert report.main["custom"][0] == {
        "name": "source",
        "value": {"sourceType": "url", "id": "s1", "url": "https://example.org/sea", "title": "The sea"},
    }
    assert [one["name"] for one in report.main["custom"]] == ["source", "source", "file", "file", "chart", "chart"]


def test_steps_are_told_with_what_they_used(url: str, version: Version) -> None:
    report = play(url, version, say("steps"))

    assert types(report.events[0]).count("STEP_STARTED") == types(report.events[0]).count("STEP_FINISHED") == 2
    used = report.events[0][-1].get("usage")
    assert used == ([{"inputTokens": 30, "outputTokens": 5}] if version == "1.0" else None)


# Tools


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        *[(text, {"result": result}) for text in ("ask", "both", "wait") for result in ({"sum": 3}, "three", None)],
        ("ask", {"error": "no idea"}),
        ("both", {"error": "no idea"}),
    ],
    ids=str,
)
def test_a_tool_of_the_frontend_is_answered_by_a_second_request(
    url: str, version: Version, text: str, answer: Json
) -> None:
    report = play(url, version, say(text), {"do": "answer", "toolName": "add", **answer, **IDLE}, tools=ADD)

    assert len(report.requests) == 2
    assert report.main["interrupts"] == []
    assert "TOOL_CALL_RESULT" not in types(report.events[1])
    assert "MESSAGES_SNAPSHOT" not in types(report.events[1])


def test_calls_that_nobody_has_answered_are_named_to_who_cannot_know_them(url: str) -> None:
    with open_clients(url, "1.0", tools=ADD) as clients:
        asked = clients.step(**say("wait"))
        clients.step("open", client="other")
        joined = clients.step("run", client="other", **IDLE)
        report = checked(clients.told())
    agrees(report, url, "other")

    assert asked["outcome"] is None
    assert joined["outcome"] is None  # it is shown the call anew
    assert types(report.events[1])[-2:] == ["TOOL_CALL_END", "RUN_FINISHED"]


# Waiting for the user


@pytest.mark.parametrize(("approved", "last"), [(True, "Deleted."), (False, "Kept.")])
def test_an_approval_is_an_interrupt_that_the_next_request_resumes(url: str, approved: bool, last: str) -> None:
    answer = {"do": "resume", "payload": {"approved": approved}, **IDLE}
    report = play(url, "1.0", say("approve"), answer)

    outcome = report.main["outcomes"][0]
    assert outcome["type"] == "interrupt"
    (interrupt,) = outcome["interrupts"]
    assert (interrupt["reason"], interrupt["message"]) == ("tool_call", "Delete it?")
    assert interrupt["responseSchema"]["required"] == ["approved"]
    assert report.main["interrupts"] == []
    assert texts(report)[-1] == last
    assert types(report.events[1])[:2] == ["RUN_STARTED", "TOOL_CALL_RESULT"]


def test_an_interrupt_that_is_given_up_is_a_denied_approval(url: str) -> None:
    report = play(url, "1.0", say("approve"), {"do": "resume", "cancelled": True, **IDLE})

    assert texts(report)[-1] == "Kept."


def test_something_else_may_be_said_while_an_interrupt_is_given_up(url: str) -> None:
    report = play(url, "1.0", say("approve"), {"do": "resume", "cancelled": True, "text": "text", **IDLE})

    assert [text for text in texts(report) if text in ("approve", "Kept.", "text")] == ["approve", "Kept.", "text"]


@pytest.mark.parametrize(("approved", "last"), [(True, "Deleted."), (False, "Kept.")])
def test_older_clients_answer_an_approval_as_a_tool_call(url: str, approved: bool, last: str) -> None:
    answer = {"do": "answer", "toolName": "approval", "result": {"approved": approved}, **IDLE}
    report = play(url, "0.0", say("approve"), answer)

    assert report.main["outcomes"] == [None, None]
    assert texts(report)[-1] == last


def test_a_run_that_waits_for_a_command_is_an_interrupt_too(url: str) -> None:
    with open_clients(url, "1.0", query="?agent=noting") as clients:
        waiting = clients.step(**say("hello"))
        clients.step("resume", payload={"type": "note", "text": "bees"}, **IDLE)
        report = checked(clients.told())
    agrees(report, url)

    assert [one["reason"] for one in waiting["outcome"]["interrupts"]] == ["input_required"]
    assert texts(report)[-1] == "What shall I note? Noted: bees."


def test_giving_up_what_a_run_waits_for_stops_it(url: str) -> None:
    with open_clients(url, "1.0", query="?agent=noting") as clients:
        clients.step(**say("hello"))
        clients.step("resume", cancelled=True, **IDLE)
        report = checked(clients.told())
        agrees(report, url)
        status = httpx.get(f"{url}/status/{report.main['threadId']}").json()["status"]

    assert report.main["outcomes"][-1] == {"type": "cancelled"}
    assert status == "cancelled"


def test_an_interrupt_that_another_client_has_answered_is_no_longer_asked(url: str) -> None:
    with open_clients(url, "1.0") as clients:
        clients.step(**say("approve"))
        clients.step("open", client="other")
        clients.step("run", client="other", **IDLE)
        clients.step("resume", client="other", payload={"approved": True}, **IDLE)
        clients.step("resume", payload={"approved": False}, **IDLE)
        report = checked(clients.told())
    for client in ("main", "other"):
        said = agrees(report, url, client)

    assert said[-1][1][-1] == ("text", "Deleted.")
    assert report.main["interrupts"] == []


# State


def test_a_state_that_a_client_begins_with_is_the_threads(url: str, version: Version) -> None:
    report = play(url, version, say("title"), state={"title": "Mine", "count": 5})

    assert report.main["state"] == {"title": "Bees and honey", "count": 6}
    assert "STATE_SNAPSHOT" not in types(report.events[0])


def test_a_state_that_a_client_changed_itself_is_put_right(url: str, version: Version) -> None:
    other = {"do": "set-state", "state": {"title": "Wasps"}}
    report = play(url, version, say("title"), other, say("text"))

    assert report.main["state"] == {"title": "Bees and honey", "count": 1}
    assert report.events[1][1] == {"type": "STATE_SNAPSHOT", "snapshot": report.main["state"]}


def test_changes_of_the_state_come_as_patches(url: str, version: Version) -> None:
    report = play(url, version, say("text"), say("title"))

    deltas = [event["delta"] for event in report.events[1] if event["type"] == "STATE_DELTA"]
    assert deltas
    assert {operation["path"] for delta in deltas for operation in delta} == {"/title", "/count"}


# Failures and stops


def test_a_failing_run_is_an_error_and_the_conversation_goes_on(url: str, version: Version) -> None:
    with open_clients(url, version) as clients:
        clients.step(**say("fail"))
        clients.step(**say("text"))
        report = checked(clients.told(), errors={"main": ["closed"]})
    said = agrees(report, url)

    assert report.main["errors"] == [{"message": "The library is closed.", "code": "closed"}]
    assert said[1] == ("assistant", [("text", "I try.")])


def test_a_failure_that_nobody_explained_keeps_its_secrets(url: str, version: Version) -> None:
    with open_clients(url, version) as clients:
        clients.step(**say("crash"))
        report = checked(clients.told(), errors={"main": ["agent_failed"]})

    assert "hunter2" not in str(report.responses)


def test_a_refused_request_is_an_error_that_says_why(url: str, version: Version) -> None:
    with open_clients(url, version, threadId="no such thing/") as clients:
        clients.step(**say("text"))
        report = clients.told()

    text = report.main["errors"][0]["message"]
    assert "422" in text
    assert "invalid_thread_id" in text


def test_a_stopped_run_stops_and_the_next_turn_goes_on_from_there(url: str, version: Version, gates: Gates) -> None:
    with open_clients(url, version) as clients:
        clients.step("say", text="hold")
        clients.step("abort", when={"text": "half"})
        thread_id = clients.told().main["threadId"]
        stopped = clients.step("post", url=f"{url}/cancel", body={"threadId": thread_id})
        clients.step(**say("text"))
        report = checked(clients.told(), errors={"main": ["abort"]})
    agrees(report, url)

    assert stopped["answer"]["cancelled"] is True
    assert texts(report)[:3] == ["hold", "half", "text"]


def test_a_run_that_somebody_stops_ends_for_who_follows_it(url: str, version: Version, gates: Gates) -> None:
    with open_clients(url, version) as clients:
        clients.step("say", text="hold")
        clients.step("wait", **{"for": {"text": "half"}})
        thread_id = clients.told().main["threadId"]
        httpx.post(f"{url}/cancel", json={"threadId": thread_id})
        clients.step("wait", **IDLE)
        report = checked(clients.told())
    agrees(report, url)

    assert report.main["outcomes"] == [{"type": "cancelled"} if version == "1.0" else None]


def test_a_server_that_stops_is_an_error(tmp_path: Path, version: Version) -> None:
    need_node()
    (tmp_path / "app.py").write_text(HOLDING)
    with Restarting("serve", "app:agent", "--grace", "0", folder=tmp_path) as server:
        with Clients({"url": f"{server.url}/ag-ui", "threadId": "t", "version": version}) as clients:
            clients.step("say", text="hold")
            clients.step("wait", **{"for": {"text": "half"}})
            server.stop()
            clients.step("wait", **{"for": "over"})
            report = clients.told()

    assert report.main["errors"]
    assert report.main["outcomes"] == []


# Edits


def test_cut_messages_are_an_edit(url: str, version: Version) -> None:
    steps = [say("text one"), say("think two"), {"do": "cut", "to": 2, "text": "text other", **IDLE}]
    report = play(url, version, *steps)

    assert [text for text in texts(report) if text.startswith(("text", "think"))] == ["text one", "text other"]


def test_the_first_message_may_be_edited(url: str, version: Version) -> None:
    report = play(url, version, say("text one"), say("think two"), {"do": "cut", "to": 0, "text": "think", **IDLE})

    assert texts(report) == ["think", "I see."]


def test_a_cut_answer_is_made_anew(url: str, version: Version) -> None:
    report = play(url, version, say("text one"), say("title"), {"do": "cut", "to": 3, **IDLE})

    assert [role for role, _ in shown(report.main["messages"])] == ["user", "assistant", "user", "assistant"]
    assert report.main["state"]["count"] == 2


def test_a_client_that_was_away_drops_nothing(url: str, version: Version) -> None:
    with open_clients(url, version) as clients:
        clients.step(**say("text one"))
        clients.step("open", client="other", state={})
        clients.step("run", client="other", **IDLE)
        clients.step(**say("title", client="other"))
        clients.step(**say("text two"))
        report = checked(clients.told())
    said = agrees(report, url)

    assert [parts[0][1] for role, parts in said if role == "user"] == ["text one", "title", "text two"]


# Others


def test_a_second_client_follows_a_run_that_is_under_way(url: str, version: Version, gates: Gates) -> None:
    with open_clients(url, version) as clients:
        clients.step(**say("look"))
        clients.step("say", text="hold")
        clients.step("wait", **{"for": {"text": "half"}})
        clients.step("open", client="other")
        clients.step("run", client="other")
        clients.step("wait", client="other", **{"for": {"text": "half"}})
        gates[f"{clients.told().main['threadId']}/half"].set()
        clients.step("wait", **IDLE)
        report = checked(clients.told())
    assert agrees(report, url) == agrees(report, url, "other")

    assert len(state_of(url, report.main["threadId"])["messages"]) == 4
    assert types(report.events[2])[:2] == ["RUN_STARTED", "MESSAGES_SNAPSHOT"]


def test_a_page_that_is_loaded_anew_finds_everything(url: str, version: Version) -> None:
    with open_clients(url, version) as clients:
        for text in ("think", "look", "title"):
            clients.step(**say(text))
        clients.step("open", client="reloaded")
        clients.step("run", client="reloaded", **IDLE)
        clients.step(**say("text", client="reloaded"))
        report = checked(clients.told())
    agrees(report, url, "reloaded")

    assert "MESSAGES_SNAPSHOT" not in types(report.events[-1])


def test_a_client_that_goes_on_with_half_an_answer_gets_the_whole(url: str, version: Version, gates: Gates) -> None:
    with open_clients(url, version) as clients:
        clients.step("say", text="hold")
        clients.step("abort", when={"text": "half"})
        gates[f"{clients.told().main['threadId']}/half"].set()
        clients.step("run", **IDLE)
        report = checked(clients.told(), errors={"main": ["abort"]})

    assert agrees(report, url)[-1][1] == [("text", "half and half")]


def test_whoever_joins_a_thread_that_is_not_there_makes_none(url: str, version: Version) -> None:
    with open_clients(url, version) as clients:
        clients.step("run", **IDLE)
        report = checked(clients.told())

    assert [types(events) for events in report.events] == [["RUN_STARTED", "RUN_FINISHED"]]
    assert httpx.get(f"{url}/status/{report.main['threadId']}").status_code == 404


def test_what_others_said_is_in_its_place(url: str, version: Version) -> None:
    with open_clients(url, version) as clients:
        clients.step(**say("text one"))
        thread_id = clients.told().main["threadId"]
        message = {"role": "user", "parts": [{"type": "text", "text": "think elsewhere"}]}
        commands = [{"type": "add-message", "message": message}]
        httpx.post(f"{url}/assistant", json={"threadId": thread_id, "commands": commands}, timeout=PATIENCE)
        clients.step(**say("text two"))
        report = checked(clients.told())
    said = agrees(report, url)

    assert [parts[0][1] for role, parts in said if role == "user"] == ["text one", "think elsewhere", "text two"]


def test_what_another_client_starts_is_followed(url: str, version: Version, gates: Gates) -> None:
    thread_id = f"ag-{uuid4().hex[:12]}"
    message = {"role": "user", "parts": [{"type": "text", "text": "hold"}]}
    body = {"threadId": thread_id, "commands": [{"type": "add-message", "message": message}]}
    with open_clients(url, version, threadId=thread_id) as clients:
        with httpx.stream("POST", f"{url}/assistant", json=body, timeout=PATIENCE) as response:
            reading = threading.Thread(target=lambda: list(response.iter_raw()))
            reading.start()
            clients.step("run")
            clients.step("wait", **{"for": {"text": "half"}})
            gates[f"{thread_id}/half"].set()
            clients.step("wait", **IDLE)
            reading.join(PATIENCE)
        report = checked(clients.told())

    assert agrees(report, url) == [("user", [("text", "hold")]), ("assistant", [("text", "half and half")])]


def test_a_client_refuses_by_itself_to_leave_an_interrupt_unanswered(url: str) -> None:
    clients = Clients({"url": f"{url}/ag-ui", "threadId": f"ag-{uuid4().hex[:12]}", "version": "1.0"})
    clients.step(**say("approve"))
    with pytest.raises(ScenarioFailed, match="pending interrupt"):
        clients.step(**say("text"))


# What reaches the agent


def test_what_a_client_sends_beside_messages_reaches_the_agent(version: Version) -> None:
    need_node()
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        request = run.request
        run.state["asked"] = [request.system, request.config.model_name, request.extra, request.tools]
        run.state["parts"] = command.message.parts

    pixel = {"type": "image", "source": {"type": "data", "value": "iVBORw0KGgo=", "mimeType": "image/png"}}
    content = [{"type": "text", "text": "what is this?"}, pixel]
    props = {"modelName": "small", "tenant": "north"}
    context = [{"description": "system", "value": "Be brief."}, {"description": "page", "value": "bees"}]
    with served(create_app(agent)) as url:
        step = say("", content=content, forwardedProps=props, context=context)
        report = play(url, version, step, say("and now?"), tools=ADD)
        state = state_of(url, report.main["threadId"])

    extra = {"tenant": "north", "context": [{"description": "page", "value": "bees"}]}
    assert state["messages"][0]["parts"] == [
        {"type": "text", "text": "what is this?"},
        {"type": "image", "image": "data:image/png;base64,iVBORw0KGgo="},
    ]
    assert state["asked"] == [None, None, {}, ADD]
    assert report.events[0][1]["type"] == "STATE_DELTA"
    assert report.events[0][1]["delta"][0]["value"] == ["Be brief.", "small", extra, ADD]
