"""Links between pages lead somewhere, and every page can be reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, Page, load


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_are_there(page: Page) -> None:
    broken = []
    for link in page.links:
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.path.parent / name).resolve() if name else page.path
        if not target.exists() or (anchor and anchor not in load(target).anchors):
            broken.append(link)

    assert not broken


def test_every_page_can_be_reached_from_the_readme() -> None:
    found: set[Path] = set()
    queue = [ROOT / "README.md"]
    while queue:
        path = queue.pop()
        if path in found or path.suffix != ".md":
            continue
        found.add(path)
        links = (link.partition("#")[0] for link in load(path).links if "://" not in link)
        queue += [(path.parent / link).resolve() for link in links if link]

    assert {page.path for page in PAGES} <= found


def test_no_two_headings_of_a_page_have_one_anchor() -> None:
    for page in PAGES:
        assert len(page.anchors) == len(page.headings), page.name


def test_no_two_pages_have_one_name() -> None:
    names = [page.path.name for page in PAGES]

    assert len(names) == len(set(names)), "the demo agent knows its documents by their names"
