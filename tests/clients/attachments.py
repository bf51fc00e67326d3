"""Attach files with an adapter of assistant-ui's, in Node.js."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from .installed import DRIVERS, environment, need_node

PATIENCE = 60  # seconds


def attach(url: str, *files: dict[str, Any], module: str | None = None) -> list[Any]:
    """Return what came of each file: the attachment's statuses, and itself unless it failed.

    Args:
        url: The server.
        files: Each with a `name`, a `type` and a `text`, `times` over; with `remove` it is taken away again, not sent.
        module: A file that exports `attachmentsAt`; None: the cloud client's own adapter.
    """
    settings = json.dumps({"url": url, "files": files, "module": module})
    command = [need_node(), "attachments.mjs", settings]
    answer = subprocess.run(
        command, cwd=DRIVERS, env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert answer.returncode == 0, answer.stderr
    told: list[Any] = json.loads(answer.stdout)
    return told
