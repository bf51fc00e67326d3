"""Failures: exceptions of an agent's code, as the error that its run fails with."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence
from typing import Final

from statecast.protocol import RunError
from statecast.protocol.errors import RequestError
from statecast.protocol.messages.state_messages import list_in, without
from statecast.threads.errors import AgentFailed
from statecast.threads.tracebacks import from_the_users
from statecast_agents import Agent, AgentError, Json, StatecastError, StateInvalid, TooLarge
from statecast_agents.errors import InvalidAnswer, MessageConflict

__all__ = ["AgentsCode", "explain", "first_state", "raised_one", "validate"]

#: Characters of an error's text, and of its code, that reach clients.
MAX_TEXT: Final = 10_000
MAX_CODE: Final = 128

_log: Final = logging.getLogger("statecast")


def raised_one(failures: Sequence[BaseException]) -> BaseException:
    """Return the exceptions of several tasks as one exception."""
    return failures[0] if len(failures) == 1 else BaseExceptionGroup("several tasks of the agent failed", failures)


def explain(failure: BaseException, what: str, *, debug: bool) -> RunError:
    """Return the error for clients, and log the details that they do not get.

    An `AgentError` raised from another exception has such details: its cause.

    Args:
        failure: What was raised.
        what: What failed because of it, for the log: `run run_… on thread t`.
        debug: Whether clients get all of it.
    """
    try:
        cause = _cause(failure)
    except RecursionError:  # groups within groups within groups
        cause = failure
    if isinstance(cause, AgentError | InvalidAnswer | MessageConflict | TooLarge):
        try:
            error = RunError(_code(cause.code), _sendable(str(cause)))
            if cause.__cause__ is None:
                return error
            _log.error("%s failed", what, exc_info=from_the_users(failure))
            return RunError(error.code, _details(failure, error.message)) if debug else error
        except Exception as unreadable:  # an agent's own `__str__`, which may raise anything
            failure = unreadable
    _log.error("%s failed", what, exc_info=from_the_users(failure))
    if debug:
        return RunError("agent_failed", _details(failure))
    return RunError("agent_failed", "The agent failed. The reason is in the server's log.")


class AgentsCode:
    """Run an agent's code outside a run, in a `with` block: what it raises refuses the request as `agent_failed`.

    Args:
        what: What it is, for the log: `the first state`.

    Raises:
        RequestError: `agent_failed`.
        RequestError: What tells a client what is wrong with its request.
    """

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        # It awaits nothing, so that not even a cancellation is anybody else's.
        if error is not None and not isinstance(error, RequestError):
            _log.error("the agent's code for %s failed", self._what, exc_info=from_the_users(error))
            text = f"the agent's code for {self._what} failed; the reason is in the server's log"
            raise AgentFailed(text) from None


def first_state(agent: Agent) -> Json:
    """Return the agent's initial state.

    Raises:
        RequestError: `agent_failed`.
    """
    with AgentsCode("the first state"):
        return agent.initial_state()


def validate(agent: Agent, state: Json) -> None:
    """Check a state against the agent's state type, which need not have a place for questions.

    Raises:
        StateInvalid: It is not.
        RequestError: `agent_failed`.
    """
    if agent.state_type.declared is None:
        return
    with AgentsCode("validating a state"):
        try:
            agent.state_type.validate(state)
        except StateInvalid:
            if list_in(state, agent.pending) is None:
                raise
            agent.state_type.validate(without(state, agent.pending))


def _cause(failure: BaseException) -> BaseException:
    """Return the cause within exception groups: the first `StatecastError`, else the first exception."""
    if isinstance(failure, BaseExceptionGroup):
        causes = [_cause(inner) for inner in failure.exceptions]
        return next((cause for cause in causes if isinstance(cause, StatecastError)), causes[0])
    return failure


def _code(code: object) -> str:
    """Return an error's code if it can be sent, else `agent_failed`."""
    return code if isinstance(code, str) and 0 < len(code) <= MAX_CODE and code.isprintable() else "agent_failed"


def _details(failure: BaseException, text: str = "") -> str:
    """Return the traceback of an exception, with those of its causes, after the beginning of its text for users."""
    first = f"{text[: MAX_TEXT // 10]}\n\n" if text else ""
    trace = "".join(traceback.format_exception(*from_the_users(failure)))
    return _sendable(first + trace[len(first) - MAX_TEXT :])


def _sendable(text: str) -> str:
    """Return a text that JSON can carry, with lone surrogates (of undecodable file names, say) escaped."""
    return text[:MAX_TEXT].encode("utf-8", "backslashreplace").decode()
