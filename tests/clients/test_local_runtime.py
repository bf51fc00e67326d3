"""assistant-ui's local runtime, with adapters written by hand, on `/text`, `/sse` and `/json`."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import anyio
import anyio.to_thread
import httpx
import pytest

from statecast import AddMessage, Agent, AgentError, Run, create_app
from tests.clients.local_runtime import LocalReport, LocalRuntime
from tests.clients.node import Json
from tests.clients.serving import served
from tests.clients.transport_checks import PATIENCE
from tests.clients.versions import prints_failed_appends

IDLE: Json = {"do": "wait", "for": "idle"}

#: Each adapter, and where it posts to.
FORMS = {"text": "/text", "content": "/sse?form=content", "typed": "/sse", "json": "/json"}
STREAMED = {name: path for name, path in FORMS.items() if name != "json"}


class Scene:
    """An agent that does what the user's message is the name of."""

    def __init__(self) -> None:
        self.agent = Agent("bees")
        self.runs: list[Run] = []
        self.go = threading.Event()
        self.stopped = threading.Event()
        self.agent.on(AddMessage)(self.answer)

    async def answer(self, run: Run, command: AddMessage) -> None:
        self.runs.append(run)
        message = run.messages.assistant()
        match command.message.text:
            case "slowly":
                message.append_text("Grüße 😀, ")
                run.flush()
                await anyio.to_thread.run_sync(self.go.wait, PATIENCE, abandon_on_cancel=True)
                message.append_text('"bees"\nand wasps.')
            case "look up":
                message.append_reasoning("Hm.")
                message.append_text("Let me look. ")
                message.add_tool_call("look_up", {"word": "bee"}).set_result({"found": [3]})
                message.append_text("There are three.")
            case "fail":
                raise AgentError("There are no bees.", code="no_bees")
            case "fail late":
                message.append_text("Half an ")
                run.flush()
                await anyio.to_thread.run_sync(self.go.wait, PATIENCE)
                raise AgentError("There are no bees.", code="no_bees")
            case "endless":
                try:
                    while True:
                        message.append_text("and so on ")
                        await anyio.sleep(0.001)
                finally:
                    self.stopped.set()
            case "send":
                message.append_text("I have a draft.")
                answer = await run.call_tool("send_email", {"to": "ann"}, message=message)
                message.append_text("Sent." if answer == {"approved": True} else "Dropped.")
            case other:
                message.append_text(f"{len(run.messages)}: {other}")


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def url(scene: Scene) -> Iterator[str]:
    with served(create_app(scene.agent)) as base:
        yield base


def talk(url: str, adapter: str, *texts: str, fails: bool = False, **settings: Json) -> LocalReport:
    """Say something, and something else when it is answered, and return how it went; `fails`: the last one fails."""
    steps = [step for text in texts for step in ({"do": "append", "text": text}, IDLE)]
    with LocalRuntime(url + FORMS[adapter], adapter, steps=steps, **settings) as page:
        report = page.report()
    printed = [line["text"].partition(" Error:")[0] for line in report.console]
    assert printed == (["[assistant-ui] Message append failed"] if fails and prints_failed_appends() else [])
    return report


def state_of(url: str, thread_id: str) -> Json:
    answer = httpx.get(f"{url}/threads/{thread_id}/state")
    assert answer.status_code == 200, answer.text
    return answer.json()["state"]


def words(state: Json) -> list[Json]:
    """Return who said what in a state, like `LocalReport.said`."""
    return [(item["role"], [part["text"] for part in item["parts"] if part["type"] == "text"]) for item in state]


@pytest.mark.parametrize("adapter", FORMS)
def test_without_a_thread_the_page_has_the_conversation(url: str, adapter: str, scene: Scene) -> None:
    report = talk(url, adapter, "Hello", "And now?")

    assert report.uncaught == []
    assert report.said == [
        ("user", ["Hello"]),
        ("assistant", ["2: Hello"]),
        ("user", ["And now?"]),
        ("assistant", ["4: And now?"]),
    ]
    assert words(scene.runs[-1].messages.items) == report.said
    assert [item["id"] for item in scene.runs[-1].messages.items][:3] == [item["id"] for item in report.messages][:3]
    assert {response["status"] for response in report.responses} == {200}


@pytest.mark.parametrize("adapter", STREAMED)
def test_an_answer_is_shown_as_it_grows(url: str, adapter: str, scene: Scene) -> None:
    with LocalRuntime(url + FORMS[adapter], adapter) as page:
        page.step("append", text="slowly")
        shown = page.step("wait", **{"for": {"text": "Grüße 😀, "}})["messages"][-1]
        scene.go.set()
        page.step("wait", **{"for": "idle"})
        report = page.report()

    assert (shown["status"]["type"], shown["content"][0]["text"]) == ("running", "Grüße 😀, ")
    assert report.said[-1] == ("assistant", ['Grüße 😀, "bees"\nand wasps.'])


@pytest.mark.parametrize("adapter", FORMS)
def test_two_texts_are_two_paragraphs(url: str, adapter: str) -> None:
    report = talk(url, adapter, "look up")

    if adapter == "typed":  # where there is a call between them
        text, call = report.messages[-1]["content"]
        assert text["text"] == "Let me look. There are three."
        assert {name: call[name] for name in ("toolName", "args", "result")} == {
            "toolName": "look_up",
            "args": {"word": "bee"},
            "result": {"found": [3]},
        }
    else:
        assert report.said[-1] == ("assistant", ["Let me look. \n\nThere are three."])


@pytest.mark.parametrize("adapter", FORMS)
def test_a_run_that_fails_at_once_is_an_error_that_says_why(url: str, adapter: str) -> None:
    report = talk(url, adapter, "fail", fails=True)

    assert report.responses[0]["status"] == 500
    assert report.messages[-1]["status"]["reason"] == "error"
    assert report.messages[-1]["status"]["error"]["message"] == "There are no bees."


@pytest.mark.parametrize("adapter", STREAMED)
def test_a_run_that_fails_on_the_way_is_an_error_whether_or_not_an_adapter_looks_for_one(
    url: str, adapter: str, scene: Scene
) -> None:
    with LocalRuntime(url + FORMS[adapter], adapter) as page:
        page.step("append", text="fail late")
        page.step("wait", **{"for": {"text": "Half an "}})
        scene.go.set()
        page.step("wait", **{"for": "idle"})
        report = page.report()

    assert (report.responses[0]["status"], report.responses[0]["end"][:6]) == (200, "error:")
    assert report.messages[-1]["status"]["reason"] == "error"
    assert report.said[-1] == ("assistant", ["Half an "])
    if adapter != "text":
        assert "There are no bees." in report.responses[0]["body"]


@pytest.mark.parametrize("adapter", STREAMED)
def test_stop_stops_a_run_that_nobody_can_come_back_to(url: str, adapter: str, scene: Scene) -> None:
    with LocalRuntime(url + FORMS[adapter], adapter) as page:
        page.step("append", text="endless")
        page.step("wait", **{"for": {"text": "and so on and so on"}})
        page.step("cancel")
        report = page.report()

    assert report.messages[-1]["status"] == {"type": "incomplete", "reason": "cancelled"}
    assert scene.stopped.wait(PATIENCE)


@pytest.mark.parametrize("adapter", FORMS)
def test_on_a_thread_the_server_has_the_conversation_too(url: str, adapter: str) -> None:
    report = talk(url, adapter, "Hello", "And now?", more={"threadId": "t"})

    assert words(state_of(url, "t")["messages"]) == report.said
    assert report.said[-1] == ("assistant", ["4: And now?"])


def test_another_answer_takes_the_place_of_the_first(url: str) -> None:
    steps = [{"do": "append", "text": "Hello"}, IDLE, {"do": "regenerate", "index": 1}, IDLE]
    with LocalRuntime(f"{url}/text", "text", steps=steps, more={"threadId": "t"}) as page:
        report = page.report()

    assert len(report.requests) == 2
    assert report.said == [("user", ["Hello"]), ("assistant", ["2: Hello"])]
    assert words(state_of(url, "t")["messages"]) == report.said


@pytest.mark.parametrize("truncate", [True, False])
def test_an_edit_drops_what_the_thread_has_beyond_only_if_it_says_so(url: str, truncate: bool) -> None:
    steps = [{"do": "append", "text": "Hello"}, IDLE, {"do": "edit", "index": 0, "text": "Goodbye"}, IDLE]
    more = {"threadId": "t", "truncate": truncate}
    with LocalRuntime(f"{url}/text", "text", steps=steps, more=more) as page:
        report = page.report()

    said = words(state_of(url, "t")["messages"])
    if truncate:
        assert said == report.said == [("user", ["Goodbye"]), ("assistant", ["2: Goodbye"])]
    else:
        assert [text for _, text in said] == [["Hello"], ["2: Hello"], ["Goodbye"], ["4: Goodbye"]]


def test_a_tool_that_a_person_answers_goes_on_where_it_was(url: str) -> None:
    settings: Json = {"more": {"threadId": "t"}, "humanTools": ["send_email"]}
    with LocalRuntime(f"{url}/json", "human", **settings) as page:
        page.step("append", text="send")
        page.step("wait", **{"for": "tool-call"})
        page.step("tool-result", result={"approved": True})
        page.step("wait", **{"for": "idle"})
        report = page.report()

    call, text = report.messages[-1]["content"]
    assert (call["toolName"], call["args"], call["result"]) == ("send_email", {"to": "ann"}, {"approved": True})
    assert text["text"] == "Sent."
    assert [request["body"]["toolResults"] == [] for request in report.requests] == [True, False]
    assert len(state_of(url, "t")["messages"]) == 2


def test_images_and_attachments_reach_the_agent(url: str, scene: Scene) -> None:
    image = {"type": "image", "image": "data:image/png;base64,AAAA"}
    attached: Json = {
        "id": "a",
        "type": "document",
        "name": "notes.txt",
        "contentType": "text/plain",
        "status": {"type": "complete"},
        "content": [{"type": "text", "text": "the notes"}],
    }
    append = {"do": "append", "parts": [{"type": "text", "text": "Look"}, image], "attachments": [attached]}
    with LocalRuntime(f"{url}/text", "text", steps=[append, IDLE]) as page:
        page.report()

    assert scene.runs[0].messages.items[0]["parts"] == [{"type": "text", "text": "Look"}, image, attached["content"][0]]
