"""Wire protocols, sans I/O: entries in, bytes out. One file per protocol, registered here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .assistant_transport import AssistantTransportEncoder
from .data_stream import DataStreamEncoder
from .entries import ChunkEntry, Cursor, Encoder, Entry, OperationsEntry, RunEntry, RunError, RunState, Status

__all__ = [
    "PROTOCOLS",
    "ChunkEntry",
    "Cursor",
    "Encoder",
    "Entry",
    "OperationsEntry",
    "RunEntry",
    "RunError",
    "RunState",
    "Status",
]

#: By the name in `?protocol=`; the first is the one a client gets that names none.
PROTOCOLS: Final[dict[str, Callable[[str | None], Encoder]]] = {
    DataStreamEncoder.name: DataStreamEncoder,
    AssistantTransportEncoder.name: AssistantTransportEncoder,
}
