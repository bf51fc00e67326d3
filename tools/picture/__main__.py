"""Make the picture that moves in README.md: `python -m tools.picture` writes docs/images/two-windows.webp.

It serves an agent with the page for every agent, films two windows of Chromium, and puts them side by side. It needs
Node.js, Chromium, the npm packages of tests/clients, and Pillow.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TARGET = ROOT / "docs" / "images" / "two-windows.webp"
GAP, CAPTION = 12, 36  # pixels
PATIENCE = 30  # seconds


def main() -> None:
    """Film the windows, and write the picture."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as folder:
        url, server = _serve(folder)
        try:
            film = Path(folder) / "record.mjs"
            shutil.copy(HERE / "record.mjs", film)
            (Path(folder) / "node_modules").symlink_to((ROOT / "tests" / "clients" / "node_modules").resolve())
            command = ["node", str(film), f"{url}/?thread=garden", folder, chromium]
            filmed = subprocess.run(command, capture_output=True, text=True, check=False)
        finally:
            server.terminate()
            server.wait()
        assert filmed.returncode == 0, filmed.stderr
        _write([json.loads(line) for line in filmed.stdout.splitlines()])
    print(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size // 1024} KiB")


def _serve(folder: str) -> tuple[str, subprocess.Popen[bytes]]:
    """Start the agent, and return its address and its process once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = (
        "from statecast import create_app, serve; from garden_plan import agent; "
        f"serve(create_app(agent, page=True, store='memory'), port={port})"
    )
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join((str(HERE), str(ROOT / "agents"), str(ROOT / "transport")))
    }
    server = subprocess.Popen([sys.executable, "-c", code], cwd=folder, env=environment)
    url = f"http://127.0.0.1:{port}"
    for _ in range(PATIENCE * 10):
        try:
            urllib.request.urlopen(f"{url}/health").close()
            return url, server
        except OSError:
            time.sleep(0.1)
    server.terminate()
    raise SystemExit("the server did not start")


def _write(frames: list[dict[str, Any]]) -> None:
    """Put both windows of each frame side by side, with what happens below, and write them as one picture."""
    font = ImageFont.load_default(20)
    pictures = []
    for frame in frames:
        left, right = (Image.open(file).convert("RGB") for file in frame["files"])
        width, height = left.width + GAP + right.width, left.height + CAPTION
        picture = Image.new("RGB", (width, height), "#d8dee9")
        picture.paste(left, (0, 0))
        picture.paste(right, (left.width + GAP, 0))
        ImageDraw.Draw(picture).text((width / 2, height - CAPTION / 2), frame["step"], "#1f2430", font, "mm")
        pictures.append(picture)
    first, *others = pictures
    times = [frame["milliseconds"] for frame in frames]
    first.save(TARGET, save_all=True, append_images=others, duration=times, loop=0, quality=60, method=4)


if __name__ == "__main__":
    main()
