"""The site is built from the pages, strictly: MkDocs fails on a link or an anchor that leads nowhere."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, and return its folder."""
    if importlib.util.find_spec("mkdocstrings") is None:
        missing = pytest.fail if os.environ.get("STATECAST_TEST_ALL") == "1" else pytest.skip
        missing("needs what the site is built with: pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("built") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    answer = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return folder


def test_every_page_is_in_the_site_as_html_and_as_markdown(site: Path) -> None:
    for page in PAGES:
        name = "index.md" if page.name == "README.md" else page.name.removeprefix("docs/")
        html = site / (name.removesuffix("index.md") + "index.html" if name.endswith("index.md") else name[:-3])

        assert (site / name).read_text(encoding="utf-8").startswith("# ")
        assert (html if html.suffix else html / "index.html").is_file()


def test_llms_txt_lists_pages_that_are_there(site: Path) -> None:
    listed = re.findall(r"\]\(([^)]+)\)", (site / "llms.txt").read_text(encoding="utf-8"))

    assert "guides/getting-started.md" in listed
    assert [path for path in listed if not (site / path).is_file()] == []


def test_the_reference_shows_signatures(site: Path) -> None:
    page = re.sub(r"<[^>]+>", "", (site / "reference" / "statecast" / "index.html").read_text(encoding="utf-8"))

    assert "create_app(" in page
    assert "on_disconnect" in page
