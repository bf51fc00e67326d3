"""Stored messages: what a client wrote is a message of a state, and back, and nothing that a state cannot hold."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from statecast.history.formats import FORMATS, read_message, write_message
from statecast.protocol.json_compare import same_json
from statecast.protocol.messages.part_events import init_of
from statecast_agents import Json, to_json
from tests.transport.stored_samples import JSON, LIKE_MESSAGES, MESSAGES, nested, part_of_ours

pytestmark = pytest.mark.slow

AUI = "aui/v0"
AI_SDK = "ai-sdk/v6"

CALL = {"type": "tool-call", "toolCallId": "c", "toolName": "weather", "args": {"a": 1}, "argsText": '{"a":1}'}
DONE = {**CALL, "result": 1, "isError": False}
APPROVAL = {**CALL, "toolName": "approval"}
FILE = {"id": "a", "type": "file", "name": "n", "status": {"type": "complete"}, "content": []}
WITHIN = {
    "role": "user",
    "id": "n",
    "content": [{"type": "new"}],
    "createdAt": "soon",
    "metadata": {"custom": {}, "steps": []},
    "status": {"type": "running"},
}


def said(message: Json) -> Json:
    return [message["role"], *map(part_of_ours, message["parts"])]


def answer(*parts: Json, **more: Json) -> dict[str, Json]:
    return {"id": "m", "role": "assistant", "parts": list(parts), **more}


def question(*parts: Json, **more: Json) -> dict[str, Json]:
    return {"id": "m", "role": "user", "parts": list(parts), **more}


def stored(*content: Json, role: str = "assistant", **more: Json) -> dict[str, Json]:
    return {"role": role, "content": list(content), **more}


def stored_ui(*parts: Json, role: str = "assistant", **more: Json) -> dict[str, Json]:
    return {"role": role, "parts": list(parts), **more}


# There and back


@given(MESSAGES)
@settings(deadline=None, max_examples=100)
def test_a_message_that_assistant_ui_has_stored_is_the_same_message(message: dict[str, Json]) -> None:
    content = msgspec.json.decode(msgspec.json.encode(write_message(message, AUI)))
    assert same_json(read_message(content, AUI, message["id"]), message)


@pytest.mark.parametrize("format", [AUI, AI_SDK])
@given(message=MESSAGES)
@settings(deadline=None, max_examples=100)
def test_every_form_keeps_what_is_said_called_and_answered(message: dict[str, Json], format: str) -> None:
    content = msgspec.json.decode(msgspec.json.encode(write_message(message, format)))
    read = read_message(content, format, message["id"])
    assert read is not None
    assert read["id"] == message["id"]
    assert read.get("metadata") == message.get("metadata")
    assert same_json(said(read), fingerprint_of(format, message))


def fingerprint_of(format: str, message: Json) -> Json:
    """Return what is said, as far as a form has it: of an approval, the AI SDK has only that it was given or denied."""
    expected = said(message)
    for part in expected[1:] if format != AUI else ():
        if part[0] == "call" and part[2] == "approval" and part[4] != "open":
            given = part[5] if isinstance(part[5], dict) else {}
            approved = part[4] == "gave" and bool(given.get("approved", part[5] is True))
            if not approved:
                why = {"reason": given["reason"]} if isinstance(given.get("reason"), str) else {}
                part[4:] = ["gave", {"approved": False, **why}]
    return expected


@pytest.mark.parametrize("format", [AUI, AI_SDK])
@given(message=MESSAGES)
@settings(deadline=None, max_examples=100)
def test_what_was_read_is_written_as_it_was(message: dict[str, Json], format: str) -> None:
    read = read_message(write_message(message, format), format, "m")
    content = write_message(read, format)
    assert same_json(read_message(content, format, "m"), read)
    assert same_json(write_message(read_message(content, format, "m"), format), content)


@pytest.mark.parametrize("format", [AUI, AI_SDK])
@given(message=MESSAGES)
@settings(deadline=None, max_examples=100)
def test_writing_changes_nothing_in_the_state(message: dict[str, Json], format: str) -> None:
    before = msgspec.json.encode(message)
    written = write_message(message, format)
    assert msgspec.json.encode(message) == before
    assert "id" not in written


# Tables

#: What it is; the message of the state; as assistant-ui stores it, but for its metadata.
WRITTEN: list[tuple[str, Json, Json]] = [
    ("a text", answer({"type": "text", "text": "a"}), stored({"type": "text", "text": "a"})),
    ("nothing yet", answer(), stored()),
    (
        "a source without an id",
        answer({"type": "source", "url": "https://a"}),
        stored({"type": "source", "sourceType": "url", "id": "https://a", "url": "https://a"}),
    ),
    (
        "a file without a type",
        question({"type": "file", "data": "aa"}),
        stored({"type": "file", "data": "aa", "mimeType": "application/octet-stream"}, role="user"),
    ),
    (
        "a call with a result",
        answer({**CALL, "result": None, "isError": False}),
        stored({"type": "tool-call", "toolCallId": "c", "toolName": "weather", "args": {"a": 1}, "result": None}),
    ),
    (
        "a call that failed",
        answer({**CALL, "result": "no", "isError": True}),
        stored({**{key: CALL[key] for key in CALL if key != "argsText"}, "result": "no", "isError": True}),
    ),
    (
        "a call that is open",
        answer(CALL),
        stored(
            {key: CALL[key] for key in CALL if key != "argsText"},
            status={"type": "requires-action", "reason": "tool-calls"},
        ),
    ),
    (
        "a call that asks its user",
        answer({**CALL, "approval": {"id": "1"}}),
        stored(
            {**{key: CALL[key] for key in CALL if key != "argsText"}, "approval": {"id": "1"}},
            status={"type": "requires-action", "reason": "interrupt"},
        ),
    ),
    *(
        (
            f"a call that does not ask any more: {name}",
            answer({**CALL, "approval": {"id": "1", name: value}}),
            stored(
                {**{key: CALL[key] for key in CALL if key != "argsText"}, "approval": {"id": "1", name: value}},
                status={"type": "requires-action", "reason": "tool-calls"},
            ),
        )
        for name, value in (("approved", True), ("resolution", "expired"))
    ),
    (
        "a call whose arguments came in part",
        answer({**CALL, "args": {}, "argsText": '{"a'}, status={"type": "running"}),
        stored(
            {"type": "tool-call", "toolCallId": "c", "toolName": "weather", "argsText": '{"a'},
            status={"type": "incomplete", "reason": "cancelled"},
        ),
    ),
    (
        "a message that was cut off",
        answer(status={"type": "incomplete", "reason": "error", "error": "boom"}),
        stored(status={"type": "incomplete", "reason": "error", "error": "boom"}),
    ),
    (
        "a reason that assistant-ui does not know",
        answer(status={"type": "incomplete", "reason": "tired"}),
        stored(status={"type": "incomplete", "reason": "other"}),
    ),
    (
        "a message that is complete",
        answer(status={"type": "complete", "reason": "stop"}),
        stored(status={"type": "complete", "reason": "stop"}),
    ),
    ("a status of the agent's own", answer(status="thinking"), stored()),
    (
        "a status of the user's",
        question({"type": "text", "text": "a"}, status={"type": "running"}),
        stored({"type": "text", "text": "a"}, role="user"),
    ),
    (
        "what only an answer has",
        question({"type": "reasoning", "text": "a"}, CALL, {"type": "source", "url": "https://a"}),
        stored(role="user"),
    ),
    (
        "sound in an answer",
        answer({"type": "audio", "audio": {"data": "aa", "format": "wav"}}),
        stored({"type": "file", "data": "aa", "mimeType": "audio/wav"}),
    ),
    ("a part of the agent's own", answer({"type": "chart"}, {"type": "text"}, {}, "text", None), stored()),
    (
        "what an AI SDK calls data",
        answer({"type": "data-chart", "data": 1}),
        stored({"type": "data", "name": "chart", "data": 1}),
    ),
    (
        "attachments",
        question(
            attachments=[{"id": "a", "type": "file", "name": "n", "status": {"type": "complete"}, "content": []}, 1]
        ),
        stored(
            role="user",
            attachments=[{"id": "a", "type": "file", "name": "n", "status": {"type": "complete"}, "content": []}],
        ),
    ),
    (
        "a call whose arguments are another value than their text",
        answer({**DONE, "argsText": '{"b":2}'}),
        stored({**{key: DONE[key] for key in DONE if key != "isError"}, "argsText": '{"b":2}'}),
    ),
    (
        "a call whose arguments are no object",
        answer({**DONE, "args": [1], "argsText": "[1]"}),
        stored({**{key: DONE[key] for key in DONE if key not in ("args", "isError")}, "argsText": "[1]"}),
    ),
    (
        "attachments that are not there yet, or of an unknown form",
        question(
            attachments=[
                {**FILE, "content": [{"type": "text", "text": "a"}, {"type": "new"}, {"type": "image"}]},
                {**FILE, "status": {"type": "requires-action", "reason": "composer-send"}},
            ]
        ),
        stored(role="user", attachments=[{**FILE, "content": [{"type": "text", "text": "a"}]}]),
    ),
    ("data without any", answer({"type": "data", "name": "n"}), stored({"type": "data", "name": "n", "data": None})),
    (
        "what lies within a call",
        answer({**DONE, "messages": [WITHIN, {**WITHIN, "role": "assistant"}, {**WITHIN, "role": "system"}, {}, 1]}),
        stored(
            {
                **{key: DONE[key] for key in DONE if key not in ("argsText", "isError")},
                "messages": [
                    {"role": "user", "content": [], "id": "n", "metadata": {"custom": {}}},
                    {
                        "role": "assistant",
                        "content": [],
                        "id": "n",
                        "metadata": {"custom": {}, "steps": []},
                        "status": {"type": "running"},
                    },
                ],
            }
        ),
    ),
    (
        "what lies within a call, in an unknown form",
        answer({**DONE, "messages": {"a": 1}}),
        stored({key: DONE[key] for key in DONE if key not in ("argsText", "isError")}),
    ),
    (
        "attachments of an answer",
        answer(attachments=[{"id": "a", "type": "file", "name": "n", "status": {"type": "complete"}, "content": []}]),
        stored(),
    ),
    (
        "a message of the system",
        {"role": "system", "parts": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        stored({"type": "text", "text": "ab"}, role="system"),
    ),
]


@pytest.mark.parametrize(("message", "expected"), [row[1:] for row in WRITTEN], ids=[row[0] for row in WRITTEN])
def test_a_message_of_a_state_for_assistant_ui(message: Json, expected: Json) -> None:
    written = write_message(message, AUI)
    del written["metadata"]
    assert written == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (question(metadata={"a": 1, "custom": {"b": 2}, "steps": []}), {"custom": {"a": 1, "b": 2, "steps": []}}),
        (question(metadata={"modality": "voice", "isOptimistic": True}), {"modality": "voice", "custom": {}}),
        (question(metadata=[1]), {"custom": {}}),
        (
            answer(metadata={"a": 1, "steps": [{"usage": 1}, 2], "unstable_data": 3, "timing": {"totalChunks": 1}}),
            {
                "unstable_state": None,
                "unstable_annotations": [],
                "unstable_data": [],
                "steps": [{"usage": 1}],
                "timing": {"totalChunks": 1},
                "custom": {"a": 1, "unstable_data": 3},
            },
        ),
    ],
)
def test_metadata_that_is_not_assistant_uis_own_is_the_applications(message: Json, expected: Json) -> None:
    assert write_message(message, AUI)["metadata"] == expected


#: What it is; what assistant-ui has stored; the message of the state.
READ: list[tuple[str, Json, Json]] = [
    ("a plain text", {"role": "user", "content": "a"}, question({"type": "text", "text": "a"})),
    (
        "its own empty metadata",
        stored(
            metadata={
                "unstable_state": None,
                "unstable_annotations": [],
                "unstable_data": [],
                "steps": [],
                "custom": {},
            }
        ),
        answer(),
    ),
    ("metadata", stored(metadata={"custom": {"a": 1}, "isOptimistic": True}), answer(metadata={"custom": {"a": 1}})),
    ("a status that ends nothing", stored(status={"type": "complete", "reason": "stop"}), answer()),
    (
        "a message that was cut off",
        stored(status={"type": "incomplete", "reason": "cancelled"}),
        answer(status={"type": "incomplete", "reason": "cancelled"}),
    ),
    (
        "a call with its arguments as text",
        stored({"type": "tool-call", "toolCallId": "c", "toolName": "weather", "argsText": '{"a":1}', "result": 1}),
        answer({**CALL, "result": 1, "isError": False}),
    ),
    (
        "a call with arguments that are no object",
        stored({"type": "tool-call", "toolCallId": "c", "toolName": "weather", "argsText": "[1]"}),
        answer({**CALL, "args": {}, "argsText": "[1]"}),
    ),
    (
        "a call with its arguments as a value",
        stored({"type": "tool-call", "toolCallId": "c", "toolName": "weather", "args": {"a": 1}}),
        answer(CALL),
    ),
    (
        "a call that says who asked",
        stored({**CALL, "approval": {"id": "1", "approved": True}, "artifact": [1], "result": 2, "isError": True}),
        answer({**CALL, "approval": {"id": "1", "approved": True}, "artifact": [1], "result": 2, "isError": True}),
    ),
    (
        "what lies within a call",
        stored({**CALL, "messages": [stored({"type": "text", "text": "a"}, {"type": "new"}), 1, {"role": "x"}]}),
        answer({**CALL, "messages": [stored({"type": "text", "text": "a"})]}),
    ),
    (
        "attachments",
        stored(
            {"type": "text", "text": "a"},
            role="user",
            attachments=[
                {
                    "id": "1",
                    "type": "document",
                    "name": "n.txt",
                    "status": {"type": "complete"},
                    "content": [{"type": "text", "text": "b"}, {"type": "new"}],
                },
                {"id": "2", "type": "image", "name": "n.png", "status": {"type": "requires-action"}, "content": []},
            ],
        ),
        question({"type": "text", "text": "a"}, {"type": "text", "text": "b"}),
    ),
    (
        "what is unreadable",
        stored(
            {"type": "text"},
            {"type": "new"},
            {},
            1,
            None,
            {"type": 1},
            {"type": "image", "image": 1},
            {**CALL, "toolName": 1},
            {**CALL, "argsText": 1},
            {key: CALL[key] for key in ("type", "toolCallId", "toolName")},
            {"type": "reasoning"},
            {"type": "reasoning", "text": "a", "unstable_summary": 1},
        ),
        answer(),
    ),
    (
        "a document",
        stored({"type": "source", "sourceType": "document", "id": "1", "title": "t", "mediaType": "m"}),
        answer({"type": "source", "sourceType": "document", "id": "1", "title": "t", "mediaType": "m"}),
    ),
]


@pytest.mark.parametrize(("content", "expected"), [row[1:] for row in READ], ids=[row[0] for row in READ])
def test_what_assistant_ui_has_stored_as_a_message_of_a_state(content: Json, expected: Json) -> None:
    assert read_message(content, AUI, "m") == expected


TOOL = {"type": "tool-weather", "toolCallId": "c", "input": {"a": 1}}

#: What it is; the part of the state; the AI SDK's.
PARTS: list[tuple[str, Json, Json]] = [
    ("a call", CALL, {**TOOL, "state": "input-available"}),
    ("a call that began", {**CALL, "args": {}, "argsText": '{"a'}, {**TOOL, "input": {}, "state": "input-streaming"}),
    (
        "a result",
        {**CALL, "result": {"b": 2}, "isError": False},
        {**TOOL, "state": "output-available", "output": {"b": 2}, "providerExecuted": True},
    ),
    (
        "a failure",
        {**CALL, "result": {"b": 2}, "isError": True},
        {**TOOL, "state": "output-error", "errorText": '{"b":2}', "providerExecuted": True},
    ),
    (
        "a question whether to go on",
        APPROVAL,
        {**TOOL, "type": "tool-approval", "state": "approval-requested", "approval": {"id": "c"}},
    ),
    (
        "a yes",
        {**APPROVAL, "result": {"approved": True}, "isError": False},
        {
            **TOOL,
            "type": "tool-approval",
            "state": "output-available",
            "output": {"approved": True},
            "providerExecuted": True,
            "approval": {"id": "c", "approved": True},
        },
    ),
    (
        "a no",
        {**APPROVAL, "result": {"approved": False, "reason": "late"}, "isError": False},
        {
            **TOOL,
            "type": "tool-approval",
            "state": "output-denied",
            "approval": {"id": "c", "approved": False, "reason": "late"},
        },
    ),
    (
        "an image",
        {"type": "image", "image": "data:image/gif;base64,aa"},
        {"type": "file", "url": "data:image/gif;base64,aa", "mediaType": "image/gif"},
    ),
    (
        "a file",
        {"type": "file", "data": "aa", "mimeType": "text/plain", "filename": "n"},
        {"type": "file", "url": "data:text/plain;base64,aa", "mediaType": "text/plain", "filename": "n"},
    ),
    (
        "a sound",
        {"type": "audio", "audio": {"data": "aa", "format": "mp3"}},
        {"type": "file", "url": "data:audio/mpeg;base64,aa", "mediaType": "audio/mpeg"},
    ),
    ("data", {"type": "data", "name": "n", "data": 1, "id": "i"}, {"type": "data-n", "data": 1, "id": "i"}),
    (
        "a source",
        {"type": "source", "sourceType": "url", "id": "1", "url": "https://a", "title": "t"},
        {"type": "source-url", "sourceId": "1", "url": "https://a", "title": "t"},
    ),
    ("what was thought, in short", {"type": "reasoning", "unstable_summary": "a"}, {"type": "reasoning", "text": "a"}),
    (
        "a source with a title of another kind",
        {"type": "source", "sourceType": "url", "id": "1", "url": "https://a", "title": 1},
        {"type": "source-url", "sourceId": "1", "url": "https://a"},
    ),
    (
        "a file with a name of another kind",
        {"type": "file", "data": "https://a", "mimeType": "text/plain", "filename": 1},
        {"type": "file", "url": "https://a", "mediaType": "text/plain"},
    ),
    (
        "data with an id of another kind",
        {"type": "data", "name": "n", "data": 1, "id": 1},
        {"type": "data-n", "data": 1},
    ),
    (
        "a document",
        {"type": "source", "sourceType": "document", "id": "1", "title": "t", "mediaType": "m", "filename": "n"},
        {"type": "source-document", "sourceId": "1", "mediaType": "m", "title": "t", "filename": "n"},
    ),
]


@pytest.mark.parametrize(("part", "expected"), [row[1:] for row in PARTS], ids=[row[0] for row in PARTS])
def test_a_part_of_a_state_for_the_ai_sdk(part: Json, expected: Json) -> None:
    assert write_message(answer(part), AI_SDK) == stored_ui({"type": "step-start"}, expected)


def test_the_ai_sdk_gets_no_message_of_a_user_without_parts() -> None:
    assert write_message(question(CALL | {"type": "chart"}), AI_SDK) == stored_ui(
        {"type": "text", "text": ""}, role="user"
    )


#: What it is; what the AI SDK has stored; the message of the state.
READ_UI: list[tuple[str, Json, Json]] = [
    ("steps", stored_ui({"type": "step-start"}, {"type": "text", "text": "a"}), answer({"type": "text", "text": "a"})),
    ("metadata", stored_ui(metadata={"a": 1}), answer(metadata={"a": 1})),
    ("metadata that is no object", stored_ui(metadata=1), answer()),
    (
        "a tool with a name",
        stored_ui({**TOOL, "type": "dynamic-tool", "toolName": "weather", "state": "input-available"}),
        answer(CALL),
    ),
    (
        "what is unreadable",
        stored_ui(
            {"type": "text"}, {"type": "new"}, {}, 1, {"type": "file"}, {"type": "tool-x"}, {"type": "source-url"}
        ),
        answer(),
    ),
    (
        "a source without an id",
        stored_ui({"type": "source-url", "url": "https://a"}),
        answer({"type": "source", "sourceType": "url", "id": "https://a", "url": "https://a"}),
    ),
]


@pytest.mark.parametrize(("content", "expected"), [row[1:] for row in READ_UI], ids=[row[0] for row in READ_UI])
def test_what_the_ai_sdk_has_stored_as_a_message_of_a_state(content: Json, expected: Json) -> None:
    assert read_message(content, AI_SDK, "m") == expected


def test_a_document_has_no_form_where_sources_have_a_url() -> None:
    read: Any = read_message(
        stored_ui({"type": "source-document", "sourceId": "1", "title": "t", "mediaType": "m"}), AI_SDK, "m"
    )
    assert init_of("source", read["parts"][0]) is None


@pytest.mark.parametrize(
    ("content", "format"),
    [
        ({}, AUI),
        ({}, AI_SDK),
        (stored(), AI_SDK),
        (stored_ui(), AUI),
        (stored(role="system"), AUI),
        (stored(role="tool"), AUI),
        ({"role": ["user"], "content": []}, AUI),
        ({"role": "user", "content": {}}, AUI),
        ({"role": "user", "parts": "a"}, AI_SDK),
        (stored(), "aui/v1"),
        (stored(), ""),
    ],
)
def test_what_is_no_message_is_none(content: Json, format: str) -> None:
    assert read_message(content, format, "m") is None


def test_the_older_name_of_the_ai_sdks_form_is_the_same_form() -> None:
    assert FORMATS["ai-sdk/v5"] == FORMATS[AI_SDK]


def test_there_is_no_writing_in_an_unknown_form() -> None:
    with pytest.raises(KeyError):
        write_message(answer(), "aui/v1")


# What a state cannot hold

#: What no state can hold, and what of it is read.
REFUSED: list[tuple[str, Json, Json]] = [
    ("reserved keys", {"__proto__": 1, "constructor": {"a": 1}, "b": {"prototype": 1, "c": 2}}, {"b": {"c": 2}}),
    ("integers beyond JavaScript's", [2**53 + 1, -(2**63), 2**53 - 1], [2.0**53, -(2.0**63), 2**53 - 1]),
    ("an integer beyond its floats", [10**400], [None]),
]


@pytest.mark.parametrize(("value", "expected"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_a_state_cannot_hold_is_left_out(value: Json, expected: Json) -> None:
    data = {"type": "data", "name": "n", "data": value}
    assert read_message(stored(data), AUI, "m") == answer({**data, "data": expected})
    assert read_message(stored_ui({"type": "data-n", "data": value}), AI_SDK, "m") == answer({**data, "data": expected})
    assert read_message(stored(metadata={"custom": {"a": value}}), AUI, "m") == answer(
        metadata={"custom": {"a": expected}}
    )


def test_arguments_as_text_hold_nothing_that_a_state_cannot() -> None:
    text = '{"__proto__":1,"a":9007199254740993,"b":' + "[" * 500 + "]" * 500 + "}"
    call = {"type": "tool-call", "toolCallId": "c", "toolName": "n", "argsText": text}
    read: Any = read_message(stored(call), AUI, "m")
    assert read["parts"][0]["argsText"] == text
    assert read["parts"][0]["args"].keys() == {"a", "b"}
    assert read["parts"][0]["args"]["a"] == 2.0**53


@pytest.mark.parametrize("depth", [100, 125, 1000])
def test_what_lies_too_deep_is_left_out(depth: int) -> None:
    read: Any = read_message(stored({"type": "data", "name": "n", "data": nested(depth)}), AUI, "m")
    to_json([[[[[read]]]]])
    assert read["parts"][0]["data"] != nested(depth)


def test_what_is_no_unicode_is_read_as_something_that_is() -> None:
    data = {"type": "data", "name": "n", "data": {"a\ud800": "ü\udfff"}}
    call = {"type": "tool-call", "toolCallId": "c", "toolName": "n", "args": {"a": "\ud800"}}
    read: Any = read_message(stored(data, call), AUI, "m")
    assert read["parts"][0]["data"] == {"a?": "ü?"}
    assert read["parts"][1]["argsText"] == '{"a":"?"}'


@pytest.mark.parametrize("format", [AUI, AI_SDK])
@given(content=LIKE_MESSAGES)
@settings(deadline=None, max_examples=100)
def test_whatever_was_stored_is_a_message_that_a_state_can_hold_or_none(content: Any, format: str) -> None:
    read = read_message(content, format, "m")
    if read is not None:
        assert same_json(to_json({"messages": [read]})["messages"][0], read)
        msgspec.json.encode(write_message(read, format))


@pytest.mark.parametrize("format", [AUI, AI_SDK])
@given(message=LIKE_MESSAGES | JSON)
@settings(deadline=None, max_examples=100)
def test_whatever_an_agent_has_for_a_message_can_be_written_and_read(message: Any, format: str) -> None:
    written = write_message(message, format)
    assert (read_message(written, format, "m") is None) == (written["role"] == "system")
