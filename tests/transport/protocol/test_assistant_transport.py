"""Both protocols as bytes: what each entry of a log looks like on the wire."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from statecast.protocol import PROTOCOLS, ChunkEntry, Cursor, OperationsEntry, RunEntry, RunError, RunState
from statecast.protocol.assistant_transport.data_stream import decode as decode_lines
from statecast.protocol.assistant_transport.events import decode as decode_events
from statecast_agents import Usage, chunks

TEXT = chunks.PartStarted(part=0, init=chunks.TextPart())
REASONING = chunks.PartStarted(part=0, init=chunks.ReasoningPart())
CALL = chunks.PartStarted(part=0, init=chunks.ToolCallPart(tool_call_id="c", tool_name="look"))

#: What was emitted; the events; the lines.
TABLE: list[tuple[str, Sequence[chunks.Chunk], list[str], list[str]]] = [
    (
        "text",
        [TEXT, chunks.TextDelta(part=0, text="grüß"), chunks.PartFinished(part=0)],
        [
            '{"type":"part-start","part":{"type":"text"},"path":[]}',
            '{"type":"text-delta","textDelta":"grüß","path":[0]}',
            '{"type":"part-finish","path":[0]}',
        ],
        ['0:"grüß"'],
    ),
    (
        "text below another part",
        [
            chunks.PartStarted(part=0, init=chunks.TextPart(parent_id="p")),
            chunks.TextDelta(part=0, text="x"),
        ],
        [
            '{"type":"part-start","part":{"type":"text","parentId":"p"},"path":[]}',
            '{"type":"text-delta","textDelta":"x","path":[0]}',
        ],
        ['aui-text-delta:{"textDelta":"x","parentId":"p"}'],
    ),
    (
        "reasoning",
        [REASONING, chunks.TextDelta(part=0, text="hm")],
        [
            '{"type":"part-start","part":{"type":"reasoning"},"path":[]}',
            '{"type":"text-delta","textDelta":"hm","path":[0]}',
        ],
        ['g:"hm"'],
    ),
    (
        "reasoning with a summary, below another part",
        [
            chunks.PartStarted(part=0, init=chunks.ReasoningPart(unstable_summary="s", parent_id="p")),
            chunks.TextDelta(part=0, text="hm"),
        ],
        [
            '{"type":"part-start","part":{"type":"reasoning","unstable_summary":"s","parentId":"p"},"path":[]}',
            '{"type":"text-delta","textDelta":"hm","path":[0]}',
        ],
        [
            'aui-reasoning-part-start:{"unstable_summary":"s","parentId":"p"}',
            'aui-reasoning-delta:{"reasoningDelta":"hm","parentId":"p"}',
        ],
    ),
    (
        "tool call with a result",
        [
            CALL,
            chunks.TextDelta(part=0, text='{"a"'),
            chunks.TextDelta(part=0, text=":1}"),
            chunks.ArgsFinished(part=0),
            chunks.ToolResult(part=0, result=[2]),
            chunks.PartFinished(part=0),
        ],
        [
            '{"type":"part-start","part":{"type":"tool-call","toolCallId":"c","toolName":"look"},"path":[]}',
            '{"type":"text-delta","textDelta":"{\\"a\\"","path":[0]}',
            '{"type":"text-delta","textDelta":":1}","path":[0]}',
            '{"type":"tool-call-args-text-finish","path":[0]}',
            '{"type":"result","result":[2],"isError":false,"path":[0]}',
            '{"type":"part-finish","path":[0]}',
        ],
        [
            'b:{"toolCallId":"c","toolName":"look"}',
            'c:{"toolCallId":"c","argsTextDelta":"{\\"a\\""}',
            'c:{"toolCallId":"c","argsTextDelta":":1}"}',
            'c:{"toolCallId":"c","argsTextDelta":"","isFinal":true}',
            'a:{"toolCallId":"c","result":[2]}',
        ],
    ),
    (
        "tool call without arguments that failed",
        [
            CALL,
            chunks.ArgsFinished(part=0),
            chunks.ToolResult(
                part=0, result="no", is_error=True, artifact=None, model_content=[{"type": "text"}], messages=[1]
            ),
        ],
        [
            '{"type":"part-start","part":{"type":"tool-call","toolCallId":"c","toolName":"look"},"path":[]}',
            '{"type":"tool-call-args-text-finish","path":[0]}',
            (
                '{"type":"result","result":"no","isError":true,"artifact":null,"modelContent":[{"type":"text"}],'
                '"messages":[1],"path":[0]}'
            ),
        ],
        [
            'b:{"toolCallId":"c","toolName":"look"}',
            'c:{"toolCallId":"c","argsTextDelta":"{}","isFinal":true}',
            (
                'a:{"toolCallId":"c","result":"no","artifact":null,"modelContent":[{"type":"text"}],'
                '"messages":[1],"isError":true}'
            ),
        ],
    ),
    (
        "source",
        [
            chunks.PartStarted(part=0, init=chunks.SourcePart(id="s", url="https://example.com", title="T")),
            chunks.PartFinished(part=0),
        ],
        [
            (
                '{"type":"part-start","part":{"type":"source","sourceType":"url","id":"s","url":"https://example.com",'
                '"title":"T"},"path":[]}'
            ),
            '{"type":"part-finish","path":[0]}',
        ],
        ['h:{"sourceType":"url","id":"s","url":"https://example.com","title":"T"}'],
    ),
    (
        "file",
        [chunks.PartStarted(part=0, init=chunks.FilePart(data="aGk=", mime_type="text/plain"))],
        ['{"type":"part-start","part":{"type":"file","data":"aGk=","mimeType":"text/plain"},"path":[]}'],
        ['k:{"data":"aGk=","mimeType":"text/plain"}'],
    ),
    (
        "data part",
        [chunks.PartStarted(part=0, init=chunks.DataPart(name="n", data={"x": None}, parent_id="p"))],
        ['{"type":"part-start","part":{"type":"data","name":"n","data":{"x":null},"parentId":"p"},"path":[]}'],
        ['aui-data:{"name":"n","data":{"x":null},"parentId":"p"}'],
    ),
    ("data", [chunks.Data(data=[1, {}])], ['{"type":"data","data":[1,{}],"path":[]}'], ["2:[1,{}]"]),
    (
        "annotations",
        [chunks.Annotations(annotations=["a"])],
        ['{"type":"annotations","annotations":["a"],"path":[]}'],
        ['8:["a"]'],
    ),
    (
        "steps",
        [
            chunks.StepStarted(message_id="m"),
            chunks.StepFinished(finish_reason="tool-calls", usage=Usage(1, 2), is_continued=True),
            chunks.MessageFinished(finish_reason="stop", usage=Usage(3, 4)),
        ],
        [
            '{"type":"step-start","messageId":"m","path":[]}',
            (
                '{"type":"step-finish","finishReason":"tool-calls","usage":{"inputTokens":1,"outputTokens":2},'
                '"isContinued":true,"path":[]}'
            ),
            '{"type":"message-finish","finishReason":"stop","usage":{"inputTokens":3,"outputTokens":4},"path":[]}',
        ],
        [
            'f:{"messageId":"m"}',
            'e:{"finishReason":"tool-calls","usage":{"inputTokens":1,"outputTokens":2},"isContinued":true}',
            'd:{"finishReason":"stop","usage":{"inputTokens":3,"outputTokens":4}}',
        ],
    ),
    (
        "errors on the way",
        [chunks.Failure(text="ow"), chunks.Failure(text="ow", code="c", severity="warning")],
        [
            '{"type":"error","error":"ow","path":[]}',
            '{"type":"error","error":"ow","code":"c","severity":"warning","path":[]}',
        ],
        ['3:"ow"', '3:"ow"'],
    ),
    (
        "what belongs to a part that this stream never saw",
        [chunks.TextDelta(part=7, text="x"), chunks.PartFinished(part=7)],
        [],
        [],
    ),
]


@pytest.mark.parametrize(("emitted", "events", "lines"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_an_agent_emits_on_the_wire(emitted: Sequence[chunks.Chunk], events: list[str], lines: list[str]) -> None:
    entries = [ChunkEntry(number, "run", chunk) for number, chunk in enumerate(emitted)]
    transport, stream = PROTOCOLS["assistant-transport"]("run"), PROTOCOLS["data-stream"]("run")

    assert b"".join(map(transport.encode, entries)).decode() == "".join(f"data: {event}\n\n" for event in events)
    assert b"".join(map(stream.encode, entries)).decode() == "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize(
    ("protocol", "snapshot", "operations", "heartbeat", "end"),
    [
        (
            "assistant-transport",
            b'data: {"type":"update-state","path":[],"operations":[{"type":"set","path":[],"value":{"a":1}}]}\n\n',
            b'data: {"type":"update-state","path":[],"operations":[1]}\n\n',
            b": \n\n",
            b"data: [DONE]\n\n",
        ),
        (
            "data-stream",
            b'aui-state:[{"type":"set","path":[],"value":{"a":1}}]\n',
            b"aui-state:[1]\n",
            b"\n",
            b"",
        ),
    ],
)
def test_state_on_the_wire(protocol: str, snapshot: bytes, operations: bytes, heartbeat: bytes, end: bytes) -> None:
    encoder = PROTOCOLS[protocol](None)

    assert encoder.snapshot(b'{"a":1}', 0, []) == snapshot
    assert encoder.encode(OperationsEntry(1, b"[1]")) == operations
    assert encoder.heartbeat == heartbeat
    assert encoder.finish() == end


@pytest.mark.parametrize(
    ("protocol", "failure"),
    [
        ("assistant-transport", b'data: {"type":"error","path":[],"error":"No luck.","code":"no_luck"}\n\n'),
        ("data-stream", b'3:"No luck."\n'),
    ],
)
def test_a_stream_says_how_its_own_run_failed_and_no_other(protocol: str, failure: bytes) -> None:
    failed = RunEntry(1, RunState("mine", "failed", RunError("no_luck", "No luck.")))

    assert PROTOCOLS[protocol]("mine").encode(failed) == failure
    assert PROTOCOLS[protocol]("another").encode(failed) == b""
    assert PROTOCOLS[protocol]("mine").encode(RunEntry(1, RunState("mine", "completed"))) == b""


def test_parts_are_numbered_by_the_stream_and_not_by_the_run() -> None:
    encoder = PROTOCOLS["assistant-transport"]("second")
    said: list[chunks.Chunk] = [chunks.PartStarted(part=0, init=chunks.TextPart()), chunks.TextDelta(part=0, text="x")]
    body = b"".join(encoder.encode(ChunkEntry(1, run, chunk)) for run in ("first", "second") for chunk in said)

    assert [chunk["path"] for chunk in decode_events(body)[0]] == [[], [0], [], [1]]


def test_the_clients_default_protocol_comes_first() -> None:
    assert list(PROTOCOLS) == ["data-stream", "assistant-transport"]


def test_what_was_written_can_be_read() -> None:
    assert decode_events(b': \n\ndata: {"a":1}\n\ndata: [DONE]\n\ndata: {"b":2}\n\n') == ([{"a": 1}], True)
    assert decode_events(b'data: {"a":1}\n\n') == ([{"a": 1}], False)
    assert decode_lines(b'\n0:"x"\naui-state:[]\n') == [("0", "x"), ("aui-state", [])]


@pytest.mark.parametrize("cursor", [Cursor("abc", 0), Cursor("a-b", 7), Cursor("abc", 10**17)])
def test_a_cursor_reads_what_it_wrote(cursor: Cursor) -> None:
    assert Cursor.parse(str(cursor)) == cursor


@pytest.mark.parametrize("text", ["", "abc", "-1", "abc-", "abc-x", "abc-1.0", "abc-٣", "abc-²", "abc-" + "1" * 19])
def test_what_is_no_cursor_is_none(text: str) -> None:
    assert Cursor.parse(text) is None
