"""Names of stored files: a random part, and what is left of the name of the upload."""

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
    """Return a name for a new file that was uploaded as `filename`. It has 192 random bits, so nobody can guess it."""
    return f"file_{secrets.token_urlsafe(24)}-{cleaned(filename)}"


def is_name(text: str) -> bool:
    """Return whether `fresh_name` may have made a name, which is then safe in file names and headers."""
    match = _NAME.fullmatch(text)
    return match is not None and cleaned(match[1]) == match[1]


def filename_of(name: str) -> str:
    """Return the part of a stored file's name that comes from the upload."""
    match = _NAME.fullmatch(name)
    assert match is not None, name
    return match[1]


def name_in(url: str) -> str | None:
    """Return the name of the stored file that a URL ends with; None if it ends with none. Any host will do.

    Agents read linked files by this name. Fetching any URL that a client sends would open the server's network to the
    client.
    """
    try:
        name = unquote(urlsplit(url).path.rpartition("/")[2])
    except ValueError:
        return None
    return name if is_name(name) else None


def names_among(text: str) -> Iterator[str]:
    """Yield the names of stored files in a text, also those in URLs."""
    for match in _NAMED.finditer(text):
        yield from filter(is_name, dict.fromkeys((match[0], unquote(match[0]))))


def cleaned(filename: str) -> str:
    """Return a file's name without its folders, with only letters, digits and `._-`, shortened to fit."""
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
