"""What the log has of pages refused by their origin or the host's name: each once, with the option that lets it in.

A browser shows its user next to nothing of such a refusal.
"""

from __future__ import annotations

import logging
from typing import Final

__all__ = ["Refusals"]

MOST: Final = 100  #: different ones that are logged and remembered; anybody can send more

_log: Final = logging.getLogger("statecast")


class Refusals:
    """Logs refusals of one kind.

    Args:
        text: The line, with `%r` for who is refused.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._logged: set[str] = set()

    def log(self, who: str) -> None:
        """Log one, unless it was logged before."""
        if who not in self._logged and len(self._logged) < MOST:
            self._logged.add(who)
            _log.warning(self._text, who)
