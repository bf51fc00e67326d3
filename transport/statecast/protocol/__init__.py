"""Wire protocols, sans I/O: entries in, bytes out. One file per protocol, registered here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .ai_sdk.data_stream import DataStreamMessagesEncoder
from .ai_sdk.ui_stream import UIMessageStreamEncoder
from .assistant_transport.data_stream import DataStreamEncoder
from .assistant_transport.events import AssistantTransportEncoder
from .entries import ChunkEntry, Cursor, Encoder, Entry, OperationsEntry, RunEntry, RunError, RunState, Status
from .messages.encoder import MessageEncoder
from .messages.projection import Projection

__all__ = [
    "MESSAGE_PROTOCOLS",
    "PROTOCOLS",
    "ChunkEntry",
    "Cursor",
    "Encoder",
    "Entry",
    "MessageEncoder",
    "OperationsEntry",
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
MESSAGE_PROTOCOLS: Final[dict[str, Callable[[Projection], MessageEncoder]]] = {
    UIMessageStreamEncoder.name: UIMessageStreamEncoder,
    DataStreamMessagesEncoder.name: DataStreamMessagesEncoder,
}
