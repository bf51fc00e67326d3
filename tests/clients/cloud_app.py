"""A page with assistant-ui's local runtime on a cloud and its list of threads, in Chromium: the folder `cloud_app`."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from types import TracebackType

from tests.clients.node import Browser, BrowserReport, Json
from tests.page.installed import page_packages

__all__ = ["CloudPage", "built"]

BUILD_TIMEOUT = 120  # seconds

#: All that is shown of messages, as soon as no run is under way and there are as many as one of the counts says.
_SHOWN = """
(counts) => {
  const messages = [...document.querySelectorAll("#thread .message")];
  const running = document.querySelector("#thread")?.dataset.running !== "false";
  if (running || !counts.includes(messages.length)) return null;
  return messages.map((message) => [message.dataset.role, message.innerText.trim()]);
}
"""

#: Whether a list has these titles, in any order.
_TITLES = """
([section, titles]) => {
  const shown = [...document.querySelectorAll(`${section} .open`)].map((item) => item.innerText).sort();
  return JSON.stringify(shown) === JSON.stringify([...titles].sort());
}
"""

_LOADED = """
(selector) => {
  const image = document.querySelector(selector);
  return image?.complete && image.naturalWidth > 0 ? [image.naturalWidth, image.src] : null;
}
"""


def built(folder: Path) -> Path:
    """Build the page in a folder, with the packages of the demo page; returns what is to be served."""
    page = folder / "cloud_app"
    shutil.copytree(Path(__file__).parent / "cloud_app", page)
    (page / "node_modules").symlink_to(page_packages())
    command = [str(page / "node_modules" / ".bin" / "vite"), "build", "--logLevel", "error"]
    answer = subprocess.run(command, cwd=page, capture_output=True, text=True, timeout=BUILD_TIMEOUT)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return page / "dist"


class CloudPage:
    """One Chromium with the page in it: a context manager.

    Args:
        url: Where the page is served.
        thread: When its adapter names the cloud's thread: `never`, `known` or `always`.
    """

    def __init__(self, url: str, thread: str = "never") -> None:
        self._url = f"{url}/?thread={thread}"
        self._browser = Browser({})

    def __enter__(self) -> CloudPage:
        self.do("goto", url=self._url)
        self.do("wait", selector="#composer textarea")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._browser.close()

    def do(self, step: str, **fields: Json) -> Json:
        """Do a step of the browser driver."""
        return self._browser.step(step, **fields)

    def report(self) -> BrowserReport:
        """End the browser, and return what it saw."""
        return self._browser.report()

    def say(self, text: str) -> None:
        self.do("fill", selector="#composer textarea", text=text)
        self.do("click", selector="#send")

    def shown(self, *counts: int) -> list[tuple[str, str]]:
        """Return who said what, once one of these numbers of messages is shown, and all are complete."""
        shown = self.do("wait", function=_SHOWN, argument=list(counts))["value"]
        return [(role, text) for role, text in shown]

    def titles(self, *regular: str, archived: tuple[str, ...] = ()) -> None:
        """Wait until the list is this."""
        self.do("wait", function=_TITLES, argument=["#regular", list(regular)])
        self.do("wait", function=_TITLES, argument=["#archived", list(archived)])

    def new(self) -> None:
        """Switch to a new thread. The page does so in its own time, with a composer of its own for the new thread."""
        self.do("click", selector="#new")
        assert self.shown(0) == []

    def open(self, title: str) -> None:
        """Switch to the thread of that title."""
        self.do("click", selector=".open", text=title)

    def press(self, button: str, title: str) -> None:
        """Press a button of the thread of that title: `archive`, `unarchive`, `delete`."""
        self.do("click", selector=f".item:has(.open:text-is({json.dumps(title)})) .{button}")

    def rename(self, title: str, to: str) -> None:
        item = f".item:has(.open:text-is({json.dumps(title)}))"
        self.do("fill", selector=f"{item} .title", text=to)
        self.do("click", selector=f"{item} .rename")

    def edit(self, index: int, text: str) -> None:
        """Say something else in place of the message at an index."""
        self.do("click", selector=f"#thread .message >> nth={index} >> .edit")
        self.do("fill", selector=".editing textarea", text=text)
        self.do("click", selector=".save")

    def again(self, index: int) -> None:
        """Have the answer at an index made anew."""
        self.do("click", selector=f"#thread .message >> nth={index} >> .reload")

    def branches(self) -> list[str]:
        """Return which branch is shown of how many, of each message."""
        shown: list[str] = self.do("read", selector=".branches", attribute="data-branch")["texts"]
        return shown

    def reload(self) -> None:
        self.do("reload")
        self.do("wait", selector="#composer textarea")

    def image(self, selector: str) -> tuple[int, str]:
        """Return the width and the address of an image, once it has been loaded."""
        width, address = self.do("wait", function=_LOADED, argument=selector)["value"]
        return width, address
