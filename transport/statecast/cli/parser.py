"""`CommandParser`: argparse with examples, with settings from the environment, and with errors that say what to do.

Rule: what is on the command line counts more than the environment, and that more than the default.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Final, NoReturn

from .failures import USAGE

__all__ = ["CommandParser", "variable_of"]

PREFIX: Final = "STATECAST_"

_YES: Final = ("1", "true", "yes", "on")
_NO: Final = ("", "0", "false", "no", "off")


class CommandParser(argparse.ArgumentParser):
    """A parser of one command.

    Args:
        examples: Command lines, shown at the end of its help.
        environment: Whether its options are also read from the environment, see `variable_of`.
        options: As for `argparse.ArgumentParser`.
    """

    def __init__(self, *, examples: str = "", environment: bool = False, **options: Any) -> None:
        options |= {"formatter_class": argparse.RawDescriptionHelpFormatter}
        super().__init__(**options, epilog=f"examples:\n{examples.strip(chr(10))}" if examples else None)
        self.environment = environment

    def parse_known_args(  # type: ignore[override]  # of the overloads, the one that is used
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse arguments; the options that are not among them come from the environment, or are the defaults."""
        for action in self.settings():
            text = os.environ.get(variable_of(action))
            if text is not None:
                self._set_default(action, text, args or ())
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(self._unknown(unknown))
        return options, unknown

    def error(self, message: str) -> NoReturn:
        """Print what is wrong, and where to look; exit."""
        self.exit(USAGE, f'{self.prog}: {message}\nSee "{self.prog} --help" for its arguments and examples.\n')

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = [str(choice) for choice in action.choices]
            raise argparse.ArgumentError(
                action, f'expected one of {", ".join(choices)}, got "{value}"{_meant(str(value), choices)}'
            )

    def _unknown(self, arguments: Sequence[str]) -> str:
        """Return what to do about arguments that nothing takes."""
        first = arguments[0]
        if not first.startswith("-"):
            return f'expected no further argument, got "{first}": quote text that has spaces, and put options behind it'
        name = first.partition("=")[0]
        known = [option for action in self._actions for option in action.option_strings]
        return f'there is no option "{name}"{_meant(name, known)}'

    def settings(self) -> list[argparse.Action]:
        """Return the options that the environment may have."""
        named = [action for action in self._actions if action.option_strings and action.dest not in ("help", "version")]
        return [action for action in named if self.environment or action.dest == "url"]

    def _set_default(self, action: argparse.Action, text: str, given: Sequence[str]) -> None:
        if isinstance(action, argparse._AppendAction):
            names = tuple(action.option_strings)
            on_line = any(one in names or one.startswith(tuple(f"{name}=" for name in names)) for one in given)
            action.default = [] if on_line else [self._read(action, item) for item in text.split(",") if item.strip()]
        elif action.nargs == 0:
            word = text.strip().lower()
            if word not in (*_YES, *_NO):
                self.error(f'{variable_of(action)}: expected one of {", ".join((*_YES, *_NO[1:]))}, got "{text}"')
            action.default = word in _YES
        else:
            action.default = self._read(action, text)

    def _read(self, action: argparse.Action, text: str) -> Any:
        try:
            value = self._get_value(action, text.strip())
            self._check_value(action, value)
        except argparse.ArgumentError as error:
            self.error(f"{variable_of(action)}: {error.message}")
        return value


def variable_of(action: argparse.Action) -> str:
    """Return the environment variable of an option: `STATECAST_CORS_ORIGIN` of `--cors-origin`."""
    return PREFIX + action.dest.upper()


def _meant(text: str, known: Sequence[str]) -> str:
    """Return the question whether one of the known names is meant, if one is near."""
    near = get_close_matches(text, known, 1)
    return f' (did you mean "{near[0]}"?)' if near else ""
