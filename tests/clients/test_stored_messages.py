"""Messages in the forms of published clients: their own code reads what is written, and what it writes is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statecast.history.client_message import ClientMessage
from statecast.history.formats import read_message
from statecast.history.tree import HistoryMessage, history
from statecast.protocol.json_compare import same_json
from statecast_agents import Json
from tests.clients.stored_messages import Keeper
from tests.transport.stored_samples import LIKE_MESSAGES, MESSAGES, part_of_ours

#: One process answers for all examples.
playing = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])

CALL = {"type": "tool-call", "toolCallId": "c", "toolName": "weather", "args": {"a": 1}, "argsText": '{"a":1}'}

CHOSEN: list[dict[str, Json]] = [
    {
        "id": "m1",
        "role": "user",
        "parts": [
            {"type": "text", "text": "Hi"},
            {"type": "image", "image": "https://example.com/a.png"},
            {"type": "file", "data": "aGk=", "mimeType": "text/plain", "filename": "a.txt"},
            {"type": "data", "name": "place", "data": {"at": [1, 2]}},
        ],
        "metadata": {"custom": {"a": 1}},
    },
    {
        "id": "m2",
        "role": "assistant",
        "parts": [
            {"type": "reasoning", "text": "Hm"},
            {"type": "text", "text": 'Grüß "Gott",\n\\ \u2028 😀'},
            {**CALL, "result": {"b": None}, "isError": False},
            {**CALL, "toolCallId": "d", "result": "no", "isError": True},
            {"type": "source", "sourceType": "url", "id": "1", "url": "https://example.com", "title": "T"},
            {"type": "file", "data": "https://example.com/a.pdf", "mimeType": "application/pdf"},
        ],
    },
    {"id": "m3", "role": "user", "parts": [{"type": "text", "text": "And"}]},
    {"id": "m4", "role": "assistant", "parts": [], "status": {"type": "running"}},
    {"id": "m5", "role": "assistant", "parts": [{**CALL, "toolCallId": "e"}]},
]


@pytest.fixture(scope="module")
def keeper() -> Iterator[Keeper]:
    with Keeper() as running:
        yield running


def placed(messages: Sequence[Json], format: str) -> list[HistoryMessage]:
    return history([], messages, format=format, began=1_700_000_000)


def said(message: Json, parts: Sequence[Json]) -> Json:
    return [message["id"], message["role"], *map(part_of_ours, parts)]


def said_all(messages: Sequence[Json]) -> Json:
    return [said(message, message["parts"]) for message in messages]


def said_to_assistant_ui(message: Json) -> Json:
    """Return what a message of assistant-ui says."""
    return said(message, [{"isError": False, **part} for part in message["content"]])


def said_to_ai_sdk(message: Json) -> Json:
    """Return what a message of the AI SDK says, as it is read from a history."""
    read = read_message({"role": message["role"], "parts": message["parts"]}, "ai-sdk/v6", message["id"])
    assert read is not None
    return said(read, read["parts"])


def check_assistant_ui(keeper: Keeper, messages: Sequence[Json]) -> Json:
    loaded = keeper.load(placed(messages, "aui/v0"))
    assert loaded["warnings"] == []
    assert loaded["shown"] == [message["id"] for message in messages]
    assert loaded["strict"] == loaded["messages"]
    assert same_json([said_to_assistant_ui(message) for message in loaded["messages"]], said_all(messages))
    return loaded["messages"]


def check_ai_sdk(keeper: Keeper, messages: Sequence[Json]) -> Json:
    loaded = keeper.load_ui(placed(messages, "ai-sdk/v6"))
    assert loaded["invalid"] is None
    assert loaded["warnings"] == []
    assert same_json([said_to_ai_sdk(message) for message in loaded["messages"]], said_all(messages))
    return loaded


def test_assistant_ui_reads_what_the_state_has(keeper: Keeper) -> None:
    messages = check_assistant_ui(keeper, CHOSEN)
    assert [message.get("status") for message in messages] == [
        None,
        {"type": "complete", "reason": "unknown"},
        None,
        {"type": "incomplete", "reason": "cancelled"},
        {"type": "requires-action", "reason": "tool-calls"},
    ]
    assert messages[0]["metadata"] == {"custom": {"a": 1}}
    assert [message["createdAt"] for message in messages[:2]] == [
        "2023-11-14T22:13:20.000Z",
        "2023-11-14T22:13:20.001Z",
    ]


@given(messages=st.lists(MESSAGES, min_size=1, max_size=4))
@playing
def test_assistant_ui_reads_whatever_messages_a_state_has(keeper: Keeper, messages: list[Json]) -> None:
    check_assistant_ui(keeper, messages)


def test_the_ai_sdk_reads_what_the_state_has(keeper: Keeper) -> None:
    loaded = check_ai_sdk(keeper, CHOSEN)
    kinds = [[part["type"] for part in message["content"]] for message in loaded["model"]]
    assert kinds == [
        ["text", "file", "file"],
        ["reasoning", "text", "tool-call", "tool-result", "tool-call", "tool-result", "file"],
        ["text"],
        ["tool-call"],
    ]


@given(messages=st.lists(MESSAGES, min_size=1, max_size=4))
@playing
def test_the_ai_sdk_reads_whatever_messages_a_state_has(keeper: Keeper, messages: list[Json]) -> None:
    for message in messages:  # approvals have a form of their own there, which a table has
        message["parts"] = [part for part in message["parts"] if part.get("toolName") != "approval"] or [
            {"type": "text", "text": "a"}
        ]
    loaded = check_ai_sdk(keeper, messages)
    told = [part for message in loaded["model"] for part in message["content"]]
    texts = [part["text"] for message in messages for part in message["parts"] if part["type"] == "text"]
    assert [part["text"] for part in told if part["type"] == "text"] == texts
    settled = [part["toolCallId"] for message in messages for part in message["parts"] if "result" in part]
    assert [part["toolCallId"] for part in told if part["type"] == "tool-result"] == settled


@given(messages=st.lists(MESSAGES, min_size=1, max_size=4))
@playing
def test_what_assistant_ui_writes_is_read(keeper: Keeper, messages: list[Json]) -> None:
    likes = [{"id": m["id"], "role": m["role"], "content": m["parts"], **metadata_of(m)} for m in messages]
    for message, content in zip(messages, keeper.encode(likes), strict=True):
        read = read_message(content, "aui/v0", message["id"])
        assert read is not None
        assert same_json(said(read, read["parts"]), said(message, message["parts"]))
        assert same_json(read.get("metadata"), message.get("metadata"))


@given(messages=st.lists(MESSAGES, min_size=1, max_size=4))
@playing
def test_what_the_ai_sdk_writes_again_is_the_same(keeper: Keeper, messages: list[Json]) -> None:
    stored = placed(messages, "ai-sdk/v6")
    loaded = keeper.load_ui(stored)["messages"]
    assert same_json(keeper.encode_ui(loaded), [item.content for item in stored])


@given(message=LIKE_MESSAGES)
@playing
def test_clients_read_what_is_written_of_whatever_an_agent_has_for_a_message(keeper: Keeper, message: Json) -> None:
    message["id"] = "m"
    for item in placed([message], "aui/v0"):
        loaded = keeper.load([item])
        assert loaded["shown"] == ["m"]
        assert loaded["strict"] == loaded["messages"]
        assert not any("unreadable" in warning for warning in loaded["warnings"])
    for item in placed([message], "ai-sdk/v6"):
        assert keeper.load_ui([item])["invalid"] is None


def metadata_of(message: Json) -> Json:
    return {key: message[key] for key in ("metadata",) if key in message}


def test_attachments_that_assistant_ui_writes_are_parts_of_the_message(keeper: Keeper) -> None:
    attachment = {
        "id": "a",
        "type": "document",
        "name": "a.txt",
        "contentType": "text/plain",
        "status": {"type": "complete"},
        "content": [{"type": "text", "text": "inside"}],
    }
    question = {"id": "m", "role": "user", "content": [{"type": "text", "text": "Look"}], "attachments": [attachment]}
    (content,) = keeper.encode([question])
    read: Any = read_message(content, "aui/v0", "m")
    assert read["parts"] == [{"type": "text", "text": "Look"}, {"type": "text", "text": "inside"}]


def test_assistant_ui_imports_what_was_written_with_what_the_state_has_beyond(keeper: Keeper) -> None:
    texts = ["Hi", "Hello", "And?", "More"]
    roles = ["user", "assistant", "user", "assistant"]
    contents = keeper.encode(
        [{"id": "x", "role": role, "content": text} for role, text in zip(roles, texts, strict=True)]
    )
    written = [
        ClientMessage("w1", None, "aui/v0", contents[0], 100, 100),
        ClientMessage("w2", "w1", "aui/v0", contents[1], 101, 101),
        ClientMessage("w3", "w1", "aui/v0", contents[3], 102, 102),
        ClientMessage("w4", "w2", "aui/v0", contents[2], 103, 103),
    ]
    state = [
        {"id": f"s{at}", "role": role, "parts": [{"type": "text", "text": text}]}
        for at, (role, text) in enumerate(zip(roles, texts, strict=True))
    ]
    loaded = keeper.load(history(written, state, format="aui/v0", began=99))
    assert loaded["warnings"] == []
    assert len(loaded["messages"]) == 5
    assert loaded["shown"] == ["w1", "w2", "w4", "s3"]
