"""The page with a list of threads of the guide to the React hook, built as the guide says and tried in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from statecast import create_app
from tests.clients.node import Browser, need_chromium
from tests.clients.serving import served
from tests.docs.building import built
from tests.docs.pages import ROOT, load
from tests.docs.test_page import guide_agent

__all__ = ["guide_agent"]

GUIDE = {block.file: block.text for block in load(ROOT / "docs" / "guides" / "react.md").blocks}


def test_the_list_opens_and_deletes_threads_with_their_state_beside_it(guide_agent: Any, tmp_path: Path) -> None:
    need_chromium()
    sources = {
        "App.tsx": 'export { ThreadsPage as default } from "./ThreadsPage";\n',
        "ThreadsPage.tsx": GUIDE["src/ThreadsPage.tsx"],
    }
    with (
        served(create_app(guide_agent, cors_origins=["*"], open_list=True)) as base,
        served(create_app(guide_agent, page=built(tmp_path / "guide", base, sources))) as page,
        Browser({}) as browser,
    ):

        def say(text: str) -> None:
            browser.step("fill", selector="textarea", text=text)
            browser.step("click", selector="button:enabled", text="Send")

        def shows(selector: str, text: str) -> None:
            browser.step("wait", selector=selector, text=text)

        browser.step("goto", url=page)
        say("tea")
        shows("#words", "Words so far: 3")
        shows("button", "tea")
        browser.step("click", selector="button", text="New chat")
        shows("#words", "Words so far: 0")
        say("milk and honey")
        shows("#words", "Words so far: 5")
        shows("button", "milk and honey")
        browser.step("click", selector="button", text="tea")
        shows("#words", "Words so far: 3")
        shows(".assistant", "You said: tea")
        browser.step("reload")
        shows("#words", "Words so far: 3")
        shows("button", "milk and honey")
        browser.step("click", selector="div:has(> button:text-is('tea')) > button", text="Delete")
        shows("#words", "Words so far: 0")
        browser.step("wait", function="() => !document.body.innerText.includes('tea')")
        report = browser.report()

    assert report.complaints == []
