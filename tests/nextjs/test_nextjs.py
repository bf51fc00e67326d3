"""The Next.js app of the example and of the guide: built, served both ways, and used in Chromium."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

import httpx
import pytest

from tests.clients.node import Browser
from tests.nextjs.conftest import Pace, served_to_grace
from tests.nextjs.next_app import next_server

WORDS = ["Dear", "Ada", "and", "Grace,", "you", "are", "invited:", "dinner.", "Please", "answer", "soon."]
PATIENCE = 60  # seconds


class Person:
    """A person with the app in a browser."""

    def __init__(self, browser: Browser) -> None:
        self.step = browser.step

    def sees(self, text: str) -> None:
        """Wait until the answer is this text and no more."""
        function = "(text) => document.querySelector('.assistant')?.innerText.replace(/\\s+/g, ' ').trim() === text"
        self.step("wait", function=function, argument=text)

    def adds(self, name: str) -> None:
        self.step("fill", selector="aside input", text=name)
        self.step("click", selector="aside button")
        self.step("wait", selector="aside li", text=f"{name}: listed")

    def writes(self, text: str) -> None:
        self.step("fill", selector="textarea", text=text)
        self.step("click", selector="button", text="Send")

    def address(self) -> str:
        return str(self.step("evaluate", function="() => location.href")["value"])


@pytest.mark.parametrize("mode", ["start", "dev"])
def test_an_answer_streams_survives_a_reload_and_is_followed_in_a_second_tab(
    app: Path, server: str, pace: Pace, mode: str
) -> None:
    """Only a browser finds what React says of the page that Next.js has rendered, and, in `dev`, StrictMode."""
    with (
        next_server(app, "dev" if mode == "dev" else "start", NEXT_PUBLIC_STATECAST_URL=server) as url,
        Browser({}) as browser,
    ):
        person = Person(browser)
        person.step("goto", url=url)
        person.adds("Ada")
        person.adds("Grace")
        person.step("fill", selector="aside input", text="Ada")
        person.step("click", selector="aside button")
        person.step("wait", selector="[role=alert]", text="Ada is on the list already.")
        person.writes("dinner")
        for count in (1, 2, 3):
            person.sees(" ".join(WORDS[:count]))
            pace.go_on(1)
        person.sees(" ".join(WORDS[:4]))
        person.step("reload")
        person.sees(" ".join(WORDS[:4]))
        pace.go_on(1)
        person.sees(" ".join(WORDS[:5]))
        address = person.address()
        person.step("tab", name="second", url=address)
        person.sees(" ".join(WORDS[:5]))
        pace.go_on()
        person.step("wait", selector="button", text="Deny")
        person.step("tab", name="first")
        person.step("click", selector="button", text="Approve")
        for tab in ("first", "second"):
            person.step("tab", name=tab)
            person.sees(" ".join([*WORDS, "It is sent to Ada and Grace."]))
            person.step("wait", selector="button", text="Send")
            assert person.step("read", selector="aside li")["texts"] == ["Ada: invited", "Grace: invited"]
            assert person.step("read", selector=".user")["texts"] == ["dinner"]
        if mode == "dev":
            _change_the_page(app, person, address)
        report = browser.report()

    assert report.complaints == []
    posts = [json.loads(entry["body"]) for entry in report.network if entry["method"] == "POST"]
    commands = [command["type"] for post in posts for command in post["commands"]]
    assert commands == ["add-guest", "add-guest", "add-guest", "add-message", "add-tool-result"]
    streams = [entry for entry in report.network if entry["url"].endswith("/events") and entry["failure"] is None]
    assert [entry["tab"] for entry in streams] == ["first", "second"]
    runs = httpx.get(f"{server}/threads/{address.partition('thread=')[2]}/runs").json()["runs"]
    assert [run["status"] for run in runs] == ["completed", "failed", "completed", "completed"]


def _change_the_page(app: Path, person: Person, address: str) -> None:
    """Edit what the server renders: Next.js brings it into the open page, and writes the address it knows."""
    source = app / "app" / "page.tsx"
    source.write_text(source.read_text("utf-8").replace("Invitations", "Parties"), "utf-8")
    person.step("wait", selector="h1", text="Parties", timeout=150_000)
    assert person.address() == address


def test_the_route_handler_streams_with_the_token_of_the_user(app: Path, pace: Pace) -> None:
    message = {"role": "user", "parts": [{"type": "text", "text": "tea"}]}
    body = {"threadId": "tea", "commands": [{"type": "add-message", "message": message}], "onDisconnect": "cancel"}
    with contextlib.ExitStack() as serving:
        server = serving.enter_context(served_to_grace())
        with (
            next_server(app, "start", STATECAST_URL=server) as url,
            httpx.Client(base_url=f"{url}/agent", timeout=PATIENCE) as nobody,
            httpx.Client(base_url=f"{url}/agent", timeout=PATIENCE, cookies={"token": "of-grace"}) as grace,
        ):
            assert nobody.post("/assistant", json=body).status_code == 401
            with grace.stream("POST", "/assistant?protocol=assistant-transport", json=body) as response:
                lines = response.iter_lines()
                assert response.headers["content-type"].startswith("text/event-stream")
                for word in ("Dear", "all,", "you"):
                    assert any(f"{word} " in line for line in lines)  # it arrives while the agent waits
                    pace.go_on(1)
            # The agents' server notices that the page has left, and stops the run, as the request asks for.
            end = time.monotonic() + PATIENCE
            while (status := grace.get("/status/tea").json()["status"]) != "cancelled":
                assert time.monotonic() < end, status
            serving.close()
            assert grace.get("/status/tea").status_code == 502  # after which the hook tries again
