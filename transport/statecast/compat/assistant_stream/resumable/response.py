"""Responses of resumable streams: of one that begins, and of one that is there already."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from statecast.compat.assistant_stream.create_run import RunController, create_run
from statecast.compat.assistant_stream.serialization import HEADERS, DataStreamEncoder, Streamed, StreamEncoder, logged

from .context import ResumableStreamContext
from .store import ResumableStreamError

__all__ = [
    "RESUMABLE_STREAM_ID_HEADER",
    "create_resumable_assistant_stream_response",
    "create_resume_assistant_stream_response",
]

RESUMABLE_STREAM_ID_HEADER: Final = "x-resumable-stream-id"


async def create_resumable_assistant_stream_response(
    *,
    context: ResumableStreamContext,
    stream_id: str,
    callback: Callable[[RunController], Coroutine[Any, Any, None]],
    encoder: StreamEncoder | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a response that streams a run, which goes on if the client leaves.

    Raises:
        ResumableStreamError: `invalid-id`.
    """
    writer = encoder or DataStreamEncoder()

    async def make_stream() -> AsyncIterator[bytes]:
        async for text in writer.encode_stream(logged(create_run(callback))):
            yield text.encode()

    return _response(await context.run(stream_id, make_stream), writer, stream_id, headers)


async def create_resume_assistant_stream_response(
    *,
    context: ResumableStreamContext,
    stream_id: str,
    encoder: StreamEncoder | None = None,
    headers: Mapping[str, str] | None = None,
    missing_response: Callable[[], Response] | None = None,
) -> Response:
    """Return a response that streams a run from its start, while it goes on and after it has ended; or 404."""
    try:
        body = await context.resume(stream_id)
    except ResumableStreamError as error:
        if error.code != "invalid-id":
            raise
        body = None
    if body is not None:
        return _response(body, encoder or DataStreamEncoder(), stream_id, headers)
    return JSONResponse({"error": "stream not found"}, 404) if missing_response is None else missing_response()


def _response(
    body: AsyncIterator[bytes], encoder: StreamEncoder, stream_id: str, headers: Mapping[str, str] | None
) -> Response:
    own = {**HEADERS, **{name.lower(): value for name, value in (headers or {}).items()}}
    own[RESUMABLE_STREAM_ID_HEADER] = stream_id
    return Streamed(body, media_type=encoder.get_media_type(), headers=own)
