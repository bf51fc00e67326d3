"""The demo page in a real Chromium, in the words of the tests: `say`, `status`, `state`."""

from __future__ import annotations

import json
import os
import re
import tempfile
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.clients.node import Browser, BrowserReport
from tests.clients.serving import Restarting

PATIENCE = 60  # seconds that a fact may take to come true

# A promise that looks again whenever the document changes, until `look` returns something other than null.
_WATCH = """
() => new Promise((resolve, reject) => {
  const look = %s;
  const observer = new MutationObserver(() => attempt());
  const patience = setTimeout(() => { observer.disconnect(); reject(new Error(`in vain: ${look}`)); }, %d);
  const attempt = () => {
    const found = look();
    if (found === null) return;
    clearTimeout(patience);
    observer.disconnect();
    resolve(found);
  };
  observer.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
  attempt();
})
"""

_GROWTH = """
() => {
  const seen = (window.lengthsSeen ??= []);
  const last = [...document.querySelectorAll('[data-role="assistant"] %s')].at(-1);
  const length = last?.textContent.length ?? 0;
  if (length > 0 && length !== seen.at(-1)) seen.push(length);
  if (seen.length < %d) return null;
  delete window.lengthsSeen;
  return seen;
}
"""

_COLLECT_LIT = """
() => {
  const lit = (window.litPlaces = new Set());
  const collect = () => document.querySelectorAll('[data-change="itself"]').forEach((row) => lit.add(row.dataset.path));
  new MutationObserver(collect).observe(document, { subtree: true, childList: true, attributes: true });
}
"""

_SHOWN = """
() => [...document.querySelectorAll('[data-role] .text')]
    .map((text) => [text.closest('[data-role]').dataset.role, text.textContent])
"""


def part(name: str) -> str:
    """Return the selector of a part of the page that has a name for tests."""
    return f'[data-testid="{name}"]'


USER = '[data-role="user"]'
AGENT = '[data-role="assistant"]'
STATUS = part("run-status")


def form(command: str) -> str:
    """Return the selector of a command's form."""
    return part(f"command-form-{command}")


def row(path: str) -> str:
    """Return the selector of a place in the state tree."""
    return f'[data-path="{path}"]'


class Page:
    """One Chromium with the demo page in it: a context manager that ends with no complaint of the page."""

    def __init__(self, url: str, screenshots: Path, *, thread: str | None = None, **settings: Any) -> None:
        self._url = url
        self._address = url if thread is None else f"{url}?thread={thread}"
        self._screenshots = screenshots
        self._browser = Browser(settings)
        self._expected: re.Pattern[str] | None = None

    def __enter__(self) -> Page:
        self.do("goto", url=self._address)
        self.wait(part("timeline"))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if error is None:
                complaints = self.report().complaints
                expected = self._expected
                assert [text for text in complaints if expected is None or not expected.search(text)] == []
        finally:
            self._browser.close()

    def do(self, step: str, **fields: Any) -> Any:
        """Do a step of the browser driver."""
        return self._browser.step(step, **fields)

    def report(self) -> BrowserReport:
        """End the browser and return what it saw."""
        return self._browser.report()

    def expect_complaint(self, pattern: str) -> None:
        """Put up with complaints that match."""
        self._expected = re.compile(pattern)

    # What a user does

    def say(self, text: str) -> None:
        self.do("fill", selector=part("composer-input"), text=text)
        self.do("press", selector=part("composer-input"), key="Enter")

    def click(self, selector: str) -> None:
        self.do("click", selector=selector)

    def fill(self, selector: str, text: str) -> None:
        self.do("fill", selector=selector, text=text)

    def open(self, view: str) -> None:
        """Open a view by its tab: `state`, `operations`, `runs`, `commands`, `clients`; `chat` on a phone."""
        self.click(part(f"tab-{view}"))

    def command(self, name: str, /, **values: str) -> None:
        """Fill a command's form and send it."""
        self.open("commands")
        for field, value in values.items():
            self.fill(f'{form(name)} [name="{field}"]', value)
        self.click(f"{form(name)} button")

    def edit(self, message: int, text: str) -> None:
        """Edit the user's message of that number, counted from 0."""
        selector = f"{USER} >> nth={message}"
        self.click(f"{selector} >> {part('message-edit')}")
        self.fill(part("edit-input"), text)
        self.click(part("edit-send"))

    # What a user sees

    def wait(self, selector: str, **fields: Any) -> None:
        self.do("wait", selector=selector, **fields)

    def rest(self, status: str = "idle") -> None:
        """Wait until no run goes on."""
        self.wait(f'{STATUS}[data-status="{status}"]')

    def texts(self, selector: str) -> list[str]:
        texts: list[str] = self.do("read", selector=selector)["texts"]
        return texts

    def script(self, function: str) -> Any:
        return self.do("evaluate", function=function)["value"]

    def watch(self, look: str) -> Any:
        """Wait until the JavaScript function `look` returns something other than null."""
        return self.script(_WATCH % (look, PATIENCE * 1000))

    def arrive(self, look: str) -> None:
        """Wait until the JavaScript function `look` returns something true, on whichever page is loaded by then."""
        self.do("wait", function=look)

    def growth(self, selector: str = ".text", *, steps: int = 5) -> list[int]:
        """Watch the last reply until it has had so many different lengths, and return them."""
        lengths: list[int] = self.watch(_GROWTH % (selector, steps))
        return lengths

    def reply(self) -> str:
        """Return the text of the last reply."""
        text: str = self.script(f"() => [...document.querySelectorAll('{AGENT} .text')].at(-1)?.textContent ?? ''")
        return text

    def collect_lit_places(self) -> None:
        """Note from now on which places of the state tree light up."""
        self.script(_COLLECT_LIT)

    def lit_places(self) -> list[str]:
        places: list[str] = self.script("() => [...window.litPlaces]")
        return places

    def shoot(self, name: str) -> None:
        """Save what is in view."""
        self.do("screenshot", file=str(self._screenshots / f"{name}.png"))

    # What the server has

    def post(self, *commands: dict[str, str]) -> None:
        """Send commands to the page's thread, as another client would."""
        body = json.dumps({"threadId": self.thread, "commands": commands}).encode()
        address = f"{self._url}assistant?protocol=assistant-transport"
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=PATIENCE).read()

    @property
    def thread(self) -> str:
        """The id of the thread that the address names."""
        thread: str = self.script("() => new URLSearchParams(location.search).get('thread')")
        return thread

    def server(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self._url}{path}", timeout=PATIENCE) as response:
            return json.load(response)

    def state(self) -> Any:
        """Return the state of the page's thread, as the server has it."""
        return self.server(f"threads/{self.thread}/state")["state"]

    def servers_messages(self) -> list[list[str]]:
        """Return role and text of every text in the server's state."""
        return [
            [message["role"], part["text"]]
            for message in self.state()["messages"]
            for part in message["parts"]
            if part["type"] == "text"
        ]

    def assert_shows_the_servers_messages(self) -> None:
        """Compare the chat, word for word, with the messages in the server's state."""
        assert self.script(_SHOWN) == self.servers_messages()

    def watch_until_it_shows_the_servers_messages(self) -> None:
        """Wait until the chat is, word for word, the messages in the server's state, which rests."""
        wanted = json.dumps(json.dumps(self.servers_messages()))
        self.watch(
            f"() => JSON.stringify(({_SHOWN})()) === JSON.stringify(JSON.parse({wanted})) || null",
        )


class Demo(Restarting):
    """A `statecast demo` on a free port, in a folder of its own: a context manager.

    Args:
        store: Where it keeps threads.
    """

    def __init__(self, store: str = "memory") -> None:
        self._own = tempfile.TemporaryDirectory()
        super().__init__("demo", "--open-list", "--store", store, folder=Path(self._own.name))

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self._own.cleanup()


def screenshots_folder() -> Path:
    """Return where screenshots go: $STATECAST_SCREENSHOTS, or a new folder."""
    named = os.environ.get("STATECAST_SCREENSHOTS")
    if not named:
        return Path(tempfile.mkdtemp(prefix="statecast-screenshots-"))
    folder = Path(named).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder
