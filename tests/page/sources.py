"""The sources of the page, and npm to build them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "page"
HOOK = ROOT / "packages" / "react" / "src"
BROWSER = ROOT / "transport" / "statecast" / "browser"
BUILT = ROOT / "transport" / "statecast" / "page"
TIMEOUT = 600  # seconds: an empty cache and a slow network


def npm(*arguments: str, cwd: Path) -> None:
    """Run npm; the test fails with what it said if it fails."""
    environment = {name: value for name, value in os.environ.items() if name not in {"NODE_ENV", "NODE_OPTIONS"}}
    answer = subprocess.run(
        ["npm", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    if answer.returncode != 0:
        pytest.fail(f"npm {' '.join(arguments)}:\n{answer.stdout}\n{answer.stderr}", pytrace=False)
