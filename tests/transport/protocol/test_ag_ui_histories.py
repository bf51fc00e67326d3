"""AG-UI: whatever an agent does, a client that forgives nothing has its messages and its state."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statecast.protocol.ag_ui.encoder import AgUiEncoder
from statecast.protocol.ag_ui.message_format import agree, render
from statecast.protocol.entries import OperationsEntry
from statecast.protocol.messages.full_projection import FullProjection
from tests.clients.ag_ui import shown
from tests.transport.answering_agent import RUN, Answering
from tests.transport.strict_ag_ui_client import (
    SAID,
    USER,
    Reading,
    asked,
    beside,
    carried,
    encoder_of,
    read,
)

pytestmark = pytest.mark.slow

piece = st.text(st.sampled_from('ab \n"\\😀\u2028{}[],'), min_size=1, max_size=4)
action = st.one_of(
    st.tuples(st.sampled_from(["text", "reasoning", "emitted"]), st.lists(piece, min_size=1, max_size=4)),
    st.tuples(st.sampled_from(["answered", "failed", "open", "streamed", "settled late"]), st.just([""])),
    st.tuples(st.sampled_from(["source", "data", "message", "step", "user"]), st.just([""])),
    st.tuples(st.sampled_from(["rewritten", "removed", "dropped", "unsettled"]), st.just([""])),
    st.tuples(st.sampled_from(["set", "grown", "listed", "nested", "gone"]), st.lists(piece, min_size=1, max_size=3)),
)


def play(actions: list[tuple[str, list[str]]], answering: Answering) -> None:
    """Do something, piece by piece, in turns of their own."""
    state: Any = answering.run.state
    message = answering.messages.assistant()
    calls = []
    for kind, pieces in actions:
        parts = message.message["parts"]
        match kind:
            case "text":
                answering.each(*[partial(message.append_text, text) for text in pieces])
            case "reasoning":
                answering.each(*[partial(message.append_reasoning, text) for text in pieces])
            case "emitted":
                answering.each(partial(answering.parts.add_data, *pieces))
            case "answered" | "failed":
                call = message.add_tool_call("look_up", {"x": 1})
                failed = kind == "failed"
                answering.each(answering.flush, partial(call.set_result, "no" if failed else [1], is_error=failed))
            case "open":
                calls.append(message.add_tool_call("ask", {"x": [1, "y"]}))
            case "streamed":
                call = message.add_tool_call("ask")
                calls.append(call)
                answering.each(*[partial(call.append_args, text) for text in ('{"x', '":', "1}")], call.finish_args)
            case "settled late" if calls:
                calls.pop().set_result({"late": True})
            case "source":
                message.add_source("https://example.org")
            case "data":
                message.add_data("chart", {"x": 1})
            case "message":
                message = answering.messages.assistant()
            case "step":
                with answering.parts.step():
                    answering.flush()
            case "user":
                said = {"role": "user", "id": f"u{len(answering.messages) + 1}", "parts": USER["parts"]}
                answering.messages.items.append(said)
                message = answering.messages.assistant()
            case "rewritten" if parts and parts[0]["type"] == "text":
                parts[0]["text"] = "another"
            case "removed" if parts and parts[-1]["type"] != "tool-call":
                parts.pop()
            case "dropped" if len(answering.messages) > 2:
                answering.messages.items.pop()
                message = answering.messages.assistant()
                calls = []
            case "unsettled" if parts and parts[-1].get("result") is not None:
                del parts[-1]["result"]
                calls = []
            case "set":
                state["title"] = pieces[0]
            case "grown":
                answering.each(partial(state.setdefault, "text", ""))
                answering.each(*[partial(answering.run.append_text, ["text"], text) for text in pieces])
            case "listed":
                answering.each(*[partial(state.setdefault("list", []).append, [text]) for text in pieces])
            case "nested":
                state.setdefault("map", {}).setdefault("a/b~c", {})[pieces[0]] = pieces
            case "gone":
                state.get("list", [1])[:1] = []
                state.pop("map", None)
            case _:
                pass
        answering.flush()


@given(st.lists(action, max_size=12), st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_what_a_client_makes_of_a_stream_is_what_the_state_has(actions: list[tuple[str, list[str]]], pace: int) -> None:
    answering = Answering([USER])
    play(actions, answering)
    answering.turn("completed")
    encoder = encoder_of(answering, SAID)
    reading = Reading([SAID]).read(encoder.begin())
    for at, entry in enumerate(answering.entries):
        reading.read(encoder.encode(entry))
        if pace and encoder.held and at % pace == 0:
            reading.read(encoder.release())
    reading.read(encoder.finish())

    state = msgspec.json.decode(answering.document.encode())
    assert shown(reading.messages) == carried(state)
    assert reading.state == beside(state)


@given(st.lists(action, max_size=10), st.data())
@settings(max_examples=200, deadline=None)
def test_a_client_that_joins_anywhere_ends_with_the_same(actions: list[tuple[str, list[str]]], data: Any) -> None:
    answering = Answering(
        [USER, {"id": "a1", "role": "assistant", "parts": [{"type": "text", "text": "before"}]}, {**USER, "id": "u2"}]
    )
    marks: list[tuple[int, bytes]] = []
    for one in actions:
        marks.append((len(answering.entries), answering.document.encode()))
        play([one], answering)
    marks.append((len(answering.entries), answering.document.encode()))
    answering.turn("completed")
    at, state = data.draw(st.sampled_from(marks))
    encoder = AgUiEncoder(FullProjection(("messages",), run_id=RUN), asked())
    rest = [entry for entry in answering.entries[:at] if not isinstance(entry, OperationsEntry)]
    reading = Reading().read(encoder.begin()).read(encoder.snapshot(state, at, rest))
    for entry in answering.entries[at:]:
        reading.read(encoder.encode(entry))
    reading.read(encoder.finish())

    final = msgspec.json.decode(answering.document.encode())
    assert shown(reading.messages) == carried(final)
    assert reading.state == beside(final)


@given(st.lists(action, max_size=12))
@settings(max_examples=100, deadline=None)
def test_the_messages_of_a_stream_are_those_that_are_told_whole(actions: list[tuple[str, list[str]]]) -> None:
    answering = Answering([USER])
    play(actions, answering)
    answering.turn("completed")
    reading = read(answering, encoder_of(answering, SAID), SAID)

    items = msgspec.json.decode(answering.document.encode())["messages"]
    told = {message["id"] for message in reading.messages if message["role"] != "reasoning" or message["content"]}
    assert told == {message["id"] for message in render(items)}
    assert agree(items, reading.messages)
