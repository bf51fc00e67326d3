"""How large a state may become.

A bounded document counts what is assigned to it, rather too much than too little, and measures itself only when the
count says that the limit may have been reached. A value that does not fit is refused before anything changes, so
nothing of it reaches the log, and every frame with the whole state stays within what clients take.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from .errors import StateTooLarge
from .values import Json

if TYPE_CHECKING:
    from .document import Document

__all__ = ["ESCAPED", "SCALAR", "claim", "grown"]

ESCAPED: Final = 6  #: bytes of JSON that one character takes at most, as `\u0000` does
SCALAR: Final = 32  #: bytes that a number takes at most, and what stands around any value

_encode: Final = msgspec.json.Encoder().encode


def claim(
    document: Document,
    values: Collection[Json],
    keys: Sequence[Any],
    parent: Any,
    leaving: Collection[int],
) -> None:
    """Count values that are about to be assigned below `parent`.

    Args:
        document: A bounded one.
        values: As the state keeps them, and not in it yet.
        keys: Where each belongs: keys of a dict, or indexes.
        parent: The node or document they belong in.
        leaving: The ids of what they replace there; none if they only come in addition.

    Raises:
        StateTooLarge: The state would grow beyond its limit.
    """
    document.left -= sum(map(_most, values)) + sum(ESCAPED * len(key) for key in keys if type(key) is str)
    if document.left < 0:
        now = len(document.encode())
        _measured(document, now, now + sum(len(_encode(value)) for value in values) + _around(parent, keys, leaving))


def _around(parent: Any, keys: Sequence[Any], leaving: Collection[int]) -> int:
    """Return how many bytes the keys and commas of new items take, less those of the items that are replaced."""
    if isinstance(parent, dict):
        new = [key for key in keys if key not in parent]
        replaced = [parent[key] for key in keys if key in parent]
        around = sum(len(_encode(key)) + 2 for key in new) - (1 if new and not parent else 0)
    elif isinstance(parent, list):
        replaced = [item for item in parent if id(item) in leaving] if leaving else []
        if len(keys) == 1 and replaced:
            del replaced[1:]  # one is replaced by one; others with its id are equal to it
        around = max(0, len(keys) - len(replaced)) - (0 if parent else 1)
    else:
        replaced, around = [parent.root], 0
    return around - sum(len(_encode(item)) for item in replaced)


def grown(document: Document, node: Any, key: Any, delta: str) -> None:
    """Measure a document in which the text at `key` of `node` has grown by `delta`, and undo that if it is too large.

    Raises:
        StateTooLarge: It is; the text is as it was.
    """
    size = len(document.encode())
    try:
        _measured(document, size - len(delta), size)
    except StateTooLarge:
        if node is document:
            document.shorten(len(delta))
        else:
            kind: Any = dict if isinstance(node, dict) else list
            kind.__setitem__(node, key, node[key][: -len(delta)])
        raise


def _measured(document: Document, now: int, after: int) -> None:
    assert document.limit is not None, "only a bounded document counts"
    if after > document.limit and after > now:  # a state from before the limit may shrink towards it
        raise StateTooLarge(after, document.limit)
    document.left = document.limit - after


def _most(value: Json) -> int:
    """Return how many bytes a value takes at most, as an item of a container."""
    if isinstance(value, (dict, list)):
        return len(_encode(value)) + SCALAR
    return ESCAPED * len(value) + SCALAR if isinstance(value, str) else SCALAR
