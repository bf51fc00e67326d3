"""`examples/external_store` in a browser: assistant-ui's `useExternalStoreRuntime` over `client.js`, on both wires."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from examples.external_store.agent import agent
from statecast import Agent, create_app
from tests.clients.node import Browser, Json, need_chromium
from tests.clients.serving import Restarting, served
from tests.page.installed import page_packages
from tests.page.sources import PAGE

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "external_store" / "page"
BUILD_TIMEOUT = 120  # seconds
INPUT = "#composer textarea"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the page, elsewhere; returns what is to be served."""
    need_chromium()
    packages = page_packages()
    top = tmp_path_factory.mktemp("example")
    page = top / "examples" / "external_store" / "page"
    shutil.copytree(EXAMPLE, page, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (top / "transport").symlink_to(ROOT / "transport")
    (page / "node_modules").symlink_to(packages)
    command = [shutil.which("npm") or "npm", "run", "build"]
    answer = subprocess.run(command, cwd=page, capture_output=True, text=True, timeout=BUILD_TIMEOUT)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return page / "dist"


@pytest.fixture
def browser() -> Iterator[Browser]:
    need_chromium()
    with Browser({}) as running:
        yield running


@pytest.fixture(params=["", "&socket"], ids=["events", "socket"])
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Tab:
    """The example in a tab."""

    def __init__(self, browser: Browser, name: str = "first") -> None:
        self.browser = browser
        self.name = name

    def do(self, step: str, **fields: Json) -> Json:
        self.browser.step("tab", name=self.name)
        return self.browser.step(step, **fields)

    def open(self, url: str) -> None:
        self.do("goto", url=url)
        self.do("wait", selector=INPUT)

    def say(self, text: str) -> None:
        self.do("fill", selector=INPUT, text=text)
        self.do("click", selector="#composer button", text="Send")

    def wait(self, text: str, where: str = ".assistant") -> None:
        self.do("wait", selector=where, text=text)

    def rests(self, status: str = "completed") -> None:
        self.do("wait", selector="#status", attribute="data-run", equals=status)
        self.do("wait", selector="#composer button", text="Send")

    def click(self, selector: str, text: str | None = None) -> None:
        self.do("click", selector=selector, **({} if text is None else {"text": text}))

    def shows(self, *texts: str) -> None:
        """Wait until these messages are shown, and no others; "‹1 / 2›" behind one is its place among the branches."""
        function = """([...wanted]) => {
            const shown = [...document.querySelectorAll(".message")].map((it) => it.innerText.replace(/\\s+/g, " "));
            const plain = shown.map((text) => text.replace(/ (Edit|Answer again)/, "").trim());
            return JSON.stringify(plain) === JSON.stringify(wanted);
        }"""
        self.do("wait", function=function, argument=list(texts))


def thread_of(tab: Tab) -> str:
    return str(tab.do("evaluate", function="() => new URL(location.href).searchParams.get('thread')")["value"])


def state_of(url: str, thread: str) -> Json:
    return httpx.get(f"{url}/threads/{thread}/state").json()["state"]


def said(state: Json) -> list[str]:
    return ["".join(part.get("text", "") for part in message["parts"]).strip() for message in state["messages"]]


def test_the_example_is_made_of_what_is_tested() -> None:
    ours, pinned = (json.loads((page / "package.json").read_text("utf-8")) for page in (EXAMPLE, PAGE))

    for kind in ("dependencies", "devDependencies"):
        assert ours[kind] == {name: pinned[kind][name] for name in ours[kind]}


def test_a_conversation_with_edits_reloads_branches_tools_a_stop_and_a_failure(
    built: Path, browser: Browser, wire: str
) -> None:
    with served(create_app(agent, page=built)) as url:
        tab = Tab(browser)
        tab.open(f"{url}/?{wire}")
        tab.say("one")
        tab.shows("one", "You said: one")
        tab.rests()

        tab.click(".again")  # a branch of the answer
        tab.shows("one", "You said: one ‹2 / 2›")
        tab.rests()

        tab.click(".change")  # a branch of the question
        tab.do("fill", selector=".edit textarea", text="two")
        tab.click(".edit button", "Save")
        tab.shows("two ‹2 / 2›", "You said: two")
        tab.rests()
        thread = thread_of(tab)

        second = Tab(browser, "second")
        second.open(f"{url}/?thread={thread}{wire}")
        second.shows("two ‹2 / 2›", "You said: two")
        second.click(".user .branches button", "‹")  # in one tab, and so in the other
        for either in (second, tab):
            either.shows("one ‹1 / 2›", "You said: one ‹1 / 2›")
        tab.click(".assistant .branches button", "›")
        for either in (second, tab):
            either.shows("one ‹1 / 2›", "You said: one ‹2 / 2›")
        tab.rests()

        tab.say("ask me")
        second.wait("Tea or coffee?", ".question")
        second.click(".question button", "coffee")
        for either in (second, tab):
            either.wait("So it is coffee.")
        tab.rests()

        tab.say("slow")
        second.wait("You said: slow … …")
        second.click("#composer button", "Stop")
        tab.rests("cancelled")

        tab.say("fail")
        tab.wait("It went wrong, as you asked.", "#status")
        state = state_of(url, thread)
        report = browser.report()

    assert said(state)[:4] == ["one", "You said: one", "ask me", "One question first. So it is coffee."]
    assert said(state)[4] == "slow"
    assert said(state)[6:] == ["fail", "You said: fail"]
    assert len(state["messages"][3]["parts"]) == 3
    assert report.complaints == []
    sent = [it for it in report.network if it["method"] == "POST"]
    assert (sent == []) is bool(wire)  # over the socket, if it is there


def test_a_page_goes_on_where_the_server_was_killed(
    built: Path, browser: Browser, wire: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    source = f"""
from examples.external_store.agent import agent
from statecast import create_app
app = create_app(agent, store="sqlite:///threads.db", page={str(built)!r})
"""
    (tmp_path / "killed_app.py").write_text(source, "utf-8")
    with Restarting("serve", "killed_app:app", folder=tmp_path) as server:
        tab = Tab(browser)
        tab.open(f"{server.url}/?{wire}")
        tab.say("slow")
        tab.wait("You said: slow … …")
        thread = thread_of(tab)
        server.kill()
        tab.do("wait", selector="#status", attribute="data-connection", equals="connecting")
        tab.wait("You said: slow … …")  # what is known stays
        server.start()
        tab.rests("interrupted")

        server.kill()
        tab.do("wait", selector="#status", attribute="data-connection", equals="connecting")
        tab.say("still there?")
        tab.wait("still there?", ".user")  # at once, though nobody has it yet
        server.start()
        tab.wait("You said: still there?")
        tab.rests()
        tab.do("wait", selector="#status", attribute="data-connection", equals="open")
        before = state_of(server.url, thread)
        tab.do("reload")
        tab.wait("You said: still there?")
        report = browser.report()

    assert said(before)[0] == "slow"
    assert said(before)[2:] == ["still there?", "You said: still there?"]
    assert report.page_errors == []


IMPORT = """async ([url]) => {
    const { connect } = await import(`${url}/client.js`);
    const thread = connect(url, "t", { isNew: true });
    const seen = new Promise((resolve) => thread.subscribe(() => {
        const { state, run } = thread.getSnapshot();
        if (run?.status === "completed") resolve(state);
    }));
    await thread.send("Hello");
    return await seen;
}"""


def elsewhere(browser: Browser, page: str, url: str) -> Callable[[], Json]:
    browser.step("goto", url=f"{page}/health")
    return lambda: browser.step("evaluate", function=IMPORT, argument=[url])["value"]


def test_a_page_of_another_origin_imports_the_module_where_it_may(browser: Browser) -> None:
    with served(create_app(Agent())) as page, served(create_app(agent, cors_origins=[page])) as url:
        state = elsewhere(browser, page, url)()

    assert said(state) == ["Hello", "You said: Hello"]


def test_a_page_of_another_origin_imports_nothing_where_it_may_not(browser: Browser) -> None:
    with served(create_app(Agent())) as page, served(create_app(agent)) as url:
        with pytest.raises(Exception, match="Failed to fetch dynamically imported module"):
            elsewhere(browser, page, url)()
