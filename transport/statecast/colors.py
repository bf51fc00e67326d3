"""Colors of a terminal, for the command line and its log; never in a file or a pipe, nor against NO_COLOR.

Source: https://no-color.org.
"""

from __future__ import annotations

import os
from typing import Final, TextIO

__all__ = ["has_colors", "painted"]

_CODES: Final = {"red": 31, "green": 32, "yellow": 33, "cyan": 36, "dim": 2, "bold": 1}


def has_colors(stream: TextIO) -> bool:
    """Return whether a stream shows colors."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def painted(text: str, color: str, stream: TextIO) -> str:
    """Return a text in a color, if the stream shows any."""
    return f"\x1b[{_CODES[color]}m{text}\x1b[0m" if has_colors(stream) else text
