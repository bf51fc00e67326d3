"""What a worker and its parent say to each other: lines of JSON on a socket, which is closed when one of them ends."""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["ENVIRONMENT", "Ready", "Started", "WriterAt", "WriterNeeded", "decode", "encode"]

#: The environment variable that makes a process a worker.
ENVIRONMENT: Final = "_STATECAST_WORKER"


class Started(msgspec.Struct, frozen=True):
    """What a worker is given."""

    listening: list[int]  #: the descriptors of the sockets on which it accepts connections
    control: int  #: that of its end of the socket
    path: list[str]  #: where Python looks for modules


class WriterNeeded(msgspec.Struct, frozen=True, tag=True):
    """The worker needs a process that has the file of a store open."""

    path: str
    durable: bool


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The worker accepts connections."""

    agents: list[str]  #: their names
    stopping: float  #: seconds that it takes at most to end after SIGTERM, unless something blocks


class WriterAt(msgspec.Struct, frozen=True):
    """The answer to `WriterNeeded`."""

    path: str  #: of its socket
    problem: str  #: why there is none; empty if there is one


encode: Final = msgspec.json.Encoder().encode
decode: Final = msgspec.json.Decoder(WriterNeeded | Ready).decode
