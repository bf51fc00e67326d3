"""Users: the objects that the app's `identify` returned, and what of them survives a restart.

Only the user's id is the owner of threads. Nothing else of a user leaves the server.
Source: docs/guides/deploying.md, "The user in the agent".
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any, Final, Literal

import msgspec

from statecast_agents import Json, to_json

__all__ = ["StoredUser", "restored_user", "stored_user", "user_id"]

#: Bytes of a stored user; of a larger one, only the id is stored.
MOST: Final = 16 * 2**10

MAX_ID: Final = 500  #: characters of an id

_EXPECTED: Final = "a text, an object or a mapping with an `id`, or None"


class StoredUser(msgspec.Struct, frozen=True, array_like=True):
    """The stored form of a user, stored with a queued batch."""

    form: Literal["text", "mapping", "object"]
    value: Json


def user_id(user: object) -> str:
    """Return a user's id: the value itself, or its `id`, which may also be an integer or a UUID.

    Raises:
        TypeError: It has no id.
        ValueError: The id is empty, too long, or holds a lone surrogate.
    """
    found = user
    if not isinstance(user, str):
        found = user.get("id") if isinstance(user, Mapping) else getattr(user, "id", None)
    if isinstance(found, uuid.UUID | int) and not isinstance(found, bool):
        found = str(found)
    if not isinstance(found, str):
        raise TypeError(f"expected `identify` to return {_EXPECTED}, got {type(user).__name__}")
    if not 0 < len(found) <= MAX_ID:
        raise ValueError(f"expected the user's id to have 1 to {MAX_ID} characters, got {len(found)}")
    try:
        found.encode()
    except UnicodeEncodeError:
        raise ValueError("expected the user's id to be text without lone surrogates") from None
    return str.__str__(found)


def stored_user(user: object) -> StoredUser | None:
    """Return the stored form of a user: the id, and the public fields that JSON can hold."""
    if user is None:
        return None
    if isinstance(user, str):
        return StoredUser("text", str.__str__(user))
    fields = {name: value for name, value in _fields(user) if _is_public(name)}
    stored = {name: plain for name, value in fields.items() if (plain := _plain(value)) is not msgspec.UNSET}
    if "id" not in stored or len(msgspec.json.encode(stored)) > MOST:
        stored = {"id": user_id(user)}
    return StoredUser("mapping" if isinstance(user, Mapping) else "object", stored)


def restored_user(stored: StoredUser | None) -> Any:  # as `Run.user`
    """Return a user for a run after a restart: a text, a dict, or an object with the stored fields."""
    if stored is None:
        return None
    return SimpleNamespace(**stored.value) if stored.form == "object" else stored.value


def _fields(user: object) -> Iterable[tuple[str, object]]:
    if isinstance(user, Mapping):
        return list(user.items())
    if isinstance(user, msgspec.Struct):
        names: Iterable[str] = user.__struct_fields__
    elif dataclasses.is_dataclass(user):
        names = [field.name for field in dataclasses.fields(user)]
    else:
        names = getattr(user, "__dict__", {})
    return [(name, getattr(user, name, None)) for name in ("id", *names)]


def _is_public(name: object) -> bool:
    return isinstance(name, str) and not name.startswith("_")


def _plain(value: object) -> Json:
    try:
        return to_json(value)
    except Exception:  # a field of the app's own that is no JSON, or fails to become it: it is not stored
        return msgspec.UNSET
