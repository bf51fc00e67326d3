"""The engine: threads, their logs and inboxes, runs, and the readers that follow. anyio and asyncio; no HTTP."""

from .aside import aside
from .asked import Asked, HookFailed
from .batch import OnDisconnect
from .belongings import MESSAGE
from .connections import Connections
from .failures import first_state
from .hub import Accepted, Hub
from .inbox import Posted, was_said
from .limits import Limits
from .queued import queued
from .readers import Reader
from .run import Execution
from .shelf import Shelf
from .thread import Thread
from .users import user_id
from .written import can_follow, check_written, has_only, with_messages

__all__ = [
    "MESSAGE",
    "Accepted",
    "Asked",
    "Connections",
    "Execution",
    "HookFailed",
    "Hub",
    "Limits",
    "OnDisconnect",
    "Posted",
    "Reader",
    "Shelf",
    "Thread",
    "aside",
    "can_follow",
    "check_written",
    "first_state",
    "has_only",
    "queued",
    "user_id",
    "was_said",
    "with_messages",
]
