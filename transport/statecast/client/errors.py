"""The errors of the client."""

from __future__ import annotations

from collections.abc import Mapping

from statecast_agents import Json, StatecastError

__all__ = ["ClientError", "ConnectionLost", "Refused", "RunLost"]


class ClientError(StatecastError):
    """Base of every error of this client."""


class Refused(ClientError):
    """The server refused a request, which had no effect."""

    def __init__(self, status: int, code: str, message: str, details: Mapping[str, Json], retry_after: float) -> None:
        super().__init__(f"{message} ({code})")
        self.status = status  #: the HTTP status
        self.code = code  #: stable, for programs; those of Statecast are listed in docs/protocol/errors.md, "Errors"
        self.message = message  #: for people
        self.details = details  #: further fields of the error, such as a limit
        self.retry_after = retry_after  #: seconds until it is worth trying again; 0 if the server did not say


class ConnectionLost(ClientError):
    """No server answered, or the connection was lost before the answer. Raised only if the client may give up."""

    def __init__(self, url: str, reason: str, *, sent: bool = True) -> None:
        super().__init__(f"no answer from {url}: {reason}")
        self.url = url
        self.reason = reason
        self.sent = sent  #: whether the request may have reached the server, and may have had its effect


class RunLost(ClientError):
    """The run is unknown: it was removed from the queue, or ended so long ago that the server forgot how."""

    def __init__(self, thread_id: str, run_id: str) -> None:
        super().__init__(f'the run "{run_id}" on the thread "{thread_id}" is gone, and how it ended is not known')
        self.thread_id = thread_id
        self.run_id = run_id
