"""The arguments of a tool call, which a state stores twice: as the model's text, and as the value of that text.

A model may write valid JSON that a state cannot hold, such as an integer that JavaScript would round. The run
continues: the text is stored as written, and the value is `{}`. Source: docs/protocol/messages.md, "Messages".
"""

from __future__ import annotations

import msgspec

from .document import to_json
from .errors import NotJson
from .values import Json

__all__ = ["arguments_text", "state_arguments"]


def state_arguments(args: Json) -> Json:
    """Return arguments as a state can hold them; `{}` if only their text can express them.

    Raises:
        NotJson: JSON cannot express them at all.
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
        NotJson: JSON cannot express them at all.
    """
    text = _as_json(args)
    return msgspec.json.encode(to_json(args)).decode() if text is None else text


def _as_json(args: Json) -> str | None:
    """Return a value of JSON's own types as text; None for any other."""
    try:
        text = msgspec.json.encode(args)
        return text.decode() if msgspec.json.decode(text) == args else None
    except (TypeError, ValueError, RecursionError):
        return None
