"""`Result`: what a client knows when a response has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from statecast_agents import Json

__all__ = ["Result"]


@dataclass(frozen=True)
class Result:
    """What a client has received when its request has ended. A refused one has an `error` and no chunks."""

    status: int  #: of the response
    headers: Mapping[str, str]  #: of the response, with names in lower case
    state: Json  #: what the client's state became, operation by operation
    chunks: Sequence[Mapping[str, Json]]  #: everything that the stream carried, in order
    error: Mapping[str, Json] | None  #: `{"code", "message", …}`: a refusal, a failed run, or a stream cut off

    @property
    def thread_id(self) -> str:
        """The thread's id, for the next request."""
        return self.headers["statecast-thread-id"]

    @property
    def code(self) -> str | None:
        """The error's code; None if there was no error."""
        return None if self.error is None else self.error["code"]
