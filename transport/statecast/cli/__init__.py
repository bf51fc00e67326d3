"""The command line: one module for each group of commands, and `main`, which runs them."""

from .commands import main

__all__ = ["main"]
