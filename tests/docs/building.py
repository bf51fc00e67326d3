"""Build the page of a guide with Vite, in the surroundings that the first guide makes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.docs.pages import ROOT, load
from tests.page.installed import page_packages

__all__ = ["built"]

BUILD_TIMEOUT = 120  # seconds
SERVER = "http://127.0.0.1:8000"  #: where guides say that the server is
SKELETON = load(ROOT / "docs" / "guides" / "getting-started.md")


def built(folder: Path, server: str, sources: Mapping[str, str]) -> Path:
    """Build a page whose `src/` has these files beside `main.tsx`; returns the folder to be served.

    Args:
        folder: An empty one.
        server: The address that takes the place of the guides'.
        sources: File names and texts; one is `App.tsx`.
    """
    packages = page_packages()
    for skeleton in SKELETON.blocks:
        if skeleton.file is not None and skeleton.file.startswith("page/"):
            path = folder / skeleton.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(skeleton.text, encoding="utf-8")
    page = folder / "page"
    (page / "src" / "agent.ts").unlink()
    assert any(SERVER in text for text in sources.values())
    for name, text in sources.items():
        (page / "src" / name).write_text(text.replace(SERVER, server), encoding="utf-8")
    (page / "node_modules").symlink_to(packages)
    command = [shutil.which("npm") or "npm", "run", "build"]
    answer = subprocess.run(command, cwd=page, capture_output=True, text=True, timeout=BUILD_TIMEOUT)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return page / "dist"
