"""Threads of Assistant Cloud's client and those of every other are the same: one list, one history, one state."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import anyio.to_thread
import httpx
import pytest

from statecast import AddMessage, Agent, Run, create_app
from tests.clients.chat import Chats
from tests.clients.cloud import CloudClient, CloudFailed, said, text_of
from tests.clients.data_stream import Pages, checked
from tests.clients.data_stream import shown as page_shows
from tests.clients.installed import DRIVERS
from tests.clients.node import Json, Transport, need_node
from tests.clients.serving import served
from tests.clients.transport_checks import PATIENCE
from tests.clients.versions import runs_need_a_thread


class Scene:
    """An agent that greets, or waits in the middle of a greeting when it is asked to do so "slowly"."""

    def __init__(self) -> None:
        self.agent = Agent("bees", initial={"messages": []})
        self.go = threading.Event()

        @self.agent.on(AddMessage)
        async def answer(run: Run, command: AddMessage) -> None:
            message = run.messages.assistant()
            message.append_text("You said: ")
            run.flush()
            if command.message.text == "slowly":
                await anyio.to_thread.run_sync(self.go.wait, PATIENCE, abandon_on_cancel=True)
            message.append_text(f"{command.message.text} ({len(run.messages)})")


class Named:
    """An agent that says who it is."""

    def __init__(self, name: str) -> None:
        self.agent = Agent(name)

        @self.agent.on(AddMessage)
        async def answer(run: Run, command: AddMessage) -> None:
            run.messages.assistant().append_text(f"I am {name}.")


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def url(scene: Scene) -> Iterator[str]:
    need_node()
    agents = [scene.agent, Named("wasps").agent]
    with served(create_app(agents, cloud=True)) as base:
        yield base


class Ann:
    """Someone with a token, who uses several clients."""

    def __init__(self, url: str) -> None:
        self.url = url
        token = httpx.post(f"{url}/v1/auth/tokens/anonymous").json()["access_token"]
        self.headers = {"authorization": f"Bearer {token}"}
        self.cloud = CloudClient(url, tokens=[token])

    def get(self, path: str) -> Json:
        answer = httpx.get(self.url + path, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def state(self, thread_id: str) -> Json:
        return self.get(f"/threads/{thread_id}/state")["state"]

    def page(self, thread_id: str) -> Transport:
        """Return a page with the hook for Assistant Transport."""
        state = httpx.post(f"{self.url}/initial-state", json={"threadId": thread_id}, headers=self.headers)
        return Transport(
            {
                "api": f"{self.url}/assistant?protocol=assistant-transport",
                "resumeApi": f"{self.url}/resume?protocol=assistant-transport",
                "protocol": "assistant-transport",
                "initialState": state.json() if state.status_code == 200 else {"messages": []},
                "threadId": thread_id,
                "headers": self.headers,
            }
        )


@pytest.fixture
def ann(url: str) -> Ann:
    return Ann(url)


def words(messages: Json) -> list[tuple[str, str]]:
    """Return who said what, in a state's messages."""
    return [(message["role"], text_of(message)) for message in messages]


def saying(text: str) -> Json:
    return {"type": "add-message", "message": {"role": "user", "parts": [{"type": "text", "text": text}]}}


def begun(ann: Ann) -> str:
    """Return a thread in which a cloud's client has written two messages."""
    thread_id = ann.cloud.create(title="Greetings")
    hello = ann.cloud.write(thread_id, "user", "Hello")
    ann.cloud.write(thread_id, "assistant", "Hi", hello)
    return thread_id


BEGUN = [("user", "Hello"), ("assistant", "Hi")]


# Begun by the cloud's client


def test_what_the_clouds_client_wrote_is_the_threads_own(ann: Ann) -> None:
    thread_id = begun(ann)
    (listed,) = ann.get("/threads")["threads"]

    assert (listed["remoteId"], listed["title"], listed["status"]) == (thread_id, "Greetings", "regular")
    assert words(ann.state(thread_id)["messages"]) == BEGUN
    assert httpx.get(f"{ann.url}/threads").status_code == 403, "for those who have no token"
    assert httpx.get(f"{ann.url}/threads/{thread_id}/state").status_code == 404


def test_assistant_transport_goes_on_where_the_clouds_client_began(ann: Ann) -> None:
    thread_id = begun(ann)
    with ann.page(thread_id) as page:
        page.step("append", text="And now?")
        page.step("wait", **{"for": "idle"})
        report = page.report()

    expected = [*BEGUN, ("user", "And now?"), ("assistant", "You said: And now? (4)")]
    assert report.complaints == []
    assert words(report.final_state["messages"]) == expected
    assert ann.cloud.texts(thread_id) == expected


def test_a_chat_goes_on_where_the_clouds_client_began(ann: Ann) -> None:
    thread_id = begun(ann)
    settings = {"api": f"{ann.url}/chat", "id": thread_id, "headers": ann.headers, "messages": loaded(ann, thread_id)}
    with Chats(settings) as chats:
        chats.step("send", text="And now?", **{"for": "idle"})
        report = chats.told()

    expected = [*BEGUN, ("user", "And now?"), ("assistant", "You said: And now? (4)")]
    assert words(ann.state(thread_id)["messages"]) == expected
    assert words(report.main["messages"]) == expected
    assert ann.cloud.texts(thread_id) == expected


def loaded(ann: Ann, thread_id: str) -> list[Json]:
    """Return the messages of a thread as a page of the AI SDK keeps them."""
    listed = ann.cloud.call("threads.messages.list", thread_id)["messages"][::-1]
    return [
        {
            "id": message["id"],
            "role": message["content"]["role"],
            "parts": [{"type": "text", "text": text_of(message["content"])}],
        }
        for message in listed
    ]


def test_a_message_is_seen_by_all_who_follow_as_it_is_written(ann: Ann) -> None:
    thread_id = ann.cloud.create()
    hello = ann.cloud.write(thread_id, "user", "Hello")
    with httpx.stream("GET", f"{ann.url}/threads/{thread_id}/events", headers=ann.headers, timeout=PATIENCE) as events:
        lines = events.iter_lines()
        assert any("Hello" in line for line in lines)
        ann.cloud.write(thread_id, "assistant", "Good morning", hello)
        assert any("Good morning" in line for line in lines)


# Begun by another client


@pytest.mark.parametrize("format", ["aui/v0", "ai-sdk/v6"])
def test_a_run_of_assistant_transport_is_in_the_clouds_list_and_history(ann: Ann, format: str) -> None:
    with ann.page("transported") as page:
        page.step("append", text="Hello")
        page.step("wait", **{"for": "idle"})
        page.report()
    (thread,) = ann.cloud.call("threads.list")["threads"]
    first, second = ann.cloud.call("threads.messages.list", "transported", {"format": format})["messages"][::-1]

    assert thread["id"] == "transported"
    assert [text_of(message["content"]) for message in (first, second)] == ["Hello", "You said: Hello (2)"]
    assert (first["parent_id"], second["parent_id"], second["height"]) == (None, first["id"], 1)
    assert {message["format"] for message in (first, second)} == {format}


def test_a_history_that_is_read_in_the_middle_of_a_run_has_what_there_is_by_then(ann: Ann, scene: Scene) -> None:
    with ann.page("slow") as page:
        page.step("append", text="slowly")
        page.step("wait", **{"for": {"path": ["messages", 1, "parts", 0, "text"], "equals": "You said: "}})
        half = ann.cloud.call("threads.messages.list", "slow", {"format": "aui/v0"})["messages"][::-1]
        scene.go.set()
        page.step("wait", **{"for": "idle"})
        page.report()
    whole = ann.cloud.call("threads.messages.list", "slow", {"format": "aui/v0"})["messages"][::-1]

    assert [text_of(message["content"]) for message in half] == ["slowly", "You said: "]
    assert [text_of(message["content"]) for message in whole] == ["slowly", "You said: slowly (2)"]
    assert [message["id"] for message in half] == [message["id"] for message in whole]


def test_a_message_of_the_agents_can_be_updated_and_followed_by_the_clouds_client(ann: Ann) -> None:
    with ann.page("mixed") as page:
        page.step("append", text="Hello")
        page.step("wait", **{"for": "idle"})
        page.report()
    answer = ann.cloud.call("threads.messages.list", "mixed", {"format": "aui/v0"})["messages"][0]["id"]
    ann.cloud.call("threads.messages.update", "mixed", answer, {"content": said("assistant", "You said: Hello (2).")})
    ann.cloud.write("mixed", "user", "More", answer)

    assert ann.cloud.texts("mixed") == [("user", "Hello"), ("assistant", "You said: Hello (2)."), ("user", "More")]
    assert words(ann.state("mixed")["messages"]) == [("user", "Hello"), ("assistant", "You said: Hello (2)")]


def test_a_run_is_none_of_another_users_business(ann: Ann, url: str) -> None:
    with ann.page("mine") as page:
        page.step("append", text="Hello")
        page.step("wait", **{"for": "idle"})
        page.report()
    bob = Ann(url)

    assert bob.get("/threads") == {"threads": []}
    with pytest.raises(CloudFailed) as raised:
        bob.cloud.texts("mine")
    assert raised.value.status == 404
    for path in ("/threads/mine/state", "/status/mine", "/threads/mine/events", "/threads/mine/messages"):
        assert httpx.get(url + path, headers=bob.headers).status_code == 404


# An agent's run by its id


def _ask(pages: Pages, text: str, *, messages: int) -> None:
    """Say something, and wait for the answer: what is requested first is a token and a thread."""
    pages.step("append", text=text)
    pages.step("wait", **{"for": {"messages": messages}})
    pages.step("wait", **{"for": "idle"})


def test_the_clouds_runtime_runs_the_agent_that_it_names(url: str) -> None:
    if runs_need_a_thread():
        assert _refused_by_itself(url) == []
        return
    with Pages({"module": str(DRIVERS / "cloud_page.mjs"), "url": url, "threadId": "wasps", "api": url}) as pages:
        for number, text in enumerate(["Who are you?", "Who?"], 1):
            _ask(pages, text, messages=2 * number)
        report = checked(pages.told())

    assert page_shows(report.main["messages"]) == [
        ("user", [("text", "Who are you?")]),
        ("assistant", [("text", "I am wasps.")]),
        ("user", [("text", "Who?")]),
        ("assistant", [("text", "I am wasps.")]),
    ]
    posts = [request for request in report.requests if request["url"].endswith("/v1/runs/stream")]
    assistants = [post["body"]["assistant_id"] for post in posts]
    assert sorted(assistants) == ["system/thread_title", "wasps", "wasps"]


def _refused_by_itself(url: str) -> list[str]:
    """Check that the runtime fails before it asks for a run, and return which runs it asked for."""
    with Pages({"module": str(DRIVERS / "cloud_page.mjs"), "url": url, "threadId": "wasps", "api": url}) as pages:
        _ask(pages, "Who are you?", messages=2)
        report = pages.told()
    assert "Assistant Cloud runs need a thread" in report.console[0]["text"]
    posts = [request for request in report.requests if request["url"].endswith("/v1/runs/stream")]
    return [post["body"]["assistant_id"] for post in posts if post["body"]["assistant_id"] != "system/thread_title"]


def test_an_agent_that_is_not_served_is_an_error_that_the_page_sees(url: str) -> None:
    if runs_need_a_thread():
        assert _refused_by_itself(url) == []
        return
    with Pages({"module": str(DRIVERS / "cloud_page.mjs"), "url": url, "threadId": "hornets", "api": url}) as pages:
        _ask(pages, "Who are you?", messages=2)
        report = pages.told()

    failed = next(response for response in report.responses if response["status"] == 404)
    assert '"error":"unknown_agent"' in failed["body"]
    assert report.main["messages"][-1]["status"]["reason"] == "error"
