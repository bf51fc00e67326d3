"""Rewinding: a thread's state becomes what it was at an earlier revision.

The log only grows: readers get the operations that make the earlier state, and the revisions in between stay in the
history. Messages that clients have written into a history stay there as another branch.
"""

from __future__ import annotations

from statecast_agents import Json, operations

from .earlier import asked_then, shared_messages
from .log.stretch import Point
from .thread import Thread

__all__ = ["rewind"]


def rewind(thread: Thread, point: Point, state: Json) -> None:
    """Change a thread's state, and its agent's memory, back to what they were. No run may be under way. O(the state).

    Args:
        thread: The thread.
        point: What it was.
        state: The state there, decoded.
    """
    with thread.document.lock:
        thread.flush()
        now = thread.document.plain()
        ids, same = shared_messages(thread.agent.messages, now, state)
        if same < len(ids):
            thread.memory.cut(ids, same)
        for operation in operations.diff(now, state):
            thread.document.apply(operation)
        thread.flush()
    asked = asked_then(point, state, thread.agent)
    if asked is not None:
        thread.record(asked)
