"""The shape of JSON text: how deep it nests and how many values it holds, found without decoding it.

The text is read block by block: a text that is refused at its start costs little, and no block holds up other threads
for long. A block is reduced to its brackets or commas by a few passes in C, so that the cost is a fraction of the
decoder's.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from .errors import TooDeep, TooManyValues

__all__ = ["bare", "check_count", "check_nesting", "count_values"]

_BLOCK: Final = 65_536  #: bytes looked at before the next are
_FOLDS: Final = 8  #: levels that are taken away from the inside before brackets are counted one by one
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  #: as signed bytes: one deeper, one back
_SPACES: Final = b" \t\r\n"
_BEFORE_VALUES: Final = b",[{"
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b'[]{}"'))  #: quotes tell which brackets are within strings


def check_count(data: bytes, limit: int) -> None:
    """Check that JSON text holds at most `limit` values: decoding costs memory per value, not per byte.

    Raises:
        RequestError: `too_many_values`.
    """
    if len(data) >= 2 * limit and _at_most(data) > limit and count_values(data, limit) > limit:
        message = f"expected at most {limit} values in the body, got more; send them in several requests"
        raise TooManyValues(message, limit=limit)


def count_values(data: bytes, most: int) -> int:
    """Return the number of values in JSON text, including the whole; any number above `most` if there are more."""
    found, open = 1, b""
    for block in bare(data):
        marks = open + block.translate(None, _SPACES)
        open = marks[-1:] if marks.endswith((b"[", b"{")) else b""  # the next block tells whether anything is in it
        marks = marks.removesuffix(open)
        found += marks.count(b",") + marks.count(b"[") + marks.count(b"{") - marks.count(b"[]") - marks.count(b"{}")
        if found > most:
            break
    return found


def check_nesting(data: bytes, limit: int) -> None:
    """Check that containers in JSON text nest at most `limit` deep.

    Raises:
        RequestError: `too_deep`.
    """
    if len(data) <= limit:
        return
    depth = 0
    for brackets in _brackets(data):
        openings = brackets.count(b"[") + brackets.count(b"{")
        if depth + openings > limit and depth + _most_openings(brackets) > limit:
            steps = memoryview(brackets.translate(_STEPS)).cast("b")
            if max(accumulate(steps, initial=depth)) > limit:
                raise TooDeep(limit)
        depth += 2 * openings - len(brackets)


def bare(data: bytes) -> Iterator[bytes]:
    """Yield JSON text block by block, with each string replaced by a quote."""
    data = _without_escaped_quotes(data)
    inside = False
    for start in range(0, len(data), _BLOCK):
        pieces = data[start : start + _BLOCK].split(b'"')
        block = b'"'.join(pieces[inside::2])
        inside ^= len(pieces) % 2 == 0
        yield block + b'"' if inside else block


def _brackets(data: bytes) -> Iterator[bytes]:
    """Yield the brackets of JSON text block by block, without those in strings."""
    data = _without_escaped_quotes(data)
    inside = b""
    for start in range(0, len(data), _BLOCK):
        marks = inside + data[start : start + _BLOCK].translate(None, _NOT_BRACKETS)
        # Two quotes side by side have no bracket between them. Without them, what is inside a string stays inside one.
        pieces = marks.replace(b'""', b"").split(b'"')
        inside = b"" if len(pieces) % 2 else b'"'
        yield b"".join(pieces[::2])


def _most_openings(brackets: bytes) -> int:
    """Return a number that the depth nowhere exceeds, from 0 at the start: mostly little more than the true depth."""
    levels = 0
    while levels < _FOLDS and brackets:
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")  # each takes one level away at most
        levels += 2
    return levels + brackets.count(b"[") + brackets.count(b"{")


def _at_most(data: bytes) -> int:
    return 1 + len(data) - len(data.translate(None, _BEFORE_VALUES))


def _without_escaped_quotes(data: bytes) -> bytes:
    if b"\\" in data and b'\\"' in data:
        return data.replace(b"\\\\", b"").replace(b'\\"', b"")
    return data
