"""Answers that are held back until it is known how they begin: a status cannot be changed once it has left."""

from __future__ import annotations

from starlette.types import Receive

from statecast.http.errors import RunFailed, RunInterrupted, TokenExpired
from statecast.http.request.caller import EXPIRED
from statecast.protocol import RunError
from statecast.protocol.errors import RequestError

from .stream import watched
from .subscription import Subscription

__all__ = ["failed", "hold"]


async def hold(
    subscription: Subscription, receive: Receive, *, seconds: float | None, whole: bool = False
) -> bytes | None:
    """Wait until there is something to send, or nothing more will be, and return it; None if the client has gone first.

    The subscription stays open only if there is more to come: what is returned is `b""` only if it is closed.

    Args:
        subscription: What is held.
        receive: Tells when the client has gone.
        seconds: Until the credentials of its caller expire; None: they do not.
        whole: Whether to wait for the end in any case.
    """
    reader = subscription.source
    taken: list[bytes] = []
    follows = False
    try:
        with watched(subscription, receive, seconds) as watch:
            while not reader.finished:
                if watch.done():
                    return None
                data = reader.take()
                if data:
                    taken.append(data)
                    if not whole and not reader.finished:
                        follows = True
                        break
                await reader.wait()
        return b"".join(taken)
    finally:
        if not follows:
            subscription.close(left=not reader.finished)


def failed(error: RunError) -> RequestError:
    """Return what a failed run is as a response: a fault of the server's side, and not one that trying again mends."""
    if error.code == "run_interrupted":
        return RunInterrupted(error.message, retry_after=2)
    if error == EXPIRED:
        return TokenExpired(error.message)
    return RunFailed(error.message, code=error.code)
