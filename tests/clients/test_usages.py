"""Uses of the modules for pages that are right pass the type check, and others do not: `client.js` and `adapters.js`.

One run of `tsc` checks them all. The snippets of the documentation have a run of their own, in tests/docs: it takes the
types of other packages as they are.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from statecast.http.endpoints.client_module import BROWSER
from tests.clients.node import need_node
from tests.page.installed import page_packages
from tests.page.sources import PAGE

HERE = Path(__file__).parent
PATIENCE = 120  # seconds


def test_uses_that_are_right_pass_and_others_do_not(tmp_path: Path) -> None:
    packages = page_packages()
    for file in [*BROWSER.glob("*.d.ts"), *HERE.glob("*_usage.ts")]:
        shutil.copy(file, tmp_path)
    (tmp_path / "node_modules").symlink_to(packages)
    config = json.loads((PAGE / "tsconfig.json").read_text("utf-8"))
    config["compilerOptions"] |= {"skipLibCheck": False, "types": []}  # the types of the modules are checked themselves
    (tmp_path / "tsconfig.json").write_text(json.dumps({**config, "include": ["*.ts"]}), "utf-8")
    tsc = [need_node(), str(packages / ".bin" / "tsc"), "--noEmit"]
    answer = subprocess.run(tsc, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)

    # What other packages declare is theirs.
    assert [line for line in answer.stdout.splitlines() if not line.startswith(("node_modules", "../", " "))] == []
