"""Media types: which one a file has, whether it may be uploaded, and whether a browser may show it by itself."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

__all__ = ["PATTERN", "TYPES", "disposition", "is_among", "is_shown", "media_type"]

#: What may be uploaded by default.
TYPES: Final = (
    "image/*",
    "audio/*",
    "video/*",
    "text/*",
    "application/json",
    "application/pdf",
    "application/msword",
    "application/rtf",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.oasis.opendocument.presentation",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/vnd.oasis.opendocument.text",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
)

_WORD: Final = r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}"
_TYPE: Final = re.compile(rf"({_WORD}/{_WORD}) *(?:;.*)?", re.DOTALL)
_CHARSET: Final = re.compile(r'; *charset="?([a-z0-9_.:-]{1,40})"?')
PATTERN: Final = re.compile(rf"\*/\*|{_WORD}/(?:\*|{_WORD})")  #: of what may be uploaded

#: By ending, what Python's own table lacks in some version. Only where a browser names no type: most do.
_ENDINGS: Final = {
    ".avif": "image/avif",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".markdown": "text/markdown",
    ".md": "text/markdown",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".rtf": "application/rtf",
    ".toml": "text/plain",
    ".webp": "image/webp",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".yaml": "text/plain",
    ".yml": "text/plain",
}
_TABLE: Final = mimetypes.MimeTypes()  # without what the machine has in its files

for _ending, _type in _ENDINGS.items():
    _TABLE.add_type(_type, _ending)


def media_type(header: str, filename: str) -> str | None:
    """Return the type that a Content-Type header names, with its charset; None if the header is none.

    Where it names none, or just bytes, the ending of `filename` decides.
    """
    given = header.strip().lower()
    if given in ("", "application/octet-stream"):
        guessed, encoding = _TABLE.guess_type(filename)
        return guessed if guessed is not None and encoding is None else "application/octet-stream"
    match = _TYPE.fullmatch(given)
    if match is None:
        return None
    charset = _CHARSET.search(given)
    return match[1] if charset is None else f"{match[1]}; charset={charset[1]}"


def is_among(type: str, patterns: Iterable[str]) -> bool:
    """Return whether a type matches one of `patterns`, such as `image/png`, `image/*` or `*/*`."""
    name = type.partition(";")[0]
    return any(
        pattern in (name, "*/*") or (pattern.endswith("/*") and name.startswith(pattern[:-1])) for pattern in patterns
    )


def is_shown(type: str) -> bool:
    """Return whether a browser may show a type inline: one that cannot run scripts, as SVG and HTML can."""
    name = type.partition(";")[0]
    if name in ("application/pdf", "text/plain"):
        return True
    return name.startswith(("image/", "audio/", "video/")) and not name.endswith(("+xml", "/xml"))


def disposition(type: str, filename: str) -> str:
    """Return the Content-Disposition with which a file is served."""
    return f"{'inline' if is_shown(type) else 'attachment'}; filename*=UTF-8''{quote(filename, safe='')}"
