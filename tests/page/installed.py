"""The packages that pages are built with: those of the demo page, installed where its sources are."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.clients.node import need_node

from .sources import PAGE

__all__ = ["page_packages"]

INSTALL_TIMEOUT = 600  # seconds: an empty cache and a slow network


def page_packages() -> Path:
    """Return the folder of the packages, installed; the test is skipped where they cannot be had."""
    need_node()
    npm = shutil.which("npm")
    assert npm is not None, "the clients are installed, so npm is there"
    name = hashlib.sha256(str(PAGE.resolve()).encode()).hexdigest()[:16]
    with open(Path(tempfile.gettempdir()) / f"statecast-npm-{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (PAGE / "node_modules" / ".bin" / "vite").exists():
            command = [npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"]
            answer = subprocess.run(command, cwd=PAGE, capture_output=True, text=True, timeout=INSTALL_TIMEOUT)
            if answer.returncode != 0 and os.environ.get("STATECAST_TEST_ALL") != "1":
                pytest.skip(f"`npm ci` in {PAGE} failed: run it by hand. It said: {answer.stderr.strip()[-500:]}")
            assert answer.returncode == 0, answer.stderr
    return PAGE / "node_modules"
