"""The reference of `/text`, `/sse`, `/json` and chat completions says what the code reads and writes."""

from __future__ import annotations

import json
import re

import msgspec

from statecast.protocol.entries import RunError
from statecast.protocol.local import request as local_request
from statecast.protocol.local.events import TypedEventsEncoder
from statecast.protocol.local.reply import JsonReplyEncoder
from statecast.protocol.local.wires import FORMS
from statecast.protocol.openai import request as openai_request
from statecast_agents import Usage
from tests.docs.pages import PROTOCOL, code
from tests.transport.answering_agent import Answering, projection


def test_the_table_of_the_body_has_every_field() -> None:
    documented = [name for cell, *_ in PROTOCOL.rows("POST /text") for name in code(cell)]

    assert sorted(documented) == sorted(field.encode_name for field in msgspec.structs.fields(local_request.LocalBody))


def test_the_table_of_chat_completions_has_every_parameter() -> None:
    documented = {name for cell, *_ in PROTOCOL.rows("POST /v1/chat/completions") for name in code(cell)}
    read = openai_request._READ | openai_request._REFUSED.keys() | {"stream_options.include_usage"}

    assert documented == read - {"stream_options"}


def everything(status: str, error: RunError | None = None) -> Answering:
    """Return an answer with something of every kind."""
    answering = Answering()
    message = answering.messages.assistant()
    message.append_reasoning("a")
    message.append_text("b")
    message.add_tool_call("look_up", {}).set_result(1, is_error=True)
    message.add_source("https://example.com", title="t")
    message.add_file("AAAA", "text/plain")
    message.add_data("chart", 1)
    message.add_tool_call("ask", {})
    answering.parts.add_error("c", code="d")
    answering.parts.finish("stop", Usage(1, 2))
    answering.turn(status, error)
    return answering


def test_the_table_of_events_has_everything_that_is_written() -> None:
    rows = {name: fields for cell, fields in PROTOCOL.rows("POST /sse") for name in code(cell)}
    parts = {code(name)[0]: set(re.findall(r"\w+", " ".join(code(cell)))) for name, cell in PROTOCOL.rows("Messages")}
    written: set[str] = set()
    for answering in (everything("completed"), everything("failed", RunError("no_bees", "There are none."))):
        encoder = TypedEventsEncoder(projection(answering))
        stream = b"".join([*map(encoder.encode, answering.entries), encoder.finish()])
        for data in stream.decode().removesuffix("\n\n").split("\n\n"):
            event = json.loads(data.removeprefix("data: "))
            kind = event.pop("type")
            written.add(kind)
            documented = {word for name in code(rows[kind]) for word in re.findall(r"\w+", name)}
            assert event.keys() <= documented | (parts[kind] if "of such a" in rows[kind] else set()), kind

    assert written == rows.keys()


def test_the_table_of_a_reply_has_every_field() -> None:
    answering = everything("completed")
    encoder = JsonReplyEncoder(projection(answering))
    reply = json.loads(b"".join([*map(encoder.encode, answering.entries), encoder.finish()]))

    assert list(reply) == [code(cell)[0] for cell, _ in PROTOCOL.rows("POST /json")]


def test_the_forms_of_events_are_named_and_the_default_comes_first() -> None:
    assert list(FORMS) == ["events", "content"]
    assert all(f"`{form}`" in PROTOCOL.section("POST /sse") for form in FORMS)
