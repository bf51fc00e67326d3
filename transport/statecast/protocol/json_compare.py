"""Comparing JSON as JavaScript does: key order is ignored, numbers are doubles, and true is no number.

Texts are compared without decoding what is the same in both, byte for byte: large containers are split into the texts
of their children, and only children that differ are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from statecast_agents import Json

__all__ = ["same_json", "same_text"]

#: Bytes up to which two texts are decoded rather than split.
_SMALL: Final = 16_384

#: Levels that are split, each of which is a walk over the text; what is nested deeper is decoded.
_LEVELS: Final = 6

_Texts = Sequence[msgspec.Raw]
_decode: Final = msgspec.json.Decoder().decode
_split_dict: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_split_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def same_text(one: bytes | msgspec.Raw, other: bytes | msgspec.Raw) -> bool:
    """Compare two JSON texts as `same_json` compares values.

    Raises:
        DecodeError: One of them is not JSON; also a `UnicodeDecodeError` or a `RecursionError`.
    """
    return _same(one, other, _LEVELS)


def same_json(one: Any, other: Any) -> bool:
    """Compare two values as JavaScript does: key order is ignored, numbers are doubles, and True is not a number."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(item, other[key]) for key, item in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    if (type(one) is int and type(other) is float) or (type(one) is float and type(other) is int):
        return float(one) == float(other)
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _same(one: bytes | msgspec.Raw, other: bytes | msgspec.Raw, levels: int) -> bool:
    if one == other:
        return True
    ours, theirs = bytes(one), bytes(other)
    kind = ours[:1]
    if not levels or len(ours) + len(theirs) <= _SMALL or kind != theirs[:1] or kind not in (b"{", b"["):
        return _same_values(ours, theirs)
    if kind == b"[":
        return _same_children(_split_list(ours), _split_list(theirs), levels - 1)
    members, others = _split_dict(ours), _split_dict(theirs)
    if members.keys() != others.keys():
        return False
    return _same_children(list(members.values()), [others[key] for key in members], levels - 1)


def _same_children(ones: _Texts, others: _Texts, levels: int) -> bool:
    if len(ones) != len(others):
        return False
    differing = [(one, other) for one, other in zip(ones, others, strict=True) if one != other]
    # Mostly the first difference is one of value. If it is only one of form, others are, too: small ones in one go.
    if differing and not _same(*differing[0], levels):
        return False
    small: list[tuple[bytes, bytes]] = []
    for one, other in differing[1:]:
        if len(bytes(one)) <= _SMALL:
            small.append((bytes(one), bytes(other)))
        elif not _same(one, other, levels):
            return False
    return _same_values(_joined([one for one, _ in small]), _joined([other for _, other in small]))


def _joined(texts: Sequence[bytes]) -> bytes:
    return b"[%b]" % b",".join(texts)


def _same_values(one: bytes, other: bytes) -> bool:
    ours, theirs = _decode(one), _decode(other)
    return _sorted(ours) == _sorted(theirs) or same_json(ours, theirs)


def _sorted(value: Json) -> bytes:
    return msgspec.json.encode(value, order="sorted")
