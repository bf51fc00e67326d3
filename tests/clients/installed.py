"""Find Node.js and Chromium, and install the clients.

Whatever needs them asks `need_node()` or `need_chromium()` first: where one is missing, the test is skipped with the
reason, or fails if STATECAST_TEST_ALL is 1.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from typing import NoReturn

import pytest

from .packages import CLIENTS, DRIVERS, environment, place_drivers

__all__ = ["CLIENTS", "DRIVERS", "environment", "find_chromium", "missing", "need_chromium", "need_node"]

OLDEST_NODE = (20, 19)  # what jsdom asks for


def need_node() -> str:
    """Return the path of `node`, with the clients installed, or skip the test saying what is missing."""
    node, problem = _node()
    if problem:
        missing(problem)
    return node


def need_chromium() -> str:
    """Return the path of Chromium, with Node.js and the clients installed, or skip the test saying what is missing."""
    need_node()
    chromium = find_chromium()
    if chromium is None:
        missing("needs Chromium: install it (Debian: apt install chromium), or set CHROMIUM to its path")
    return chromium


def find_chromium() -> str | None:
    """Return the path of Chromium: $CHROMIUM, or a known name on the path."""
    named = os.environ.get("CHROMIUM")
    names = [named] if named else ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
    return next((path for path in map(shutil.which, names) if path), None)


def missing(message: str) -> NoReturn:
    """Skip the test, or fail it if STATECAST_TEST_ALL is 1."""
    if os.environ.get("STATECAST_TEST_ALL") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@functools.cache
def _node() -> tuple[str, str]:
    """Return the path of node and what keeps it from being used; installs the clients, once a process."""
    wanted = ".".join(map(str, OLDEST_NODE))
    node = shutil.which("node")
    if node is None:
        return "", f"needs Node.js {wanted} or newer, and found none: install it from nodejs.org or your distribution"
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    version = re.match(r"v(\d+)\.(\d+)", answer.stdout)
    if version is None or (int(version[1]), int(version[2])) < OLDEST_NODE:
        return node, f"needs Node.js {wanted} or newer, and found {answer.stdout.strip() or 'one that does not start'}"
    problem = CLIENTS.install()
    if not problem:
        place_drivers()
    return node, problem
