"""The page of the guide to one's own store, built with the module that it copies, tried in a browser."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from statecast import create_app
from statecast.http.endpoints.client_module import BROWSER
from tests.clients.node import need_chromium, run_browser
from tests.clients.serving import served
from tests.docs.building import built
from tests.docs.pages import ROOT, load

PAGE = load(ROOT / "docs" / "guides" / "external-store.md")


def block(file: str) -> str:
    (text,) = (block.text for block in PAGE.blocks if block.file == file)
    return text


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield the agent of the guide."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_agent.py").write_text(block("my_agent.py"), encoding="utf-8")
    importlib.invalidate_caches()
    yield importlib.import_module("my_agent").agent
    del sys.modules["my_agent"]


def sources() -> dict[str, str]:
    """Return the files of the page: the guide's, and the module that it copies."""
    modules = {name: (BROWSER / name).read_text("utf-8") for name in ("client.js", "client.d.ts")}
    return {"App.tsx": block("src/App.tsx"), **modules}


def test_the_page_of_the_guide_does_what_it_says(agent: Any, tmp_path: Path) -> None:
    need_chromium()
    with (
        served(create_app(agent, cors_origins=["*"])) as base,
        served(create_app(agent, page=built(tmp_path / "guide", base, sources()))) as page,
    ):
        write = {"do": "fill", "selector": "#composer textarea"}
        send = {"do": "click", "selector": "#composer button", "text": "Send"}
        report = run_browser(
            [
                {"do": "goto", "url": page},
                {**write, "text": "Hello there"},
                send,
                {"do": "wait", "selector": "body", "text": "You said: Hello there"},
                {"do": "wait", "selector": "#words", "text": "4"},
                {"do": "click", "selector": "button", "text": "Edit"},
                {"do": "fill", "selector": ".edit textarea", "text": "Hello again"},
                {"do": "click", "selector": ".edit button", "text": "Save"},
                {"do": "wait", "selector": "body", "text": "You said: Hello again"},
                {"do": "wait", "selector": "#words", "text": "8"},
                {"do": "click", "selector": "button", "text": "Again"},
                {"do": "wait", "selector": "#words", "text": "12"},
                {"do": "wait", "selector": "#composer button", "text": "Send"},
                {"do": "read", "selector": "#root"},
                {**write, "text": "A drink, please"},
                send,
                {"do": "click", "selector": "button", "text": "Coffee"},
                {"do": "wait", "selector": "body", "text": "Coffee, then."},
                {**write, "text": "word " * 200},
                send,
                {"do": "wait", "selector": "body", "text": "You said: word"},
                {"do": "click", "selector": "#composer button", "text": "Stop"},
                {"do": "wait", "selector": "#composer button", "text": "Send"},
            ]
        )

    assert report.complaints == []
    (shown,) = next(step["texts"] for step in report.steps if "texts" in step)
    assert "Hello there" not in shown
    assert shown.count("You said: Hello again") == 1
    posts = [entry for entry in report.network if entry["method"] == "POST"]
    assert [entry["url"].removeprefix(base).partition("?")[0] for entry in posts] == ["/assistant"] * 6 + ["/cancel"]
