"""What clients of different versions do differently, as far as tests depend on it; each with the version that began it.

A version here is the first in which it was seen, not necessarily the first that had it.
"""

from __future__ import annotations

from tests.clients.packages import CLIENTS

__all__ = [
    "DELETED",
    "RECENT",
    "knows_approvals",
    "names_new_threads",
    "prints_deleted_threads",
    "prints_failed_appends",
    "runs_need_a_thread",
]

#: Versions that guides name for what older clients cannot do. `make test-newest` runs those guides, on these or newer.
RECENT = frozenset({"@assistant-ui/react@0.15.22", "assistant-cloud@0.2.11"})

#: What the errors of `prints_deleted_threads` contain.
DELETED = "not found while getting its runtime"


def names_new_threads() -> bool:
    """Whether the first request of a new thread carries the id that its list gave it; older clients send none."""
    return CLIENTS.version("@assistant-ui/core") >= (0, 3, 35)


def prints_failed_appends() -> bool:
    """Whether a local runtime also prints an error that it shows as the message's status."""
    return CLIENTS.version("@assistant-ui/core") >= (0, 3, 35)


def knows_approvals() -> bool:
    """Whether decoders of the data stream take lines about approvals; older ones end the run at one."""
    return CLIENTS.version("assistant-stream") >= (0, 3, 57)


def prints_deleted_threads() -> bool:
    """Whether a page prints errors of its own that a thread is not found, once it is deleted after it was shown."""
    return CLIENTS.version("@assistant-ui/core") >= (0, 3, 35)


def runs_need_a_thread() -> bool:
    """Whether `useCloudRuntime` never gets as far as a request.

    The cloud's client expects the runtime to pass it the thread's id, and `@assistant-ui/react-data-stream` 0.12.32,
    the newest, passes nothing.
    """
    return CLIENTS.version("assistant-cloud") >= (0, 2, 11)
