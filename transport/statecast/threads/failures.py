"""Failures: what an agent's code has raised, as the error that its run fails with."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence
from typing import Final

from statecast.protocol import RunError
from statecast_agents import AgentError, StatecastError
from statecast_agents.errors import MessageConflict

__all__ = ["explain", "raised_one"]

#: Characters of an error's text, and of its code, that reach clients.
MAX_TEXT: Final = 10_000
MAX_CODE: Final = 128

_log: Final = logging.getLogger("statecast")


def raised_one(failures: Sequence[BaseException]) -> BaseException:
    """Return what several tasks of one agent raised as one exception."""
    return failures[0] if len(failures) == 1 else BaseExceptionGroup("several tasks of the agent failed", failures)


def explain(failure: BaseException, what: str, *, debug: bool) -> RunError:
    """Return the error that clients get, and log what they do not.

    Args:
        failure: What was raised.
        what: What failed because of it, for the log: `run run_… on thread t`.
        debug: Whether clients get all of it.
    """
    try:
        cause = _cause(failure)
    except RecursionError:  # groups within groups within groups
        cause = failure
    if isinstance(cause, AgentError | MessageConflict):
        try:
            return RunError(_code(cause.code), _sendable(str(cause)))
        except Exception as unreadable:  # an agent's own `__str__`, which may raise anything
            failure = unreadable
    _log.error("%s failed", what, exc_info=failure)
    if debug:
        return RunError("agent_failed", _sendable("".join(traceback.format_exception(failure))[-MAX_TEXT:]))
    return RunError("agent_failed", "The agent failed. The reason is in the server's log.")


def _cause(failure: BaseException) -> BaseException:
    """Return what went wrong within task groups: the agent's own word for it, if it is there, else the first."""
    if isinstance(failure, BaseExceptionGroup):
        causes = [_cause(inner) for inner in failure.exceptions]
        return next((cause for cause in causes if isinstance(cause, StatecastError)), causes[0])
    return failure


def _code(code: object) -> str:
    """Return an error's code, if it is one that can be sent."""
    return code if isinstance(code, str) and 0 < len(code) <= MAX_CODE and code.isprintable() else "agent_failed"


def _sendable(text: str) -> str:
    """Return a text as JSON can carry it: of undecodable file names, say, the odd bytes are spelled out."""
    return text[:MAX_TEXT].encode("utf-8", "backslashreplace").decode()
