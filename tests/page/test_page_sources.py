"""The sources of the page pass their own checks."""

from __future__ import annotations

from pathlib import Path

from .sources import npm


def test_the_types_of_the_page_are_sound(page_sources: Path) -> None:
    npm("run", "check", cwd=page_sources)
