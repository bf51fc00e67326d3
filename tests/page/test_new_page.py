"""The page of a project that `statecast new` makes: its types are right, it is built, and it works in a browser."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

from statecast import cli, create_app
from statecast.http.npm_package import react_package
from tests.clients.node import need_chromium, run_browser
from tests.clients.serving import served
from tests.page.installed import install_packages

PATIENCE = 240  # seconds


@pytest.mark.slow
def test_the_page_of_a_new_project_is_built_and_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_chromium()
    monkeypatch.chdir(tmp_path)
    assert cli.main(["new", "my-shop"]) == 0
    project, page = tmp_path / "my-shop", tmp_path / "my-shop" / "page"
    named = json.loads((page / "package.json").read_text("utf-8"))["dependencies"]["@statecast/react"]
    assert (page / named.removeprefix("file:")).read_bytes() == react_package()
    install_packages(page)
    command = [shutil.which("npm") or "npm", "run", "build"]
    done = subprocess.run(command, cwd=page, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr

    write, send = {"do": "fill", "selector": "textarea"}, {"do": "click", "selector": "button", "text": "Send"}
    agent = runpy.run_path(str(project / "agent.py"))["agent"]
    with served(create_app(agent, page=page / "dist")) as base:
        report = run_browser(
            [
                {"do": "goto", "url": base},
                {**write, "text": "add tea"},
                send,
                {"do": "wait", "selector": "aside li", "text": "tea"},
                {"do": "wait", "selector": ".assistant", "text": "tea is on the list."},
                {**write, "text": "clear"},
                send,
                {"do": "wait", "selector": "p", "text": "Clear the list?"},
                {"do": "reload"},
                {"do": "click", "selector": "button", "text": "Yes"},
                {"do": "wait", "selector": ".assistant", "text": "The list is empty."},
                {"do": "read", "selector": "aside li"},
            ]
        )

    assert report.complaints == []
    assert [step["texts"] for step in report.steps if "texts" in step] == [[]]
