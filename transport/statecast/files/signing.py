"""Signatures of URLs, which prove that this server issued them, for one use and until a time."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from typing import Final

import msgspec

__all__ = ["SECRET_BYTES", "Signer"]

SECRET_BYTES: Final = 32


class Signer:
    """Signs with a secret.

    Args:
        secret: The secret.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, *facts: str | int | None) -> str:
        """Return the signature of facts: HMAC-SHA256, in letters, digits, `-` and `_`."""
        digest = hmac.digest(self._secret, msgspec.json.encode(facts), hashlib.sha256)
        return urlsafe_b64encode(digest).rstrip(b"=").decode()

    def agrees(self, signature: str, *facts: str | int | None) -> bool:
        """Return whether a signature is that of these facts, in constant time."""
        return hmac.compare_digest(signature.encode(), self.sign(*facts).encode())
