"""The guide to Next.js has the files of the example, and these are what the tests build."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.docs.pages import ROOT, load
from tests.nextjs.next_app import APP, PACKAGES

EXAMPLE = APP.parent
GUIDE = load(ROOT / "docs" / "guides" / "nextjs.md")
SOURCES = {".css", ".json", ".py", ".ts", ".tsx"}
MADE = {".next", "next-env.d.ts", "node_modules", "package-lock.json"}  #: by npm and Next.js, where somebody tries it


def test_the_guide_has_every_file_of_the_example() -> None:
    files = {
        path.relative_to(EXAMPLE).as_posix(): path.read_text("utf-8")
        for path in EXAMPLE.rglob("*")
        if path.suffix in SOURCES and path.name not in MADE and not MADE & set(path.parts)
    }
    assert {block.file: block.text for block in GUIDE.blocks if block.file is not None} == files


def test_the_packages_of_the_example_are_those_that_are_tested() -> None:
    written = json.loads((APP / "package.json").read_text("utf-8"))
    pinned = json.loads((PACKAGES.source / "package.json").read_text("utf-8"))

    assert written["dependencies"].pop("@statecast/react") == "http://127.0.0.1:8000/react.tgz"
    for kind in ("dependencies", "devDependencies"):
        assert written[kind] == pinned[kind]


def test_the_types_are_those_of_the_agent() -> None:
    command = [sys.executable, "-c", "from statecast.cli import main; raise SystemExit(main())", "types", "agent.py"]
    answer = subprocess.run(command, cwd=EXAMPLE, capture_output=True, text=True, check=True)

    assert answer.stdout == (APP / "agent.d.ts").read_text("utf-8")
