"""`Uploads`: which files may be uploaded, and where they are stored."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from statecast_agents.settings import check_numbers, check_texts

from .base import Files
from .media import PATTERN, TYPES

__all__ = ["Uploads"]

_URL: Final = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?")


class Uploads(msgspec.Struct, frozen=True, kw_only=True):
    """Which files may be uploaded, and where they are stored: `create_app(agent, uploads=Uploads(limit=…))`."""

    where: Files | None = None  #: None: in the app's store
    limit: int = 20 * 2**20  #: bytes of one file
    types: Sequence[str] = TYPES  #: media types; `image/*` for all images, `*/*` for anything
    expires: int = 600  #: seconds that a signed URL works
    seconds: float = 600.0  #: until a whole file has arrived
    public_url: str | None = None  #: where clients reach this app; None: where the request came to

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            TypeError: A setting is of the wrong kind.
            ValueError: A limit means nothing, a type is none, or the URL is none.
        """
        check_numbers(self)
        if self.where is not None and not all(
            callable(getattr(self.where, name, None)) for name in ("write", "find", "read", "delete")
        ):
            raise TypeError(f"expected Uploads.where to be Files, such as FolderFiles(…), got {self.where!r}")
        wrong = [pattern for pattern in check_texts("Uploads.types", self.types) if PATTERN.fullmatch(pattern) is None]
        if wrong:
            raise ValueError(f'expected media types such as "image/png" or "image/*", got {wrong}')
        if self.public_url is not None and not isinstance(self.public_url, str):
            raise TypeError(f"expected Uploads.public_url to be a text, got {self.public_url!r}")
        if self.public_url is not None and _URL.fullmatch(self.public_url) is None:
            raise ValueError(f'expected a URL such as "https://example.com/api", got {self.public_url!r}')
