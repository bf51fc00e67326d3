"""Whatever an agent does, each form of an answer tells the same, and it is what the state has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statecast.protocol.entries import Entry, OperationsEntry
from statecast.protocol.local.events import TypedEventsEncoder
from statecast.protocol.local.reply import JsonReplyEncoder
from statecast.protocol.local.text import ContentEventsEncoder, PlainTextEncoder
from statecast.protocol.messages.encoder import MessageEncoder
from statecast.protocol.messages.projection import Projection
from statecast.protocol.openai.encoder import ChatCompletionEncoder, ChatCompletionStreamEncoder, Completion
from statecast_agents import AssistantMessage, operations
from tests.transport.answering_agent import RUN, Answering, projection

pytestmark = pytest.mark.slow

COMPLETION = Completion(id="chatcmpl-1", model="bees", created=1)

piece = st.text(st.sampled_from('ab \n"\\😀\u2028{}[],'), min_size=1, max_size=4)
action = st.one_of(
    st.tuples(st.sampled_from(["text", "reasoning"]), st.lists(piece, min_size=1, max_size=4)),
    st.tuples(st.sampled_from(["answered", "open", "streamed", "declared"]), st.just([""])),
    st.tuples(st.sampled_from(["message", "source", "data", "file", "title"]), st.just([""])),
    st.tuples(st.sampled_from(["renamed", "listed", "asked"]), st.lists(piece, min_size=1, max_size=2)),
)


@dataclass
class Told:
    """What a reader of one form knows at the end."""

    text: str = ""
    reasoning: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)  #: those that are left open: name, arguments


def play(actions: list[tuple[str, list[str]]]) -> Answering:
    """Do something, piece by piece, in turns of their own."""
    answering = Answering()
    message = answering.messages.assistant()
    for kind, pieces in actions:
        match kind:
            case "text":
                answering.each(*[partial(message.append_text, text) for text in pieces])
            case "reasoning":
                answering.each(*[partial(message.append_reasoning, text) for text in pieces])
            case "answered":
                call = message.add_tool_call("look_up", {"x": 1})
                answering.each(answering.flush, partial(call.set_result, [1]))
            case "open":
                answering.each(partial(message.add_tool_call, "ask", {"x": [1, "y"]}))
            case "streamed" | "declared":
                call = message.add_tool_call("declared" if kind == "declared" else "ask")
                answering.each(*[partial(call.append_args, text) for text in ('{"x', '":', "1}")])
                call.finish_args()
            case "message":
                message = answering.messages.assistant()
            case "source":
                message.add_source("https://example.com")
            case "data":
                message.add_data("chart", {"x": 1})
            case "renamed":
                message.rename(message.id + "+")
            case "listed":
                answering.each(partial(rename_in_another_list, answering, message.id))
                message = answering.messages.last_assistant()
            case "asked":
                ask_another(answering, message, pieces)
            case "file":
                message.add_file("AAAA", "text/plain")
            case _:
                answering.run.state["title"] = "Bees"
    answering.turn("completed")
    return answering


def rename_in_another_list(answering: Answering, id: str) -> None:
    """Put a copy of all messages in the place of the list, and give one of them another id."""
    messages = [dict(message) for message in answering.document.plain()["messages"]]
    answering.run.state["messages"] = [
        {**message, "id": message["id"] + "-"} if message.get("id") == id else message for message in messages
    ]


def ask_another(answering: Answering, message: AssistantMessage, pieces: list[str]) -> None:
    """Have a sub-agent answer, which asks another one."""
    call = message.add_tool_call("research", {"x": 1})
    call.messages.user("What?")
    answer = call.messages.assistant()
    answering.each(*[partial(answer.append_text, text) for text in pieces])
    inner = answer.add_tool_call("look_up", {})
    answering.each(*[partial(inner.messages.open("m").append_reasoning, text) for text in pieces])
    answering.each(partial(inner.set_result, 1), partial(call.set_result, [1]))


def in_state(answering: Answering) -> Told:
    """Return what the state has."""
    parts = [part for message in answering.messages.items for part in message["parts"]]
    calls = [part for part in parts if part["type"] == "tool-call" and "result" not in part]
    return Told(
        "\n\n".join(part["text"] for part in parts if part["type"] == "text"),
        "\n\n".join(part["text"] for part in parts if part["type"] == "reasoning"),
        [(call["toolName"], call["args"]) for call in calls],
    )


def written(encoder: MessageEncoder, entries: list[Entry]) -> str:
    """Return the whole stream."""
    return b"".join([*map(encoder.encode, entries), encoder.finish()]).decode()


def events(stream: str) -> Iterator[Any]:
    """Yield what the events of a stream say."""
    for line in stream.split("\n\n"):
        if line not in ("", "data: [DONE]"):
            assert line.startswith("data: ")
            yield json.loads(line.removeprefix("data: "))


def typed(stream: str) -> Told:
    """Read typed events, part by part."""
    texts: dict[tuple[str, int], str] = {}
    calls: dict[str, tuple[str, Any]] = {}
    for event in events(stream):
        match event["type"]:
            case "text" | "reasoning":
                key = event["type"], event["part"]
                texts[key] = texts.get(key, "") + event["content"]
            case "tool_use":
                calls[event["id"]] = event["name"], event["input"]
            case "tool_result":
                del calls[event["tool_use_id"]]
    kinds = ("text", "reasoning")
    text, reasoning = ("\n\n".join(text for (kind, _), text in texts.items() if kind == wanted) for wanted in kinds)
    return Told(text, reasoning, list(calls.values()))


def chunked(stream: str) -> Told:
    """Read chunks of a completion."""
    told = Told()
    calls: list[list[str]] = []
    for chunk in events(stream):
        delta = chunk["choices"][0]["delta"]
        told.text += delta.get("content") or ""
        told.reasoning += delta.get("reasoning_content") or ""
        for call in delta.get("tool_calls", ()):
            if call["index"] == len(calls):
                calls.append([call["function"]["name"], ""])
            calls[call["index"]][1] += call["function"]["arguments"]
    told.calls = [(name, json.loads(text)) for name, text in calls]
    return told


@settings(deadline=None)
@given(st.lists(action, max_size=8))
def test_every_form_of_an_answer_tells_what_the_state_has(actions: list[tuple[str, list[str]]]) -> None:
    answering = play(actions)
    entries, state = answering.entries, in_state(answering)

    assert written(PlainTextEncoder(projection(answering)), entries) == state.text

    pieces = written(ContentEventsEncoder(projection(answering)), entries)
    assert "".join(event["content"] for event in events(pieces)) == state.text
    assert pieces.endswith("data: [DONE]\n\n")

    told = typed(written(TypedEventsEncoder(projection(answering)), entries))
    assert (told.text, told.calls) == (state.text, state.calls)
    assert told.reasoning == state.reasoning

    reply = json.loads(written(JsonReplyEncoder(projection(answering)), entries))
    assert reply["text"] == reply["message"] == state.text
    assert reply["parts"] == [part for message in answering.messages.items for part in message["parts"]]
    assert [reply["toolCall"]["name"]] == [state.calls[0][0]] if state.calls else "toolCall" not in reply

    tools = frozenset({"declared"})
    told = chunked(written(ChatCompletionStreamEncoder(projection(answering), COMPLETION, tools=tools), entries))
    assert (told.text, told.reasoning) == (state.text, state.reasoning)
    assert sorted(told.calls, key=repr) == sorted(state.calls, key=repr)

    completion = json.loads(written(ChatCompletionEncoder(projection(answering), COMPLETION), entries))
    message = completion["choices"][0]["message"]
    assert (message["content"] or "", message.get("reasoning_content", "")) == (state.text, state.reasoning)
    functions = [call["function"] for call in message.get("tool_calls", ())]
    assert [(function["name"], json.loads(function["arguments"])) for function in functions] == state.calls


@settings(deadline=None)
@given(st.lists(action, max_size=8), st.data())
def test_a_reader_that_joins_anywhere_is_told_the_same(
    actions: list[tuple[str, list[str]]], data: st.DataObject
) -> None:
    answering = play(actions)
    at = data.draw(st.integers(1, len(answering.entries)))
    before, after = answering.entries[:at], answering.entries[at:]
    changed = [entry for entry in before if isinstance(entry, OperationsEntry)]
    state = answering.base
    for entry in changed:
        state = operations.apply(state, operations.decode(entry.operations))
    rest = [entry for entry in before if not isinstance(entry, OperationsEntry)]

    def joined(encoder: MessageEncoder) -> str:
        start = encoder.snapshot(json.dumps(state).encode(), at, rest)
        return start.decode() + written(encoder, after)

    def late() -> Projection:
        return Projection(("messages",), run_id=RUN)

    known = in_state(answering)
    assert joined(PlainTextEncoder(late())) == known.text
    told = typed(joined(TypedEventsEncoder(late())))
    assert (told.text, told.reasoning, told.calls) == (known.text, known.reasoning, known.calls)
    told = chunked(joined(ChatCompletionStreamEncoder(late(), COMPLETION, tools=frozenset({"declared"}))))
    assert (told.text, told.reasoning) == (known.text, known.reasoning)
    assert sorted(told.calls, key=repr) == sorted(known.calls, key=repr)
    parts = json.loads(joined(JsonReplyEncoder(late())))["parts"]
    assert parts == [part for message in answering.messages.items for part in message["parts"]]


def test_what_grows_in_turns_inside_and_outside_the_state_is_not_mixed_up() -> None:
    answering = Answering()
    message = answering.messages.assistant()
    call = answering.parts.add_tool_call("ask", id="a")
    for text, args in (("Which ", '{"x'), ("bees", '":'), ("?", "1}")):
        answering.each(partial(message.append_text, text), partial(call.append_args, args))
    answering.turn("completed")

    told = chunked(written(ChatCompletionStreamEncoder(projection(answering), COMPLETION), answering.entries))
    assert (told.text, told.calls) == ("Which bees?", [("ask", {"x": 1})])
    told = typed(written(TypedEventsEncoder(projection(answering)), answering.entries))
    assert (told.text, told.calls) == ("Which bees?", [("ask", {"x": 1})])
    reply = json.loads(written(JsonReplyEncoder(projection(answering)), answering.entries))
    assert [part["type"] for part in reply["parts"]] == ["text", "tool-call"]
