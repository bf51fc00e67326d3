"""What AG-UI's clients post, and what they are taken to have."""

from __future__ import annotations

import msgspec
import pytest

from statecast.protocol.ag_ui.message_format import agree, render
from statecast.protocol.ag_ui.request import read_run_input
from statecast.protocol.errors import RequestError
from statecast_agents import Json
from tests.transport.strict_ag_ui_client import SAID, USER, asked, posted


def called(id: str, args: str) -> Json:
    return {"id": id, "type": "function", "function": {"name": "ask", "arguments": args}}


CALL: Json = {"type": "tool-call", "toolCallId": "c1", "toolName": "ask", "args": {"x": 1}, "argsText": '{"x":1}'}
OURS = [
    USER,
    {
        "id": "a1",
        "role": "assistant",
        "parts": [
            {"type": "reasoning", "text": "hm"},
            {"type": "text", "text": "Hello."},
            {**CALL, "result": {"y": 1.0}, "isError": False},
            {"type": "text", "text": "Done."},
        ],
    },
]
THEIRS: list[Json] = [
    SAID,
    {"id": "a1.reasoning-0", "role": "reasoning", "content": "hm"},
    {"id": "a1", "role": "assistant", "content": "Hello.", "toolCalls": [called("c1", '{"x":1}')]},
    {"id": "c1.result", "role": "tool", "toolCallId": "c1", "content": '{"y":1.0}'},
    {"id": "a1.3", "role": "assistant", "content": "Done."},
]


def test_messages_are_rendered_as_they_are_streamed() -> None:
    assert render(OURS) == THEIRS


@pytest.mark.parametrize(
    "theirs",
    [
        THEIRS,
        [*THEIRS, {**SAID, "id": "u2", "content": "new"}],
        [one for one in THEIRS if one["role"] != "reasoning"],
        [*THEIRS[:3], {**THEIRS[3], "content": '{"y": 1}', "id": "another"}, *THEIRS[4:]],
        [{"id": "s", "role": "system", "content": "Be brief."}, *THEIRS],
        [*THEIRS, {"id": "run_1", "role": "assistant", "content": "emitted", "toolCalls": [called("c9", "")]}],
    ],
    ids=["same", "new message", "no reasoning", "other text of the result", "system", "emitted"],
)
def test_a_client_that_has_what_the_thread_has_agrees(theirs: list[Json]) -> None:
    assert agree(OURS, theirs)


@pytest.mark.parametrize(
    "theirs",
    [
        [],
        THEIRS[:1],
        THEIRS[1:],
        [*THEIRS[:3], *THEIRS[4:]],
        [*THEIRS[:3], {**THEIRS[3], "content": "no"}, *THEIRS[4:]],
        [*THEIRS[:4], {**THEIRS[4], "content": "Do"}],
        [{**SAID, "id": "u9"}, *THEIRS[1:]],
        [{**SAID, "content": "other"}, *THEIRS[1:]],
        [*THEIRS, {"id": "a9", "role": "assistant", "content": "more"}],
    ],
)
def test_a_client_that_has_anything_else_does_not(theirs: list[Json]) -> None:
    assert not agree(OURS, theirs)


# What a client posts


def test_a_message_may_have_more_than_text() -> None:
    source = {"type": "data", "value": "aGk=", "mimeType": "application/pdf"}
    content = [
        {"type": "text", "text": "look"},
        {"type": "image", "source": {"type": "url", "value": "https://example.org/a.png"}},
        {"type": "document", "source": source, "metadata": {"filename": "a.pdf"}},
        {"type": "binary", "mimeType": "image/png", "data": "aGk="},
    ]
    (message,) = asked({"id": "u1", "role": "user", "content": content}).conversation.messages

    assert message.parts == [
        {"type": "text", "text": "look"},
        {"type": "image", "image": "https://example.org/a.png"},
        {"type": "file", "data": "aGk=", "mimeType": "application/pdf", "filename": "a.pdf"},
        {"type": "image", "image": "data:image/png;base64,aGk="},
    ]
    (back,) = render([message.in_state()])
    assert back["content"] == [*content[:3], {"type": "image", "source": {**source, "mimeType": "image/png"}}]


def test_an_answer_is_one_message_with_its_reasoning_and_its_results() -> None:
    failed = {"id": "x", "role": "tool", "toolCallId": "c1", "content": "", "error": "broken"}
    messages = [SAID, *THEIRS[1:3], failed]
    said = asked(*messages).conversation.messages

    assert [message.role for message in said] == ["user", "assistant"]
    assert said[1].parts == [
        {"type": "reasoning", "text": "hm"},
        {"type": "text", "text": "Hello."},
        {**CALL, "result": "broken", "isError": True},
    ]


def test_what_an_app_passes_on_reaches_the_agent_but_for_a_key() -> None:
    props = {"apiKey": "secret", "temperature": 0.5, "tenant": "north"}
    request = asked(SAID, forwardedProps=props).conversation.request

    assert (request.config.api_key, request.call_settings.temperature) == ("secret", 0.5)
    assert request.extra == {"tenant": "north"}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"threadId": "t", "messages": []}, "runId"),
        ({"runId": "r", "messages": []}, "threadId"),
        ({"threadId": "t", "runId": "r"}, "messages"),
        (posted({"role": "user", "id": 1, "content": ""}), "messages[0]"),
        (posted(SAID, {"id": "x", "role": "robot", "content": ""}), "messages[1]"),
        (posted({"id": "x", "role": "user"}), "messages[0]"),
        (posted({"id": "x", "role": "user", "content": [{"type": "image"}]}), "messages[0]"),
        (posted({"id": "x", "role": "user", "content": [{"type": "song"}]}), "messages[0]"),
        (posted({"id": "x", "role": "assistant", "toolCalls": [1]}), "messages[0]"),
        (posted({"id": "x", "role": "tool", "content": ""}), "messages[0]"),
        (posted(tools=[{"description": ""}]), "tools"),
        (posted(context=[{"value": ""}]), "context"),
        (posted(resume=[{"interruptId": "c1", "status": "done"}]), "resume"),
        (posted(forwardedProps={"temperature": "hot"}), "forwardedProps"),
    ],
)
def test_what_is_ill_formed_is_named(body: Json, named: str) -> None:
    with pytest.raises(RequestError) as refused:
        read_run_input(msgspec.json.encode(body))

    assert refused.value.code == "invalid_request"
    assert named in str(refused.value)
