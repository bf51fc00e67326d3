"""Find Node.js and Chromium, and install the pinned clients.

Whatever needs them asks `need_node()` or `need_chromium()` first: where one is missing, the test is skipped with the
reason, or fails if STATECAST_TEST_ALL is 1.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

__all__ = ["HERE", "environment", "find_chromium", "need_chromium", "need_node"]

HERE = Path(__file__).parent
OLDEST_NODE = (20, 19)  # what jsdom asks for
INSTALL_TIMEOUT = 600  # seconds: an empty cache and a slow network


def need_node() -> str:
    """Return the path of `node`, with the clients installed, or skip the test saying what is missing."""
    node, problem = _node()
    if problem:
        _missing(problem)
    return node


def need_chromium() -> str:
    """Return the path of Chromium, with Node.js and the clients installed, or skip the test saying what is missing."""
    need_node()
    chromium = find_chromium()
    if chromium is None:
        _missing("needs Chromium: install it (Debian: apt install chromium), or set CHROMIUM to its path")
    return chromium


def find_chromium() -> str | None:
    """Return the path of Chromium: $CHROMIUM, or a known name on the path."""
    named = os.environ.get("CHROMIUM")
    names = [named] if named else ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
    return next((path for path in map(shutil.which, names) if path), None)


def _missing(message: str) -> NoReturn:
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
    return node, _install()


def _installed() -> bool:
    """Whether node_modules is what the lockfile says; npm writes its own lockfile there last."""
    done = HERE / "node_modules" / ".package-lock.json"
    wanted = HERE / "package-lock.json"
    return done.exists() and done.stat().st_mtime >= wanted.stat().st_mtime


def _install() -> str:
    """Install the clients unless they are there; returns what went wrong, or an empty text."""
    with _alone():
        if _installed():
            return ""
        npm = shutil.which("npm")
        if npm is None:
            return f"needs npm to install the clients in {HERE}: it comes with Node.js, or as a package of its own"
        try:
            answer = subprocess.run(
                [npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"],
                cwd=HERE,
                env=environment(),
                capture_output=True,
                text=True,
                timeout=INSTALL_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"`npm ci` in {HERE} took longer than {INSTALL_TIMEOUT} s: run it by hand"
        if answer.returncode != 0:
            return f"`npm ci` in {HERE} failed: run it by hand. It said: {answer.stderr.strip()[-500:]}"
        (HERE / "node_modules" / ".package-lock.json").touch()
        return ""


@contextmanager
def _alone() -> Iterator[None]:
    """Keep other test processes of this checkout out; npm empties node_modules before it fills it."""
    name = hashlib.sha256(str(HERE.resolve()).encode()).hexdigest()[:16]
    with open(Path(tempfile.gettempdir()) / f"statecast-npm-{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def environment() -> dict[str, str]:
    """Return our environment without what would change how the clients behave."""
    return {name: value for name, value in os.environ.items() if name not in {"NODE_ENV", "NODE_OPTIONS"}}
