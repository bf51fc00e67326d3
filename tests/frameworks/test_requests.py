"""A thread as a request: what the three APIs are sent, checked by the types of the packages where they have any."""

from __future__ import annotations

import base64
import string
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from statecast import Run
from statecast_agents.frameworks.adapter.tools import tool
from statecast_agents.frameworks.model_clients.anthropic_requests import to_anthropic
from statecast_agents.frameworks.model_clients.openai_requests import to_openai, to_responses

from .runs import run_on, said

PICTURE = "data:image/png;base64,AAAA"
NOTES = base64.b64encode("Grüße".encode()).decode()


def call(id: str, args: str, **fields: Any) -> dict[str, Any]:
    return {"type": "tool-call", "toolCallId": id, "toolName": "look", "args": {}, "argsText": args, **fields}


def a_thread() -> Run:
    files = [
        {"type": "image", "image": PICTURE},
        {"type": "file", "data": NOTES, "mimeType": "text/plain", "filename": "notes.txt"},
        {"type": "file", "data": "AAAA", "mimeType": "application/pdf", "filename": "bees.pdf"},
        {"type": "file", "data": "https://bees.example/b.pdf", "mimeType": "application/pdf"},
        {"type": "data", "name": "chart", "data": []},
    ]
    answer = [
        {"type": "reasoning", "text": "Hm."},
        {"type": "text", "text": "I look."},
        call("c1", '{"a": 1}', result={"n": 1}, isError=False),
        call("c2", "", result="no", isError=True),
        {"type": "text", "text": "Found."},
        {"type": "source", "sourceType": "url", "id": "s", "url": "https://bees.example"},
    ]
    unanswered = [call("c3", "{}"), call("c4", '{"a":', cutOff=True), call("c5", "{}", cutOff=True)]
    return run_on(
        said("u1", "Look at this", "user", *files),
        {"id": "a1", "role": "assistant", "parts": answer},
        {"id": "a2", "role": "assistant", "parts": unanswered},
        said("u2", "Go on"),
    )


def test_chat_completions_are_sent_the_thread_and_every_call_has_a_result() -> None:
    request = to_openai(a_thread(), system="Be kind.")
    system, user, *rest = request["messages"]

    assert (request["stream"], "tools" in request) == (True, False)
    assert system == {"role": "system", "content": "Be kind."}
    assert user["content"] == [
        {"type": "text", "text": "Look at this"},
        {"type": "image_url", "image_url": {"url": PICTURE}},
        {"type": "text", "text": "Grüße"},
        {"type": "file", "file": {"filename": "bees.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
        {"type": "text", "text": "https://bees.example/b.pdf"},
    ]
    assert [(message["role"], message.get("content")) for message in rest] == [
        ("assistant", "I look."),
        ("tool", '{"n":1}'),
        ("tool", "no"),
        ("assistant", "Found."),
        ("assistant", None),
        ("tool", "The user did not answer this call."),
        ("tool", "This call was stopped before it had a result."),
        ("user", [{"type": "text", "text": "Go on"}]),
    ]
    assert [one["function"]["arguments"] for one in rest[0]["tool_calls"]] == ['{"a":1}', "{}"]
    assert [one["id"] for one in rest[4]["tool_calls"]] == ["c3", "c5"]


def test_reasoning_is_sent_back_to_servers_that_require_it() -> None:
    assert to_openai(a_thread(), reasoning=True)["messages"][1]["reasoning_content"] == "Hm."


def test_the_responses_api_is_sent_the_thread_as_items() -> None:
    request = to_responses(a_thread(), system="Be kind.")
    user, *rest = request["input"]

    assert request["instructions"] == "Be kind."
    assert [part["type"] for part in user["content"]] == [
        "input_text",
        "input_image",
        "input_text",
        "input_file",
        "input_file",
    ]
    assert [item.get("type", item.get("role")) for item in rest] == [
        "assistant",
        *["function_call"] * 2,
        *["function_call_output"] * 2,
        "assistant",
        *["function_call"] * 2,
        *["function_call_output"] * 2,
        "user",
    ]
    assert rest[3] == {"type": "function_call_output", "call_id": "c1", "output": '{"n":1}'}


def test_anthropic_is_sent_results_in_the_message_after_their_calls() -> None:
    request = to_anthropic(a_thread(), system="Be kind.")
    listed = request["messages"]

    assert request["system"] == "Be kind."
    assert [block["type"] for block in listed[0]["content"]] == ["text", "image", "document", "document", "document"]
    assert listed[0]["content"][2]["source"] == {"type": "text", "media_type": "text/plain", "data": "Grüße"}
    assert [(one["role"], [block["type"] for block in one["content"]]) for one in listed[1:]] == [
        ("assistant", ["text", "tool_use", "tool_use"]),
        ("user", ["tool_result", "tool_result"]),
        ("assistant", ["text", "tool_use", "tool_use"]),
        ("user", ["tool_result", "tool_result", "text"]),
    ]
    no = {"type": "tool_result", "tool_use_id": "c2", "content": "no", "is_error": True}
    assert listed[2]["content"][1] == no


SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text(string.printable, max_size=6)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner))
FIELDS = ["text", "image", "data", "mimeType", "filename", "toolCallId", "toolName", "args", "argsText", "result"]
KINDS = st.sampled_from(["text", "reasoning", "image", "file", "tool-call", "source"])
PARTS = st.builds(
    lambda kind, fields: {"type": kind, **fields},
    KINDS | JSON,
    st.dictionaries(st.sampled_from([*FIELDS, "modelContent", "isError", "cutOff"]), JSON | st.just('{"a":1}')),
)
MESSAGES = st.builds(
    lambda id, role, parts: {"id": id, "role": role, "parts": parts},
    st.text(string.ascii_letters, max_size=2),
    st.sampled_from(["user", "assistant", "system"]),
    st.lists(PARTS | JSON, max_size=4) | JSON,
)


@given(st.lists(MESSAGES | JSON, max_size=4))
def test_whatever_a_state_holds_becomes_a_request_in_which_every_call_has_its_result(messages: list[Any]) -> None:
    run = run_on(*messages)
    chat, responses, claude = to_openai(run), to_responses(run), to_anthropic(run)

    for request in (chat, responses, claude):
        msgspec.json.encode(request)
    assert all(message["content"] for message in chat["messages"] if message["role"] == "user")
    called = [call["id"] for message in chat["messages"] for call in message.get("tool_calls") or ()]
    assert called == [message["tool_call_id"] for message in chat["messages"] if message["role"] == "tool"]
    kinds = [item.get("type") for item in responses["input"]]
    assert kinds.count("function_call") == kinds.count("function_call_output") == len(called)
    for before, after in pairwise([*claude["messages"], {"content": []}]):
        assert before["content"]
        uses = [block["id"] for block in before["content"] if block["type"] == "tool_use"]
        assert uses == [block["tool_use_id"] for block in after["content"] if block["type"] == "tool_result"]


def test_some_of_the_messages_can_be_sent() -> None:
    run = a_thread()
    assert [one["role"] for one in to_openai(run, messages=run.messages[-1:])["messages"]] == ["user"]


def test_tools_are_offered_in_the_form_of_each_api() -> None:
    @tool
    def look_up(word: str, limit: int = 3) -> str:
        """Look a word up."""
        return word * limit

    run = run_on(said("u", "Hi"))
    hosted = {"type": "web_search"}
    schema = {
        "type": "object",
        "properties": {"word": {"type": "string"}, "limit": {"type": "integer", "default": 3}},
        "required": ["word"],
        "additionalProperties": False,
    }
    named = {"name": "look_up", "description": "Look a word up."}

    chat = {"type": "function", "function": {**named, "parameters": schema}}
    assert to_openai(run, [look_up, hosted])["tools"] == [chat, hosted]
    function = {"type": "function", **named, "parameters": schema, "strict": False}
    assert to_responses(run, [look_up, hosted])["tools"] == [function, hosted]
    assert to_anthropic(run, [look_up, hosted])["tools"] == [{**named, "input_schema": schema}, hosted]
