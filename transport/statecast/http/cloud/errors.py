"""The errors of requests that only the cloud API has. The tree is drawn in `statecast.protocol.errors`."""

from __future__ import annotations

from statecast.protocol.errors import Conflict, Forbidden, Unavailable, Unknown

__all__ = [
    "AnonymousNotAllowed",
    "ApiKeyRequired",
    "FileExists",
    "InvalidSignature",
    "IssuerUnavailable",
    "LeaseEnded",
    "LeaseMismatch",
    "UnknownLease",
    "UrlExpired",
]


class AnonymousNotAllowed(Forbidden):
    """This server gives no identity to whoever asks."""

    code = "anonymous_not_allowed"


class ApiKeyRequired(Forbidden):
    """Only the app's own server, with its API key, may ask this."""

    code = "api_key_required"


class InvalidSignature(Forbidden):
    """The URL is not one that this server has signed, or it was changed."""

    code = "invalid_signature"


class UrlExpired(Forbidden):
    """The signed URL has expired."""

    code = "url_expired"


class UnknownLease(Unknown):
    """The thread has no run lease of this id, or a newer one has replaced it."""

    code = "unknown_lease"


class LeaseEnded(Conflict):
    """The run lease has ended."""

    code = "run_ended"


class LeaseMismatch(Conflict):
    """The run lease belongs to another message, or a newer one has replaced it."""

    code = "lease_mismatch"


class FileExists(Conflict):
    """A file was uploaded to this signed URL already."""

    code = "file_exists"


class IssuerUnavailable(Unavailable):
    """The keys of the token's issuer cannot be fetched."""

    code = "issuer_unavailable"
