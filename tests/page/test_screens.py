"""The page on a phone, a tablet and a desktop, light and dark: what is where, and that nobody is kept out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.counts import LONG

from .demo_page import AGENT, Page, part, row
from .installed import page_packages

Open = Callable[..., Page]

DESKTOP = {"width": 1440, "height": 900}
SCREENS = {"desktop": DESKTOP, "tablet": {"width": 820, "height": 1180}, "phone": {"width": 390, "height": 844}}
#: Screens and colours; all of them where tests may take long.
LOOKS = [
    (screen, colors)
    for screen in SCREENS
    for colors in ("light", "dark")
    if LONG or (screen, colors) in {("desktop", "light"), ("tablet", "dark"), ("phone", "light")}
]
VIEWS = ("state", "operations", "runs", "commands", "clients")

ZOO = "The zebra of the northern zoo is called Ottilie, and she eats three buckets of carrots each day."

_FITS = "() => document.documentElement.scrollWidth <= innerWidth"

#: What axe finds that keeps people out: faults that are serious or critical, with where they are.
_FAULTS = """
async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, help, nodes }) => [id, help, ...nodes.map(({ target, failureSummary }) => [target, failureSummary])])
"""


def faults(page: Page) -> Any:
    """Return the serious faults that axe finds in what is shown, once nothing fades any more."""
    page.watch("() => document.querySelector('.view:not([hidden]) [data-changed]') === null || null")
    page.script(
        "() => Promise.all(document.getAnimations().map(({ finished, effect }) => "
        "effect.getComputedTiming().iterations === Infinity || finished))"
    )
    return page.script(_FAULTS)


@pytest.mark.parametrize(("screen", "colors"), LOOKS)
def test_every_view_fits_and_shuts_nobody_out(open_page: Open, screen: str, colors: str) -> None:
    axe = (page_packages() / "axe-core" / "axe.min.js").read_text("utf-8")
    with open_page(viewport=SCREENS[screen], colorScheme=colors) as page:
        page.script(f"() => {{ {axe} }}")
        name = f"{screen}-{colors}"
        page.shoot(f"{name}-welcome")
        assert faults(page) == []
        page.command("paste-text", name="zoo.txt", text=f"{ZOO} {'endless' * 60}")
        page.open("state")
        page.wait(row("documents/0/name"), text="zoo.txt")
        page.rest()
        if screen == "phone":
            page.open("chat")
        page.say(f"Use a tool: {'Donaudampfschifffahrtsgesellschaft' * 6}")
        page.rest("waiting")
        page.shoot(f"{name}-question")
        assert page.script(_FITS)
        assert faults(page) == []
        page.say("now fail, but think first about zebras, carrots, buckets, the north and the south")
        page.wait(part("run-error"))
        page.shoot(f"{name}-error")
        assert page.script(_FITS)
        for view in VIEWS:
            page.open(view)
            page.shoot(f"{name}-{view}")
            assert page.script(_FITS), view
            assert faults(page) == [], view
        page.do("press", selector=part("timeline-slider"), key="PageDown")
        page.wait(part("past-banner"))
        page.shoot(f"{name}-past")
        assert page.script(_FITS)
        assert faults(page) == []
        page.click(part("back-to-now"))
        if screen != "desktop":
            page.click(part("threads-toggle"))
        page.wait(part("thread"))
        page.shoot(f"{name}-threads")
        assert page.script(_FITS)
        assert faults(page) == []
        assert page.script("() => document.querySelectorAll(':is(ul, ol):not([role=list])').length") == 0


def test_the_tabs_follow_the_arrow_keys(open_page: Open) -> None:
    with open_page(viewport=DESKTOP) as page:
        page.open("state")
        page.do("press", selector=part("tab-state"), key="ArrowRight")
        page.wait(f'{part("tab-operations")}[aria-selected="true"]')
        page.do("press", selector=part("tab-operations"), key="End")
        page.wait(f'{part("tab-clients")}[aria-selected="true"]')
        page.do("press", selector=part("tab-clients"), key="ArrowRight")
        page.wait(f'{part("tab-state")}[aria-selected="true"]')
        assert page.script("() => document.activeElement.dataset.testid") == "tab-state"


def test_the_colours_are_as_the_reader_has_chosen_them_after_a_reload(open_page: Open) -> None:
    with open_page(colorScheme="light") as page:
        ground = "() => getComputedStyle(document.body).backgroundColor"
        light = page.script(ground)
        for _ in range(2):
            page.click(part("theme"))
        dark = page.script(ground)
        assert dark != light
        page.do("reload")
        page.wait(f'html[data-theme="dark"] {part("timeline")}')
        assert page.script(ground) == dark


def test_a_phone_shows_one_view_at_a_time(open_page: Open) -> None:
    with open_page(viewport=SCREENS["phone"]) as page:
        page.say("what is a cursor?")
        page.wait(f"{AGENT} .text")
        page.rest()
        page.open("runs")
        page.wait(".panel.runs")
        page.wait(part("composer-input"), state="hidden")
        page.open("chat")
        page.wait(part("composer-input"))
        page.wait(".panel.runs", state="hidden")
