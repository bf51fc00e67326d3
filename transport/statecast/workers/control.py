"""What a worker and its parent say to each other: lines of JSON on a socket, which is closed when one of them ends."""

from __future__ import annotations

from typing import Final

import msgspec

from statecast.http.counted import Counted

__all__ = [
    "ENVIRONMENT",
    "LONGEST",
    "Beat",
    "CountsAre",
    "CountsNeeded",
    "CountsOfOthers",
    "Ready",
    "Said",
    "Started",
    "TellCounts",
    "Told",
    "WriterAt",
    "WriterNeeded",
    "decode_said",
    "decode_told",
    "encode",
]

#: The environment variable that makes a process a worker.
ENVIRONMENT: Final = "_STATECAST_WORKER"


class Started(msgspec.Struct, frozen=True):
    """What a worker is given."""

    beat: float  #: seconds between two heartbeats

    listening: list[int]  #: the descriptors of the sockets on which it accepts connections
    control: int  #: that of its end of the socket
    path: list[str]  #: where Python looks for modules
    again: bool = False  #: whether one has served before it, so that it serves also where its code does not load


class WriterNeeded(msgspec.Struct, frozen=True, tag=True):
    """The worker needs a process that has the file of a store open."""

    path: str
    durable: bool


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The worker accepts connections."""

    agents: list[str]  #: their names
    stopping: float  #: seconds that it takes at most to end after SIGTERM, unless something blocks


class Beat(msgspec.Struct, frozen=True, tag=True):
    """The worker's event loop turns."""


class CountsNeeded(msgspec.Struct, frozen=True, tag=True):
    """The worker needs what all others have counted."""

    own: list[Counted]  #: what it has counted itself


class CountsAre(msgspec.Struct, frozen=True, tag=True):
    """What the worker has counted."""

    own: list[Counted]


class WriterAt(msgspec.Struct, frozen=True, tag=True):
    """The answer to `WriterNeeded`."""

    path: str  #: of its socket
    problem: str  #: why there is none; empty if there is one


class TellCounts(msgspec.Struct, frozen=True, tag=True):
    """The parent needs what the worker has counted."""


class CountsOfOthers(msgspec.Struct, frozen=True, tag=True):
    """The answer to `CountsNeeded`."""

    others: list[list[Counted]]


Said = WriterNeeded | Ready | Beat | CountsNeeded | CountsAre  #: by a worker
Told = WriterAt | TellCounts | CountsOfOthers  #: to a worker

#: Bytes of a line at most.
LONGEST: Final = 2**24

encode: Final = msgspec.json.Encoder().encode
decode_said: Final = msgspec.json.Decoder(Said).decode
decode_told: Final = msgspec.json.Decoder(Told).decode
