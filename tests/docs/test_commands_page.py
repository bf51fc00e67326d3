"""The page of the guide to custom commands and a typed state, built as the guide says and tried in a browser."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from statecast import create_app
from statecast.http.endpoints.client_module import BROWSER
from statecast.typescript import declarations
from tests.clients.node import need_chromium, run_browser
from tests.clients.serving import served
from tests.docs.building import built
from tests.docs.pages import ROOT, load

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


def test_lists_are_changed_by_commands_and_followed_in_the_side_bar(agent: Any, tmp_path: Path) -> None:
    need_chromium()
    names = ("src/App.tsx", "src/use-list.ts", "src/agent.d.ts")
    sources = {name.removeprefix("src/"): GUIDE[name] for name in names}
    sources |= {name: (BROWSER / name).read_text("utf-8") for name in ("client.js", "client.d.ts")}
    with (
        served(create_app(agent, cors_origins=["*"], open_list=True)) as base,
        served(create_app(agent, page=built(tmp_path / "guide", base, sources))) as page,
    ):
        item = {"do": "fill", "selector": "input[name=name]"}
        add = {"do": "click", "selector": "button", "text": "Add"}
        report = run_browser(
            [
                {"do": "goto", "url": page},
                {**item, "text": "Flour"},
                add,
                {"do": "wait", "selector": "nav", "text": "groceries: 1 left"},
                {**item, "text": "Flour"},
                add,
                {"do": "wait", "selector": "[role=alert]", "text": "Flour is on the list already."},
                {"do": "click", "selector": "button", "text": "New list"},
                {**item, "text": "Nails"},
                add,
                {"do": "wait", "selector": "nav", "text": "list-2: 1 left"},
                {"do": "tab", "name": "other", "url": page},
                {"do": "wait", "selector": "main li", "text": "Flour"},
                {"do": "click", "selector": "input[type=checkbox]"},
                {"do": "wait", "selector": "nav", "text": "groceries: 0 left"},
                {"do": "tab", "name": "first"},
                {"do": "wait", "selector": "nav", "text": "groceries: 0 left"},
            ]
        )

    assert report.page_errors == []
