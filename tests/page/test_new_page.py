"""The page of a project that `statecast new` makes: its types are right, and it is built."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from statecast import cli
from tests.page.installed import page_packages

PATIENCE = 240  # seconds


@pytest.mark.slow
def test_the_page_of_a_new_project_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = page_packages()
    monkeypatch.chdir(tmp_path)
    assert cli.main(["new", "my-shop"]) == 0
    page = tmp_path / "my-shop" / "page"
    (page / "node_modules").symlink_to(packages)
    command = [shutil.which("npm") or "npm", "run", "build"]
    done = subprocess.run(command, cwd=page, capture_output=True, text=True, timeout=PATIENCE)

    assert done.returncode == 0, done.stdout + done.stderr
    assert (page / "dist" / "index.html").is_file()
