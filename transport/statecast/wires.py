"""Wires: what a message protocol of your own is made of, and the list of those that an app serves.

Source: docs/guides/add-a-protocol.md.
"""

from .protocol import WIRES
from .protocol.errors import ErrorForm, InvalidRequest, RequestError
from .protocol.event_stream import EVENT_STREAM, HEARTBEAT, STREAMED, event_frame, typed_event
from .protocol.json_checks import decode
from .protocol.messages.collecting import CollectingEncoder, spoken
from .protocol.messages.conversation import Conversation, PostedMessage
from .protocol.messages.encoder import MessageEncoder
from .protocol.messages.part_events import Event, InMessage, Rewritten, RunTurned, StateChanged, StateReplaced
from .protocol.messages.projection import Projection
from .protocol.messages.wire import AgentName, Delivery, Description, Exchange, Opening, ThreadView, Wire, WireRequest

__all__ = [
    "EVENT_STREAM",
    "HEARTBEAT",
    "STREAMED",
    "WIRES",
    "AgentName",
    "CollectingEncoder",
    "Conversation",
    "Delivery",
    "Description",
    "ErrorForm",
    "Event",
    "Exchange",
    "InMessage",
    "InvalidRequest",
    "MessageEncoder",
    "Opening",
    "PostedMessage",
    "Projection",
    "RequestError",
    "Rewritten",
    "RunTurned",
    "StateChanged",
    "StateReplaced",
    "ThreadView",
    "Wire",
    "WireRequest",
    "decode",
    "event_frame",
    "spoken",
    "typed_event",
]
