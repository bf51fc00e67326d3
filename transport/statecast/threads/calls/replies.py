"""Replies: what came of a call. An error is one of the same class and with the same fields where the call was made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from statecast.protocol.errors import Conflict, InternalError, RequestError

__all__ = ["Accepted", "Cancelled", "Done", "Gone", "Patched", "Refused", "Reply", "decode_reply", "encode_reply"]


class Accepted(msgspec.Struct, frozen=True, tag="accepted"):
    """A batch was accepted: see `Submission`."""

    run_id: str | None
    live: bool  #: whether the run is queued or under way
    start: int  #: the revision at which it began, or was queued
    revision: int
    snapshot: bool
    waits_since: int | None = None  #: the revision at which the run began to wait for its client


class Cancelled(msgspec.Struct, frozen=True, tag="cancelled"):
    """Whether there was something to cancel."""

    run_id: str | None
    cancelled: bool


class Patched(msgspec.Struct, frozen=True, tag="patched"):
    """The place after a patch."""

    epoch: str
    revision: int


class Done(msgspec.Struct, frozen=True, tag="done"):
    """It is done; or there was nothing to do."""

    done: bool = True


class Gone(msgspec.Struct, frozen=True, tag="gone"):
    """The thread of a batch is there no longer; nothing was applied."""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """Nothing was applied, and why."""

    code: str
    kind: str  #: the name of the error's class
    message: str
    fields: dict[str, Any] = {}

    @classmethod
    def of(cls, error: RequestError) -> Refused:
        """Return the reply for an error."""
        fields = {name: value for name, value in vars(error).items() if _is_plain(value)}
        return cls(error.code, type(error).__name__, error.args[0] if error.args else "", fields)

    def error(self) -> RequestError:
        """Return the error; of a class that this version does not know, a conflict."""
        kind = next((kind for kind in _kinds(RequestError) if kind.__name__ == self.kind), None)
        if kind is None:
            unknown = Conflict(self.message)
            unknown.code = self.code
            return unknown
        error = kind.__new__(kind)
        error.args = (self.message,) if self.message else ()
        vars(error).update(self.fields)
        return error


Reply = Accepted | Cancelled | Patched | Done | Gone | Refused

encode_reply: Final = msgspec.json.Encoder().encode

_decode: Final = msgspec.json.Decoder(Reply)


def decode_reply(data: bytes) -> Reply:
    """Read what `encode_reply` wrote.

    Raises:
        RequestError: `internal_error`: it is no reply that this version knows.
    """
    try:
        reply: Reply = _decode.decode(data)
    except msgspec.DecodeError as error:
        raise InternalError(f"another process has sent a reply that cannot be read: {error}") from None
    return reply


def _kinds(base: type[RequestError]) -> Iterator[type[RequestError]]:
    yield base
    for kind in base.__subclasses__():
        yield from _kinds(kind)


def _is_plain(value: object) -> bool:
    """Return whether a field of an error is JSON."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (str, int, float, bool))
