"""The JSON of a large container in pieces, so that encoding it again costs only the changes and a copy of the text.

A plain container that nobody may change (`plain_of`) is the same object for as long as nothing in it changes. So the
text of a group of items is valid for as long as they are the same objects. A container is cut into pieces of about
`PIECE` bytes when it has changed for the first time. A large item is cut as well.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from .values import Json

__all__ = ["LARGE", "Pieces"]

LARGE: Final = 65_536  #: bytes of JSON from which on a container is cut
PIECE: Final = 16_384  #: bytes that a piece should have

_encode = msgspec.json.Encoder().encode


class Pieces:
    """The JSON of a dict or list.

    Args:
        value: The container.
        text: Its JSON.
    """

    __slots__ = ("_pieces", "_text", "_value", "_width")

    def __init__(self, value: Any, text: bytes) -> None:
        self._value = value
        self._text = text  #: until it is cut
        self._width = max(1, len(value) * PIECE // len(text))  #: items in a piece
        self._pieces: list[_Piece] = []

    def encode(self, value: Any) -> bytes:
        """Return the JSON of what the container is now."""
        texts: list[bytes] = []
        self.write(value, texts)
        return b"".join(texts)

    def write(self, value: Any, texts: list[bytes]) -> None:
        """Append the JSON of what the container is now to `texts`."""
        if self._text and value is self._value:
            texts.append(self._text)
            return
        if value is not self._value:
            self._cut(value)
        start, end = (b"{", b"}") if type(value) is dict else (b"[", b"]")
        for piece in self._pieces:
            texts.append(start)
            piece.write(texts)
            start = b","
        texts.append(end if self._pieces else start + end)

    def _cut(self, value: Any) -> None:
        names = [*value] if type(value) is dict else None
        items = value if names is None else [*value.values()]
        pieces: list[_Piece] = []
        for start in range(0, len(items), self._width):
            some = items[start : start + self._width]
            named = None if names is None else names[start : start + self._width]
            known = self._pieces[len(pieces)] if len(pieces) < len(self._pieces) else None
            pieces.append(known if known is not None and known.is_of(named, some) else _Piece(named, some, known))
        self._value, self._text, self._pieces = value, b"", pieces


class _Piece:
    """The JSON of some items of a container, without its brackets.

    Args:
        names: Their keys, if it is a dict.
        items: The items.
        before: The piece that was in the same place.
    """

    __slots__ = ("_inner", "_items", "_names", "_text")

    def __init__(self, names: Sequence[str] | None, items: Sequence[Json], before: _Piece | None) -> None:
        self._names = names
        self._items = items
        self._text = b""  #: with an inner container, what is in front of it
        self._inner: Pieces | None = None  #: the only item, if it is large
        if len(items) == 1 and type(items[0]) in (dict, list):
            front = b"" if names is None else _encode(names[0]) + b":"
            self._inner = None if before is None or before._names != names else before._inner
            text = b"" if self._inner is not None else _encode(items[0])
            if len(text) >= LARGE:
                self._inner = Pieces(items[0], text)
            self._text = front if self._inner is not None else front + text
        else:
            self._text = _encode(items if names is None else dict(zip(names, items, strict=True)))[1:-1]

    def is_of(self, names: Sequence[str] | None, items: Sequence[Json]) -> bool:
        """Return whether it is the JSON of these items."""
        same = len(items) == len(self._items) and all(map(operator.is_, items, self._items))
        return same and names == self._names

    def write(self, texts: list[bytes]) -> None:
        """Append the JSON to `texts`."""
        texts.append(self._text)
        if self._inner is not None:
            self._inner.write(self._items[0], texts)
