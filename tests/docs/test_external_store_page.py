"""The page of the guide to one's own store, built with the module that it copies, tried in a browser."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from statecast import create_app
from statecast.http.module import BROWSER
from tests.clients.node import need_chromium, run_browser
from tests.clients.serving import served
from tests.docs.pages import ROOT, load
from tests.page.installed import page_packages

PAGE = load(ROOT / "docs" / "guides" / "external-store.md")
FIRST_STEPS = load(ROOT / "docs" / "guides" / "getting-started.md")
BUILD_TIMEOUT = 120  # seconds


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


def built(folder: Path, server: str) -> Path:
    """Build the page for a server, in the surroundings that the first guide makes; returns what is to be served."""
    packages = page_packages()
    for skeleton in FIRST_STEPS.blocks:
        if skeleton.file is not None and skeleton.file.startswith("page/"):
            path = folder / skeleton.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(skeleton.text, encoding="utf-8")
    page = folder / "page"
    (page / "src" / "agent.ts").unlink()
    for name in ("client.js", "client.d.ts"):
        shutil.copy(BROWSER / name, page / "src")
    app = block("src/App.tsx")
    assert "http://127.0.0.1:8000" in app
    (page / "src" / "App.tsx").write_text(app.replace("http://127.0.0.1:8000", server), encoding="utf-8")
    (page / "node_modules").symlink_to(packages)
    command = [shutil.which("npm") or "npm", "run", "build"]
    answer = subprocess.run(command, cwd=page, capture_output=True, text=True, timeout=BUILD_TIMEOUT)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return page / "dist"


def test_the_page_of_the_guide_does_what_it_says(agent: Any, tmp_path: Path) -> None:
    need_chromium()
    with (
        served(create_app(agent, cors_origins=["*"])) as base,
        served(create_app(agent, page=built(tmp_path, base))) as page,
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
