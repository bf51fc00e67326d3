"""Held answers: the response waits until the status is known, which cannot change once it is sent."""

from __future__ import annotations

from starlette.types import Receive

from statecast.http.errors import RunFailed, RunInterrupted, TokenExpired
from statecast.http.request.caller import EXPIRED
from statecast.protocol import RunError
from statecast.protocol.errors import RequestError

from .stream import expire_in, watched
from .subscription import Subscription

__all__ = ["failed", "hold"]


async def hold(
    subscription: Subscription, receive: Receive, *, seconds: float | None, whole: bool = False
) -> bytes | None:
    """Return the first frames of an answer, or all of them; None if the client disconnects before there are any.

    The subscription stays open only if more is to come. An answer that ends without a frame is `b""`.

    Args:
        subscription: To the answer.
        receive: The request's; it tells when the client disconnects.
        seconds: Until the credentials of its caller expire; None: they do not.
        whole: Whether to wait for the end in any case.
    """
    reader = subscription.source
    pieces: list[bytes] = []
    follows = False
    expiry = expire_in(seconds, subscription.reader)
    try:
        with watched(subscription.reader, receive) as watch:
            while not reader.finished:
                if watch.done():
                    return None
                data = reader.take()
                if data:
                    pieces.append(data)
                    if not whole and not reader.finished:
                        follows = True
                        break
                await reader.wait()
        return b"".join(pieces)
    finally:
        if expiry is not None:
            expiry.cancel()
        if not follows:
            subscription.close(disconnected=not reader.finished)


def failed(error: RunError) -> RequestError:
    """Return the error of a response to a run that failed before anything was sent: one of the server's side."""
    if error.code == "run_interrupted":
        return RunInterrupted(error.message, retry_after=2)
    if error == EXPIRED:
        return TokenExpired(error.message)
    return RunFailed(error.message, code=error.code)
