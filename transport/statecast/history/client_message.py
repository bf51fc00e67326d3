"""A message as a client wrote it, which the store keeps as a record of its thread."""

from __future__ import annotations

import msgspec

from statecast_agents import Json

__all__ = ["ClientMessage"]


class ClientMessage(msgspec.Struct, frozen=True):
    """A message as a client wrote it."""

    id: str
    parent_id: str | None
    format: str
    content: dict[str, Json]
    created: float  #: seconds since the epoch, as is `updated`
    updated: float
    external_id: str | None = None  #: its id elsewhere, as the client says
