"""The guide to Vue, Svelte and plain pages: its files are those of the examples, and each page does what it says."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from examples.plain import garden
from statecast import create_app
from statecast.http.npm_package import BROWSER
from tests.clients.installed import environment, missing
from tests.clients.node import Browser, Json, need_chromium, need_node
from tests.clients.packages import FRAMEWORKS
from tests.clients.serving import served
from tests.docs.pages import ROOT, load

EXAMPLES = ROOT / "examples"
GUIDE = {
    block.file: block.text for block in load(ROOT / "docs" / "guides" / "vue-svelte-plain.md").blocks if block.file
}
SERVER = "http://127.0.0.1:8000"  #: where Vite's proxy finds the server, in the guide
SHARED = ("index.html", "tsconfig.json", "src/garden.ts", "src/garden.css")  #: by Vue's page and Svelte's
MADE = {"node_modules", "dist", "__pycache__"}  #: folders that a reader makes
UNSHOWN = {"README.md", "package-lock.json", "client.js", "client.d.ts"}
PATIENCE = 240  # seconds to build, or to start


class Pace:
    """Lets the agent say words, as many as a test allows."""

    def __init__(self) -> None:
        self.words = 0  #: that it may still say

    async def sleep(self, seconds: float) -> None:
        while self.words <= 0:  # noqa: ASYNC110  # set by another thread
            await asyncio.sleep(0.005)
        self.words -= 1


@pytest.fixture
def pace(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pace]:
    pace = Pace()
    monkeypatch.setattr(garden, "asyncio", SimpleNamespace(sleep=pace.sleep))
    yield pace
    pace.words = 10_000  # what still runs ends


@pytest.fixture(scope="module", params=["vue", "svelte"])
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project as the guide makes it, with the packages installed."""
    need_node()
    name: str = request.param
    packages = FRAMEWORKS[name]
    problem = packages.install()
    if problem:
        missing(problem)
    folder = tmp_path_factory.mktemp(name) / name
    shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns("node_modules", "dist", "client.*"))
    for module in ("client.js", "client.d.ts"):
        shutil.copy(BROWSER / module, folder / "src")
    (folder / "node_modules").symlink_to(packages.modules)
    return folder


def files_of(folder: Path) -> dict[str, str]:
    """Return the files of an example that the guide shows, by their path."""
    listed = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    shown = [path for path in listed if path.parts[0] not in MADE and path.name not in UNSHOWN]
    return {path.as_posix(): (folder / path).read_text("utf-8") for path in shown}


def test_the_files_of_the_guide_are_those_of_the_examples() -> None:
    plain, vue, svelte = (files_of(EXAMPLES / name) for name in ("plain", "vue", "svelte"))
    for name in SHARED:
        assert svelte.pop(name) == vue[name]
    folders = (("vue/", vue), ("svelte/", svelte))

    assert plain | {f"{at}{name}": text for at, files in folders for name, text in files.items()} == GUIDE


def talk(url: str, api: str, pace: Pace) -> None:
    """Do in a browser all that the guide says of its page; `api` is where the server is itself."""
    with Browser({}) as browser:

        def see(selector: str, text: str | None = None, state: str = "visible") -> None:
            browser.step("wait", selector=selector, state=state, **({} if text is None else {"text": text}))

        def say(text: str) -> None:
            browser.step("fill", selector="input", text=text)
            browser.step("click", selector="button", text="Send")

        # Words come one by one, with the state beside them; the thread is in the address.
        browser.step("goto", url=url)
        pace.words = 5
        say("Kale and peas, please")
        see("li.user", "Kale and peas, please")
        see("li.assistant", "The kale go into a")
        see("#plants li", "kale")
        browser.step("wait", function="() => location.search.startsWith('?thread=thr_')")
        # A reload in mid-answer, a message behind it, and a second tab.
        browser.step("reload")
        see("li.assistant", "The kale go into a")
        say("And beans")
        see("li.user.waiting", "And beans")
        address = browser.step("evaluate", function="() => location.href")["value"]
        browser.step("tab", name="second", url=address)
        see("li.user.waiting", "And beans")
        pace.words = 10_000
        see("p", "Order the seeds for 6 €?")
        # An answer in one tab, seen in both; then comes the turn of the message behind it.
        browser.step("click", selector="button", text="Yes")
        see("li.assistant", "They are on their way.")
        browser.step("tab", name="first")
        see("#plants li", "kale, ordered")
        see("p", "Order the seeds for 3 €?")
        browser.step("click", selector="button", text="No")
        see("li.assistant", "Then I order nothing.")
        # A command of the agent.
        browser.step("click", selector="#plants li:has-text('kale') button")
        see("#plants li:has-text('kale')", state="detached")
        # What the agent says of an error.
        say("Bees")
        see("[role=alert]", "I only have seeds of beans, carrots, kale, peas.")
        # Stop.
        pace.words = 3
        say("Carrots")
        see("li.assistant", "The carrots go")
        browser.step("click", selector="button", text="Stop")
        see("button:text('Stop')", state="hidden")
        told = browser.told()
        assert status(api, address.partition("thread=")[2]) == "cancelled"
        assert told.complaints == []


def status(api: str, thread: str) -> Json:
    with urllib.request.urlopen(f"{api}/status/{thread}", timeout=PATIENCE) as answer:
        return json.load(answer)["status"]


def test_the_plain_page_does_what_the_guide_says(pace: Pace) -> None:
    need_chromium()
    page = EXAMPLES / "plain" / "page"
    with served(create_app(garden.agent, page=page)) as base:
        talk(base, base, pace)


def test_a_built_page_does_what_the_guide_says(project: Path, pace: Pace) -> None:
    """Find what only the newest Vue, Svelte and their type checkers refuse: mostly the time of a build."""
    need_chromium()
    built = subprocess.run(
        ["npm", "run", "build"], cwd=project, env=environment(), capture_output=True, text=True, timeout=PATIENCE
    )
    assert built.returncode == 0, built.stdout + built.stderr
    with served(create_app(garden.agent, page=project / "dist")) as base:
        talk(base, base, pace)


@contextmanager
def developing(project: Path, server: str) -> Iterator[str]:
    """Yield where `npm run dev` serves the page."""
    config = project / "vite.config.ts"
    text = config.read_text("utf-8")
    assert SERVER in text
    config.write_text(text.replace(SERVER, server), "utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["npm", "run", "dev", "--", "--host", "127.0.0.1", "--port", str(port), "--strictPort"]
    log = (project / "log").open("w+")
    process = subprocess.Popen(
        command, cwd=project, env=environment(), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE).close()
                break
            except urllib.error.URLError:
                waiting = process.poll() is None and time.monotonic() < end
                assert waiting, (project / "log").read_text()
                time.sleep(0.05)  # a process that starts cannot be waited for in another way
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(PATIENCE)
        log.close()
        config.write_text(text, "utf-8")


def test_the_development_server_passes_everything_on(project: Path, pace: Pace) -> None:
    """Find a proxy of Vite that holds words back, or requests that its pattern leaves out."""
    need_chromium()
    with served(create_app(garden.agent)) as base, developing(project, base) as url:
        talk(url, base, pace)
