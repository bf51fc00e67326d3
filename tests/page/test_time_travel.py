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


def back_to(page: Page, title: str) -> None:
    """Go back to the first revision that has a title."""
    page.do("press", selector=SLIDER, key="Home")
    for _ in range(20):
        if page.texts(part("state-title")) == [title]:
            return
        page.do("press", selector=SLIDER, key="ArrowRight")
    raise AssertionError(f"none of the first revisions has the title {title}")


def test_the_slider_shows_the_whole_page_as_it_was(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        titled(page, "The first title")
        page.say("what is a cursor?")
        page.wait(f"{AGENT} .text")
        page.rest()
        page.open("state")
        back_to(page, "The first title")
        page.wait(part("past-banner"))
        page.do("press", selector=SLIDER, key="End")
        page.wait(NOW)
        page.do("press", selector=SLIDER, key="PageDown")
        page.wait(f"{part('past-chat')} {AGENT} .text")
        page.shoot("past")
        shown = page.texts(f"{part('past-chat')} {AGENT} .text")
        now = page.state()["messages"][-1]["parts"][0]["text"]
        assert [now.startswith(text) and text != now for text in shown] == [True]
        page.do("press", selector=SLIDER, key="Home")
        page.wait(part("past-banner"), text="begins here")
        page.click(part("back-to-now"))
        page.wait(NOW)
        page.wait(part("past-chat"), state="detached")
        page.assert_shows_the_servers_messages()


def test_a_reload_brings_the_history_back(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        titled(page, "The first title", "The second title")
        page.do("reload")
        page.wait(part("state-title"), text="The second title")
        page.watch("() => document.querySelector('[data-testid=timeline-slider]').disabled ? null : true")
        back_to(page, "The first title")


def test_a_fork_begins_where_the_slider_stands_and_leaves_the_thread_alone(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        titled(page, "The first title", "The second title")
        old = page.thread
        back_to(page, "The first title")
        page.click(part("fork"))
        page.arrive(f"() => new URLSearchParams(location.search).get('thread') !== '{old}'")
        page.wait(part("state-title"), text="The first title")
        page.shoot("forked")
        titled(page, "Another second title")
        assert page.server(f"threads/{old}/state")["state"]["title"] == "The second title"
        page.do("back")
        page.wait(part("state-title"), text="The second title")


def test_a_rewind_goes_back_on_the_server_and_for_everybody(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        titled(page, "The first title", "The second title")
        with open_page(thread=page.thread) as other:
            other.wait(part("state-title"), text="The second title")
            back_to(page, "The first title")
            page.click(part("rewind"))
            page.wait(NOW)
            page.wait(part("state-title"), text="The first title")
            other.wait(part("state-title"), text="The first title")
            assert page.state()["title"] == "The first title"


def test_a_rewind_during_a_run_asks_whether_to_stop_it(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        page.expect_complaint("status of 409")
        titled(page, "The first title", "The second title")
        page.say("slow: what is a cursor?")
        page.growth(steps=3)
        back_to(page, "The first title")
        page.click(part("rewind"))
        page.click(part("rewind-cancel"))
        page.wait(NOW)
        page.wait(part("state-title"), text="The first title")
        page.rest()
        assert page.state()["messages"] == []


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
