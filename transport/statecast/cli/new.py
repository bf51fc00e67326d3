"""`statecast new`: a project with an agent, its tests, and a page."""

from __future__ import annotations

import argparse
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from statecast.http.npm_package import react_package

from .failures import fail

__all__ = ["add_commands"]

EXAMPLES: Final = """
  statecast new shop
  cd shop && statecast dev agent.py
"""

#: What files of the template end with, so that no tool takes them for code of this package; `gitignore` gets its dot.
SUFFIX: Final = ".template"

#: Where the page's `package.json` says that `@statecast/react` is.
PACKAGE: Final = "page/statecast-react.tgz"

NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def add_commands(commands: Any) -> None:
    """Add the command to a parser."""
    new = commands.add_parser("new", help="create a project: an agent, its tests, and a page", examples=EXAMPLES)
    new.add_argument("name", metavar="NAME", help="the name of the project and its folder")
    new.set_defaults(run=_make)


def _make(options: argparse.Namespace) -> int:
    name, folder = options.name, Path(options.name)
    if NAME.fullmatch(name) is None:
        return fail(f'expected a name of lower-case letters, digits and hyphens, such as "my-agent", got "{name}"')
    if folder.exists():
        return fail(f'expected a new folder, got "{name}", which already exists')
    _write(files("statecast.cli").joinpath("template"), folder, name)
    (folder / PACKAGE).write_bytes(react_package())
    print(
        f"{name}: an agent (agent.py), its tests and a page\n\n"
        f"  cd {name}\n"
        "  statecast dev agent.py              serve the agent, with a page to try it in\n"
        "  pip install pytest && pytest        run the tests\n"
        "  cd page && npm install && npm run dev   work on your own page"
    )
    return 0


def _write(template: Traversable, to: Path, name: str) -> None:
    to.mkdir()
    for item in template.iterdir():
        if item.is_dir():
            _write(item, to / item.name, name)
        elif item.name.endswith(SUFFIX):
            file = "." * (item.name == f"gitignore{SUFFIX}") + item.name.removesuffix(SUFFIX)
            (to / file).write_text(item.read_text("utf-8").replace("{name}", name), encoding="utf-8")
