"""JSON's content types. Source: RFC 9110, section 8.3; RFC 8259."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["is_json"]

_TOKEN: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_TYPE: Final = re.compile(r"application/(?:[a-z0-9!#$&^_.+-]+\+)?json")

#: One parameter, or none between two semicolons.
_PARAMETER: Final = re.compile(rf'[ \t]*;[ \t]*(?:({_TOKEN})=(?:({_TOKEN})|"((?:[^"\\]|\\.)*)"))?', re.DOTALL)

#: Names of UTF-8, and of what is part of it.
_UTF8: Final = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


def is_json(header: str) -> bool:
    """Return whether a Content-Type is JSON in UTF-8. Parameters that JSON does not define mean nothing."""
    kind, semicolon, rest = header.partition(";")
    if _TYPE.fullmatch(kind.strip().lower()) is None:
        return False
    parameters, place = (semicolon + rest).rstrip(), 0
    while place < len(parameters):
        found = _PARAMETER.match(parameters, place)
        if found is None:
            return False
        name, token, quoted = found.groups()
        if name is not None and name.lower() == "charset":
            charset = token if quoted is None else quoted
            if charset.lower() not in _UTF8:
                return False
        place = found.end()
    return True
