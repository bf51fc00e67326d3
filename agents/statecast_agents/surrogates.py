r"""Characters that come in halves: a model's provider may cut an emoji in two, between one delta and the next.

JSON writes such a character as two escapes, `\\ud83d\\ude00`, and a provider that sends one after the other makes two
lone surrogates of it in Python. The first half waits, unseen, until the text grows by the second one. A half that is
followed by anything else, or by nothing, is left out. Source: docs/protocol.md, "What a state can hold".
"""

from __future__ import annotations

from typing import Any, Final

from .errors import NotJson

__all__ = ["PendingSurrogates", "SplitText", "check_text", "paired"]

#: Texts of one state that may end in the first half of a character at a time; the oldest gives way.
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


def paired(text: str) -> tuple[str, str]:
    """Return `text` with its split characters joined, up to a first half at its end, and that half, or "".

    Raises:
        NotJson: It holds a half whose other half is not next to it.
    """
    half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
    data = text[: len(text) - len(half)].encode("utf-16-le", "surrogatepass")
    try:
        return data.decode("utf-16-le"), half
    except UnicodeDecodeError as error:
        at = len(data[: error.start].decode("utf-16-le"))
        lone = data[error.start : error.start + 2].decode("utf-16-le", "surrogatepass")
        raise NotJson("text without lone surrogates", f"{lone!r} at character {at}") from None


class SplitText:
    """Joins the characters that were cut in two between the deltas of one text."""

    __slots__ = ("half",)

    def __init__(self) -> None:
        self.half = ""  #: what waits for its other half

    def join(self, delta: str) -> str:
        """Return by what the text grows: `delta`, without a first half at its end, and behind the one that waits.

        Raises:
            NotJson: It holds a half without its other half; nothing has changed.
        """
        if not delta:
            return ""
        whole, half = delta, ""
        if not delta.isascii():
            try:
                delta.encode()
            except UnicodeEncodeError:
                whole, half = paired(self.half + delta if "\udc00" <= delta[0] <= "\udfff" else delta)
        self.half = half
        return whole


class PendingSurrogates:
    """The first halves that wait in a state, by the slot whose text they end."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        #: by the node's id and the key: the node, so that its id stays its own, the half, and the text's length
        self._waiting: dict[tuple[int, Any], tuple[object, str, int]] = {}

    def join(self, node: object, key: str | int | None, size: int, delta: str) -> str:
        """Return by what a text of `size` characters grows, as `SplitText.join`.

        A half counts only while the text is as long as it was: what came since stands between it and its other half.

        Raises:
            NotJson: It holds a half without its other half; nothing has changed.
        """
        slot = id(node), key
        _, before, at = self._waiting.get(slot, (None, "", size))
        text = SplitText()
        text.half = before if at == size else ""
        whole = text.join(delta)
        self._waiting.pop(slot, None)
        if text.half:
            self._waiting[slot] = node, text.half, size + len(whole)
            if len(self._waiting) > MAX_WAITING:
                del self._waiting[next(iter(self._waiting))]
        return whole
