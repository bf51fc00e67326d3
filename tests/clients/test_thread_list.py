"""assistant-ui's list of threads with the local runtime, through `adapters.js`: everything is found again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from statecast import AddMessage, AddToolResult, Agent, AgentError, Feedback, Run, create_app
from statecast_agents import About
from tests.clients.conversing_agent import PIXEL
from tests.clients.node import Json
from tests.clients.scenes import Gates
from tests.clients.serving import served
from tests.clients.thread_list import ListPage, text_of

IDLE: Json = {"for": "idle"}

#: Who asks for answers: the model of `adapters.js`, or one that someone wrote by hand.
MODELS = [False, True]


class Scene:
    """An agent that does what the user's message says."""

    def __init__(self) -> None:
        self.agent = agent = Agent("bees")
        self.gates = Gates()
        self.runs: list[Run] = []
        self.opinions: list[Feedback] = []
        agent.on(AddMessage)(self.answer)
        agent.on(AddToolResult)(self.go_on)
        agent.suggest(self.suggest)
        agent.feedback(self.opinions.append)

    async def answer(self, run: Run, command: AddMessage) -> None:
        self.runs.append(run)
        message = run.messages.assistant()
        match command.message.text:
            case "slowly":
                message.append_text("Half ")
                run.flush()
                await self.gates.passed("answer")
                message.append_text("and half.")
            case "look up":
                message.append_reasoning("Hm.")
                message.add_tool_call("look_up", {"word": "bee"}).set_result({"found": [3]})
                message.append_text("There are three.")
            case "ask":
                message.append_text("I need to know.")
                message.add_tool_call("ask_user", {"question": "How many?"})
            case "fail":
                message.append_text("I ")
                raise AgentError("There are no bees.", code="no_bees")
            case "at length":
                for number in range(400):
                    message.append_text(f"word {number} ")
                    run.flush()
            case other:
                message.append_text(f"{len(run.messages)}: {other}")

    def go_on(self, run: Run, command: AddToolResult) -> None:
        run.messages.last_assistant().append_text(f"{command.result} it is.")

    async def suggest(self, about: About) -> AsyncIterator[str]:
        yield "One?"
        await self.gates.passed("suggestions")
        yield f"{len(about.messages)}?"


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.gates["suggestions"].set()
    return scene


@pytest.fixture
def url(scene: Scene) -> Iterator[str]:
    with served(create_app(scene.agent, open_list=True)) as base:
        yield base


def listed(url: str, **query: str) -> list[Json]:
    threads: list[Json] = httpx.get(f"{url}/threads", params=query).json()["threads"]
    return threads


def state_of(url: str, thread_id: str) -> list[Json]:
    messages: list[Json] = httpx.get(f"{url}/threads/{thread_id}/state").json()["state"]["messages"]
    return messages


def say(page: ListPage, *texts: str) -> None:
    for text in texts:
        page.step("append", text=text, **IDLE)


@pytest.mark.parametrize("hand", MODELS)
def test_a_thread_is_made_by_its_first_message_and_named_after_it(url: str, hand: bool) -> None:
    with ListPage(url, hand=hand) as page:
        say(page, "Good morning", "And now?")
        page.step("wait", **{"for": {"title": "Good morning"}})
        report = page.told().checked()

    (thread,) = listed(url)
    (shown,) = report.threads
    assert thread["title"] == shown["title"] == "Good morning"
    assert thread["remoteId"] == shown["remoteId"]
    assert report.said == [
        (item["role"], text_of({"content": item["parts"]})) for item in state_of(url, shown["remoteId"])
    ]
    assert [role for role, _ in report.said] == ["user", "assistant"] * 2


@pytest.mark.parametrize("hand", MODELS)
def test_everything_is_found_again_with_its_branches(url: str, hand: bool) -> None:
    with ListPage(url, hand=hand) as page:
        say(page, "Good morning", "look up")
        page.step("edit", index=2, text="And now?", **IDLE)
        page.step("regenerate", index=3, **IDLE)
        before = page.told().checked()
        page.step("reload", thread="Good morning", **IDLE)
        after = page.told().checked()
        say(page, "And then?")
        more = page.told().checked()

    def shape(tree: list[Json]) -> list[Json]:
        """Return the tree with its places for ids: the server has ids of its own for answers."""
        place = {item["message"]["id"]: index for index, item in enumerate(tree)}
        return [(place.get(item["parentId"]), item["message"]["role"], item["message"]["content"]) for item in tree]

    assert len(before.tree) == 7
    assert shape(after.tree) == shape(before.tree)
    assert after.said == before.said
    assert after.tree[-1]["message"]["id"] == after.head_id
    assert more.said == [*before.said, ("user", "And then?"), ("assistant", "6: And then?")]


def test_messages_come_back_as_the_runtime_had_them(url: str) -> None:
    with ListPage(url) as page:
        say(page, "look up")
        before = page.told().checked().messages
        page.step("reload", thread="look up", **IDLE)
        after = page.told().checked().messages

    for one, other in zip(before, after, strict=True):
        assert {**one, "id": "", "createdAt": ""} == {**other, "id": "", "createdAt": ""}
    assert after[1]["content"][1] == {
        "type": "tool-call",
        "toolCallId": before[1]["content"][1]["toolCallId"],
        "toolName": "look_up",
        "args": {"word": "bee"},
        "argsText": '{"word":"bee"}',
        "result": {"found": [3]},
        "isError": False,
    }


def test_threads_are_renamed_archived_and_deleted(url: str) -> None:
    with ListPage(url) as page:
        for name in ("one", "two", "three"):
            page.step("new")
            say(page, name)
            page.step("wait", **{"for": {"title": name}})
        page.step("rename", thread="one", title="Eins")
        page.step("custom", thread="Eins", custom={"colour": ["red"]})
        page.step("archive", thread="two")
        page.step("delete-thread", thread="three")
        changed = page.told().checked()
        page.step("reload")
        found = page.told().checked()
        page.step("unarchive", thread="two")
        page.step("custom", thread="Eins", custom=None)
        page.step("reload")
        again = page.told().checked()

    assert changed.titles == found.titles == {"Eins": "regular", "two": "archived"}
    assert next(thread for thread in found.threads if thread["title"] == "Eins")["custom"] == {"colour": ["red"]}
    assert again.titles == {"Eins": "regular", "two": "regular"}
    assert all(thread.get("custom") is None for thread in again.threads)
    assert {thread["title"] for thread in listed(url)} == {"Eins", "two"}


def test_a_long_list_comes_page_by_page_and_any_thread_can_be_fetched(url: str) -> None:
    ids = [httpx.post(f"{url}/threads", json={"title": f"{number}"}).json()["remoteId"] for number in range(60)]
    message: Json = {"message": {"role": "user", "content": [{"type": "text", "text": "I am old"}]}, "parentId": None}
    httpx.post(f"{url}/threads/{ids[0]}/messages", json=message).raise_for_status()
    httpx.patch(f"{url}/threads/{ids[0]}", json={"custom": {"old": True}}).raise_for_status()
    for id in ids[1:]:
        message["message"]["content"][0]["text"] = "I am newer"
        httpx.post(f"{url}/threads/{id}/messages", json=message).raise_for_status()
    with ListPage(url) as page:
        first = page.told().checked()
        page.step("fetch", id=ids[0], **IDLE)
        fetched = page.told().checked()
        page.step("more", **{"for": {"threads": 60}})
        all_of_them = page.told().checked()

    assert (len(first.threads), first.has_more) == (50, True)
    assert fetched.said == [("user", "I am old")]
    assert (len(all_of_them.threads), all_of_them.has_more) == (60, False)
    assert {thread["remoteId"] for thread in all_of_them.threads} == set(ids)


@pytest.mark.parametrize("hand", MODELS)
def test_a_page_that_is_loaded_again_follows_the_answer_that_is_being_made(url: str, scene: Scene, hand: bool) -> None:
    with ListPage(url, hand=hand) as page:
        page.step("append", text="slowly", **{"for": {"text": "Half "}})
        page.step("wait", **{"for": {"title": "slowly"}})
        page.step("reload", thread="slowly", **{"for": {"text": "Half "}})
        meanwhile = page.told().checked()
        scene.gates["answer"].set()
        page.step("wait", **IDLE)
        say(page, "And now?")
        report = page.told().checked()
        page.step("reload", thread="slowly", **IDLE)
        again = page.told().checked()

    assert meanwhile.said == [("user", "slowly"), ("assistant", "Half ")]
    assert meanwhile.messages[1]["status"] == {"type": "running"}
    assert report.said[:2] == [("user", "slowly"), ("assistant", "Half and half.")]
    assert again.said == report.said
    assert len(scene.runs) == 2
    if not hand:  # what a model written by hand has left is cut off, as it says
        assert again.branches == report.branches


def test_an_answer_that_a_page_has_left_is_whole_when_it_comes_back(url: str, scene: Scene) -> None:
    with ListPage(url) as page:
        page.step("append", text="slowly", **{"for": {"text": "Half "}})
        page.step("wait", **{"for": {"title": "slowly"}})
        page.step("reload")  # and the thread is not looked at
        scene.gates["answer"].set()
        (thread,) = listed(url)
        httpx.post(f"{url}/resume", json={"threadId": thread["remoteId"]})  # until it is over
        page.step("switch", thread="slowly", **IDLE)
        report = page.told().checked()

    assert report.branches == [("", "slowly"), ("slowly", "Half and half.")]
    assert report.messages[1]["status"]["type"] == "complete"


def test_two_pages_that_follow_one_answer_keep_it_once(url: str, scene: Scene) -> None:
    with ListPage(url) as page, ListPage(url) as other:
        page.step("append", text="slowly", **{"for": {"text": "Half "}})
        page.step("wait", **{"for": {"title": "slowly"}})
        other.step("reload", thread="slowly", **{"for": {"text": "Half "}})
        scene.gates["answer"].set()
        for each in (page, other):
            each.step("wait", **IDLE)
        other.step("reload", thread="slowly", **IDLE)
        report = other.told().checked()

    assert report.branches == [("", "slowly"), ("slowly", "Half and half.")]


@pytest.mark.parametrize("reloads", [False, True])
def test_to_stop_an_answer_stops_its_run(url: str, reloads: bool) -> None:
    with ListPage(url) as page:
        page.step("append", text="slowly", **{"for": {"text": "Half "}})
        page.step("wait", **{"for": {"title": "slowly"}})
        if reloads:
            page.step("reload", thread="slowly", **{"for": {"text": "Half "}})
        page.step("cancel", **IDLE)
        report = page.told().checked()
        (thread,) = listed(url)
        httpx.post(f"{url}/resume", json={"threadId": thread["remoteId"]})  # until it is over

    assert httpx.get(f"{url}/status/{thread['remoteId']}").json()["status"] == "cancelled"
    assert report.messages[1]["status"] == {"type": "incomplete", "reason": "cancelled"}


def test_a_tool_that_a_person_answers_is_answered_once_and_kept(url: str, scene: Scene) -> None:
    with ListPage(url) as page:
        say(page, "ask")
        page.step("reload", thread="ask", **IDLE)
        asked = page.told().checked()
        page.step("tool-result", result="Three", **IDLE)
        answered = page.told().checked()
        page.step("reload", thread="ask", **IDLE)
        found = page.told().checked()

    assert asked.messages[1]["status"] == {"type": "requires-action", "reason": "tool-calls"}
    assert answered.said == [("user", "ask"), ("assistant", "I need to know.Three it is.")]
    assert found.branches == [("", "ask"), ("ask", "I need to know.Three it is.")]
    assert [part["type"] for part in found.messages[1]["content"]] == ["text", "tool-call", "text"]
    assert found.messages[1]["content"][1]["result"] == "Three"


def test_a_run_that_fails_is_a_failure_on_its_message(url: str) -> None:
    with ListPage(url) as page:
        say(page, "fail")
        page.step("wait", **{"for": {"title": "fail"}})
        report = page.told()
        page.step("reload", thread="fail", **IDLE)
        found = page.told()

    for each in (report, found):
        assert each.messages[1]["status"]["type"] == "incomplete"
        assert each.messages[1]["status"]["reason"] == "error"
        assert "There are no bees." in json.dumps(each.messages[1]["status"]["error"])


def test_what_a_user_says_of_an_answer_is_kept_and_told(url: str, scene: Scene) -> None:
    with ListPage(url) as page:
        say(page, "Good morning", "And now?")
        page.step("feedback", index=1, type="positive", comment="Nice.")
        page.step("feedback", index=3, type="positive")
        page.step("feedback", index=3, type="negative", **IDLE)
        page.step("reload", thread="Good morning", **IDLE)
        report = page.told().checked()

    given = [message["metadata"].get("submittedFeedback") for message in report.messages]
    assert given == [None, {"type": "positive", "comment": "Nice."}, None, {"type": "negative"}]
    assert [(told.type, told.comment) for told in scene.opinions] == [
        ("positive", "Nice."),
        ("positive", None),
        ("negative", None),
    ]
    assert [told.message["parts"][0]["text"] for told in scene.opinions] == ["2: Good morning", *["4: And now?"] * 2]


def test_suggestions_are_shown_as_they_come(url: str, scene: Scene) -> None:
    scene.gates["suggestions"].clear()
    with ListPage(url) as page:
        page.step("append", text="Good morning", **{"for": {"suggestions": 1}})
        scene.gates["suggestions"].set()
        page.step("wait", **{"for": {"suggestions": 2}})
        report = page.told().checked()

    assert report.suggestions == [[{"prompt": "One?"}], [{"prompt": "One?"}, {"prompt": "2?"}]]


def test_a_title_grows_as_the_agent_makes_it(url: str, scene: Scene) -> None:
    @scene.agent.title
    async def title(about: About) -> AsyncIterator[str]:
        yield "Bees"
        await scene.gates.passed("title")
        yield f" and {text_of({'content': about.messages[0]['parts']})}"

    with ListPage(url) as page:
        page.step("append", text="honey", **{"for": {"title": "Bees"}})
        scene.gates["title"].set()
        page.step("wait", **{"for": {"title": "Bees and honey"}})
        page.told().checked()

    assert [thread["title"] for thread in listed(url)] == ["Bees and honey"]


def test_a_file_is_uploaded_sent_and_served(url: str, scene: Scene) -> None:
    with ListPage(url) as page:
        page.step("attach", name="bee.png", type="image/png", base64=PIXEL, **{"for": {"attachments": 1}})
        page.step("send", text="Look", **IDLE)
        page.step("reload", thread="Look", **IDLE)
        report = page.told().checked()
    (thread,) = listed(url)
    ((image,),) = [
        [part for part in item["parts"] if part["type"] == "image"] for item in state_of(url, thread["remoteId"])
    ][:1]

    (attachment,) = report.messages[0]["attachments"]
    assert (attachment["name"], attachment["type"], attachment["contentType"]) == ("bee.png", "image", "image/png")
    assert attachment["content"][0]["image"] == image["image"]
    served_file = httpx.get(image["image"])
    assert (served_file.status_code, served_file.headers["content-type"]) == (200, "image/png")


def test_a_file_that_is_taken_back_is_deleted_and_one_that_is_refused_says_why(url: str) -> None:
    with ListPage(url) as page:
        page.step("attach", name="bee.png", type="image/png", base64=PIXEL, **{"for": {"attachments": 1}})
        page.step("detach", **IDLE)
        page.step(
            "attach", name="bee.exe", type="application/x-msdownload", base64=PIXEL, **{"for": {"attachments": 1}}
        )
        report = page.told()
    (made, *_) = [json.loads(each["body"]) for each in report.responses if each["status"] == 201]

    assert httpx.get(made["url"]).status_code == 404
    assert report.attachments[0]["status"]["type"] == "incomplete"
    assert "expected the bytes of a file" in report.attachments[0]["status"]["message"]


def test_the_length_of_an_answer_costs_its_length_on_the_wire(url: str) -> None:
    with ListPage(url) as page:
        say(page, "Good morning", "at length")
        report = page.told().checked()
    events = [
        response["body"]
        for request, response in zip(report.requests, report.responses, strict=True)
        if "/events" in request["url"]
    ]

    assert len(report.said[3][1]) > 3_000
    assert len(events) == 2
    assert len(events[1]) < 400 * 200  # a frame for each word, whatever was said before
    assert "Good morning" not in events[1]


def test_a_message_that_is_deleted_stays_deleted(url: str) -> None:
    with ListPage(url) as page:
        say(page, "Good morning", "And now?", "And then?")
        page.step("delete-message", index=2)
        page.step("delete-message", index=2)
        deleted = page.told().checked()
        page.step("reload", thread="Good morning", **IDLE)
        found = page.told().checked()

    assert [text for _, text in deleted.said] == ["Good morning", "2: Good morning", "And then?", "6: And then?"]
    assert found.said == deleted.said
