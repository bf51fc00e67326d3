"""The command line: one module for each group of commands, and `main`, which runs them."""

from .commands import main, reloading_app

__all__ = ["main", "reloading_app"]
