"""Wire protocols, sans I/O: entries in, bytes out. One file per protocol, registered here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .assistant_transport import AssistantTransportEncoder
from .data_stream import DataStreamEncoder
from .data_stream_messages import DataStreamMessagesEncoder
from .entries import ChunkEntry, Cursor, Encoder, Entry, OperationsEntry, RunEntry, RunError, RunState, Status
from .projected import Projected
from .projection import Projection
from .ui_message_stream import UIMessageStreamEncoder

__all__ = [
    "MESSAGE_PROTOCOLS",
    "PROTOCOLS",
    "ChunkEntry",
    "Cursor",
    "Encoder",
    "Entry",
    "OperationsEntry",
    "Projected",
    "Projection",
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

#: By the name in `?protocol=` of `/chat`, likewise.
MESSAGE_PROTOCOLS: Final[dict[str, Callable[[Projection], Projected]]] = {
    UIMessageStreamEncoder.name: UIMessageStreamEncoder,
    DataStreamMessagesEncoder.name: DataStreamMessagesEncoder,
}
