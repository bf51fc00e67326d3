"""Fixtures of this folder: the demo, a browser on its page, the page's sources, and where the screenshots go."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.fixtures import chromium, node
from tests.clients.node import need_node

from .demo_page import Demo, Page, screenshots_folder
from .sources import BROWSER, HOOK, PAGE, ROOT, npm

__all__ = ["chromium", "node"]

_FOLDER = pytest.StashKey[Path]()


@pytest.fixture(scope="session")
def screenshots(request: pytest.FixtureRequest) -> Path:
    """Return the folder of the screenshots; it is named at the end of the session."""
    folder = screenshots_folder()
    request.config.stash[_FOLDER] = folder
    return folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say where the screenshots are."""
    folder = terminalreporter.config.stash.get(_FOLDER, None)
    if folder is not None:
        terminalreporter.write_line(f"Screenshots of the demo page: {folder}")


@pytest.fixture(scope="module")
def demo_url() -> Iterator[str]:
    """Run one demo for all tests of a module; each test has threads of its own."""
    with Demo() as demo:
        yield f"{demo.url}/"


@pytest.fixture
def open_page(chromium: str, screenshots: Path, request: pytest.FixtureRequest) -> Callable[..., Page]:
    """Return what opens the page in a Chromium of its own; `url` names another demo."""

    def opened(*, url: str | None = None, **settings: Any) -> Page:
        # The demo starts only now, behind `chromium`: a skipped test starts no server.
        return Page(url or request.getfixturevalue("demo_url"), screenshots, **settings)

    return opened


@pytest.fixture(scope="session")
def page_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the sources of the page, its modules and its hook, and install packages away from a developer's."""
    need_node()
    root = tmp_path_factory.mktemp("sources")
    folder = root / PAGE.name
    shutil.copytree(PAGE, folder, ignore=shutil.ignore_patterns("node_modules"))
    shutil.copytree(BROWSER, root / BROWSER.relative_to(ROOT))
    shutil.copytree(HOOK, root / HOOK.relative_to(ROOT))
    npm("ci", "--no-audit", "--no-fund", "--prefer-offline", cwd=folder)
    return folder
