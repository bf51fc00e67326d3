"""`statecast completion`: a shell's completions, written by shtab (`pip install "statecast[completion]"`)."""

from __future__ import annotations

import argparse
from typing import Any, Final

from .failures import fail

__all__ = ["add_commands"]

SHELLS: Final = ("bash", "zsh", "fish")

EXAMPLES: Final = """
  statecast completion bash > ~/.local/share/bash-completion/completions/statecast
  statecast completion zsh > ~/.zfunc/_statecast
  statecast completion fish > ~/.config/fish/completions/statecast.fish
"""


def add_commands(commands: Any) -> None:
    """Add the command to a parser, whose commands it completes."""
    completion = commands.add_parser("completion", help="print the completions of a shell", examples=EXAMPLES)
    completion.add_argument("shell", choices=SHELLS, help="the shell")
    completion.set_defaults(run=_print_completion)


def _print_completion(options: argparse.Namespace) -> int:
    try:
        import shtab  # an extra
    except ImportError:
        return fail('completions need shtab: pip install "statecast[completion]"')
    print(shtab.complete(options.parser, shell=options.shell), end="")
    return 0
