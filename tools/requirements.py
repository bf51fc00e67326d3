"""Print what pyproject.toml asks for, one requirement a line: `python tools/requirements.py [--oldest] [EXTRA...]`.

With `--oldest`, each is pinned to the lowest version that it allows: a constraints file for pip, which shows whether
the declared minimums hold. Requirements without a lower bound are left out of it.
"""

from __future__ import annotations

import argparse
import re
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"

_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?P<extras>\[[^]]*\])?(?P<bounds>[^;]*)(?P<marker>;.*)?")
_LOWEST = re.compile(r"(?:>=|~=|==)\s*([\w.]+)")


def requirements(extras: list[str]) -> list[str]:
    """Return the requirements of the project and of some of its extras.

    Raises:
        SystemExit: There is no such extra.
    """
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    found: list[str] = list(project["dependencies"])
    for extra in extras:
        offered = project["optional-dependencies"]
        if extra not in offered:
            raise SystemExit(f"expected one of the extras {', '.join(offered)}, got {extra}")
        found += offered[extra]
    return found


def oldest(requirement: str) -> str | None:
    """Return the constraint that pins a requirement to its lowest version; None if it names none.

    Extras are left out: pip takes none in constraints.
    """
    parts = _REQUIREMENT.fullmatch(requirement)
    assert parts is not None, f"expected a requirement, got {requirement}"
    lowest = _LOWEST.search(parts["bounds"])
    return f"{parts['name']}=={lowest[1]}{parts['marker'] or ''}" if lowest else None


def main() -> None:
    parser = argparse.ArgumentParser(description="Print what pyproject.toml asks for, one requirement a line.")
    parser.add_argument("extras", nargs="*", metavar="EXTRA", help="an extra whose requirements are printed too")
    parser.add_argument("--oldest", action="store_true", help="pin each to the lowest version that it allows")
    options = parser.parse_args()
    wanted = requirements(options.extras)
    lines = filter(None, map(oldest, wanted)) if options.oldest else wanted
    print(*dict.fromkeys(lines), sep="\n")


if __name__ == "__main__":
    main()
