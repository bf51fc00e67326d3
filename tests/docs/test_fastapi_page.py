"""The app of the guide to FastAPI with JWT, served as it is written, and its page in a browser."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.node import Browser, Json, need_chromium, run_browser
from tests.clients.serving import served
from tests.docs.pages import ROOT, load

GUIDE = load(ROOT / "docs" / "guides" / "fastapi-jwt.md")
MODULES = ("main", "my_agent")


@pytest.fixture
def main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield the module of the guide's app, from its files."""
    for block in GUIDE.blocks:
        if block.file is not None:
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield importlib.import_module("main")
    for name in MODULES:
        sys.modules.pop(name, None)


def sign_in(name: str, password: str) -> list[Json]:
    return [
        {"do": "fill", "selector": "input[name=name]", "text": name},
        {"do": "fill", "selector": "input[name=password]", "text": password},
        {"do": "click", "selector": "button", "text": "Sign in"},
    ]


def test_users_sign_in_and_the_agent_knows_them(main: Any) -> None:
    need_chromium()
    with served(main.app) as url:
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


def test_a_page_whose_token_expires_asks_for_the_password_and_continues_where_it_was(main: Any) -> None:
    """Takes the five seconds that the second token is valid."""
    need_chromium()
    with served(main.app) as url, Browser({"steps": []}) as page:
        page.step("goto", url=url)
        for step in sign_in("grace", "navy"):
            page.step(**step)
        page.step("fill", selector="input[name=text]", text="A train to Arlington")
        page.step("click", selector="button", text="Send")
        page.step("wait", selector="li", text="Grace, I noted: A train")
        main.MINUTES = 5 / 60
        page.step("goto", url=url)
        for step in sign_in("grace", "navy"):
            page.step(**step)
        page.step("wait", selector="[role=alert]", text="Your session has expired")
        main.MINUTES = 15
        token = httpx.post(f"{url}/token", json={"name": "grace", "password": "navy"}).json()["token"]
        message = {"role": "user", "parts": [{"type": "text", "text": "A hotel"}]}
        body = {"threadId": "expenses-grace", "commands": [{"type": "add-message", "message": message}]}
        httpx.post(f"{url}/agents/assistant", json=body, headers={"Authorization": f"Bearer {token}"})
        for step in sign_in("grace", "navy"):
            page.step(**step)
        page.step("wait", selector="li", text="Grace, I noted: A hotel")
        page.step("wait", selector="li", text="Grace, I noted: A train")
        assert page.report().page_errors == []
