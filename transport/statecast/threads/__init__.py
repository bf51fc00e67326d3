"""The engine: threads, their logs and inboxes, runs, and the readers that follow. anyio and asyncio; no HTTP."""

from .admission import AnyRun
from .connection_limits import Connections
from .history import EACH, LEASE, History
from .hub import Hub, Submission
from .imports import Imported
from .limits import Limits
from .log.reader import Reader
from .observer import Answered, ObservedRun, Observer
from .offload import offload
from .past_reader import PastReader
from .recording import RunRecord
from .records.client_messages import with_messages
from .records.directory import MAX_FIELD, Directory
from .rules import Posted, ThreadGone, check_built_in
from .runs.batch import OnDisconnect
from .runs.execution import Execution
from .runs.failures import first_state
from .runs.hook_calls import HookCalls, HookFailed
from .runs.users import user_id
from .thread import Thread

__all__ = [
    "EACH",
    "LEASE",
    "MAX_FIELD",
    "Answered",
    "AnyRun",
    "Connections",
    "Directory",
    "Execution",
    "History",
    "HookCalls",
    "HookFailed",
    "Hub",
    "Imported",
    "Limits",
    "ObservedRun",
    "Observer",
    "OnDisconnect",
    "PastReader",
    "Posted",
    "Reader",
    "RunRecord",
    "Submission",
    "Thread",
    "ThreadGone",
    "check_built_in",
    "first_state",
    "offload",
    "user_id",
    "with_messages",
]
