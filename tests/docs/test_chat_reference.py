"""The reference says of `/chat` what the code does: fields, chunks, events."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, get_args

import msgspec

from statecast.protocol.ai_sdk.request import ChatBody
from statecast.protocol.entries import RunError
from statecast.protocol.messages.client_copy import ClientCopy
from statecast.protocol.messages.part_events import Event
from statecast_agents import Usage, chunks
from tests.docs.pages import PROTOCOL, ROOT, code, load
from tests.transport.answering_agent import Answering
from tests.transport.projections import answered, told
from tests.transport.protocol.test_client_copy import going_on


def test_the_table_of_the_chats_body_has_every_field() -> None:
    documented = {name for cell, _ in PROTOCOL.rows("POST /chat") for name in code(cell)}

    assert documented == {field.encode_name for field in msgspec.structs.fields(ChatBody)}


def test_the_table_of_chunks_has_everything_that_is_written() -> None:
    documented: dict[str, set[str]] = {}
    for names, fields in PROTOCOL.rows("ui-message-stream"):
        for name in code(names):
            documented[name] = {field for text in code(fields) for field in re.findall(r"\w+", text)}
    written: dict[str, set[str]] = {}
    for chunk in _everything():
        name = "data-<name>" if chunk["type"] == "data-chart" else chunk["type"]
        written.setdefault(name, set()).update(chunk.keys() - {"type"})

    assert written.keys() == documented.keys()
    # `usage`, `metadata` and the like are named where they are explained, in words.
    assert {name: fields - documented[name] for name, fields in written.items() if fields - documented[name]} == {}


def _everything() -> list[dict[str, Any]]:
    """Return chunks of every type."""

    def write(answering: Answering) -> None:
        parts = answering.parts
        with parts.step():
            parts.append_text("a")
            parts.append_reasoning("b")
        with parts.step() as step:
            step.usage = Usage(1, 2)
        message = answering.messages.assistant()
        for name, result in (("approval", {"approved": False}), ("approval", {"approved": True, "reason": "r"})):
            call = message.add_tool_call(name, {})
            answering.flush()
            answering.each(partial(call.set_result, result))
        message.add_tool_call("look", {}).set_result("no", is_error=True)
        message.add_tool_call("look").append_args("{")
        message.add_source("https://e.org", title="t")
        message.add_file("aGk=", "text/plain")
        message.add_data("chart", 1)
        parts.add_data(1)
        parts.add_annotations(1)
        parts.add_error("e", severity="info", code="c")
        answering.run.state["title"] = "Bees"

    failed = told(answered(write, status="failed", error=RunError("c", "why")))
    cancelled = told(answered(lambda it: None, status="cancelled"))
    replaced = {"type": "data-state", "data": {}, "transient": True}
    return [*failed, *cancelled, *going_on(ClientCopy([]), []), replaced]


def test_the_guide_lists_every_event() -> None:
    rows = load(ROOT / "docs" / "guides" / "add-a-protocol.md").rows("Events")
    named = {name.removeprefix("chunks.") for cell, _ in rows for name in code(cell)}

    assert named - {"begins"} == {kind.__name__ for kind in (*get_args(Event), *get_args(chunks.Chunk))}
