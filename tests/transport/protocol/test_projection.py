"""Projections: what of a thread's log a stream shows that knows messages only."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec
import pytest

from statecast.protocol import MESSAGE_PROTOCOLS, Entry, OperationsEntry, RunEntry, RunState
from statecast.protocol.local.reply import JsonReplyEncoder
from statecast.protocol.messages.projection import Projection
from statecast_agents import Document, Json
from tests.transport.answering_agent import RUN, Answering, projection
from tests.transport.projections import TEXT, answered, body_of, chunks_of, deltas, lines, told


def grown(answering: Answering) -> None:
    message = answering.messages.assistant(id="m")
    answering.each(*[partial(message.append_text, piece) for piece in ("a", 'b"\n', "c")])


def test_a_text_grows_as_it_is_written() -> None:
    assert told(answered(grown)) == [
        {"type": "start", "messageId": "m"},
        {"type": "text-start", "id": "0"},
        {"type": "text-delta", "id": "0", "delta": "a"},
        {"type": "text-delta", "id": "0", "delta": 'b"\n'},
        {"type": "text-delta", "id": "0", "delta": "c"},
        {"type": "text-end", "id": "0"},
        {"type": "finish-step", "finishReason": "stop"},
        {"type": "finish", "finishReason": "stop"},
    ]
    assert lines(answered(grown))[:4] == [("f", {"messageId": "m"}), ("0", "a"), ("0", 'b"\n'), ("0", "c")]


def test_a_text_that_goes_on_behind_another_part_is_a_part_of_its_own() -> None:
    def write(answering: Answering) -> None:
        message = answering.messages.assistant()
        message.append_text("a")
        answering.each(lambda: message.add_source("https://e.org", id="s"))
        answering.each(lambda: answering.run.append_text(["messages", 0, "parts", 0, "text"], "b"))

    found = told(answered(write))
    assert [(chunk["id"], chunk["delta"]) for chunk in found if chunk["type"] == "text-delta"] == [
        ("0", "a"),
        ("2", "b"),
    ]


def test_a_text_set_anew_shows_what_it_has_gained_and_nothing_else() -> None:
    def write(answering: Answering) -> None:
        message = answering.messages.assistant()
        part = message.add_part({"type": "text", "text": "ab"})
        answering.flush()
        answering.each(
            lambda: part.update(text="abc"), lambda: part.update(text="x"), lambda: part.append_text("text", "y")
        )

    assert deltas(told(answered(write))) == ["ab", "c", "y"]


def test_what_is_emitted_outside_the_state_does_not_lend_its_name_to_what_grows_in_it() -> None:
    def write(answering: Answering) -> None:
        message = answering.messages.assistant()
        grow = lambda: message.append_text("s")  # noqa: E731  # said three times
        answering.parts.append_text("p")
        answering.each(grow, grow, grow)
        answering.parts.append_text("p")
        answering.each(grow, grow)

    found = told(answered(write))
    texts: dict[str, str] = {}
    for chunk in found:
        if chunk["type"] == "text-delta":
            texts[chunk["id"]] = texts.get(chunk["id"], "") + chunk["delta"]
    assert texts == {"0": "pp", "1": "sssss"}


# Messages that get another id


def renamed_in_place(answering: Answering) -> None:
    answering.messages.open("m").rename("resp_1")


def renamed_in_another_list(answering: Answering) -> None:
    (message,) = answering.document.plain()["messages"]
    answering.run.state["messages"] = [{**message, "id": "resp_1"}]


def renamed_as_a_whole(answering: Answering) -> None:
    (message,) = answering.document.plain()["messages"]
    answering.messages.items[0] = {**message, "id": "resp_1"}


@pytest.mark.parametrize("rename", [renamed_in_place, renamed_in_another_list, renamed_as_a_whole])
def test_a_message_that_gets_another_id_goes_on_as_the_one_that_it_was(rename: Callable[[Answering], None]) -> None:
    def write(answering: Answering) -> None:
        message = answering.messages.assistant(id="m")
        answering.each(
            lambda: message.append_text("a"),
            partial(rename, answering),
            lambda: answering.messages.open("resp_1").append_text("b"),
            lambda: answering.messages.items.append({"id": "u", "role": "user", "parts": []}),
            lambda: answering.run.state.update(messages=answering.document.plain()["messages"]),
        )

    answering = answered(write)
    found = told(answering)
    assert [message.id for message in answering.messages] == ["resp_1", "u"]
    assert [chunk["messageId"] for chunk in found if chunk["type"] == "start"] == ["m"]
    assert deltas(found) == ["a", "b"]
    assert [value for code, value in lines(answering) if code == "0"] == ["a", "b"]


def test_an_empty_message_that_another_one_replaces_is_not_taken_for_it() -> None:
    def write(answering: Answering) -> None:
        answering.messages.assistant(id="m")
        answering.flush()
        answering.messages.items.pop()
        answering.messages.assistant(id="n").append_text("a")

    read = projection(answered(write))
    for entry in answered(write).entries:
        read.read(entry)
    assert [message["id"] for message in read.messages()] == ["n"]


def test_an_earlier_answer_that_gets_another_id_is_not_shown_again() -> None:
    answering = Answering([{"id": "m", "role": "assistant", "parts": [TEXT]}, {"id": "u", "role": "user", "parts": []}])
    answering.each(
        partial(renamed_earlier, answering),
        lambda: answering.run.state.update(messages=answering.document.plain()["messages"]),
        lambda: answering.messages.assistant().append_text("a"),
    )
    answering.turn("completed")

    assert deltas(told(answering)) == ["a"]


def renamed_earlier(answering: Answering) -> None:
    assert answering.messages.open("m").rename("resp_1")


# Sub-agents


def asked(answering: Answering) -> None:
    message = answering.messages.assistant(id="m")
    call = message.add_tool_call("research", {"x": 1}, id="c1")
    answering.flush()
    answer = call.messages.assistant(id="s")
    answering.each(*[partial(answer.append_text, piece) for piece in ("a", "b", "c")])
    answering.each(lambda: answer.add_tool_call("ask", {"x": 2}, id="c2"), lambda: message.append_text("Wait. "))
    answering.each(lambda: call.messages.items[0]["content"].append({"type": "text", "text": "d"}))
    answering.each(lambda: call.set_result("done"), lambda: message.append_text("So."))


def test_what_a_sub_agent_says_is_no_part_of_the_answer() -> None:
    answering = answered(asked)
    found = told(answering)

    assert deltas(found) == ["Wait. ", "So."]
    assert [chunk["toolCallId"] for chunk in found if chunk["type"] == "tool-input-available"] == ["c1"]
    assert [value for code, value in lines(answering) if code == "0"] == ["Wait. ", "So."]


def test_a_data_stream_has_the_conversation_of_a_sub_agent_with_its_result() -> None:
    answering = answered(asked)
    (result,) = [value for code, value in lines(answering) if code == "a"]

    assert result["result"] == "done"
    assert result["messages"] == answering.messages.items[0]["parts"][0]["messages"]
    assert [part["type"] for part in result["messages"][0]["content"]] == ["text", "tool-call", "text"]


def test_an_answer_in_one_piece_has_the_conversation_of_a_sub_agent() -> None:
    answering = answered(asked)
    encoder = JsonReplyEncoder(projection(answering))
    for entry in answering.entries:
        encoder.encode(entry)

    assert msgspec.json.decode(encoder.finish())["parts"] == answering.messages.items[0]["parts"]


# What else is in the state


def test_the_state_beside_the_messages_is_told_once_and_then_its_changes() -> None:
    def write(answering: Answering) -> None:
        answering.run.state["title"] = "Bees"
        answering.messages.assistant().append_text("a")
        answering.flush()
        answering.run.state = {"messages": [], "title": "Wasps"}

    answering = Answering()
    answering.run.state["mood"] = "good"
    answering.flush()
    answering.base = answering.document.plain()
    answering.entries = answering.entries[:1]
    write(answering)
    answering.turn("completed")
    data = [chunk for chunk in told(answering) if chunk["type"].startswith("data-")]

    assert data[0] == {"type": "data-state", "data": {"mood": "good"}, "transient": True}
    assert [step["data"] for step in data[1:]] == [
        [{"type": "set", "path": ["title"], "value": "Bees"}],
        [{"type": "set", "path": [], "value": {"title": "Wasps"}}],
    ]


@pytest.mark.parametrize(
    ("claim", "tells"),
    [({"mood": 1}, False), ({"mood": 2}, True), (msgspec.UNSET, True)],
    ids=["has", "differs", "none"],
)
def test_a_client_is_not_told_the_state_that_it_has(claim: Json, tells: bool) -> None:
    base: Json = {"messages": [], "mood": 1}
    read = Projection(["messages"], run_id=RUN, base=base, claim=claim)
    entries = [RunEntry(1, RunState(RUN, "running"))]

    assert (b"data-state" in body_of("ui-message-stream", read, entries)) is tells
    assert (
        b"aui-state" in body_of("data-stream", Projection(["messages"], run_id=RUN, base=base, claim=claim), entries)
    ) is tells


def test_a_state_that_was_emptied_is_told() -> None:
    read = Projection(["messages"], run_id=RUN, base={"messages": []}, claim={"mood": 1})

    assert b'{"type":"data-state","data":{},"transient":true}' in body_of(
        "ui-message-stream", read, [RunEntry(1, RunState(RUN, "running"))]
    )


@pytest.mark.parametrize(
    "messages",
    [None, "none yet", {"a": {"b": [1]}}, [1, None, {"role": "assistant"}, {"role": "assistant", "parts": {"a": 1}}]],
)
def test_a_state_that_has_something_else_where_messages_should_be_shows_none(messages: Json) -> None:
    document = Document({"messages": []})
    document.flush()
    base = document.plain()
    document.root["messages"] = messages
    entries: list[Entry] = [RunEntry(1, RunState(RUN, "running")), OperationsEntry(2, document.flush().operations)]
    if isinstance(messages, dict):
        document.root["messages"]["a"]["b"].append(2)
        entries.append(OperationsEntry(3, document.flush().operations))
    if isinstance(messages, list):
        document.root["messages"][3]["parts"]["a"] = 2
        document.root["messages"][2]["parts"] = [{"type": "text", "text": "found"}, 3, {"type": "unheard-of"}]
        entries.append(OperationsEntry(3, document.flush().operations))
    body = body_of("ui-message-stream", Projection(["messages"], run_id=RUN, base=base), entries)

    assert (b"found" in body) is isinstance(messages, list)


def test_messages_may_be_anywhere_in_the_state() -> None:
    for path, state in [((), []), (("chat", "messages"), {"chat": {"messages": [], "x": 1}})]:
        document = Document(state)
        document.flush()
        base = document.plain()
        at = document.root
        for key in path:
            at = at[key]
        at.append({"id": "m", "role": "assistant", "parts": [{"type": "text", "text": "found"}]})
        entries: list[Entry] = [RunEntry(1, RunState(RUN, "running")), OperationsEntry(2, document.flush().operations)]
        if path:
            document.root["chat"] = {"messages": list(document.root["chat"]["messages"]), "x": 2}
            entries.append(OperationsEntry(3, document.flush().operations))
        found = chunks_of(body_of("ui-message-stream", Projection(path, run_id=RUN, base=base), entries))

        assert deltas(found) == ["found"]
        changes = [chunk["data"] for chunk in found if chunk["type"] == "data-state-operations"]
        assert changes == ([[{"type": "set", "path": ["chat"], "value": {"x": 2}}]] if path else [])


def test_messages_without_ids_are_told_apart_by_their_place() -> None:
    answering = Answering([{"role": "user", "parts": [TEXT]}, {"role": "assistant", "parts": [TEXT]}])
    answering.run.state["messages"][0:] = [{"role": "user", "parts": [TEXT]}]
    answering.flush()
    answering.run.state["messages"].append({"role": "assistant", "parts": [{"type": "text", "text": "new"}]})
    answering.turn("completed")

    assert deltas(told(answering)) == ["new"]


# Where the stream starts


def message(text: str, role: str = "assistant") -> dict[str, Json]:
    return {"id": text, "role": role, "parts": [{"type": "text", "text": text}]}


def test_what_happens_before_the_streams_own_run_is_another_streams() -> None:
    answering = Answering([{"id": "u", "role": "user", "parts": [TEXT]}])
    answering.messages.assistant(id="m").append_text("of the run before")
    answering.turn("completed")
    entries = [*answering.entries, RunEntry(9, RunState("run_2", "running"))]
    answering.messages.assistant(id="n").append_text("mine")
    answering.each(lambda: answering.run.append_text(["messages", 1, "parts", 0, "text"], " and later"))
    entries += answering.entries[len(entries) - 1 :]
    entries.append(RunEntry(99, RunState("run_2", "completed")))
    found = chunks_of(
        body_of("ui-message-stream", Projection(["messages"], run_id="run_2", base=answering.base), entries)
    )

    assert deltas(found) == ["mine"]
    assert found[0] == {"type": "start", "messageId": "n"}


def test_a_reader_that_fell_behind_before_its_run_began_sees_all_of_it() -> None:
    base: Json = {"messages": [{"id": "u1", "role": "user", "parts": []}]}
    encoder = MESSAGE_PROTOCOLS["ui-message-stream"](Projection(["messages"], run_id="run_2", base=base))
    said = [message("u1", "user"), message("a1"), message("u2", "user"), message("a2")]
    state = msgspec.json.encode({"messages": said})
    rest = [RunEntry(5, RunState(RUN, "completed")), RunEntry(6, RunState("run_2", "running"))]
    body = encoder.snapshot(state, 9, rest) + encoder.finish()

    assert deltas(chunks_of(body)) == ["a2"]


def test_a_reader_that_fell_behind_while_it_is_queued_goes_on_waiting() -> None:
    base: Json = {"messages": []}
    encoder = MESSAGE_PROTOCOLS["ui-message-stream"](Projection(["messages"], run_id="run_2", base=base))
    state = msgspec.json.encode({"messages": [{"id": "a1", "role": "assistant", "parts": [TEXT]}]})
    before = encoder.snapshot(state, 9, [RunEntry(5, RunState(RUN, "running"))])
    after = encoder.encode(RunEntry(10, RunState("run_2", "running")))

    assert (before, after) == (b"", b"")


def test_an_earlier_answer_is_shown_without_what_came_after_it() -> None:
    said = [message(f"m{index}", "user" if index % 2 == 0 else "assistant") for index in range(4)]
    encoder = MESSAGE_PROTOCOLS["ui-message-stream"](Projection(["messages"], after=0))
    body = encoder.snapshot(msgspec.json.encode({"messages": said}), 9, []) + encoder.finish()

    assert deltas(chunks_of(body)) == ["m1"]
