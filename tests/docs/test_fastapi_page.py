"""The app of the guide to FastAPI with JWT, served as it is written, and its page in a browser."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.node import Json, need_chromium, run_browser
from tests.clients.serving import served
from tests.docs.pages import ROOT, load

GUIDE = load(ROOT / "docs" / "guides" / "fastapi-jwt.md")
MODULES = ("main", "my_agent")


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield the app of the guide, from its files."""
    for block in GUIDE.blocks:
        if block.file is not None:
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield importlib.import_module("main").app
    for name in MODULES:
        sys.modules.pop(name, None)


def sign_in(name: str, password: str) -> list[Json]:
    return [
        {"do": "fill", "selector": "input[name=name]", "text": name},
        {"do": "fill", "selector": "input[name=password]", "text": password},
        {"do": "click", "selector": "button", "text": "Sign in"},
    ]


def test_users_sign_in_and_the_agent_knows_them(app: Any) -> None:
    need_chromium()
    with served(app) as url:
        report = run_browser(
            [
                {"do": "goto", "url": url},
                *sign_in("grace", "army"),
                {"do": "wait", "selector": "[role=alert]", "text": "wrong password"},
                *sign_in("grace", "navy"),
                {"do": "fill", "selector": "input[name=text]", "text": "A train to Arlington"},
                {"do": "click", "selector": "button", "text": "Send"},
                {"do": "wait", "selector": "li", "text": "Grace, I noted: A train to Arlington. You may approve it"},
                {"do": "tab", "name": "other", "url": url},
                *sign_in("linus", "penguin"),
                {"do": "fill", "selector": "input[name=text]", "text": "A keyboard"},
                {"do": "click", "selector": "button", "text": "Send"},
                {"do": "wait", "selector": "li", "text": "Linus, I noted: A keyboard. Your manager has to approve it"},
            ]
        )
        token = httpx.post(f"{url}/token", json={"name": "linus", "password": "penguin"}).json()["token"]
        theirs = f"{url}/agents/threads/expenses-grace/state"
        stolen = httpx.get(theirs, headers={"Authorization": f"Bearer {token}"})
        nobody = httpx.get(theirs)

    assert report.page_errors == []
    assert (stolen.status_code, stolen.json()["error"]["code"]) == (404, "unknown_thread")
    assert nobody.status_code == 401
