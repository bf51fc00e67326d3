"""The page of the guide to custom commands and a typed state, built as the guide says and tried in a browser."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from statecast import create_app
from statecast.typescript import declarations
from tests.clients.node import Browser, need_chromium, need_node
from tests.clients.serving import served
from tests.docs.building import built
from tests.docs.pages import ROOT, load
from tests.page.installed import install_packages

GUIDE = {block.file: block.text for block in load(ROOT / "docs" / "guides" / "commands-in-the-page.md").blocks}


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield the agent of the guide."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_agent", raising=False)
    (tmp_path / "my_agent.py").write_text(GUIDE["my_agent.py"], encoding="utf-8")
    importlib.invalidate_caches()
    yield importlib.import_module("my_agent").agent
    del sys.modules["my_agent"]


def test_the_declarations_are_those_that_statecast_makes(agent: Any) -> None:
    assert GUIDE["src/agent.d.ts"] == declarations([agent])


def test_the_page_refuses_commands_and_fields_that_the_agent_does_not_have(tmp_path: Path) -> None:
    app = GUIDE["src/App.tsx"]
    wrong = {
        'type: "add-item"': 'type: "add-itme"',
        "index })": "index: String(index) })",
        "state?.items?.map": "state?.itmes?.map",
    }
    for number, (right, mistake) in enumerate(wrong.items()):
        assert right in app
        (tmp_path / f"wrong{number}.tsx").write_text(app.replace(right, mistake), encoding="utf-8")
    (tmp_path / "right.tsx").write_text(app, encoding="utf-8")
    (tmp_path / "agent.d.ts").write_text(GUIDE["src/agent.d.ts"], encoding="utf-8")
    install_packages(tmp_path)
    config = json.loads((ROOT / "page" / "tsconfig.json").read_text("utf-8"))
    (tmp_path / "tsconfig.json").write_text(json.dumps({**config, "include": ["*"]}), "utf-8")
    tsc = [need_node(), str(tmp_path / "node_modules" / ".bin" / "tsc"), "--noEmit"]
    answer = subprocess.run(tsc, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    refused = {line.partition("(")[0] for line in answer.stdout.splitlines() if not line.startswith(" ")}
    assert refused == {f"wrong{number}.tsx" for number in range(len(wrong))}, answer.stdout


def test_lists_are_changed_by_commands_and_followed_in_the_side_bar(agent: Any, tmp_path: Path) -> None:
    need_chromium()
    sources = {name.removeprefix("src/"): GUIDE[name] for name in ("src/App.tsx", "src/agent.d.ts")}
    with (
        served(create_app(agent, cors_origins=["*"], open_list=True)) as base,
        served(create_app(agent, page=built(tmp_path / "guide", base, sources))) as page,
        Browser({}) as browser,
    ):

        def write(label: str, text: str) -> None:
            browser.step("fill", selector=f'input[aria-label="{label}"]', text=text)
            browser.step("press", selector=f'input[aria-label="{label}"]', key="Enter")

        def shows(selector: str, text: str) -> Any:
            return browser.step("wait", selector=selector, text=text)

        browser.step("goto", url=page)
        write("Add an item", "Flour")
        shows("nav", "New list: 1 left")
        write("Rename the list", "Groceries")
        shows("nav", "Groceries: 1 left")
        write("Add an item", "Flour")
        groceries = shows("[role=alert]", "Flour is on the list already.")["url"]
        browser.step("click", selector="button", text="New list")
        shows("h1", "New list")
        write("Rename the list", "Workshop")
        write("Add an item", "Nails")
        shows("nav", "Workshop: 1 left")
        browser.step("tab", name="other", url=groceries)
        shows("h1", "Groceries")
        browser.step("click", selector="input[type=checkbox]")
        shows("nav", "Groceries: 0 left")
        browser.step("tab", name="first")
        shows("h1", "Workshop")
        shows("nav", "Groceries: 0 left")
        browser.step("click", selector="nav button", text="Groceries")
        shows("main li", "Flour")
        browser.step("back")
        shows("main li", "Nails")
        report = browser.report()

    assert report.complaints == []
