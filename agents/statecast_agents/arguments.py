"""A tool call's arguments, which a state has twice: as the text that the model wrote, and as what the text says.

A model may write what JSON can say and a state cannot hold, such as an integer that JavaScript would round. That fails
no run: the text says it, and what it says is `{}` in the state. Source: docs/protocol.md, "Messages".
"""

from __future__ import annotations

import msgspec

from .document import to_json
from .errors import NotJson
from .values import Json

__all__ = ["arguments_text", "held_arguments"]


def held_arguments(args: Json) -> Json:
    """Return arguments as a state holds them: `{}` where only their text can say them.

    Raises:
        NotJson: They are something that JSON cannot say at all.
    """
    try:
        return to_json(args)
    except NotJson:
        if _as_json(args) is None:
            raise
        return {}


def arguments_text(args: Json) -> str:
    """Return arguments as JSON text.

    Raises:
        NotJson: They are something that JSON cannot say at all.
    """
    text = _as_json(args)
    return msgspec.json.encode(to_json(args)).decode() if text is None else text


def _as_json(args: Json) -> str | None:
    """Return what is of JSON's own types as text; None for anything else."""
    try:
        text = msgspec.json.encode(args)
        return text.decode() if msgspec.json.decode(text) == args else None
    except (TypeError, ValueError, RecursionError):
        return None
