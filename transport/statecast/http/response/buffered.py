"""Answers that are held back until it is known how they begin: a status cannot be changed once it has left."""

from __future__ import annotations

import asyncio

import msgspec
from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.types import Receive, Scope

from statecast.http.endpoints.chat import on_disconnect
from statecast.http.request.caller import EXPIRED, EXPIRES, expired, seconds_left
from statecast.http.service import Service
from statecast.protocol import RunError
from statecast.protocol.errors import Refusal
from statecast.protocol.messages.encoder import MessageEncoder
from statecast.threads import OnDisconnect, Reader

from .answer import Answer, follow, headers_of
from .stream import watch_client

__all__ = ["BufferedAnswer", "failed", "hold", "lost_connection", "whole"]


class BufferedAnswer(msgspec.Struct, frozen=True):
    """What there was to say of an answer."""

    reader: Reader  #: follows on, unless the answer is over
    said: bytes  #: `b""` only if it is over


async def hold(
    service: Service, answer: Answer, encoder: MessageEncoder, scope: Scope, receive: Receive, *, whole: bool = False
) -> BufferedAnswer | None:
    """Wait until there is something to say, or nothing more will be; None if the client has gone first.

    Args:
        service: The app's.
        answer: What is held.
        encoder: The protocol.
        scope: The request's; where its caller is known no longer, the answer fails.
        receive: Tells when the client has gone.
        whole: Whether to wait for the end in any case.
    """
    thread = answer.accepted.thread
    reader = follow(answer, encoder)
    watch = asyncio.ensure_future(watch_client(receive, reader))
    seconds = seconds_left(scope.get(EXPIRES))
    over = None if seconds is None else asyncio.get_running_loop().call_later(seconds, reader.expire, EXPIRED)
    said: list[bytes] = []
    follows = False
    try:
        while not reader.finished:
            if watch.done():
                return None
            data = reader.take()
            if data:
                said.append(data)
                if not whole and not reader.finished:
                    follows = True
                    break
            await reader.wait()
        return BufferedAnswer(reader, b"".join(said))
    finally:
        watch.cancel()
        if over is not None:
            over.cancel()
        if not follows:
            thread.leave(reader)
        if not follows and not reader.finished:
            service.hub.left(answer.accepted)


def failed(error: RunError) -> Refusal:
    """Return what a failed run is as a response: a fault of the server's side, and not one that trying again mends."""
    if error.code == "run_interrupted":
        return Refusal(503, error.code, error.message, retry_after=2)
    if error == EXPIRED:
        return expired()
    return Refusal(500, error.code, error.message)


def lost_connection(query: QueryParams, thread_id: str | None) -> OnDisconnect | None:
    """Return what a lost connection does to a run: that of a thread without a name, nobody could come back to.

    Raises:
        Refusal: 422 `invalid_request`.
    """
    return on_disconnect(query) or ("cancel" if thread_id is None else None)


def whole(answer: Answer, encoder: MessageEncoder, body: bytes) -> Response:
    """Return the response of an answer that was held until its end."""
    response = Response(body)
    response.raw_headers += [*encoder.headers, *headers_of(answer)]
    return response
