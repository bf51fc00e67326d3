"""Build the page of a guide with Vite, in the surroundings that the first guide makes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.docs.pages import ROOT, load
from tests.page.installed import install_packages

__all__ = ["built"]

BUILD_TIMEOUT = 120  # seconds
SERVER = "http://127.0.0.1:8000"  #: where guides say that the server is
SKELETON = load(ROOT / "docs" / "guides" / "getting-started.md")


def built(folder: Path, server: str | None, sources: Mapping[str, str]) -> Path:
    """Build a page whose `src/` has these files beside `main.tsx`; returns the folder to be served.

    Args:
        folder: An empty one.
        server: The address that takes the place of the guides'; None: the page asks the server that it comes from.
        sources: File names and texts; one is `App.tsx`.
    """
    page = folder / "page"
    install_packages(page)
    for skeleton in SKELETON.blocks:
        if skeleton.file is not None and skeleton.file.startswith("page/"):
            path = folder / skeleton.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(skeleton.text, encoding="utf-8")
    (page / "src" / "agent.d.ts").unlink()
    assert any(SERVER in text for text in sources.values()) == (server is not None)
    for name, text in sources.items():
        (page / "src" / name).write_text(text.replace(SERVER, server or SERVER), encoding="utf-8")
    command = [shutil.which("npm") or "npm", "run", "build"]
    answer = subprocess.run(command, cwd=page, capture_output=True, text=True, timeout=BUILD_TIMEOUT)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return page / "dist"
