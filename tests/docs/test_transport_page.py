"""The page of the guide to assistant-ui's own hook, built as the guide says and tried in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from statecast import create_app
from tests.clients.node import need_chromium, run_browser
from tests.clients.serving import served
from tests.docs.building import built
from tests.docs.pages import ROOT, load
from tests.docs.test_page import guide_agent

__all__ = ["guide_agent"]

GUIDE = {block.file: block.text for block in load(ROOT / "docs" / "guides" / "assistant-transport-runtime.md").blocks}


def test_the_page_of_the_guide_streams_reloads_and_stops(guide_agent: Any, tmp_path: Path) -> None:
    need_chromium()
    text = " ".join(f"word{number}" for number in range(40))
    sources = {file.removeprefix("page/src/"): source for file, source in GUIDE.items() if file and "src/" in file}
    with served(create_app(guide_agent, page=built(tmp_path / "guide", None, sources))) as base:
        address = f"{base}/?thread=guide"
        report = run_browser(
            [
                {"do": "goto", "url": address},
                {"do": "fill", "selector": "textarea", "text": text},
                {"do": "click", "selector": "button", "text": "Send"},
                {"do": "wait", "selector": ".assistant", "text": "You said: word0 word1"},
                {"do": "tab", "name": "second", "url": address},
                {"do": "wait", "selector": ".assistant", "text": "You said: word0 word1"},
                {"do": "reload"},
                {"do": "wait", "selector": ".assistant", "text": text},
                {"do": "wait", "selector": "#words", "text": "Words so far: 42"},
                {"do": "tab", "name": "first"},
                {"do": "wait", "selector": ".assistant", "text": text},
                {"do": "fill", "selector": "textarea", "text": "word " * 400},
                {"do": "click", "selector": "button", "text": "Send"},
                {"do": "wait", "selector": "#words", "text": "Words so far: 3"},
                {"do": "click", "selector": "button", "text": "Stop"},
                {"do": "wait", "selector": "button", "text": "Send"},
            ]
        )
        # Joins the run if it is not over yet, and ends with it.
        httpx.post(f"{base}/resume", json={"threadId": "guide"}, timeout=30)
        status = httpx.get(f"{base}/status/guide").json()["status"]

    assert report.complaints == []
    assert status == "cancelled"
