"""A page that has its threads, histories, titles and files on this server in place of a cloud, in Chromium."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from statecast import AddMessage, Agent, Run, create_app
from tests.clients.cloud_app import CloudPage, built
from tests.clients.conversing_agent import PIXEL
from tests.clients.node import need_chromium
from tests.clients.serving import served
from tests.clients.transport_checks import PATIENCE
from tests.clients.versions import DELETED, prints_deleted_threads

pytestmark = pytest.mark.usefixtures("chromium")

#: When an adapter names the cloud's thread.
NAMING = ["never", "known", "always"]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_chromium()
    return built(tmp_path_factory.mktemp("built"))


class Scene:
    """An agent that counts the messages, and waits in the middle of an answer when it is asked to do so "slowly"."""

    def __init__(self) -> None:
        self.agent = Agent("bees")
        self.go = threading.Event()
        self.done = threading.Event()  #: a slow answer is complete
        self.runs: list[Run] = []

        @self.agent.on(AddMessage)
        async def answer(run: Run, command: AddMessage) -> None:
            self.runs.append(run)
            message = run.messages.assistant()
            message.append_text(f"You said: {command.message.text} ")
            run.flush()
            if "slowly" in command.message.text:
                await anyio.to_thread.run_sync(self.go.wait, PATIENCE, abandon_on_cancel=True)
            message.append_text(f"({len(run.messages)})")
            run.flush()
            if "slowly" in command.message.text:
                self.done.set()


@pytest.fixture
def scene() -> Scene:
    return Scene()


def serving(scene: Scene, dist: Path, **settings: Any) -> Any:
    return served(create_app(scene.agent, cloud=True, page=dist, **settings))


@pytest.fixture
def url(scene: Scene, dist: Path) -> Iterator[str]:
    with serving(scene, dist) as base:
        yield base


def test_threads_are_made_renamed_archived_and_deleted_and_are_there_after_a_reload(url: str) -> None:
    with CloudPage(url) as page:
        page.say("Bees in winter")
        first = page.shown(2)
        page.titles("Bees in winter")
        page.rename("Bees in winter", "Winter")
        page.titles("Winter")
        page.new()
        page.say("Wasps")
        page.shown(2)
        page.say("Hornets")
        second = page.shown(4)
        page.titles("Winter", "Wasps")
        page.new()
        page.say("To be deleted")
        page.shown(2)
        page.titles("Winter", "Wasps", "To be deleted")
        page.press("archive", "Wasps")
        page.titles("Winter", "To be deleted", archived=("Wasps",))
        page.press("delete", "To be deleted")
        page.titles("Winter", archived=("Wasps",))

        page.reload()
        page.titles("Winter", archived=("Wasps",))
        page.open("Winter")
        assert page.shown(2) == first == [("user", "Bees in winter"), ("assistant", "You said: Bees in winter (2)")]
        page.press("unarchive", "Wasps")
        page.titles("Winter", "Wasps")
        page.open("Wasps")
        assert page.shown(4) == second
        page.reload()
        page.titles("Winter", "Wasps")
        report = page.report()

    complaints = [text for text in report.complaints if not (prints_deleted_threads() and DELETED in text)]
    assert complaints == []
    assert [entry for entry in report.failures if "ERR_ABORTED" not in str(entry["failure"])] == []


def test_everything_is_there_after_the_servers_restart(scene: Scene, dist: Path, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'bees.db'}"
    with serving(scene, dist, store=store) as url, CloudPage(url, "always") as page:
        page.say("Bees")
        shown = page.shown(2)
        page.titles("Bees")
        token = page.do("evaluate", function="() => JSON.stringify(localStorage)")["value"]
    with serving(scene, dist, store=store) as other, CloudPage(other) as page:
        page.do("wait", function="() => localStorage.length > 0")  # an identity of its own, which it gives up
        keep = (
            f"(from) => {{ for (const key in from) localStorage.setItem(key.replace('{url}', '{other}'), from[key]); }}"
        )
        page.do("evaluate", function=f"(text) => ({keep})(JSON.parse(text))", argument=token)
        page.reload()
        page.open("Bees")
        assert page.shown(2) == shown


@pytest.mark.parametrize("naming", NAMING)
def test_every_message_is_there_once_after_a_reload_whoever_kept_it(url: str, naming: str) -> None:
    with CloudPage(url, naming) as page:
        for number, text in enumerate(("One", "Two", "Three"), 1):
            page.say(text)
            page.shown(2 * number)
        shown = page.shown(6)
        page.titles("One")
        page.reload()
        page.open("One")
        assert page.shown(6) == shown
        page.say("Four")
        page.shown(8)
        page.reload()
        page.open("One")
        again = page.shown(8)
        report = page.report()

    assert (
        again[:6]
        == shown
        == [
            ("user", "One"),
            ("assistant", "You said: One (2)"),
            ("user", "Two"),
            ("assistant", "You said: Two (4)"),
            ("user", "Three"),
            ("assistant", "You said: Three (6)"),
        ]
    )
    assert again[6:] == [("user", "Four"), ("assistant", "You said: Four (8)")]
    assert report.complaints == []


@pytest.mark.parametrize("naming", ["known", "always"])
def test_of_a_page_that_is_reloaded_in_the_middle_of_a_run_nothing_is_lost(url: str, scene: Scene, naming: str) -> None:
    with CloudPage(url, naming) as page:
        page.say("One")
        first = page.shown(2)
        page.titles("One")
        page.say("slowly")
        page.do("wait", selector=".message", text="You said: slowly")
        page.reload()
        page.open("One")
        half = page.shown(4)
        scene.go.set()
        assert scene.done.wait(PATIENCE)
        page.reload()
        page.open("One")
        whole = page.shown(4)
        page.say("Three")
        page.shown(6)
        page.reload()
        page.open("One")
        last = page.shown(6)

    assert half == [*first, ("user", "slowly"), ("assistant", "You said: slowly")]
    assert whole == [*half[:3], ("assistant", "You said: slowly (4)")]
    assert last == [*whole, ("user", "Three"), ("assistant", "You said: Three (6)")]


def test_a_page_that_never_names_its_thread_keeps_what_it_wrote_before_it_was_reloaded(url: str) -> None:
    """Nobody can come back to its run, so the run is cancelled.

    The page writes the half answer while it is being unloaded, and a browser need not send that request. Then there is
    no answer, or an empty one, which newer clients write when the run begins.
    """
    with CloudPage(url, "never") as page:
        page.say("One")
        first = page.shown(2)
        page.titles("One")
        page.say("slowly")
        page.do("wait", selector=".message", text="You said: slowly")
        page.reload()
        page.open("One")
        half = page.shown(3, 4)
        page.reload()
        page.open("One")
        whole = page.shown(3, 4)
        page.say("Three")
        size = len(whole) + 2
        page.shown(size)
        page.reload()
        page.open("One")
        last = page.shown(size)

    for shown in (half, whole):
        assert shown[:3] == [*first, ("user", "slowly")]
        assert shown[3:] in ([], [("assistant", "")], [("assistant", "You said: slowly")])
    assert last == [*whole, ("user", "Three"), ("assistant", f"You said: Three ({size})")]


@pytest.mark.parametrize("naming", NAMING)
def test_edits_and_other_answers_are_branches_after_a_reload_too(url: str, naming: str) -> None:
    with CloudPage(url, naming) as page:
        page.say("One")
        page.shown(2)
        page.titles("One")
        page.say("Two")
        page.shown(4)
        page.edit(2, "Deux")
        page.do("wait", selector=".message", text="You said: Deux")
        page.shown(4)
        page.again(3)
        page.do("wait", selector='[data-branch="2/2"] >> nth=1')
        before = page.shown(4), page.branches()
        page.reload()
        page.open("One")
        after = page.shown(4), page.branches()
        page.say("Three")
        more = page.shown(6), page.branches()
        page.reload()
        page.open("One")
        last = page.shown(6), page.branches()

    assert before[1] == ["1/1", "1/1", "2/2", "2/2"]
    assert after == before
    assert last == more


def test_an_image_is_uploaded_and_shown_also_after_a_reload(url: str, scene: Scene) -> None:
    with CloudPage(url, "always") as page:
        page.do("upload", selector="#attach", files=[{"name": "bee.png", "type": "image/png", "data": PIXEL}])
        page.do("wait", selector="#composer .attachment", attribute="data-status", equals="requires-action")
        page.say("Look at this")
        page.shown(2)
        before = page.image(".message .attachment img")
        page.titles("Look at this")
        page.reload()
        page.open("Look at this")
        page.shown(2)
        after = page.image(".message .attachment img")
        report = page.report()

    assert before == after
    assert before[1].startswith(f"{url}/v1/files/")
    assert [part["type"] for part in scene.runs[0].messages.items[0]["parts"]] == ["text", "image"]
    assert report.complaints == []
