"""Names of files that are kept: a part that nobody guesses, and what is left of the name that the file came with."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote, urlsplit

__all__ = ["MAX_NAME", "cleaned", "filename_of", "fresh_name", "is_name", "name_in", "names_among"]

MAX_NAME: Final = 1_024  #: characters of the name that a file comes with

_KEPT: Final = 100  #: bytes of it that are kept: a file system takes 255 for a name, and there is more in it
_ENDING: Final = 16  #: characters of an ending, with which a name that is cut still ends
_NAME: Final = re.compile(r"file_[A-Za-z0-9_-]{32}-(.+)")
_NAMED: Final = re.compile(r"file_[A-Za-z0-9_-]{32}-[\w.%-]{0,400}[\w%]")


def fresh_name(filename: str) -> str:
    """Return a name for a new file that came as `filename`. Nobody guesses it: it has 192 random bits."""
    return f"file_{secrets.token_urlsafe(24)}-{cleaned(filename)}"


def is_name(text: str) -> bool:
    """Whether it is a name that `fresh_name` may have made, so that it is harmless as a name of a file or a header."""
    match = _NAME.fullmatch(text)
    return match is not None and cleaned(match[1]) == match[1]


def filename_of(name: str) -> str:
    """Return the part of a kept file's name that it came with."""
    match = _NAME.fullmatch(name)
    assert match is not None, name
    return match[1]


def name_in(url: str) -> str | None:
    """Return the name of the file that a URL of ours serves; None if it is no such URL, of whatever server.

    An agent reads what a message links to by this name: to fetch any URL that a client sends is to let the client use
    the server's network.
    """
    try:
        name = unquote(urlsplit(url).path.rpartition("/")[2])
    except ValueError:
        return None
    return name if is_name(name) else None


def names_among(text: str) -> Iterator[str]:
    """Yield the names of files of ours that a text has, in URLs or as they are."""
    for match in _NAMED.finditer(text):
        yield from filter(is_name, dict.fromkeys((match[0], unquote(match[0]))))


def cleaned(filename: str) -> str:
    """Return a file's name without its folders, and with letters, digits and `._-` alone; cut where it is long."""
    text = unicodedata.normalize("NFC", filename.replace("\\", "/").rpartition("/")[2])
    text = "".join(character if _is_plain(character) else "_" for character in text).strip("._-")
    stem, dot, ending = text.rpartition(".")
    if not dot or len(ending) > _ENDING:
        stem, ending = text, ""
    else:
        ending = dot + ending
    stem = stem.encode()[: _KEPT - len(ending.encode())].decode(errors="ignore")
    return (stem + ending).strip("._-") or "file"


def _is_plain(character: str) -> bool:
    return character in "._-" or unicodedata.category(character)[0] in "LMN"
