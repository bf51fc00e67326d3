"""A model's server on this machine that speaks the wire of OpenAI's `/v1/chat/completions`, streaming.

The model's name chooses what it says, see `SCRIPTS`. It keeps the requests it got, and notes streams that were left.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any, Final

Json = Any

ASK_USER: Final = ["call_a", "ask_user", ['{"quest', 'ion": "Which', ' one?"}']]
LOOK_UP: Final = ["call_b", "look_up", ['{"word":', ' "grüße"}']]


def _chunk(delta: Json, finish: str | None = None) -> Json:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def _text(text: str) -> Iterator[Json]:
    yield _chunk({"role": "assistant", "content": "", "refusal": None})
    for word in text.split(" "):
        yield _chunk({"content": f"{word} "})
    yield _chunk({}, "stop")
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    yield {**_chunk({}), "choices": [], "usage": usage}


def _calls(*calls: Json) -> Iterator[Json]:
    yield _chunk({"role": "assistant", "content": None})
    for index, (call_id, name, pieces) in enumerate(calls):
        head = {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
        yield _chunk({"tool_calls": [head]})
        for piece in pieces:
            yield _chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield _chunk({}, "tool_calls")


def _reasoning(name: str) -> Iterator[Json]:
    for word in ("Let ", "me ", "think."):
        yield _chunk({"role": "assistant", "content": None, name: word})
    yield from _text("Thought through.")


def _broken() -> Iterator[Json]:
    yield _chunk({"role": "assistant", "content": "Half an "})
    yield {"error": {"message": "The model ran out of memory.", "type": "server_error", "param": None, "code": "oom"}}


SCRIPTS: Final = {
    "text": lambda: _text("Grüße aus der Ferne 😀."),
    "calls": lambda: _calls(ASK_USER, LOOK_UP),
    "reasoning": lambda: _reasoning("reasoning"),
    "reasoning_content": lambda: _reasoning("reasoning_content"),
    "broken": _broken,
    "endless": lambda: _text("and so on " * 1_000_000),
}


class Upstream:
    """An ASGI app."""

    def __init__(self) -> None:
        self.requests: list[Json] = []
        self.keys: list[str] = []
        self.left = threading.Event()  #: set when a client left before the end of its stream

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        assert (scope["method"], scope["path"]) == ("POST", "/v1/chat/completions")
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        request = json.loads(body)
        self.requests.append(request)
        self.keys.append(dict(scope["headers"])[b"authorization"].decode())
        if self.keys[-1] != "Bearer right":
            error = {"message": f"Incorrect API key: {self.keys[-1]}", "type": "invalid_request_error", "code": "key"}
            await _respond(send, 401, b"application/json", json.dumps({"error": error}).encode())
        elif request["model"] not in SCRIPTS:
            error = {"message": f'The model "{request["model"]}" does not exist.', "type": "not_found", "code": "none"}
            await _respond(send, 404, b"application/json", json.dumps({"error": error}).encode())
        else:
            assert request["stream"] is True
            await self._stream(request["model"], receive, send)

    async def _stream(self, model: str, receive: Any, send: Any) -> None:
        gone = asyncio.ensure_future(receive())
        await _start(send, 200, b"text/event-stream")
        for chunk in SCRIPTS[model]():
            if gone.done():
                self.left.set()
                return
            data = f"data: {json.dumps(chunk)}\n\n".encode()
            await send({"type": "http.response.body", "body": data, "more_body": True})
            await asyncio.sleep(0.001)
        gone.cancel()
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


async def _start(send: Any, status: int, content_type: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", content_type)]})


async def _respond(send: Any, status: int, content_type: bytes, body: bytes) -> None:
    await _start(send, status, content_type)
    await send({"type": "http.response.body", "body": body})
