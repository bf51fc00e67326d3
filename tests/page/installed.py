"""The packages that pages are built with: those of the demo page, or the newest of them."""

from __future__ import annotations

from pathlib import Path

from tests.clients.installed import missing
from tests.clients.node import need_node
from tests.clients.packages import PAGE

__all__ = ["page_packages"]


def page_packages() -> Path:
    """Return the folder of the packages, installed; the test is skipped where they cannot be had."""
    need_node()
    problem = PAGE.install()
    if problem:
        missing(problem)
    return PAGE.modules
