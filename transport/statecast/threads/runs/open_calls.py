"""Open calls: the tool calls that a run leaves without a result, and what happens to them when the run is stopped.

A call that the run waits for gets a result that says "dismissed". A call that was only begun is marked as cut off, so
that it is not answered. A run that the server interrupted leaves both open: they can be answered after the restart.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from statecast_agents import AddToolResult, Run, ToolCall

__all__ = ["cut_off", "dismiss", "open_calls"]

_log: Final = logging.getLogger("statecast")


def open_calls(run: Run) -> list[ToolCall]:
    """Return the calls without a result that follow the user's last message."""
    return run.messages.open_calls() if run.keeps_messages else []


def dismiss(run: Run) -> None:
    """Dismiss the calls that a run waits for."""
    for call in open_calls(run):
        try:
            wanted = run.waiting.wanted([AddToolResult(tool_call_id=call.id, tool_name=call.name)])
        except BaseException:  # the agent's own `where` met what it did not expect
            _log.exception("run %s on thread %s cannot tell what it waits for", run.id, run.thread_id)
            continue
        if wanted:
            call.dismiss()


def cut_off(run: Run, before: Sequence[ToolCall]) -> None:
    """Mark the open calls of a stopped run as cut off, except those that were open `before` it began."""
    known = [call.part for call in before]
    for call in open_calls(run):
        if not any(call.part is part for part in known):
            call.cut_off()
