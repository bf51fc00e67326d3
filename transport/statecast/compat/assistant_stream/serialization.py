"""Encoders of a run's chunks, and responses that stream them: for FastAPI, Starlette and whatever returns theirs."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from typing import Final

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from statecast.protocol.assistant_transport.data_stream import DataStreamLines
from statecast.protocol.assistant_transport.events import ChunkFields
from statecast.protocol.event_stream import event_frame
from statecast_agents import chunks as parts
from statecast_agents import new_id

from .assistant_stream_chunk import AssistantStreamChunk, TextDeltaChunk, UpdateStateChunk
from .create_run import keep
from .framing import Framing

__all__ = [
    "AssistantStreamResponse",
    "AssistantTransportEncoder",
    "AssistantTransportResponse",
    "DataStreamEncoder",
    "DataStreamResponse",
    "OpenAIStreamEncoder",
    "OpenAIStreamResponse",
    "StreamEncoder",
]

HEARTBEAT_SECONDS: Final = 15.0  #: of `heartbeat=True`

#: Proxies would collect the stream, or compress it.
HEADERS: Final = {"cache-control": "no-cache, no-transform", "x-accel-buffering": "no"}

_log: Final = logging.getLogger("statecast")


class StreamEncoder(ABC):
    """Writes the chunks of a stream."""

    @abstractmethod
    def get_media_type(self) -> str:
        """Return the media type of the response."""

    def get_keepalive_token(self) -> str | None:
        """Return what is sent while nothing happens; None: nothing."""
        return ": heartbeat\n\n" if self.get_media_type() == "text/event-stream" else None

    @abstractmethod
    def encode_stream(self, stream: AsyncIterator[AssistantStreamChunk]) -> AsyncGenerator[str, None]:
        """Yield the text of each chunk, and of the end."""


class DataStreamEncoder(StreamEncoder):
    """Writes the data-stream protocol, for one stream."""

    def __init__(self) -> None:
        self._framing = Framing()
        self._lines = DataStreamLines()

    def get_media_type(self) -> str:
        return "text/plain"

    def get_keepalive_token(self) -> str | None:
        return "\n"

    def encode_chunk(self, chunk: AssistantStreamChunk) -> str:
        """Return the lines of a chunk."""
        if isinstance(chunk, UpdateStateChunk):
            return f"aui-state:{chunk.encoded.decode()}\n"
        return "".join(self._written(self._framing.frame(chunk)))

    async def encode_stream(self, stream: AsyncIterator[AssistantStreamChunk]) -> AsyncGenerator[str, None]:
        async for chunk in stream:
            if text := self.encode_chunk(chunk):
                yield text
        for text in self._written(self._framing.finish()):
            yield text

    def _written(self, made: Iterable[parts.Chunk]) -> list[str]:
        return [line.decode() for part in made if (line := self._lines.of("", part)) is not None]


class AssistantTransportEncoder(StreamEncoder):
    """Writes the assistant-transport protocol."""

    def get_media_type(self) -> str:
        return "text/event-stream"

    async def encode_stream(self, stream: AsyncIterator[AssistantStreamChunk]) -> AsyncGenerator[str, None]:
        framing, fields = Framing(), ChunkFields()

        def written(made: Iterable[parts.Chunk]) -> list[str]:
            return [event_frame(found).decode() for part in made if (found := fields.of("", part)) is not None]

        async for chunk in stream:
            if isinstance(chunk, UpdateStateChunk):
                yield f'data: {{"type":"update-state","path":[],"operations":{chunk.encoded.decode()}}}\n\n'
            else:
                for text in written(framing.frame(chunk)):
                    yield text
        for text in written(framing.finish()):
            yield text
        yield "data: [DONE]\n\n"


class OpenAIStreamEncoder(StreamEncoder):
    """Writes the texts of a stream as chat completion chunks.

    Args:
        model: Their `model`.
        system_fingerprint: Their `system_fingerprint`.
    """

    def __init__(self, model: str = "assistant_stream", system_fingerprint: str = "fp_0000000000") -> None:
        self.id = new_id("chatcmpl")
        self.model = model
        self.system_fingerprint = system_fingerprint

    def get_media_type(self) -> str:
        return "text/event-stream"

    def encode_chunk(self, chunk: AssistantStreamChunk) -> str:
        """Return the event of a text; other chunks have none."""
        return self._event({"content": chunk.text_delta}) if isinstance(chunk, TextDeltaChunk) else ""

    async def encode_stream(self, stream: AsyncIterator[AssistantStreamChunk]) -> AsyncGenerator[str, None]:
        async for chunk in stream:
            if text := self.encode_chunk(chunk):
                yield text
        yield self._event({}, "stop")
        yield "data: [DONE]\n\n"

    def _event(self, delta: dict[str, str], finish_reason: str | None = None) -> str:
        fields = {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": self.model,
            "system_fingerprint": self.system_fingerprint,
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}],
        }
        return event_frame(fields).decode()


class Streamed(StreamingResponse):
    """A response that notices at once when its client goes, whatever the server says of itself."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # From version 2.4 of the specification on, starlette notices it at the next send only, which may never come.
        scope = {**scope, "asgi": {**scope.get("asgi", {}), "spec_version": "2.3"}}
        await super().__call__(scope, receive, send)


class AssistantStreamResponse(Streamed):
    """A response that streams a run.

    If the run fails, the log has its exception, and the stream ends with an error.

    Args:
        stream: What `create_run` returned.
        stream_encoder: Writes it.
        heartbeat: Seconds of silence after which something is sent that clients ignore; True: 15; False: never.

    Raises:
        ValueError: `heartbeat` is no number of seconds.
    """

    def __init__(
        self,
        stream: AsyncGenerator[AssistantStreamChunk, None],
        stream_encoder: StreamEncoder,
        heartbeat: float | bool | None = True,
    ) -> None:
        token = stream_encoder.get_keepalive_token()
        seconds = _seconds_of(heartbeat)
        super().__init__(
            _body(stream, stream_encoder, token or "", None if token is None else seconds),
            media_type=stream_encoder.get_media_type(),
            headers=HEADERS,
        )


class DataStreamResponse(AssistantStreamResponse):
    """A response in the data-stream protocol."""

    def __init__(
        self, stream: AsyncGenerator[AssistantStreamChunk, None], heartbeat: float | bool | None = False
    ) -> None:
        super().__init__(stream, DataStreamEncoder(), heartbeat)


class AssistantTransportResponse(AssistantStreamResponse):
    """A response in the assistant-transport protocol."""

    def __init__(
        self, stream: AsyncGenerator[AssistantStreamChunk, None], heartbeat: float | bool | None = True
    ) -> None:
        super().__init__(stream, AssistantTransportEncoder(), heartbeat)


class OpenAIStreamResponse(AssistantStreamResponse):
    """A response of chat completion chunks."""

    def __init__(
        self, stream: AsyncGenerator[AssistantStreamChunk, None], heartbeat: float | bool | None = True
    ) -> None:
        super().__init__(stream, OpenAIStreamEncoder(), heartbeat)


def _seconds_of(heartbeat: float | bool | None) -> float | None:
    if heartbeat is True:
        return HEARTBEAT_SECONDS
    if not heartbeat:
        return None
    seconds = float(heartbeat)
    if not math.isfinite(seconds) or seconds <= 0:
        raise ValueError(f"heartbeat interval must be a positive finite number, got {heartbeat!r}")
    return seconds


async def logged(stream: AsyncGenerator[AssistantStreamChunk, None]) -> AsyncGenerator[AssistantStreamChunk, None]:
    """Yield what a run streams; log what it raises, of which the client has an `ErrorChunk`."""
    try:
        async for chunk in stream:
            yield chunk
    except Exception:  # a response that has begun cannot become another one
        _log.exception("a run failed")


async def _body(
    stream: AsyncGenerator[AssistantStreamChunk, None], encoder: StreamEncoder, token: str, seconds: float | None
) -> AsyncGenerator[str, None]:
    """Yield what an encoder writes of a stream, and the token whenever nothing came for so many seconds.

    A task of its own reads the stream: a response may be cancelled at every await, and the stream once.
    """
    written: asyncio.Queue[str | None] = asyncio.Queue(1)
    reading = keep(asyncio.create_task(_write(stream, encoder, written)))
    try:
        while True:
            try:
                async with asyncio.timeout(seconds):
                    text = await written.get()
            except TimeoutError:
                yield token
                continue
            if text is None:
                break
            yield text
        await reading
    finally:
        if not reading.done():
            reading.cancel()
            await asyncio.wait({reading})


async def _write(
    stream: AsyncGenerator[AssistantStreamChunk, None], encoder: StreamEncoder, written: asyncio.Queue[str | None]
) -> None:
    """Put what an encoder writes of a stream to a queue, and None at the end."""
    async with aclosing(stream), aclosing(encoder.encode_stream(logged(stream))) as texts:
        try:
            async for text in texts:
                await written.put(text)
        except Exception:  # the encoder's
            await written.put(None)
            raise
    await written.put(None)
