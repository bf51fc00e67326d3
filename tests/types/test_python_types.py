"""pyright agrees with mypy on the types of states; `make types` has mypy check the same file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.installed import missing
from tests.clients.node import need_node
from tests.clients.packages import Packages

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PATIENCE = 120  # seconds


@pytest.mark.slow
def test_pyright_accepts_what_is_right_and_nothing_else(tmp_path: Path) -> None:
    """Only another type checker can tell that generics with a default, and their properties, mean the same to it."""
    node = need_node()
    packages = Packages(HERE, HERE)
    problem = packages.install()
    if problem:
        missing(problem)
    shutil.copy(HERE / "typed_handlers.py", tmp_path)
    prefix = Path(sys.prefix)
    config = {
        "include": ["typed_handlers.py"],
        "extraPaths": [str(ROOT / part) for part in ("agents", "transport")],
        "venvPath": str(prefix.parent),
        "venv": prefix.name,
        "typeCheckingMode": "strict",
        "reportUnnecessaryTypeIgnoreComment": "error",
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config), "utf-8")
    pyright = [node, str(packages.modules / "pyright" / "index.js"), "--outputjson"]
    answer = subprocess.run(pyright, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)

    report = json.loads(answer.stdout)
    found = [f"{one['range']['start']['line'] + 1}: {one['message']}" for one in report["generalDiagnostics"]]
    assert found == []
    assert report["summary"]["filesAnalyzed"] == 1
