"""The AI SDK, as published, against `/chat`: its chats over its own transport.

Whatever a test is about: every chunk passes the package's schema, the messages pass its validation, and what the chat
shows is what the agent's state holds.
"""

from __future__ import annotations

import httpx
import pytest

from statecast import Agent, create_app
from tests.clients.chat import IDLE, agrees, chatting, checked, play, send, shown, state_of
from tests.clients.conversing_agent import EMITTED, PIXEL, Json, held
from tests.clients.node import need_node
from tests.clients.scenes import Gates
from tests.clients.serving import served
from tests.clients.transport_checks import PATIENCE


@pytest.mark.parametrize(
    "text", ["text", "think", "look", "both", "show", "progress", "title", "steps", "several", "rename", "delegate"]
)
def test_what_the_chat_shows_is_what_the_state_holds(url: str, text: str) -> None:
    report = play(url, send(text))

    assert report.main["status"] == "ready"
    assert len(report.requests) == 1
    assert report.main["messages"][1]["role"] == "assistant"
    assert held(state_of(url, report.main["id"]))[0] == ("user", [("text", text)])


def test_the_thread_has_the_chats_id_and_its_message_the_chats_own(url: str) -> None:
    report = play(url, send("text"), send("think"))

    assert report.main["id"] == report.requests[0]["body"]["id"]
    assert report.responses[0]["headers"]["statecast-thread-id"] == report.main["id"]
    ids = [message["id"] for message in state_of(url, report.main["id"])["messages"]]
    assert [message["id"] for message in report.main["messages"]] == ids


def test_a_chats_messages_are_not_sent_back_to_it(url: str) -> None:
    report = play(url, send("text"), send("think"))

    assert "Gott" not in report.responses[1]["body"]
    assert len(report.requests[1]["body"]["messages"]) == 3


def test_arguments_stream_and_a_result_of_the_agent_is_not_sent_back(url: str) -> None:
    report = play(url, send("look"), automatically="tool-calls")

    deltas = [chunk["inputTextDelta"] for chunk in report.chunks[0] if chunk["type"] == "tool-input-delta"]
    assert deltas[:2] == ['{"city"', ': "Bo']
    assert len(report.requests) == 1
    assert [call["toolName"] for call in report.main["calls"]] == ["weather", "count"]


@pytest.mark.parametrize("text", ["ask", "wait", "both"])
def test_a_tool_output_is_sent_back_once(url: str, text: str) -> None:
    steps = [send(text), {"do": "tool-output", "toolName": "add", "output": {"sum": 3}, "for": "idle"}]
    report = play(url, *steps, automatically="tool-calls")

    assert len(report.requests) == 2
    assert len(report.main["messages"]) == 2
    assert [chunk["type"] for chunk in report.chunks[1]][:3] == ["start", "start-step", "data-state"]
    assert not any(chunk["type"].startswith("tool-output") for chunk in report.chunks[1])
    last = shown(report.main["messages"])[-1][1][-1]
    assert last == ("text", 'It is {"sum":3}.' if text == "wait" else 'add gave {"sum":3}')


def test_a_tool_that_runs_in_the_page_is_answered_without_anyone(url: str) -> None:
    report = play(url, send("ask"), automatically="tool-calls", tools={"add": {"sum": 3}})

    assert len(report.requests) == 2
    assert shown(report.main["messages"])[-1][1][-1] == ("text", 'add gave {"sum":3}')


def test_an_error_of_a_tool_reaches_the_agent(url: str) -> None:
    steps = [send("ask"), {"do": "tool-output", "toolName": "add", "errorText": "no paper", "for": "idle"}]
    report = play(url, *steps, automatically="tool-calls")

    assert shown(report.main["messages"])[-1][1][-2:] == [
        ("tool-call", "add", {"a": 1, "b": 2}, "no paper", True),
        ("text", 'add failed with "no paper"'),
    ]


def test_an_output_that_is_not_sent_at_once_comes_with_the_next_message(url: str) -> None:
    report = play(url, send("ask"), {"do": "tool-output", "toolName": "add", "output": 3}, send("text"))

    assert [role for role, _ in shown(report.main["messages"])] == ["user", "assistant", "user", "assistant"]
    assert state_of(url, report.main["id"])["messages"][1]["parts"][1]["result"] == 3


@pytest.mark.parametrize("approved", [True, False])
def test_an_approval_is_given_in_the_form_that_the_package_has_for_it(url: str, approved: bool) -> None:
    steps = [send("approve"), {"do": "approve", "approved": approved, "reason": "because", "for": "idle"}]
    report = play(url, *steps, automatically="approvals")

    assert len(report.requests) == 2
    call, text = shown(report.main["messages"])[1][1]
    assert call[3] == {"approved": approved, "reason": "because"}
    assert text == ("text", "Deleted." if approved else "Kept.")
    part = next(part for part in report.main["messages"][1]["parts"] if part["type"] == "tool-approval")
    assert part["state"] == ("output-available" if approved else "output-denied")


@pytest.mark.parametrize("approved", [True, False])
def test_an_approval_is_given_as_the_output_of_a_tool(url: str, approved: bool) -> None:
    output = {"do": "tool-output", "toolName": "approval", "output": {"approved": approved}, "for": "idle"}
    report = play(url, send("approve"), output, automatically="tool-calls")

    assert len(report.requests) == 2
    assert shown(report.main["messages"])[1][1][1] == ("text", "Deleted." if approved else "Kept.")


def test_a_failure_that_the_agent_explains_is_the_chats_error(url: str) -> None:
    with chatting(url) as chats:
        chats.step(**send("fail"))
        report = checked(chats.told(), errors={"main": ["The library is closed."]})

    assert report.main["status"] == "error"
    assert agrees(report, url)[1][1] == [("text", "I try.")]


def test_a_failure_that_nobody_explained_keeps_its_secrets(url: str) -> None:
    with chatting(url) as chats:
        chats.step(**send("crash"))
        report = checked(chats.told(), errors={"main": ["The agent failed. The reason is in the server's log."]})

    assert "hunter2" not in report.responses[0]["body"]
    agrees(report, url)


def test_after_a_failure_the_conversation_goes_on(url: str) -> None:
    with chatting(url) as chats:
        chats.step(**send("fail"))
        chats.step(**send("text"))
        report = checked(chats.told(), errors={"main": ["The library is closed."]})

    assert report.main["status"] == "ready"
    assert len(agrees(report, url)) == 4


def test_a_request_that_is_refused_is_the_chats_error(url: str) -> None:
    with chatting(url, "?protocol=morse") as chats:
        chats.step(**send("text"))
        report = chats.told()

    assert report.responses[0]["status"] == 422
    assert "unknown_protocol" in report.main["errors"][0]


def test_a_run_goes_on_when_its_chat_stops(url: str, gates: Gates) -> None:
    with chatting(url) as chats:
        chats.step("send", text="hold")
        chats.step("stop", when={"text": "half"})
        report = checked(chats.told())
        thread = report.main["id"]
        gates[f"{thread}/half"].set()
        # Another stream of the run ends with it.
        httpx.post(f"{url}/resume", json={"threadId": thread}, timeout=PATIENCE)

    assert report.main["finishes"][0]["isAbort"] is True
    assert shown(report.main["messages"])[1][1] == [("text", "half")]
    assert held(state_of(url, thread))[1][1] == [("text", "half and half")]


def test_a_run_ends_with_its_connection_where_the_page_says_so(url: str) -> None:
    with chatting(url, "?onDisconnect=cancel") as chats:
        chats.step("send", text="hold")
        chats.step("stop", when={"text": "half"})
        report = checked(chats.told())
        httpx.post(f"{url}/resume", json={"threadId": report.main["id"]}, timeout=PATIENCE)

    assert httpx.get(f"{url}/status/{report.main['id']}").json()["status"] == "cancelled"
    agrees(report, url)


def test_a_run_that_another_client_cancels_ends_its_stream_without_an_error(url: str) -> None:
    with chatting(url) as chats:
        chats.step("send", text="hold")
        thread = chats.step("wait", **{"for": {"text": "half"}}) and chats.told().main["id"]
        httpx.post(f"{url}/cancel", json={"threadId": thread})
        chats.step(**IDLE)
        report = checked(chats.told())

    assert [chunk["type"] for chunk in report.chunks[0]][-2:] == ["abort", "finish"]
    assert report.main["status"] == "ready"
    agrees(report, url)


def test_an_edit_drops_what_followed(url: str) -> None:
    with chatting(url) as chats:
        chats.step(**send("text"))
        second = chats.step(**send("think"))["messages"][2]["id"]
        chats.step(**send("look"))
        chats.step(**send("show", messageId=second))
        report = checked(chats.told())

    assert [parts for role, parts in agrees(report, url) if role == "user"] == [[("text", "text")], [("text", "show")]]


def test_an_edit_of_the_first_message_starts_anew(url: str) -> None:
    with chatting(url) as chats:
        first = chats.step(**send("text"))["messages"][0]["id"]
        chats.step(**send("think"))
        chats.step(**send("look", messageId=first))
        report = checked(chats.told())

    assert [parts for role, parts in agrees(report, url) if role == "user"] == [[("text", "look")]]


def test_an_answer_is_made_anew(url: str) -> None:
    report = play(url, send("title"), send("text"), {"do": "regenerate", "for": "idle"})

    assert len(agrees(report, url)) == 4
    answers = [response["headers"]["statecast-run-id"] for response in report.responses]
    assert len(set(answers)) == 3
    assert state_of(url, report.main["id"])["count"] == 1


def test_an_earlier_answer_is_made_anew(url: str) -> None:
    with chatting(url) as chats:
        answer = chats.step(**send("title"))["messages"][1]["id"]
        chats.step(**send("text"))
        chats.step("regenerate", messageId=answer, **{"for": "idle"})
        report = checked(chats.told())

    assert len(agrees(report, url)) == 2
    assert state_of(url, report.main["id"])["count"] == 2


def test_an_answer_is_made_anew_while_it_is_being_made(url: str, gates: Gates) -> None:
    with chatting(url) as chats:
        chats.step("send", text="hold")
        chats.step("stop", when={"text": "half"})
        chats.step("regenerate")
        chats.step("wait", **{"for": {"heads": 2}})
        chats.step("wait", **{"for": {"text": "half"}})
        gates[f"{chats.told().main['id']}/half"].set()
        chats.step(**IDLE)
        report = checked(chats.told())

    assert agrees(report, url)[1][1] == [("text", "half and half")]


def test_state_is_told_beside_the_message(url: str) -> None:
    report = play(url, send("title"), send("text"))

    first, *changes = [part for part in report.main["data"] if part["type"].startswith("data-state")][:-1]
    assert first == {"type": "data-state", "data": {"title": "Untitled"}, "transient": True}
    assert {change["type"] for change in changes} == {"data-state-operations"}
    assert report.main["data"][-1]["data"] == {"title": "Bees and honey", "count": 1}
    assert not any(part["type"].startswith("data-") for message in report.main["messages"] for part in message["parts"])


def test_a_data_part_is_updated_in_place(url: str) -> None:
    report = play(url, send("progress"))

    chunks = [chunk for chunk in report.chunks[0] if chunk["type"] == "data-progress"]
    assert [chunk["data"]["percent"] for chunk in chunks] == [0, 50, 100]
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_steps_are_told_with_their_usage(url: str) -> None:
    report = play(url, send("steps"))

    finished = [chunk for chunk in report.chunks[0] if chunk["type"] == "finish-step"]
    assert [(chunk["finishReason"], chunk["usage"]["outputTokens"]) for chunk in finished] == [
        ("tool-calls", 2),
        ("stop", 3),
    ]
    assert report.main["messages"][1]["metadata"] == {"usage": {"inputTokens": 30, "outputTokens": 5}}
    assert [part["type"] for part in report.main["messages"][1]["parts"]].count("step-start") == 1


def test_parts_outside_the_state_are_shown(url: str) -> None:
    with chatting(url) as chats:
        chats.step(**send("parts"))
        chats.step(**send("text"))
        report = checked(chats.told())

    assert shown(report.main["messages"])[1] == ("assistant", EMITTED)
    assert report.main["messages"][1]["metadata"]["annotations"] == [{"seen": True}]
    assert report.main["messages"][1]["metadata"]["usage"] == {"inputTokens": 7, "outputTokens": 8}


def test_files_of_the_user_reach_the_agent_in_the_shape_of_the_state(url: str) -> None:
    image = {"type": "file", "mediaType": "image/png", "url": f"data:image/png;base64,{PIXEL}", "filename": "a.png"}
    page = {"type": "file", "mediaType": "application/pdf", "url": "https://example.org/a.pdf"}
    with chatting(url) as chats:
        chats.step(**send("text", files=[image, page], metadata={"draft": 1}))
        chats.step(**send("think"))
        report = checked(chats.told())

    first = state_of(url, report.main["id"])["messages"][0]
    assert first["metadata"] == {"draft": 1}
    assert first["parts"] == [
        {"type": "image", "image": image["url"], "filename": "a.png"},
        {"type": "file", "data": page["url"], "mimeType": "application/pdf"},
        {"type": "text", "text": "text"},
    ]
    assert len(agrees(report, url)) == 4


def test_what_the_page_sends_beside_its_messages_reaches_the_agent() -> None:
    agent = Agent()

    @agent.batch
    async def asked(run: Json) -> None:
        request = run.request
        run.state["asked"] = [request.system, request.call_settings.temperature, request.extra]

    need_node()
    with served(create_app(agent)) as url:
        body = {"tenant": "north", "system": "Be brief.", "temperature": 0.5}
        report = play(url, send("hello"), body=body, headers={"x-tenant": "north"})

        assert state_of(url, report.main["id"])["asked"] == ["Be brief.", 0.5, {"tenant": "north"}]
