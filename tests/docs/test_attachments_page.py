"""The pages of the guide to attachments, built as the guide says and tried in a browser."""

from __future__ import annotations

import base64
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from statecast import Agent, create_app
from tests.clients.node import Json, need_chromium, run_browser
from tests.clients.serving import served
from tests.clients.test_attachments import RED
from tests.docs.building import built
from tests.docs.test_client_snippets import snippets

GUIDE = snippets("attachments.md")
ORIGIN = "http://localhost:5173"
PICTURE = {"name": "red bee.png", "type": "image/png", "data": RED}
REPORT = {"name": "report.pdf", "type": "application/pdf", "data": "JVBERi0xLjQ="}
PROGRAM = {"name": "bees.exe", "type": "application/x-msdownload", "data": "TVo="}
LARGE = {"name": "large.txt", "type": "text/plain", "data": base64.b64encode(bytes(5 * 2**20 + 1)).decode()}
NOTES = {"name": "notes.txt", "type": "text/plain", "data": "SG9uZXk="}
ATTACHED = """
(count) => [...document.querySelectorAll("button")].filter((one) => one.innerText === "Remove").length === count
"""
DELETED = '() => performance.getEntriesByType("resource").some(({ name }) => name.includes("/attachments/file_"))'
SOURCES = {
    "App.tsx": 'export { Bees as default } from "./Bees";\n',
    "Bees.tsx": GUIDE["src/Bees.tsx"],
    "attachments.ts": GUIDE["src/attachments.ts"],
}


@pytest.fixture
def guides_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield the app of the guide, for a page from anywhere; its files are in `uploads` beside it."""
    assert ORIGIN in GUIDE["my_agent.py"]
    (tmp_path / "attaching_app.py").write_text(GUIDE["my_agent.py"].replace(ORIGIN, "*"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    importlib.invalidate_caches()
    yield importlib.import_module("attaching_app").app
    sys.modules.pop("attaching_app", None)


def attach(*files: Json) -> list[Json]:
    """Choose files one after the other, as a person does, and wait for each to be listed."""
    steps: list[Json] = []
    for file in files:
        steps.append({"do": "upload", "selector": 'button:text-is("Attach")', "files": [file]})
        steps.append({"do": "wait", "selector": "form", "text": file["name"]})
    return steps


def remove(*, leaving: int) -> list[Json]:
    """Remove the first of the files that are attached."""
    click = {"do": "click", "selector": "button", "text": "Remove"}
    return [click, {"do": "wait", "function": ATTACHED, "argument": leaving}]


def say(text: str) -> list[Json]:
    send = {"do": "click", "selector": "button:enabled", "text": "Send"}
    return [{"do": "fill", "selector": "textarea", "text": text}, send] if text else [send]


def shows(text: str) -> Json:
    return {"do": "wait", "selector": "body", "text": text}


def test_the_page_of_the_hook_attaches_files_of_every_kind_and_shows_them_again(
    guides_app: Any, tmp_path: Path
) -> None:
    need_chromium()
    sources = {"App.tsx": GUIDE["src/App.tsx"]}
    picture_is_shown = {"do": "wait", "function": "() => document.images[0]?.naturalWidth === 1"}
    with (
        served(guides_app) as server,
        served(create_app(Agent(), page=built(tmp_path / "guide", server, sources))) as page,
    ):
        report = run_browser(
            [
                {"do": "goto", "url": page},
                *say("Only words"),
                shows("You attached no file."),
                *attach(PICTURE, NOTES, REPORT),
                *say("All three"),
                shows("red_bee.png has 70 bytes. notes.txt has 5 bytes. report.pdf has 8 bytes."),
                picture_is_shown,
                *attach(NOTES),
                *say(""),  # a file without words
                {"do": "wait", "selector": "a", "count": 3},
                {"do": "read", "selector": "a", "attribute": "href"},
                {"do": "reload"},
                shows("All three"),
                {"do": "wait", "selector": "a", "count": 3},
                picture_is_shown,
            ]
        )
        links = next(step["texts"] for step in report.steps if "texts" in step)
        loaded = [httpx.get(link).text for link in links]

    assert report.complaints == []
    assert loaded == ["Honey", "%PDF-1.4", "Honey"]


def test_the_page_of_the_hook_removes_files_and_says_why_one_is_refused(guides_app: Any, tmp_path: Path) -> None:
    need_chromium()
    sources = {"App.tsx": GUIDE["src/App.tsx"]}
    with (
        served(guides_app) as server,
        served(create_app(Agent(), page=built(tmp_path / "guide", server, sources))) as page,
    ):
        report = run_browser(
            [
                {"do": "goto", "url": f"{page}/?thread=bees"},
                *attach(PICTURE, PROGRAM, LARGE),
                {"do": "wait", "selector": "[role=alert]", "text": "expected the bytes of a file"},
                {"do": "wait", "selector": "[role=alert]", "text": "5242880"},
                *remove(leaving=2),
                *remove(leaving=1),
                *remove(leaving=0),
                {"do": "wait", "function": DELETED},
                *say("None of them"),
                shows("You attached no file."),
            ]
        )

    assert report.page_errors == []
    files = [(entry["method"], entry["status"]) for entry in report.network if "/attachments/" in entry["url"]]
    assert files.count(("DELETE", 204)) == 1
    assert list((tmp_path / "uploads").iterdir()) == []


def test_the_page_of_the_adapter_attaches_files_of_every_kind_and_shows_them(guides_app: Any, tmp_path: Path) -> None:
    need_chromium()
    with (
        served(guides_app) as server,
        served(create_app(Agent(), page=built(tmp_path / "guide", server, SOURCES))) as page,
    ):
        report = run_browser(
            [
                {"do": "goto", "url": page},
                *say("Only words"),
                shows("Only words"),
                *attach(PICTURE, NOTES),
                *say("Both"),
                shows("has 70 bytes. "),
                shows("has 5 bytes. "),
                {"do": "wait", "function": "() => document.images[0]?.naturalWidth === 1"},
                *attach(NOTES),
                *say(""),
                {"do": "wait", "selector": "a", "count": 2},
                {"do": "read", "selector": "#root"},
                {"do": "read", "selector": "a", "attribute": "href"},
                *attach(PICTURE, PICTURE),
                {"do": "wait", "function": ATTACHED, "argument": 2},
                {"do": "click", "selector": "button", "text": "Remove"},
                {"do": "wait", "function": ATTACHED, "argument": 1},
            ]
        )
        shown, links = (step["texts"] for step in report.steps if "texts" in step)
        loaded = [httpx.get(link).text for link in links]

    assert report.complaints == []
    assert report.failures == []
    assert loaded == ["Honey", "Honey"]
    assert "red_bee.png has 70 bytes. notes.txt has 5 bytes." in shown[0]
    assert [entry["method"] for entry in report.network if "/attachments/" in entry["url"]].count("DELETE") == 1
