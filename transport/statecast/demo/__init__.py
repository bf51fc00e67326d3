"""The demo: an agent that needs no key, and the page it is shown in."""

from pathlib import Path
from typing import Final

from .agent import agent

__all__ = ["PAGE", "agent"]

PAGE: Final = Path(__file__).parent / "page"  #: the page's built files; its source is in `page/` of the repository
