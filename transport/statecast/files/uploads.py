"""`Uploads`: what may be uploaded, and where it is kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from statecast.settings import check_numbers

from .base import Files
from .media import PATTERN, TYPES

__all__ = ["Uploads"]

_URL: Final = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?")


class Uploads(msgspec.Struct, frozen=True, kw_only=True):
    """What may be uploaded, and where it is kept: `create_app(agent, uploads=Uploads(limit=…))`."""

    where: Files | None = None  #: None: in the app's store
    limit: int = 20 * 2**20  #: bytes of one file
    types: Sequence[str] = TYPES  #: media types; `image/*` for all images, `*/*` for anything
    expires: int = 600  #: seconds that a signed URL works
    seconds: float = 600.0  #: until a whole file has arrived
    public_url: str | None = None  #: where clients reach this app; None: where the request came to

    def __post_init__(self) -> None:
        """Check what is said.

        Raises:
            TypeError: A limit is no number.
            ValueError: A limit means nothing, a type is none, or the URL is none.
        """
        check_numbers(self)
        wrong = [pattern for pattern in self.types if PATTERN.fullmatch(pattern) is None]
        if wrong or isinstance(self.types, str):
            raise ValueError(f'expected media types such as "image/png" or "image/*", got {wrong or self.types!r}')
        if self.public_url is not None and _URL.fullmatch(self.public_url) is None:
            raise ValueError(f'expected a URL such as "https://example.com/api", got {self.public_url!r}')
