"""Commits as segments hold them: MessagePack, with entries apart, because almost everything is entries.

Entries name their thread by its row in `threads`, all other changes by its key, as the engine does. What is true after
both is the same in either order: entries that a change removes are recognized by their revision or their row.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from statecast.stores import base
from statecast.stores.key import Key
from statecast.stores.log import Created, Kind

__all__ = ["CODES", "KINDS", "Commit", "Inserted", "Other", "Placed", "RunChanged", "decode", "encode"]

KINDS: Final[tuple[Kind, ...]] = ("operations", "chunk", "run")
CODES: Final[dict[Kind, Literal[0, 1, 2]]] = {"operations": 0, "chunk": 1, "run": 2}

Placed = tuple[int, int, Literal[0, 1, 2], bytes]  #: row, revision, kind, data of an entry


class Inserted(msgspec.Struct, frozen=True, tag=True):
    """A thread was created, with this row."""

    row: int
    era: str  #: in which it was created
    created: Created

    @property
    def key(self) -> Key:
        """The thread's key."""
        return self.created.key


class RunChanged(msgspec.Struct, frozen=True, tag=True):
    """A run began, or ended: whether one goes on."""

    key: Key
    open: bool


#: A change that is no entry.
Other = Inserted | RunChanged | base.Other


class Commit(msgspec.Struct, frozen=True, array_like=True):
    """What was committed together."""

    number: int  #: one more than that of the commit before
    entries: list[Placed]
    others: list[Other]


encode: Final = msgspec.msgpack.Encoder().encode
decode: Final = msgspec.msgpack.Decoder(Commit).decode
