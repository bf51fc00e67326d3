"""The OpenAI example: through the real `openai` package to a server that speaks the real wire, and out again."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from examples import openai_compatible
from statecast import create_app
from tests.clients.serving import served
from tests.examples.asking import PROTOCOLS, Json, ask, say
from tests.examples.upstream import Upstream

TOOLS: Json = {"ask_user": {"description": "Ask.", "parameters": {"type": "object"}}, "look_up": {"parameters": {}}}


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    upstream = Upstream()
    with served(upstream) as base:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{base}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "right")
        monkeypatch.delenv("OPENAI_MODEL", raising=False)
        yield upstream


@pytest.fixture
def server(upstream: Upstream) -> Iterator[str]:
    with served(create_app(openai_compatible.agent)) as base:
        yield base


def model(name: str) -> Json:
    return {"config": {"modelName": name}}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_text_is_streamed_as_it_comes(server: str, upstream: Upstream, protocol: str) -> None:
    answer = ask(server, say("Hello"), protocol=protocol, system="Be kind.", **model("text"))

    assert (answer.text, answer.error) == ("Grüße aus der Ferne 😀. ", None)
    assert answer.frames > 2
    hello = {"role": "user", "content": [{"type": "text", "text": "Hello"}]}
    assert upstream.requests[0]["messages"] == [{"role": "system", "content": "Be kind."}, hello]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_comes_before_the_text(server: str, protocol: str, name: str) -> None:
    answer = ask(server, say("Hello"), protocol=protocol, **model(name))

    assert [(part["type"], part["text"]) for part in answer.parts] == [
        ("reasoning", "Let me think."),
        ("text", "Thought through. "),
    ]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_calls_are_left_for_the_page_and_its_answers_go_on(server: str, upstream: Upstream, protocol: str) -> None:
    asked = ask(server, say("Hello"), protocol=protocol, tools=TOOLS, **model("calls"))

    assert [(part["toolCallId"], part["args"]) for part in asked.parts] == [
        ("call_a", {"question": "Which one?"}),
        ("call_b", {"word": "grüße"}),
    ]
    assert not any("result" in part for part in asked.parts)
    assert [tool["function"]["name"] for tool in upstream.requests[0]["tools"]] == ["ask_user", "look_up"]

    first = {"type": "add-tool-result", "toolCallId": "call_a", "toolName": "ask_user", "result": "this", "isError": 0}
    first["isError"] = False
    waiting = ask(server, first, protocol=protocol, state=asked.state, **model("text"))
    assert len(upstream.requests) == 1, "one call is still open"

    second = {"type": "add-tool-result", "toolCallId": "call_b", "toolName": "look_up", "result": {"n": 1}}
    answer = ask(server, second, protocol=protocol, state=waiting.state, **model("text"))
    assert answer.text == "Grüße aus der Ferne 😀. "
    assert upstream.requests[1]["messages"][1:] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_a",
                    "type": "function",
                    "function": {"name": "ask_user", "arguments": '{"question":"Which one?"}'},
                },
                {"id": "call_b", "type": "function", "function": {"name": "look_up", "arguments": '{"word":"grüße"}'}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_a", "content": "this"},
        {"role": "tool", "tool_call_id": "call_b", "content": '{"n":1}'},
    ]


def test_a_call_that_the_user_passed_over_is_told_to_the_model(server: str, upstream: Upstream) -> None:
    asked = ask(server, say("Hello"), tools=TOOLS, **model("calls"))
    ask(server, say("Never mind"), state=asked.state, **model("text"))

    told = [message["content"] for message in upstream.requests[1]["messages"] if message["role"] == "tool"]
    assert told == ["The user did not answer this call."] * 2


def test_images_and_call_settings_are_passed_on(server: str, upstream: Upstream) -> None:
    image = "data:image/png;base64,AAAA"
    command = say("Look")
    command["message"]["parts"].append({"type": "image", "image": image})
    ask(server, command, callSettings={"temperature": 0.5, "maxTokens": 20, "topP": 0.9}, **model("text"))

    request = upstream.requests[0]
    assert request["messages"][0]["content"][1] == {"type": "image_url", "image_url": {"url": image}}
    assert (request["temperature"], request["max_tokens"], request["top_p"]) == (0.5, 20, 0.9)
    assert "tools" not in request


def test_the_model_may_come_from_the_environment(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "OPENAI_MODEL" in (ask(server, say("Hello")).error or "")

    monkeypatch.setenv("OPENAI_MODEL", "text")
    assert ask(server, say("Hello"), thread="other").error is None


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_error_in_the_stream_is_told_and_what_came_before_stays(server: str, protocol: str) -> None:
    answer = ask(server, say("Hello"), protocol=protocol, **model("broken"))

    assert answer.error == "The model provider is not available. Try again in a moment."
    assert answer.text == "Half an "


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_refused_key_is_told_without_the_key(server: str, protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "wrong-secret")
    answer = ask(server, say("Hello"), protocol=protocol, **model("text"))

    assert answer.error == "The model provider rejected the server's credentials."
    assert [message["role"] for message in answer.state["messages"]] == ["user"]


def test_a_model_that_is_unknown_is_told(server: str) -> None:
    assert ask(server, say("Hello"), **model("unheard-of")).error == "The model provider rejected the request."


def test_a_server_that_is_away_is_told(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")

    assert "connection to another service failed" in (ask(server, say("Hello"), **model("text")).error or "")


def test_a_local_server_needs_no_key(server: str, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    ask(server, say("Hello"), **model("text"))
    assert upstream.keys == ["Bearer none"]

    monkeypatch.delenv("OPENAI_BASE_URL")
    assert ask(server, say("Hello"), thread="2", **model("text")).error == "No API key was given: set OPENAI_API_KEY."


def test_stopping_the_run_closes_the_stream_to_the_model(server: str, upstream: Upstream) -> None:
    body = {"commands": [say("Hello")], "threadId": "t", "state": None, **model("endless")}
    with httpx.stream("POST", f"{server}/assistant", json=body, timeout=30) as response:
        lines = response.iter_lines()
        while "so " not in next(lines):
            pass
        stopped = httpx.post(f"{server}/cancel", json={"threadId": "t"}).json()
        assert stopped["cancelled"]
        rest = list(lines)

    assert upstream.left.wait(10), "expected the stream to the model to be closed"
    assert not [line for line in rest if line.startswith("3:")]
    assert httpx.get(f"{server}/status/t").json()["status"] == "cancelled"
