"""Errors that a request can meet, with their HTTP status.

`Refusal` is raised wherever the reason is found, and answered as `{"error": {"code", "message", …}}`. Its codes are
listed in docs/protocol.md, "Errors".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from statecast_agents import StatecastError

__all__ = ["Refusal"]

#: Characters of what is said of a request that is refused. What was wrong in it may be as long as its body.
MAX_MESSAGE: Final = 2_000


class Refusal(StatecastError):
    """A request that was refused, and had no effect.

    Args:
        status: The HTTP status, a 4xx, or 503 when the server is full.
        code: Stable, for programs.
        message: For people: what was expected, what came, what to do.
        retry_after: Seconds, for the `Retry-After` header.
        headers: Further headers of the response.
        details: Further fields of the error, such as a limit.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["retry-after"] = str(retry_after)
        self.details = details

    def body(self) -> dict[str, Any]:
        """Return the error as it goes on the wire."""
        message = self.message
        if self.status < 500 and len(message) > MAX_MESSAGE:  # a failure's text is the agent's own
            message = f"{message[:MAX_MESSAGE]}…"
        return {"error": {"code": self.code, "message": message, **self.details}}
