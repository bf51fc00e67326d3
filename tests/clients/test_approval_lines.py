"""The lines of a data stream about approvals: sent to clients that ask for them, and read by those that know them."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from statecast import AddMessage, Agent, Run, create_app
from tests.clients.messages import Decoders
from tests.clients.node import Json
from tests.clients.serving import served
from tests.clients.versions import knows_approvals

LINE = b"aui-tool-call-approval:"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    agent = Agent()

    @agent.on(AddMessage)
    async def ask(run: Run, command: AddMessage) -> None:
        given = await run.approval("Open the hive?")
        run.messages.assistant().append_text("Opened." if given else "Closed.")

    with served(create_app(agent)) as base:
        yield base


def post(url: str, thread: str, messages: list[Json], query: str = "") -> bytes:
    body = {"threadId": thread, "messages": messages}
    answer = httpx.post(f"{url}/chat?protocol=data-stream{query}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.content


def said(text: str) -> Json:
    return {"role": "user", "content": [{"type": "text", "text": text}]}


def answered(call: str, result: Json) -> list[Json]:
    named = {"toolCallId": call, "toolName": "approval"}
    output = {"type": "json", "value": result}
    asked = {"role": "assistant", "content": [{"type": "tool-call", **named, "input": {"question": "Open the hive?"}}]}
    return [said("Go"), asked, {"role": "tool", "content": [{"type": "tool-result", **named, "output": output}]}]


def approvals(body: bytes) -> list[Json]:
    return [
        httpx.Response(200, content=line[len(LINE) :]).json() for line in body.split(b"\n") if line.startswith(LINE)
    ]


@pytest.mark.parametrize("query", ["", "&approvals=false"])
def test_a_client_that_does_not_ask_for_them_gets_none(url: str, query: str) -> None:
    assert approvals(post(url, f"none{len(query)}", [said("Go")], query)) == []


@pytest.mark.parametrize(("result", "approved"), [({"approved": True}, True), ({"approved": False}, False)])
def test_a_question_and_its_answer_have_lines_of_their_own(url: str, result: Json, approved: bool) -> None:
    thread = f"asked-{approved}"
    (asked,) = approvals(post(url, thread, [said("Go")], "&approvals=true"))
    call = asked["toolCallId"]
    after = post(url, thread, answered(call, result), "&approvals=true")
    listed = httpx.get(f"{url}/threads/{thread}/state").json()["state"]["messages"]

    assert asked == {"toolCallId": call, "approval": {"id": call}}
    assert all(line["approval"]["approved"] is approved for line in approvals(after))
    assert ("Opened." if approved else "Closed.") in str(listed)


def test_decoders_that_know_them_show_what_is_asked_and_others_refuse_them(url: str) -> None:
    body = post(url, "decoded", [said("Go")], "&approvals=true")
    with Decoders() as decoders:
        read = decoders.read("data-stream", body)

    if knows_approvals():
        (part,) = read.parts
        assert (read.error, read.warnings, part["approval"]) == (None, [], {"id": part["toolCallId"]})
    else:
        assert "aui-tool-call-approval" in str(read.error)


def test_any_other_value_is_refused(url: str) -> None:
    answer = httpx.post(f"{url}/chat?protocol=data-stream&approvals=yes", json={"messages": [said("Go")]})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")
