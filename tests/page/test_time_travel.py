"""The slider over a thread's revisions: the page as it was, a fork from there, and the way back."""

from __future__ import annotations

from collections.abc import Callable

from .demo_page import AGENT, Page, part, row

Open = Callable[..., Page]

WIDE = {"width": 1440, "height": 900}
SLIDER = part("timeline-slider")
NOW = f'{part("timeline")}[data-shown="now"]'


def titled(page: Page, *titles: str) -> None:
    """Give the thread some titles, one after the other."""
    for title in titles:
        page.command("set-title", title=title)
        page.wait(part("state-title"), text=title)
        page.rest()


def back_to(page: Page, title: str) -> int:
    """Go back, a revision at a time, until the page shows a title; return the revision."""
    for _ in range(100):
        page.do("press", selector=SLIDER, key="ArrowLeft")
        if page.texts(part("state-title")) == [title]:
            return int(page.script("() => document.querySelector('[data-testid=timeline]').dataset.shown"))
    raise AssertionError(f"no revision has the title {title}")


def test_the_slider_shows_the_whole_page_as_it_was(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        titled(page, "The first title")
        page.say("what is a cursor?")
        page.wait(f"{AGENT} .text")
        page.rest()
        page.open("state")
        back_to(page, "The first title")
        page.wait(part("past-banner"))
        for _ in range(8):
            page.do("press", selector=SLIDER, key="PageDown")
        page.wait(part("past-chat"))
        page.shoot("past")
        shown = page.texts(f"{part('past-chat')} {AGENT} .text")
        now = page.state()["messages"][-1]["parts"][0]["text"]
        assert [now.startswith(text) and text != now for text in shown] in ([], [True])
        page.do("press", selector=SLIDER, key="Home")
        page.wait(part("past-banner"), text="begins here")
        page.click(part("back-to-now"))
        page.wait(NOW)
        page.wait(part("past-chat"), state="detached")
        page.assert_shows_the_servers_messages()


def test_an_operation_leads_to_its_revision(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        titled(page, "The first title", "The second title")
        page.open("operations")
        page.click(f"{part('operation-group')} >> nth=0 >> button")
        page.click(f"{part('operation')} >> nth=0 >> button")
        page.wait(part("past-banner"))
        page.open("state")
        page.wait(row("title"))
        page.do("press", selector=SLIDER, key="Escape")
        page.wait(NOW)
