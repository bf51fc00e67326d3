"""Starlette's own `StreamingResponse`, whose generator waits: what an open stream costs without a state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route


async def assistant(request: Request) -> Response:
    await request.json()

    async def wait() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b"data: [DONE]\n\n"

    return StreamingResponse(wait(), media_type="text/event-stream")


app = Starlette(routes=[Route("/assistant", assistant, methods=["POST"])])
