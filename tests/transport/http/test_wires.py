"""A message protocol is one class: what `Wire` declares, the one endpoint of all wires does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import msgspec
import pytest

from statecast import AddMessage, Agent, AgentError, Run
from statecast.testing import TestClient
from statecast.wires import (
    EVENT_STREAM,
    HEARTBEAT,
    WIRES,
    CollectingEncoder,
    Conversation,
    Delivery,
    ErrorForm,
    Event,
    Exchange,
    MessageEncoder,
    Opening,
    PostedMessage,
    RequestError,
    Wire,
    WireRequest,
    decode,
    event_frame,
    spoken,
)

pytestmark = pytest.mark.anyio

ASKED = {"said": ["Hello"]}


class Body(msgspec.Struct):
    said: list[str]
    thread: str | None = None


class WordsEncoder(MessageEncoder):
    """Writes nothing but the end."""

    name = "words"
    headers = EVENT_STREAM
    heartbeat = HEARTBEAT

    def begin(self) -> bytes:
        return event_frame("begin")

    def write(self, event: Event) -> bytes:
        return b""

    def finish(self) -> bytes:
        return event_frame({"end": None if self.error is None else self.error.code})


class ReplyEncoder(CollectingEncoder):
    """Writes the text of the answer."""

    name = "reply"
    headers = ((b"content-type", b"text/plain"),)

    def finish(self) -> bytes:
        return spoken(self.parts()).encode()


class Words(Wire[Exchange]):
    """Takes a list of texts."""

    path = "/words"
    stream_path: ClassVar[str | None] = "/words/{thread_id}"
    delivery: Delivery = "stream"

    def read(self, request: WireRequest) -> Exchange:
        body = decode(request.body, Body)
        messages = [PostedMessage(role="user", parts=[{"type": "text", "text": text}]) for text in body.said]
        named = body.thread or request.headers.get("X-Thread") or request.query.get("thread")
        return Exchange(conversation=Conversation(messages=messages, thread_id=named), delivery=self.delivery)

    def join(self, thread_id: str, query: Mapping[str, str]) -> Exchange:
        return Exchange(conversation=Conversation(messages=[], thread_id=thread_id))

    def encoder(self, exchange: Exchange, opening: Opening) -> MessageEncoder:
        return (ReplyEncoder if self.delivery == "whole" else WordsEncoder)(opening.projection)

    def error(self, error: RequestError) -> ErrorForm:
        return ErrorForm({"wrong": error.code}, {"x-wrong": "yes"})


class HeldWords(Words):
    path = "/held"
    stream_path = None
    delivery = "held"


class Reply(Words):
    path = "/reply"
    stream_path = None
    delivery = "whole"


class Joining(Words):
    path = "/joining"
    stream_path = None
    joins_unknown = True


@pytest.fixture(autouse=True)
def served() -> Iterator[None]:
    known = list(WIRES)
    WIRES.extend([Words, HeldWords, Reply, Joining])
    yield
    WIRES[:] = known


def speaking() -> Agent:
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text(f"You said: {command.message.text}")

    return agent


def failing() -> Agent:
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        raise AgentError("it broke")

    return agent


async def test_an_answer_is_streamed_between_a_begin_and_an_end() -> None:
    async with TestClient(speaking()) as client:
        response = await client.post("/words", json={**ASKED, "thread": "t"})

    assert response.content == b'data: "begin"\n\ndata: {"end":null}\n\n'
    assert (response.status, response.headers["statecast-thread-id"]) == (200, "t")


@pytest.mark.parametrize(("path", "headers"), [("/words?thread=t", {}), ("/words", {"x-thread": "t"})])
async def test_a_wire_reads_the_query_and_the_headers(path: str, headers: dict[str, str]) -> None:
    async with TestClient(speaking()) as client:
        response = await client.post(path, json=ASKED, headers=headers)

    assert response.headers["statecast-thread-id"] == "t"


async def test_a_whole_answer_is_one_response() -> None:
    async with TestClient(speaking()) as client:
        response = await client.post("/reply", json=ASKED)

    assert (response.content, response.headers["content-type"]) == (b"You said: Hello", "text/plain")


@pytest.mark.parametrize("path", ["/held", "/reply"])
async def test_a_run_that_fails_before_anything_was_sent_is_an_error_of_the_wire(path: str) -> None:
    async with TestClient(failing()) as client:
        response = await client.post(path, json=ASKED)

    assert (response.status, response.json(), response.headers["x-wrong"]) == (500, {"wrong": "agent_failed"}, "yes")


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/words", {"said": 1}, 422, "invalid_request"),
        ("/words", {**ASKED, "thread": "not a name"}, 422, "invalid_thread_id"),
        ("/words?onDisconnect=x", ASKED, 422, "invalid_request"),
        ("/words", {"said": [], "thread": "nowhere"}, 404, "unknown_thread"),
    ],
)
async def test_whatever_is_refused_has_the_form_of_the_wire(path: str, body: Any, status: int, code: str) -> None:
    async with TestClient(speaking()) as client:
        response = await client.post(path, json=body)
        method = await client.get("/held")

    assert (response.status, response.json()) == (status, {"wrong": code})
    assert (method.status, method.json()) == (405, {"wrong": "method_not_allowed"})


async def test_a_client_may_join_a_thread_that_is_not_there_where_the_wire_says_so() -> None:
    async with TestClient(speaking()) as client:
        response = await client.post("/joining", json={"said": [], "thread": "nowhere"})
        known = await client.get("/threads/nowhere/state")

    assert response.content == b'data: "begin"\n\ndata: {"end":null}\n\n'
    assert known.status == 404


async def test_a_client_joins_the_run_that_it_lost_by_the_stream_path() -> None:
    async with TestClient(speaking()) as client:
        nothing = await client.get("/words/t")

    assert (nothing.status, nothing.content) == (204, b"")


def test_a_wire_with_a_stream_path_has_to_read_its_requests() -> None:
    class Forgetful(Words):
        join = Wire.join

    with pytest.raises(NotImplementedError, match="Forgetful has a stream_path"):
        Forgetful().join("t", {})
