"""Wire protocols, sans I/O: entries in, bytes out. One folder per protocol, registered here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from .ag_ui.wire import AgUiWire
from .ai_sdk.wire import MESSAGE_PROTOCOLS, ChatWire
from .assistant_transport.data_stream import DataStreamEncoder
from .assistant_transport.events import AssistantTransportEncoder
from .entries import ChunkEntry, Cursor, Encoder, Entry, OperationsEntry, RunEntry, RunError, RunState, Status
from .local.wires import JsonWire, SseWire, TextWire
from .messages.encoder import MessageEncoder
from .messages.projection import Projection
from .messages.wire import Wire
from .openai.wire import OpenAiWire

__all__ = [
    "MESSAGE_PROTOCOLS",
    "PROTOCOLS",
    "WIRES",
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
    "Wire",
]

#: By the name in `?protocol=`; the first is the one a client gets that names none.
PROTOCOLS: Final[dict[str, Callable[[str | None], Encoder]]] = {
    DataStreamEncoder.name: DataStreamEncoder,
    AssistantTransportEncoder.name: AssistantTransportEncoder,
}

#: The message protocols that an app serves, each at a path of its own. An app makes one of each.
WIRES: Final[list[type[Wire[Any]]]] = [ChatWire, AgUiWire, TextWire, SseWire, JsonWire, OpenAiWire]
