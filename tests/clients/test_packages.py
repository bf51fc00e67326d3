"""The two sets of packages, installed by an npm that only pretends."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.clients import packages
from tests.clients.packages import Packages

INSTALLS = """#!/bin/sh
echo "$@" >> "$CALLS"
[ -z "$MISSING" ] || grep -q '"a-dependency": "1.2.3"' package.json || {
  echo "npm error notarget No matching version found for $MISSING@^9." >&2
  exit 1
}
mkdir -p node_modules
echo {} > node_modules/.package-lock.json
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a package.json and a lockfile; npm is the script above, which notes its calls in `calls`."""
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(INSTALLS)
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("MISSING", "")
    monkeypatch.setattr(packages, "STAND_INS", {"a-dependency": "1.2.3"})
    folder = tmp_path / "source"
    folder.mkdir()
    named = {"client": "1.0.0", "old-client": "npm:client@0.1.0"}
    (folder / "package.json").write_text(json.dumps({"dependencies": named, "devDependencies": {"tool": "2.0.0"}}))
    (folder / "package-lock.json").write_text("{}")
    return folder


def calls(source: Path) -> list[str]:
    return (source.parent / "calls").read_text().splitlines()


def test_the_pinned_set_is_installed_once_from_its_lockfile(source: Path) -> None:
    pinned = Packages(source, source)

    assert (pinned.install(), pinned.install()) == ("", "")
    assert [call.split()[0] for call in calls(source)] == ["ci"]


def test_the_newest_set_has_the_latest_of_each_client_and_pinned_tools(source: Path) -> None:
    newest = Packages(source, source.parent / "newest")

    assert (newest.install(), newest.install()) == ("", "")
    written = json.loads((newest.folder / "package.json").read_text())
    assert written["dependencies"] == {"client": "latest", "old-client": "npm:client@0.1.0"}
    assert (written["devDependencies"], written["overrides"]) == ({"tool": "2.0.0"}, {})
    assert [call.split()[:2] for call in calls(source)] == [["install", "--no-package-lock"]]


def test_a_stand_in_is_used_only_for_what_the_registry_does_not_serve_and_named(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MISSING", "a-dependency")
    newest = Packages(source, source.parent / "newest")

    assert newest.install() == ""
    assert len(calls(source)) == 2
    assert json.loads((newest.folder / "package.json").read_text())["overrides"] == {"a-dependency": "1.2.3"}
    assert "a-dependency" in capsys.readouterr().err


def test_a_version_that_cannot_be_installed_is_a_failure_that_says_so(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MISSING", "another-dependency")
    newest = Packages(source, source.parent / "newest")
    monkeypatch.setattr(packages, "CLIENTS", newest)

    assert packages.main() == 1
    said = capsys.readouterr().err
    assert "cannot be installed" in said
    assert "No matching version found for another-dependency@^9." in said
    assert newest.install() != ""  # nothing counts as installed


def test_a_version_is_a_tuple_of_numbers(source: Path) -> None:
    module = source / "node_modules" / "client"
    module.mkdir(parents=True)
    (module / "package.json").write_text('{"version": "1.20.3-beta.1"}')

    assert Packages(source, source).version("client") == (1, 20, 3)
