"""stdout and stderr as rich sees them, and text that is safe on a terminal."""

from __future__ import annotations

import re
import sys
from typing import Final

from rich.console import Console
from rich.text import Text

__all__ = ["OUT", "STATUS_STYLES", "report", "visible", "write"]

#: By the status of a run.
STATUS_STYLES: Final = {"completed": "green", "failed": "red", "waiting": "yellow", "running": "cyan"}

OUT: Final = Console(highlight=False)
_ERR: Final = Console(highlight=False, stderr=True)

#: C0 and C1 controls, and the marks that change the direction of text; rich lets most of them through.
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Return a text with its control characters, other than tabs and line ends, written as JSON writes them."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def write(text: str) -> None:
    """Write to stdout at once; only a terminal gets control characters made visible."""
    sys.stdout.write(visible(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def report(text: str, *, style: str = "") -> None:
    """Write a line to stderr."""
    _ERR.print(Text(visible(text), style), soft_wrap=True)
