"""The TypeScript of the documentation is type-checked; the page of the first guide is built and tried in a browser."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from statecast import create_app
from statecast.http.npm_package import BROWSER
from statecast.typescript import declarations
from tests.clients.installed import CLIENTS
from tests.clients.node import Browser, need_chromium, need_node
from tests.clients.serving import served
from tests.docs.pages import PAGES, ROOT, Block, load
from tests.page.installed import install_packages, page_packages

PINNED = ROOT / "page"
BUILD_TIMEOUT = 120  # seconds
BUILT = {"nextjs.md", "vue-svelte-plain.md"}  #: guides whose files are an app that other tests build
NEWEST = {"assistant-cloud.md"}  #: guides that need the newest clients; `make test-newest` checks them

GUIDE = load(ROOT / "docs" / "guides" / "getting-started.md")


@pytest.fixture(scope="module")
def packages() -> Path:
    """Return the folder of the packages that the demo page is built with, installed."""
    return page_packages()


@pytest.fixture
def guide(tmp_path: Path) -> Path:
    """Return a folder with the files of the guide, as the reader has them at the end."""
    return _written(GUIDE.blocks, tmp_path)


@pytest.fixture
def guide_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield the agent of the guide."""
    monkeypatch.syspath_prepend(tmp_path)
    *_, source = (block.text for block in GUIDE.blocks if block.file == "my_agent.py")
    (tmp_path / "my_agent.py").write_text(source, encoding="utf-8")
    importlib.invalidate_caches()
    yield importlib.import_module("my_agent").agent
    del sys.modules["my_agent"]


def _written(blocks: list[Block], folder: Path) -> Path:
    for block in blocks:
        if block.file is not None and block.file.startswith("page/"):
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
    install_packages(folder / "page")
    return folder


def _build(folder: Path, mode: str = "production") -> Path:
    command = [shutil.which("npm") or "npm", "run", "build", "--", "--mode", mode]
    answer = subprocess.run(
        command,
        cwd=folder / "page",
        env={**os.environ, "NODE_ENV": mode},
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return folder / "page" / "dist"


def test_the_packages_of_the_guide_are_those_that_are_tested() -> None:
    (written,) = (json.loads(block.text) for block in GUIDE.blocks if block.file == "page/package.json")
    pinned = json.loads((PINNED / "package.json").read_text(encoding="utf-8"))

    assert written["dependencies"].pop("@statecast/react") == "http://127.0.0.1:8000/react.tgz"
    for kind in ("dependencies", "devDependencies"):
        assert written[kind] == {name: pinned[kind][name] for name in written[kind]}


def _place(block: Block, folder: Path) -> None:
    """Write a snippet among the others of its page, under its name if it has one."""
    folder.mkdir(exist_ok=True)
    for types in ("client.d.ts", "adapters.d.ts"):  # as a page keeps them
        shutil.copy(BROWSER / types, folder)
    name = f"snippet{block.line}.tsx" if block.file is None else Path(block.file).name
    (folder / name).write_text(block.text, encoding="utf-8")


def test_every_snippet_passes_the_strictest_type_check(tmp_path: Path) -> None:
    # Another guide declares an agent as well; one page has the types of one.
    folder = _written([block for block in GUIDE.blocks if block.file != "page/src/agent.d.ts"], tmp_path) / "page"
    for index, page in enumerate(PAGES):
        if page.path == GUIDE.path or (page.path.name in NEWEST and not CLIENTS.newest):
            continue
        for block in page.blocks:
            if block.language in ("ts", "tsx") and (block.file is None or page.path.name not in BUILT):
                _place(block, folder / "src" / f"page{index}")
    config = json.loads((PINNED / "tsconfig.json").read_text(encoding="utf-8"))
    pinned = json.loads((PINNED / "package.json").read_text(encoding="utf-8"))["dependencies"]
    clients = json.loads((CLIENTS.source / "package.json").read_text(encoding="utf-8"))["dependencies"]
    others = clients.keys() - pinned.keys()
    config["compilerOptions"]["paths"] = {name: [str(CLIENTS.modules / name)] for name in others}
    (folder / "tsconfig.json").write_text(json.dumps({**config, "include": ["src", "vite.config.ts"]}))
    answer = _type_check(folder)

    assert answer.returncode == 0, answer.stdout


def _type_check(folder: Path) -> subprocess.CompletedProcess[str]:
    tsc = [need_node(), str(folder / "node_modules" / ".bin" / "tsc"), "--noEmit"]
    return subprocess.run(tsc, cwd=folder, capture_output=True, text=True, timeout=BUILD_TIMEOUT)


def test_the_types_of_the_guide_are_those_that_statecast_makes_and_refuse_a_misspelled_field(
    guide: Path, guide_agent: Any
) -> None:
    app = guide / "page" / "src" / "App.tsx"
    written = app.read_text("utf-8")
    untyped = written.replace("useStatecast<{ words?: number }>(", "useStatecast(")
    app.write_text(untyped, "utf-8")
    right = _type_check(guide / "page")
    app.write_text(untyped.replace("state?.words", "state?.wrods"), "utf-8")
    wrong = _type_check(guide / "page")

    assert (guide / "page" / "src" / "agent.d.ts").read_text("utf-8") == declarations([guide_agent])
    assert untyped != written
    assert right.returncode == 0, right.stdout
    assert "Property 'wrods' does not exist on type 'Chat'" in wrong.stdout


@pytest.mark.parametrize("mode", ["production", "development"])
def test_the_page_of_the_guide_streams_queues_reloads_follows_and_stops(
    guide: Path, guide_agent: Any, mode: str
) -> None:
    """In the mode for development React's StrictMode renders and mounts everything twice."""
    need_chromium()
    text = " ".join(f"word{number}" for number in range(40))

    with served(create_app(guide_agent, page=_build(guide, mode))) as base, Browser({}) as browser:

        def say(text: str) -> Any:
            browser.step("fill", selector="textarea", text=text)
            return browser.step("click", selector="button", text="Send")

        def shows(selector: str, text: str) -> None:
            browser.step("wait", selector=selector, text=text)

        browser.step("goto", url=base)
        say(text)
        shows(".assistant", "You said: word0 word1")
        address = say("Queued")["url"]
        shows(".user", "Queued")
        browser.step("reload")
        shows(".user", "Queued")
        shows(".assistant", text)
        shows(".assistant", "You said: Queued")
        shows("#words", "Words so far: 3")
        browser.step("tab", name="second", url=address)
        shows(".assistant", "You said: Queued")
        say("From the second tab")
        browser.step("tab", name="first")
        shows(".assistant", "You said: From the second tab")
        (shown,) = browser.step("read", selector="#root")["texts"]
        say("word " * 400)
        shows("#words", "Words so far: 1")
        browser.step("click", selector="button:enabled", text="Stop")
        browser.step("wait", function="() => document.querySelectorAll('button:disabled').length === 2")
        thread_id = address.removeprefix(f"{base}/?thread=")
        runs = httpx.get(f"{base}/threads/{thread_id}/runs").json()["runs"]
        report = browser.report()

    assert report.complaints == []
    assert [run["status"] for run in runs] == ["cancelled", "completed", "completed", "completed"]
    assert [shown.count(each) for each in ("You said: ", "Queued", "From the second tab")] == [3, 2, 2]
    asked = [entry["url"].removeprefix(base).partition("?")[0] for entry in report.network]
    assert [path for path in asked if path == "/assistant"] == ["/assistant"] * 4
    assert asked.count(f"/threads/{thread_id}/events") == 3  # one for each time that the page was loaded
    (proxied,) = re.findall(r'proxy: { "(.+)": "http', (guide / "page" / "vite.config.ts").read_text("utf-8"))
    own = [path for path in asked if path != "/" and not path.startswith("/assets/")]
    assert [path for path in own if re.match(proxied, path) is None] == []
