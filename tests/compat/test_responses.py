"""The responses: FastAPI returns them, and the published decoders read them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from fastapi import FastAPI

from statecast.compat.assistant_stream import AssistantStreamResponse, RunController, create_run
from statecast.compat.assistant_stream.assistant_stream_chunk import AssistantStreamChunk, TextDeltaChunk
from statecast.compat.assistant_stream.serialization import (
    AssistantTransportResponse,
    DataStreamResponse,
    OpenAIStreamResponse,
    StreamEncoder,
)
from statecast.testing import TestClient
from tests.clients.node import Accumulator
from tests.transport.held_agent import until

pytestmark = pytest.mark.anyio

RESPONSES: dict[str, Any] = {"data-stream": DataStreamResponse, "assistant-transport": AssistantTransportResponse}


async def everything(controller: RunController) -> None:
    controller.state["topic"] = "Bees"
    controller.append_reasoning("hm")
    controller.append_text("Hello ")
    controller.append_text("there")
    call = await controller.with_parent_id("g").add_tool_call("search", "c1")
    other = await controller.add_tool_call("look", "c2")
    call.append_args_text('{"q":')
    other.append_args_text("{}")
    call.append_args_text("1}")
    call.set_response("found", artifact={"kept": True})
    controller.add_tool_result("c2", "seen")
    controller.add_tool_result("c3", "of an earlier message")
    controller.add_source("s1", "https://example.com", "A page")
    controller.add_file("aGk=", "text/plain")
    controller.add_data({"any": 1})
    controller.add_annotations([{"note": 1}])
    controller.add_step_start("m1")
    controller.add_step_finish("stop", 3, 4)
    controller.state["topic"] += " and more"


def served(make: Any, callback: Any = everything, **settings: Any) -> FastAPI:
    app = FastAPI()

    async def assistant() -> Any:
        return make(create_run(callback, state={}), **settings)

    app.post("/assistant", response_model=None)(assistant)
    return app


@pytest.mark.parametrize("protocol", RESPONSES)
async def test_the_published_decoders_read_everything(protocol: Any, accumulator: Accumulator) -> None:
    async with TestClient(served(RESPONSES[protocol])) as client:
        answer = await client.post("/assistant")
    decoded = accumulator.decode(protocol, answer.content, initial={})
    assert decoded.error is None
    assert decoded.states[-1] == {"topic": "Bees and more"}
    parts = {part["type"]: part for part in decoded.parts}
    assert parts["text"]["text"] == "Hello there"
    assert parts["reasoning"]["text"] == "hm"
    assert parts["file"]["mimeType"] == "text/plain"
    assert parts["source"]["url"] == "https://example.com"
    calls = [part for part in decoded.parts if part["type"] == "tool-call"]
    assert [(call["toolCallId"], call["args"], call["result"]) for call in calls] == [
        ("c1", {"q": 1}, "found"),
        ("c2", {}, "seen"),
    ]
    assert calls[0]["artifact"] == {"kept": True}


@pytest.mark.parametrize("protocol", RESPONSES)
async def test_a_failed_run_ends_its_stream_and_is_in_the_log(
    protocol: Any, accumulator: Accumulator, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(controller: RunController) -> None:
        controller.append_text("so far")
        raise ValueError("password=hunter2")

    async with TestClient(served(RESPONSES[protocol], fails)) as client:
        answer = await client.post("/assistant")
    assert b"hunter2" not in answer.content
    assert b"An error occurred" in answer.content
    assert "hunter2" in caplog.text
    assert (accumulator.decode(protocol, answer.content, initial={}).error or "").endswith("answer was made.")


@pytest.mark.parametrize("make", RESPONSES.values(), ids=list(RESPONSES))
async def test_a_lost_connection_cancels_the_run(make: Any) -> None:
    seen: list[str] = []

    async def held(controller: RunController) -> None:
        controller.append_text("begun")
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("ended")

    async with TestClient(served(make, held)) as client:
        async with client.stream("POST", "/assistant") as response:
            await response.read_until(b"begun")
    await until(lambda: seen)


@pytest.mark.parametrize("make", RESPONSES.values(), ids=list(RESPONSES))
async def test_a_silent_stream_has_a_heartbeat(make: Any) -> None:
    async def silent(controller: RunController) -> None:
        await asyncio.Event().wait()

    async with TestClient(served(make, silent, heartbeat=0.01)) as client:
        async with client.stream("POST", "/assistant") as response:
            assert await anext(response) in (b"\n", b": heartbeat\n\n")


@pytest.mark.parametrize("heartbeat", [-1, float("inf"), float("nan")])
async def test_a_heartbeat_that_makes_no_sense_is_refused(heartbeat: float) -> None:
    with pytest.raises(ValueError, match="heartbeat interval must be a positive finite number"):
        DataStreamResponse(create_run(everything), heartbeat=heartbeat)


async def test_chat_completion_chunks_have_the_text() -> None:
    async with TestClient(served(OpenAIStreamResponse)) as client:
        answer = await client.post("/assistant")
    events = [line.removeprefix(b"data: ") for line in answer.content.split(b"\n\n") if line]
    assert events[-1] == b"[DONE]"
    choices = [msgspec.json.decode(event)["choices"][0] for event in events[:-1]]
    assert [choice["delta"].get("content") for choice in choices] == ["Hello ", "there", None]
    assert choices[-1]["finish_reason"] == "stop"


async def test_a_backend_may_bring_an_encoder() -> None:
    class Plain(StreamEncoder):
        def get_media_type(self) -> str:
            return "text/plain"

        async def encode_stream(self, stream: AsyncIterator[AssistantStreamChunk]) -> Any:
            async for chunk in stream:
                if isinstance(chunk, TextDeltaChunk):
                    yield chunk.text_delta

    async with TestClient(served(lambda stream: AssistantStreamResponse(stream, Plain()))) as client:
        assert (await client.post("/assistant")).content == b"Hello there"
