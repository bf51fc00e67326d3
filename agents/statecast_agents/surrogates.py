r"""Surrogate pairs that are split between two deltas of a text, as some model providers split an emoji.

JSON writes such a character as two escapes, `\\ud83d\\ude00`, and a provider that sends one after the other makes two
lone surrogates of it in Python. The high one is held back until the low one is appended. One that is followed by
anything else, or by nothing, is left out. Source: docs/protocol/state-and-operations.md, "What a state can hold".
"""

from __future__ import annotations

from typing import Any, Final

from .errors import NotJson

__all__ = ["PendingSurrogates", "SurrogateJoiner", "check_text", "join_surrogates"]

#: Texts of one state that may end in a high surrogate at a time; the oldest gives way.
MAX_WAITING: Final = 256


def check_text(text: object) -> str:
    """Return `text` as an exact str.

    Raises:
        TypeError: It is no str.
    """
    if not isinstance(text, str):
        hint = "; decode it first" if isinstance(text, (bytes, bytearray)) else ""
        raise TypeError(f"expected text (a str), got {type(text).__name__} {text!r:.60}{hint}")
    return str.__str__(text)


def join_surrogates(text: str) -> tuple[str, str]:
    """Join the surrogate pairs in `text`, and return it without a high surrogate at its end, and that one, or "".

    Raises:
        NotJson: It holds a lone surrogate.
    """
    half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
    data = text[: len(text) - len(half)].encode("utf-16-le", "surrogatepass")
    try:
        return data.decode("utf-16-le"), half
    except UnicodeDecodeError as error:
        at = len(data[: error.start].decode("utf-16-le"))
        lone = data[error.start : error.start + 2].decode("utf-16-le", "surrogatepass")
        raise NotJson("text without lone surrogates", f"{lone!r} at character {at}") from None


class SurrogateJoiner:
    """Join surrogate pairs that are split between the deltas of one text."""

    __slots__ = ("half",)

    def __init__(self) -> None:
        self.half = ""  #: the high surrogate that waits for its low one

    def join(self, delta: str) -> str:
        """Return what the text grows by: the waiting surrogate and `delta`, without a high surrogate at its end.

        Raises:
            NotJson: It holds a lone surrogate; nothing has changed.
        """
        if not delta:
            return ""
        whole, half = delta, ""
        if not delta.isascii():
            try:
                delta.encode()
            except UnicodeEncodeError:
                whole, half = join_surrogates(self.half + delta if "\udc00" <= delta[0] <= "\udfff" else delta)
        self.half = half
        return whole


class PendingSurrogates:
    """The high surrogates that wait for their low ones, by the slot whose text they end."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        #: by the node's id and the key: the node, so that its id is not reused, the surrogate, and the text's length
        self._waiting: dict[tuple[int, Any], tuple[object, str, int]] = {}

    def join(self, node: object, key: str | int | None, size: int, delta: str) -> str:
        """Return what a text of `size` characters grows by, as `SurrogateJoiner.join` does.

        A waiting surrogate counts only while the text is as long as it was: later text stands between the two.

        Raises:
            NotJson: It holds a lone surrogate; nothing has changed.
        """
        slot = id(node), key
        _, before, at = self._waiting.get(slot, (None, "", size))
        text = SurrogateJoiner()
        text.half = before if at == size else ""
        whole = text.join(delta)
        self._waiting.pop(slot, None)
        if text.half:
            self._waiting[slot] = node, text.half, size + len(whole)
            if len(self._waiting) > MAX_WAITING:
                del self._waiting[next(iter(self._waiting))]
        return whole
