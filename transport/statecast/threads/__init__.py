"""The engine: threads, their logs and inboxes, runs, and the readers that follow. anyio and asyncio; no HTTP."""

from .batch import OnDisconnect
from .cascade import MESSAGE
from .client_messages import can_follow, check_written, has_only, with_messages
from .connection_limits import Connections
from .directory import MAX_FIELD, Directory
from .execution import Execution
from .failures import first_state
from .history import EACH, LEASE, History
from .hook_calls import HookCalls, HookFailed
from .hub import Hub, Submission
from .limits import Limits
from .offload import offload
from .reader import Reader
from .rules import Posted, ThreadGone, check_built_in, is_applied
from .thread import Thread
from .users import user_id

__all__ = [
    "EACH",
    "LEASE",
    "MAX_FIELD",
    "MESSAGE",
    "Connections",
    "Directory",
    "Execution",
    "History",
    "HookCalls",
    "HookFailed",
    "Hub",
    "Limits",
    "OnDisconnect",
    "Posted",
    "Reader",
    "Submission",
    "Thread",
    "ThreadGone",
    "can_follow",
    "check_built_in",
    "check_written",
    "first_state",
    "has_only",
    "is_applied",
    "offload",
    "user_id",
    "with_messages",
]
