"""Whatever an agent emits, the published decoders of both protocols read back, and have nothing to say about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statecast.protocol import PROTOCOLS, ChunkEntry, OperationsEntry
from statecast_agents import Document, Parts, Usage, chunks
from tests.clients.node import Accumulator, Protocol

pytestmark = pytest.mark.slow

BOTH: list[Protocol] = ["assistant-transport", "data-stream"]

TEXTS = st.text(max_size=12)
NAMES = st.sampled_from(["a", "b", "ä"])
PARENTS = st.sampled_from([None, "p", "q"])
KEYS = st.text(max_size=4).filter(lambda key: key not in {"__proto__", "constructor", "prototype"})
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=3)


@dataclass
class Emitted:
    """What an agent emitted, and what a client should make of it."""

    chunks: list[chunks.Chunk] = field(default_factory=list)
    texts: str = ""
    reasoning: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    others: list[dict[str, Any]] = field(default_factory=list)
    data: list[Any] = field(default_factory=list)
    annotations: list[Any] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.parts = Parts(self.chunks.append)


@st.composite
def emitted(draw: st.DrawFn) -> Emitted:
    """Draw what an agent does with `run.parts`, step by step."""
    made = Emitted()
    parts = made.parts

    def call() -> None:
        args = draw(OBJECTS)
        number = len(made.calls)
        expected: dict[str, Any] = {"toolCallId": f"call{number}", "toolName": draw(NAMES), "args": args}
        parent = draw(PARENTS)
        made.calls.append(expected | ({} if parent is None else {"parentId": parent}))
        opened = parts.add_tool_call(expected["toolName"], args, id=expected["toolCallId"], parent_id=parent)
        if draw(st.booleans()):
            text = draw(TEXTS)
            parts.append_text(text)  # between a call and its result
            made.texts += text
        if draw(st.booleans()):
            result, failed = draw(VALUES), draw(st.booleans())
            opened.set_result(result, is_error=failed)
            made.calls[-1] |= {"result": result, "isError": failed}

    def text() -> None:
        value = draw(TEXTS)
        parts.append_text(value, parent_id=draw(PARENTS))
        made.texts += value

    def reasoning() -> None:
        value = draw(TEXTS)
        parts.append_reasoning(value, parent_id=draw(PARENTS), summary=draw(st.none() | NAMES))
        made.reasoning += value

    def source() -> None:
        title, name = draw(st.none() | NAMES), draw(NAMES)
        parts.add_source(f"https://example.com/{name}", title=title, id=name, parent_id=draw(PARENTS))
        source = {"type": "source", "id": name, "url": f"https://example.com/{name}"}
        made.others.append(source if title is None else {**source, "title": title})

    def file() -> None:
        parts.add_file("aGk=", "text/plain", parent_id=draw(PARENTS))
        made.others.append({"type": "file", "data": "aGk=", "mimeType": "text/plain"})

    def data_part() -> None:
        name, data = draw(NAMES), draw(VALUES)
        parts.add_data_part(name, data, parent_id=draw(PARENTS))
        made.others.append({"type": "data", "name": name, "data": data})

    def data() -> None:
        made.data += (given := draw(st.lists(VALUES, max_size=2)))
        parts.add_data(*given)

    def annotations() -> None:
        made.annotations += (given := draw(st.lists(VALUES, max_size=2)))
        parts.add_annotations(*given)

    def step() -> None:
        with parts.step(f"step{len(made.steps)}") as running:
            text()
            running.usage = Usage(draw(st.integers(0, 9)), draw(st.integers(0, 9)))
        usage = {"inputTokens": running.usage.input_tokens, "outputTokens": running.usage.output_tokens}
        made.steps.append({"messageId": f"step{len(made.steps)}", "finishReason": "stop", "usage": usage})

    acts: list[Callable[[], None]] = [call, text, reasoning, source, file, data_part, data, annotations, step]
    for act in draw(st.lists(st.sampled_from(acts), max_size=8)):
        act()
    parts.close()
    if draw(st.booleans()):
        parts.finish()
    return made


def body_of(protocol: Protocol, emitted: Sequence[chunks.Chunk], *, heartbeats: bool = False) -> bytes:
    """Return a whole response."""
    encoder = PROTOCOLS[protocol]("run")
    frames = [encoder.encode(ChunkEntry(number, "run", chunk)) for number, chunk in enumerate(emitted, 1)]
    beat = encoder.heartbeat if heartbeats else b""
    return b"".join([beat, *(frame + beat for frame in frames), encoder.finish(), beat])


@pytest.mark.parametrize("protocol", BOTH)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=emitted())
def test_what_was_emitted_comes_back(accumulator: Accumulator, protocol: Protocol, made: Emitted) -> None:
    decoded = accumulator.decode(protocol, body_of(protocol, made.chunks))

    assert (decoded.error, decoded.warnings) == (None, [])
    texts = [part["text"] for part in decoded.parts if part["type"] == "text"]
    reasoning = [part["text"] for part in decoded.parts if part["type"] == "reasoning"]
    assert ("".join(texts), "".join(reasoning)) == (made.texts, made.reasoning)
    calls = [part for part in decoded.parts if part["type"] == "tool-call"]
    assert [{key: call.get(key) for key in wanted} for call, wanted in zip(calls, made.calls, strict=True)] == [
        {**wanted, **({"isError": bool(wanted["isError"])} if "isError" in wanted else {})} for wanted in made.calls
    ]
    assert [("result" in call) for call in calls] == [("result" in wanted) for wanted in made.calls]
    others = [part for part in decoded.parts if part["type"] in {"source", "file", "data"}]
    assert [{key: part.get(key) for key in wanted} for part, wanted in zip(others, made.others, strict=True)] == (
        made.others
    )
    assert decoded.metadata["unstable_data"] == made.data
    assert decoded.metadata["unstable_annotations"] == made.annotations
    steps = decoded.metadata["steps"]
    assert [{key: step.get(key) for key in wanted} for step, wanted in zip(steps, made.steps, strict=True)] == (
        made.steps
    )


@pytest.mark.parametrize("protocol", BOTH)
def test_heartbeats_are_silent(accumulator: Accumulator, protocol: Protocol) -> None:
    made: list[chunks.Chunk] = []
    parts = Parts(made.append)
    parts.append_text("one ")
    parts.append_text("two")
    parts.append_reasoning("three")
    parts.add_source("https://example.com", id="s")

    quiet = accumulator.decode(protocol, body_of(protocol, made))
    beating = accumulator.decode(protocol, body_of(protocol, made, heartbeats=True))

    assert len(quiet.parts) == 3
    assert beating.parts == quiet.parts
    assert (beating.error, beating.warnings) == (None, [])


@pytest.mark.parametrize("protocol", BOTH)
def test_state_and_parts_share_a_stream(accumulator: Accumulator, protocol: Protocol) -> None:
    made: list[chunks.Chunk] = []
    Parts(made.append).append_text("said")
    document = Document({"text": ""})
    document.root["text"] += "grüß"
    encoder = PROTOCOLS[protocol]("run")

    body = encoder.snapshot(b'{"text":""}', 0, []) + encoder.encode(ChunkEntry(1, "run", made[0]))
    body += encoder.encode(OperationsEntry(2, document.flush().operations)) + encoder.encode(
        ChunkEntry(3, "run", made[1])
    )
    decoded = accumulator.decode(protocol, body + encoder.finish())

    assert (decoded.error, decoded.warnings) == (None, [])
    assert decoded.states == [{"text": ""}, {"text": "grüß"}]
    assert [part["text"] for part in decoded.parts] == ["said"]
