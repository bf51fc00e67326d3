"""The TypeScript of the documentation is type-checked, built with the packages it names, and tried in a browser."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from statecast import create_app
from statecast.http.endpoints.client_module import BROWSER
from tests.clients.installed import CLIENTS
from tests.clients.node import need_chromium, need_node, run_browser
from tests.clients.serving import served
from tests.docs.pages import PAGES, ROOT, Block, load
from tests.page.installed import page_packages

PINNED = ROOT / "page"
BUILD_TIMEOUT = 120  # seconds
NEWEST = {"assistant-cloud.md"}  #: guides that need the newest clients; `make test-newest` checks them

GUIDE = load(ROOT / "docs" / "guides" / "getting-started.md")


@pytest.fixture(scope="module")
def packages() -> Path:
    """Return the folder of the packages that the demo page is built with, installed."""
    return page_packages()


@pytest.fixture
def guide(packages: Path, tmp_path: Path) -> Path:
    """Return a folder with the files of the guide, as the reader has them at the end."""
    return _written(GUIDE.blocks, tmp_path, packages)


@pytest.fixture
def guide_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield the agent of the guide."""
    monkeypatch.syspath_prepend(tmp_path)
    (source,) = (block.text for block in GUIDE.blocks if block.file == "my_agent.py")
    (tmp_path / "my_agent.py").write_text(source, encoding="utf-8")
    importlib.invalidate_caches()
    yield importlib.import_module("my_agent").agent
    del sys.modules["my_agent"]


def _written(blocks: Any, folder: Path, packages: Path) -> Path:
    for block in blocks:
        if block.file is not None and block.file.startswith("page/"):
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
    (folder / "page" / "node_modules").symlink_to(packages)
    return folder


def _build(folder: Path) -> Path:
    command = [shutil.which("npm") or "npm", "run", "build"]
    page = folder / "page"
    answer = subprocess.run(command, cwd=page, capture_output=True, text=True, timeout=BUILD_TIMEOUT)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return page / "dist"


def test_the_packages_of_the_guide_are_those_that_are_tested() -> None:
    (written,) = (json.loads(block.text) for block in GUIDE.blocks if block.file == "page/package.json")
    pinned = json.loads((PINNED / "package.json").read_text(encoding="utf-8"))

    for kind in ("dependencies", "devDependencies"):
        assert written[kind] == {name: pinned[kind][name] for name in written[kind]}


def _place(block: Block, folder: Path) -> None:
    """Write a snippet among the others of its page, under its name if it has one."""
    folder.mkdir(exist_ok=True)
    for types in ("client.d.ts", "adapters.d.ts"):  # as a page keeps them
        shutil.copy(BROWSER / types, folder)
    name = f"snippet{block.line}.tsx" if block.file is None else Path(block.file).name
    (folder / name).write_text(block.text, encoding="utf-8")


def test_every_snippet_passes_the_strictest_type_check(packages: Path, tmp_path: Path) -> None:
    folder = _written(GUIDE.blocks, tmp_path, packages) / "page"
    for index, page in enumerate(PAGES):
        if page.path == GUIDE.path or (page.path.name in NEWEST and not CLIENTS.newest):
            continue
        for block in page.blocks:
            if block.language in ("ts", "tsx"):
                _place(block, folder / "src" / f"page{index}")
    config = json.loads((PINNED / "tsconfig.json").read_text(encoding="utf-8"))
    pinned = json.loads((PINNED / "package.json").read_text(encoding="utf-8"))["dependencies"]
    clients = json.loads((CLIENTS.source / "package.json").read_text(encoding="utf-8"))["dependencies"]
    others = clients.keys() - pinned.keys()
    hook = folder / "statecast"
    hook.mkdir()
    for types in BROWSER.glob("*.d.ts"):
        shutil.copy(types, hook)
    paths = {name: [str(CLIENTS.modules / name)] for name in others}
    config["compilerOptions"]["paths"] = paths | {"@statecast/react": [str(hook / "react.d.ts")]}
    (folder / "tsconfig.json").write_text(json.dumps({**config, "include": ["src", "vite.config.ts"]}))
    tsc = [need_node(), str(packages / ".bin" / "tsc"), "--noEmit"]
    answer = subprocess.run(tsc, cwd=folder, capture_output=True, text=True, timeout=BUILD_TIMEOUT)

    assert answer.returncode == 0, answer.stdout


def test_the_page_of_the_guide_streams_reloads_and_stops(guide: Path, guide_agent: Any) -> None:
    need_chromium()
    text = " ".join(f"word{number}" for number in range(40))
    with served(create_app(guide_agent, page=_build(guide))) as base:
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
                {"do": "fill", "selector": "textarea", "text": text},
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
