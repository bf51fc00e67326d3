"""`statecast new`: what it makes is green. Its page is built in tests/page/test_new_page.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from statecast import cli

ROOT = Path(__file__).parents[2]
PATIENCE = 240  # seconds


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["new", "my-shop"]) == 0
    assert "statecast dev agent.py" in capsys.readouterr().out
    return tmp_path / "my-shop"


def test_a_project_has_its_files(project: Path) -> None:
    files = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    assert {"agent.py", "server.py", "tests/test_agent.py", "README.md", ".gitignore", "page/src/App.tsx"} <= files
    assert not [name for name in files if name.endswith(".template")]
    assert '"my-shop"' in (project / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("name", "text"),
    [("My Shop", "lower-case letters"), ("../up", "lower-case letters"), ("my-shop", "already exists")],
)
def test_a_name_that_cannot_be_is_one_line(
    project: Path, name: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["new", name]) == 2
    error = capsys.readouterr().err
    assert error.startswith("statecast: ")
    assert text in error


@pytest.mark.slow
def test_the_tests_of_a_project_pass(project: Path) -> None:
    paths = os.pathsep.join([str(ROOT / "agents"), str(ROOT / "transport")])
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "statecast_pytest", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
