"""The list of threads, the thread's menu, and the field of the server, in Chromium."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

from statecast import create_app
from statecast.demo import agent
from tests.clients.serving import served

from .demo_page import AGENT, Page, part

Open = Callable[..., Page]

WIDE = {"width": 1440, "height": 900}


def entry(thread: str) -> str:
    """Return the selector of a thread in the list."""
    return f'{part("thread")}[data-thread="{thread}"]'


def begun(page: Page, title: str) -> str:
    """Give the page's thread a title, and return its id."""
    page.command("set-title", title=title)
    page.wait(part("state-title"), text=title)
    page.rest()
    page.wait(entry(page.thread), text=title)
    return page.thread


def test_threads_are_listed_found_and_opened_and_the_back_button_leads_back(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        page.say("How do zebras sleep?")
        page.wait(f"{AGENT} .text")
        page.rest()
        zebras = page.thread
        page.click(part("new-thread"))
        page.wait(entry(zebras), text="How do zebras sleep?")
        page.say("What do carrots weigh?")
        page.wait(f"{AGENT} .text")
        page.rest()
        carrots = page.thread
        page.wait(entry(carrots))
        page.fill(part("thread-search"), "zebras")
        page.wait(entry(carrots), state="detached")
        page.shoot("threads-found")
        page.click(f"{entry(zebras)} a")
        page.arrive(f"() => location.search.includes('{zebras}')")
        page.wait(f'{entry(zebras)} [aria-current="page"]')
        page.wait(f"{AGENT} .text")
        page.do("back")
        page.arrive(f"() => location.search.includes('{carrots}')")


def test_a_title_that_a_command_sets_is_that_of_the_list_in_every_tab(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        thread = begun(page, "Zebras at night")
        with open_page(viewport=WIDE) as other:
            other.wait(entry(thread), text="Zebras at night")
            page.command("set-title", title="Zebras by day")
            other.wait(entry(thread), text="Zebras by day")


def test_a_thread_is_deleted_once_that_is_confirmed(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        page.expect_complaint("status of 404")
        thread = begun(page, "Not for long")
        page.do("press", selector=f"{entry(thread)} button", key="Enter")
        page.wait(part("delete-dialog"), text="Not for long")
        page.shoot("delete")
        page.do("press", key="Escape")
        page.wait(part("delete-dialog"), state="hidden")
        page.do("press", selector=f"{entry(thread)} button", key="Enter")
        page.click(part("delete-confirm"))
        page.wait(entry(thread), state="detached")
        page.arrive("() => location.search === ''")
        assert thread not in [one["remoteId"] for one in page.server("threads")["threads"]]


def test_the_page_talks_to_another_server_that_lets_it_in(open_page: Open, demo_url: str) -> None:
    origin = demo_url.rstrip("/")
    app = create_app(agent, store="memory", open_list=True, cors_origins=[origin])
    with served(app) as elsewhere, open_page(viewport=WIDE) as page:
        page.click(part("server"))
        page.shoot("server")
        page.fill(part("server-address"), elsewhere)
        page.click(part("server-connect"))
        page.arrive(f"() => location.search.includes(encodeURIComponent('{elsewhere}'))")
        page.say("what is a cursor?")
        page.wait(f"{AGENT} .text")
        page.rest()
        thread = page.thread
        page.do("reload")
        page.wait(f"{AGENT} .text")
        page.wait(entry(thread))
        page.shoot("elsewhere")


def test_a_thread_is_exported_and_imported_as_json(open_page: Open) -> None:
    with open_page(viewport=WIDE) as page:
        thread = begun(page, "To be copied")
        document = page.server(f"threads/{thread}/export")
        data = base64.b64encode(json.dumps(document).encode()).decode()
        page.click(part("thread-menu"))
        page.shoot("menu")
        file = {"name": "thread.json", "type": "application/json", "data": data}
        page.do("upload", selector=part("import"), files=[file])
        page.arrive(f"() => new URLSearchParams(location.search).get('thread') !== '{thread}'")
        page.wait(part("state-title"), text="To be copied")
        assert page.thread != thread
