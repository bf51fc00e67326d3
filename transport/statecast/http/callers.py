"""Callers: who sends a request, and until when that is known."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import msgspec
from starlette.requests import HTTPConnection

from statecast.threads import user_id

__all__ = ["Caller", "Identify", "caller_of"]

#: Returns whose a request is: a text, or any object or mapping with an `id`; None: no one's in particular.
Identify: TypeAlias = Callable[[HTTPConnection], Awaitable[object]]


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who sends a request."""

    owner: str | None = None  #: of their threads
    user: Any = None  #: as the app's `identify` returned them; for agents only


def caller_of(user: object) -> Caller:
    """Return the caller whom an app's `identify` has returned.

    Raises:
        TypeError, ValueError: It has returned no user, which is the app's own fault.
    """
    return Caller() if user is None else Caller(owner=user_id(user), user=user)
