"""The scripts, which are in the folder `lua`, and how they are called."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = [
    "ADVANCE",
    "CLAIM",
    "FINISH",
    "FREE",
    "LOAD",
    "LOOK",
    "POST",
    "RECORDS",
    "RENEW",
    "TAILS",
    "UNFINISHED",
    "WRITE",
    "Argument",
    "Command",
    "Script",
    "with_text",
]

#: What a command consists of, and a command.
Argument = bytes | str | int
Command = tuple[Argument, ...]

_FOLDER: Final = Path(__file__).parent / "lua"
_COMMON: Final = (_FOLDER / "common.lua").read_bytes()

_texts: dict[str, bytes] = {}  #: by digest


class Script:
    """A script.

    Args:
        name: Of its file.
    """

    def __init__(self, name: str) -> None:
        text = _COMMON + (_FOLDER / f"{name}.lua").read_bytes()
        self._digest = hashlib.sha1(text, usedforsecurity=False).hexdigest()
        _texts[self._digest] = text

    def __call__(self, keys: Sequence[bytes], *arguments: Argument) -> Command:
        """Return the command that calls it, for an engine that knows it; see `with_text`."""
        return ("EVALSHA", self._digest, len(keys), *keys, *arguments)


def with_text(command: Command) -> Command:
    """Return the same call for an engine that has forgotten the script, as every one that was started again has."""
    assert isinstance(command[1], str)
    return ("EVAL", _texts[command[1]], *command[2:])


ADVANCE: Final = Script("advance")
CLAIM: Final = Script("claim")
FINISH: Final = Script("finish")
FREE: Final = Script("free")
LOAD: Final = Script("load")
LOOK: Final = Script("look")
POST: Final = Script("post")
RECORDS: Final = Script("records")
RENEW: Final = Script("renew")
TAILS: Final = Script("tails")
UNFINISHED: Final = Script("unfinished")
WRITE: Final = Script("write")
