"""Message parts outside the state: whatever an agent calls, the chunks are a well-formed sequence."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import msgspec
import pytest

from statecast_agents import Json, NotJson, OperationError, Parts, Usage, chunks

TEXT = {"type": "text"}
REASONING = {"type": "reasoning"}


def call(id: str, name: str = "f", **rest: Json) -> Json:
    return {"type": "tool-call", "toolCallId": id, "toolName": name, **rest}


def opened(part: int, init: Json) -> Json:
    return {"type": "part-start", "part": part, "init": init}


def grown(part: int, text: str) -> Json:
    return {"type": "text-delta", "part": part, "text": text}


def args_finished(part: int) -> Json:
    return {"type": "tool-call-args-text-finish", "part": part}


def result(part: int, value: Json, *, is_error: bool = False, **rest: Json) -> Json:
    return {"type": "result", "part": part, "result": value, "isError": is_error, **rest}


def closed(part: int) -> Json:
    return {"type": "part-finish", "part": part}


def step_finished(reason: str = "stop", read: int = 0, written: int = 0, *, continued: bool = False) -> Json:
    usage = {"inputTokens": read, "outputTokens": written}
    return {"type": "step-finish", "finishReason": reason, "usage": usage, "isContinued": continued}


STEP = {"type": "step-start", "messageId": "m"}
SOURCE = {"type": "source", "sourceType": "url", "id": "s", "url": "u"}

# What an agent does with `p`, and the chunks.
NO_ARGS = [opened(0, call("c")), grown(0, "{}"), args_finished(0), closed(0)]

SEQUENCES: list[tuple[str, list[Json]]] = [
    # Text and reasoning: a part ends where something else begins
    ("p.append_text('a'); p.append_text('b')", [opened(0, TEXT), grown(0, "a"), grown(0, "b")]),
    ("p.append_text('')", [opened(0, TEXT)]),
    ("p.append_text('a'); p.close(); p.close()", [opened(0, TEXT), grown(0, "a"), closed(0)]),
    (
        "p.append_reasoning('a'); p.append_text('b'); p.append_reasoning('c')",
        [
            *(opened(0, REASONING), grown(0, "a"), closed(0)),
            *(opened(1, TEXT), grown(1, "b"), closed(1)),
            *(opened(2, REASONING), grown(2, "c")),
        ],
    ),
    (
        "p.append_text('a'); p.close(); p.append_text('b')",
        [opened(0, TEXT), grown(0, "a"), closed(0), opened(1, TEXT), grown(1, "b")],
    ),
    (
        "p.append_text('a', parent_id='x'); p.append_text('b', parent_id='x'); p.append_text('c')",
        [
            *(opened(0, {**TEXT, "parentId": "x"}), grown(0, "a"), grown(0, "b"), closed(0)),
            *(opened(1, TEXT), grown(1, "c")),
        ],
    ),
    (
        "p.append_reasoning('a', summary='s'); p.append_reasoning('b', summary='t', parent_id='x')",
        [
            *(opened(0, {**REASONING, "unstable_summary": "s"}), grown(0, "a"), closed(0)),
            *(opened(1, {**REASONING, "unstable_summary": "t", "parentId": "x"}), grown(1, "b")),
        ],
    ),
    # Tool calls
    (
        "c = p.add_tool_call('f', id='c'); [c.append_args(text) for text in ('{', '', '}')]; c.set_result([1])",
        [opened(0, call("c")), grown(0, "{"), grown(0, "}"), args_finished(0), result(0, [1]), closed(0)],
    ),
    (
        "p.add_tool_call('f', {'a': (1,)}, id='c', parent_id='x')",
        [opened(0, call("c", parentId="x")), grown(0, '{"a":[1]}'), args_finished(0)],
    ),
    ("p.add_tool_call('f', None, id='c')", [opened(0, call("c")), grown(0, "null"), args_finished(0)]),
    ("p.add_tool_call('f', id='c').finish_args(); p.close()", NO_ARGS),
    ("c = p.add_tool_call('f', id='c'); c.close(); c.close()", NO_ARGS),
    (
        "p.add_tool_call('f', {}, id='c').set_result(0, is_error=True, artifact=None, model_content=[{}], messages=1)",
        [
            *(opened(0, call("c")), grown(0, "{}"), args_finished(0)),
            *(result(0, 0, is_error=True, artifact=None, modelContent=[{}], messages=1), closed(0)),
        ],
    ),
    # Calls are open beside one another, and beside text
    (
        "c, d = p.add_tool_call('f', id='c'), p.add_tool_call('g', id='d'); d.append_args('1'); c.append_args('2')",
        [opened(0, call("c")), opened(1, call("d", "g")), grown(1, "1"), grown(0, "2")],
    ),
    (
        "c, d = p.add_tool_call('f', id='c'), p.add_tool_call('g', id='d'); c.set_result(1); d.set_result(2)",
        [
            *(opened(0, call("c")), opened(1, call("d", "g"))),
            *(grown(0, "{}"), args_finished(0), result(0, 1), closed(0)),
            *(grown(1, "{}"), args_finished(1), result(1, 2), closed(1)),
        ],
    ),
    (
        "p.append_text('a'); c = p.add_tool_call('f', id='c'); p.append_text('b'); c.append_args('{}'); p.close()",
        [
            *(opened(0, TEXT), grown(0, "a"), closed(0), opened(1, call("c"))),
            *(opened(2, TEXT), grown(2, "b"), grown(1, "{}"), closed(2), args_finished(1), closed(1)),
        ],
    ),
    # Parts that are whole at once
    ("p.add_source('u', id='s')", [opened(0, SOURCE), closed(0)]),
    (
        "p.add_source('u', id='s', title='t', parent_id='x')",
        [opened(0, {**SOURCE, "title": "t", "parentId": "x"}), closed(0)],
    ),
    (
        "p.append_text('a'); p.add_file('AA==', 'image/png'); p.append_text('b')",
        [
            *(opened(0, TEXT), grown(0, "a"), closed(0)),
            *(opened(1, {"type": "file", "data": "AA==", "mimeType": "image/png"}), closed(1)),
            *(opened(2, TEXT), grown(2, "b")),
        ],
    ),
    (
        "p.add_data_part('chart', {'a': (1,)})",
        [opened(0, {"type": "data", "name": "chart", "data": {"a": [1]}}), closed(0)],
    ),
    # The message as a whole: text goes on
    (
        "p.append_text('a'); p.add_data(1, (2,)); p.add_annotations({'b': 1}); p.append_text('c')",
        [
            *(opened(0, TEXT), grown(0, "a"), {"type": "data", "data": [1, [2]]}),
            *({"type": "annotations", "annotations": [{"b": 1}]}, grown(0, "c")),
        ],
    ),
    ("p.add_error('e')", [{"type": "error", "text": "e"}]),
    (
        "p.add_error('e', code='c', severity='info')",
        [{"type": "error", "text": "e", "code": "c", "severity": "info"}],
    ),
    # Steps, and the end
    ("with p.step('m'): pass", [STEP, step_finished()]),
    (
        "with p.step('m') as s: s.usage = Usage(1, 2); s.finish_reason = 'tool-calls'; s.is_continued = True",
        [STEP, step_finished("tool-calls", 1, 2, continued=True)],
    ),
    (
        "with p.step('m'): p.add_tool_call('f', id='c')",
        [STEP, opened(0, call("c")), grown(0, "{}"), args_finished(0), closed(0), step_finished()],
    ),
    (
        "try:\n with p.step('m'): p.append_text('a'); 1/0\nexcept ZeroDivisionError: p.add_error('e')",
        [STEP, opened(0, TEXT), grown(0, "a"), closed(0), step_finished("error"), {"type": "error", "text": "e"}],
    ),
    (
        "p.append_text('a'); p.finish('length', Usage(1, 2))",
        [
            *(opened(0, TEXT), grown(0, "a"), closed(0)),
            {"type": "message-finish", "finishReason": "length", "usage": {"inputTokens": 1, "outputTokens": 2}},
        ],
    ),
    (
        "p.finish()",
        [{"type": "message-finish", "finishReason": "stop", "usage": {"inputTokens": 0, "outputTokens": 0}}],
    ),
]


def emitted(code: str) -> list[Json]:
    """Do what the code says with `p`, and return the chunks as JSON."""
    sent: list[chunks.Chunk] = []
    exec(code, {"p": Parts(sent.append), "Usage": Usage})
    return [json.loads(msgspec.json.encode(chunk)) for chunk in sent]


@pytest.mark.parametrize(("code", "expected"), SEQUENCES, ids=[code for code, _ in SEQUENCES])
def test_what_an_agent_calls_becomes_chunks(code: str, expected: list[Json]) -> None:
    assert emitted(code) == expected


@pytest.mark.parametrize("code", [code for code, _ in SEQUENCES])
def test_every_chunk_decodes_to_itself(code: str) -> None:
    sent: list[chunks.Chunk] = []
    exec(code, {"p": Parts(sent.append), "Usage": Usage})

    assert msgspec.json.decode(msgspec.json.encode(sent), type=list[chunks.Chunk]) == sent


def test_ids_are_made_where_none_are_given() -> None:
    sent = emitted("p.add_tool_call('f'); p.add_source('u')\nwith p.step(): pass")

    made = [sent[0]["init"]["toolCallId"], sent[1]["init"]["id"], sent[3]["messageId"]]
    assert [id.partition("_")[0] for id in made] == ["call", "src", "msg"]


# What is refused, and the chunks that went before; what follows the refusal is well-formed again.
REFUSED: list[tuple[str, type[Exception], list[Json]]] = [
    ("p.append_text('\\ud800.')", NotJson, [opened(0, TEXT)]),
    ("p.append_text(b'x')", TypeError, []),
    ("p.append_reasoning(None)", TypeError, []),
    ("p.add_tool_call('f', id='c').append_args({})", TypeError, [opened(0, call("c"))]),
    ("p.add_tool_call('f', {1})", NotJson, []),
    ("p.add_tool_call('\\ud800')", NotJson, []),
    ("p.add_data_part('a', {1})", NotJson, []),
    ("p.add_data({1})", NotJson, []),
    ("p.add_annotations(float('nan'))", NotJson, []),
    ("p.add_error('\\ud800')", NotJson, []),
    ("p.add_tool_call('f', id='c').set_result({1})", NotJson, [opened(0, call("c"))]),
]


@pytest.mark.parametrize(("code", "error", "before"), REFUSED, ids=[code for code, _, _ in REFUSED])
def test_what_json_cannot_carry_is_not_emitted(code: str, error: type[Exception], before: list[Json]) -> None:
    sent: list[chunks.Chunk] = []
    parts = Parts(sent.append)

    with pytest.raises(error):
        exec(code, {"p": parts})
    assert [json.loads(msgspec.json.encode(chunk)) for chunk in sent] == before
    parts.append_text("a")
    parts.close()
    well_formed(sent)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("c.finish_args(); c.append_args('x')", 'the arguments of the tool call "c" are finished'),
        ("c.set_result(1); c.append_args('x')", 'the arguments of the tool call "c" are finished'),
        ("c.set_result(1); c.set_result(1)", 'the tool call "c" is closed'),
        ("c.close(); c.set_result(1)", 'the tool call "c" is closed'),
        ("p.close(); c.set_result(1)", 'the tool call "c" is closed'),
    ],
)
def test_a_closed_call_takes_nothing_more(code: str, text: str) -> None:
    parts = Parts(lambda chunk: None)

    with pytest.raises(OperationError, match=text):
        exec(code, {"p": parts, "c": parts.add_tool_call("f", id="c")})


def test_whatever_an_agent_calls_the_sequence_is_well_formed() -> None:
    for seed in range(300):
        random = Random(seed)
        sent: list[chunks.Chunk] = []
        parts = Parts(sent.append)
        calls: list[Any] = []
        for _ in range(random.randrange(30)):
            try:
                _do_anything(random, parts, calls)
            except OperationError:
                continue
        parts.finish()
        well_formed(sent)


def _do_anything(random: Random, parts: Parts, calls: list[Any]) -> None:
    choice = random.randrange(10)
    if choice < 2:
        parts.append_text(random.choice(["", "a"]), parent_id=random.choice([None, None, "x"]))
    elif choice < 4:
        parts.append_reasoning(random.choice(["", "a"]))
    elif choice < 6:
        calls.append(parts.add_tool_call("f", *random.choice([(), ({},)])))
    elif choice == 6:
        parts.add_source("u")
    elif choice == 7:
        parts.close()
    elif calls:
        call = random.choice(calls)
        random.choice([lambda: call.append_args("x"), call.finish_args, lambda: call.set_result(1), call.close])()


def well_formed(sent: list[chunks.Chunk]) -> None:
    """Check that parts are numbered as they open, grow while they are open, and are closed in the end."""
    states: list[str] = []
    for chunk in sent:
        match chunk:
            case chunks.PartStarted(part=part):
                assert part == len(states)
                assert not [state for state in states if state == "text"]
                is_text = isinstance(chunk.init, chunks.TextPart | chunks.ReasoningPart)
                states.append("text" if is_text else "call" if isinstance(chunk.init, chunks.ToolCallPart) else "whole")
            case chunks.TextDelta(part=part):
                assert states[part] in ("text", "call")
            case chunks.ArgsFinished(part=part):
                assert states[part] == "call"
                states[part] = "call, complete"
            case chunks.ToolResult(part=part):
                assert states[part] == "call, complete"
                states[part] = "call, settled"
            case chunks.PartFinished(part=part):
                assert states[part] in ("text", "whole", "call, complete", "call, settled")
                states[part] = "closed"
    assert {*states} <= {"closed"}
