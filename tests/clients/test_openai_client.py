"""OpenAI's clients against agents: text, reasoning, tools, threads, errors; streamed and not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import anyio.to_thread
import httpx
import pytest

from statecast import AddMessage, AddToolResult, Agent, AgentError, Run, create_app
from statecast.parts import Usage
from tests.clients.node import Json
from tests.clients.openai_clients import Asking, Npm, PyPI
from tests.clients.serving import served
from tests.clients.transport_checks import PATIENCE

ASK_USER: Json = {
    "type": "function",
    "function": {
        "name": "ask_user",
        "description": "Ask the user.",
        "parameters": {"type": "object", "properties": {"question": {"type": "string"}}},
    },
}


class Scene:
    """An agent that does what the user's message is the name of, and what was seen of its requests."""

    def __init__(self) -> None:
        self.agent = Agent("bees")
        self.runs: list[Run] = []
        self.stopped = threading.Event()
        self.agent.on(AddMessage)(self.answer)
        self.agent.on(AddToolResult)(self.go_on)

    async def answer(self, run: Run, command: AddMessage) -> None:
        self.runs.append(run)
        message = run.messages.assistant()
        match command.message.text:
            case "think":
                message.append_reasoning("Which bees? ")
                run.flush()
                message.append_reasoning("These.")
                message.append_text("Grüße 😀 ")
                run.flush()
                message.append_text('from "bees"\n.')
                with run.parts.step() as step:
                    step.usage = Usage(12, 3)
            case "look up":
                message.append_text("Let me look.")
                message.add_tool_call("look_up", {"word": "bee"}).set_result({"found": 3})
                message.append_text("There are three.")
            case "ask":
                message.append_text("One moment.")
                call = message.add_tool_call("ask_user", id="call_1")
                for piece in ('{"quest', 'ion":"Which', ' bees?"}'):
                    call.append_args(piece)
                    run.flush()
                call.finish_args()
            case "approve":
                approved = await run.approval("Go on?")
                message.append_text("Going on." if approved else "Stopping.")
            case "fail":
                message.append_text("Half an ")
                run.flush()
                raise AgentError("There are no bees.", code="no_bees")
            case "endless":
                try:
                    while True:
                        message.append_text("and so on ")
                        await anyio.sleep(0.001)
                finally:
                    self.stopped.set()
            case other:
                message.append_text(f"{len(run.messages)}: {other}")

    async def go_on(self, run: Run, command: AddToolResult) -> None:
        self.runs.append(run)
        run.messages.last_assistant().append_text(f"So it is {command.result!r}.")


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def url(scene: Scene) -> Iterator[str]:
    with served(create_app([scene.agent, Agent("wasps")])) as base:
        yield base


@pytest.fixture(params=[Npm, PyPI], ids=["npm", "pypi"])
def client(request: pytest.FixtureRequest, url: str) -> Iterator[Asking]:
    asking = request.param(f"{url}/v1")
    yield asking
    asking.close()


def say(*texts: str, **more: Json) -> Json:
    """Return the body of a request in which the user said these."""
    return {"model": "bees", "messages": [{"role": "user", "content": text} for text in texts], **more}


def created(client: Asking, body: Json) -> Json:
    """Return the message, and why it ended, of an answer that was not streamed."""
    answer = client.create(**body)
    assert "error" not in answer, answer
    return answer["completion"]["choices"][0]


def streamed(client: Asking, body: Json) -> Json:
    """Return the same of one that was, as the chunks tell it."""
    answer = client.stream(**body)
    assert "error" not in answer, answer
    message: Json = {}
    reason = None
    for chunk in answer["chunks"]:
        for choice in chunk["choices"]:
            assert reason is None, "nothing comes behind the reason"
            _add(message, choice["delta"])
            reason = choice["finish_reason"]
    return {"message": message, "finish_reason": reason}


def accumulated(client: Asking, body: Json) -> Json:
    """Return the same of one that was, as the package's own accumulator tells it."""
    answer = client.accumulate(**body)
    assert "error" not in answer, answer
    return answer["completion"]["choices"][0]


def _add(message: Json, delta: Json) -> None:
    for name, value in delta.items():
        if name == "tool_calls":
            calls = message.setdefault(name, [])
            for piece in value:
                if piece["index"] == len(calls):
                    calls.append({**piece, "function": dict(piece["function"])})
                else:
                    calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
        elif isinstance(value, str) and name != "role":
            message[name] = message.get(name, "") + value
        elif value is not None:
            message[name] = value


WAYS = pytest.mark.parametrize("ask", [created, streamed, accumulated])
Ask = Callable[[Asking, Json], Json]


@WAYS
def test_text_and_reasoning_arrive_whole(client: Asking, ask: Ask) -> None:
    choice = ask(client, say("think"))

    assert choice["message"]["content"] == 'Grüße 😀 from "bees"\n.'
    if (type(client), ask) != (Npm, accumulated):  # of a field that it does not know it keeps the last piece only
        assert choice["message"]["reasoning_content"] == "Which bees? These."
    assert choice["message"]["role"] == "assistant"
    assert choice["finish_reason"] == "stop"


@WAYS
def test_calls_that_the_agent_answers_itself_are_not_the_clients(client: Asking, ask: Ask) -> None:
    choice = ask(client, say("look up", tools=[ASK_USER]))

    assert choice["message"]["content"] == "Let me look.\n\nThere are three."
    assert not choice["message"].get("tool_calls")
    assert choice["finish_reason"] == "stop"


@WAYS
@pytest.mark.parametrize("tools", [{"tools": [ASK_USER]}, {}], ids=["declared", "not declared"])
def test_a_call_that_is_left_open_is_the_clients_to_answer(client: Asking, ask: Ask, tools: Json, scene: Scene) -> None:
    choice = ask(client, say("ask", **tools))

    (call,) = choice["message"]["tool_calls"]
    assert (call["id"], call["type"]) == ("call_1", "function")
    assert (call["function"]["name"], call["function"]["arguments"]) == ("ask_user", '{"question":"Which bees?"}')
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "One moment."
    assert scene.runs[0].request.tools == ({"ask_user": _fields(ASK_USER)} if tools else {})


def _fields(tool: Json) -> Json:
    return {name: value for name, value in tool["function"].items() if name != "name"}


@WAYS
@pytest.mark.parametrize("thread", [None, "t"], ids=["without a thread", "on a thread"])
def test_the_answer_of_a_call_goes_on_with_the_conversation(
    client: Asking, ask: Ask, thread: str | None, scene: Scene, url: str
) -> None:
    named = {} if thread is None else {"metadata": {"thread_id": thread}}
    body = say("ask", tools=[ASK_USER], **named)
    message = ask(client, body)["message"]
    said = {name: message[name] for name in ("role", "content")}
    calls = [{name: call[name] for name in ("id", "type", "function")} for call in message["tool_calls"]]
    result = {"role": "tool", "tool_call_id": "call_1", "content": '{"kind":"honey bees"}'}
    body["messages"] += [{**said, "tool_calls": calls}, result]
    choice = ask(client, body)

    assert choice["message"]["content"] == "So it is {'kind': 'honey bees'}."
    assert (choice["finish_reason"], choice["message"].get("tool_calls")) == ("stop", None)
    user, assistant = scene.runs[-1].messages.items
    assert user["parts"] == [{"type": "text", "text": "ask"}]
    assert [part["type"] for part in assistant["parts"]] == ["text", "tool-call", "text"]
    assert assistant["parts"][1]["args"] == {"question": "Which bees?"}
    known = httpx.get(f"{url}/threads/t/state").status_code
    assert known == (404 if thread is None else 200)


def test_the_packages_own_loop_runs_tools_to_the_end(url: str) -> None:
    client = Npm(f"{url}/v1")
    answer = client.run_tools({"ask_user": "honey bees"}, **say("ask", tools=[ASK_USER]))
    client.close()

    assert answer["calls"] == [{"name": "ask_user", "args": {"question": "Which bees?"}}]
    assert answer["text"] == "So it is 'honey bees'."


@WAYS
def test_a_run_that_waits_goes_on_with_the_answer(client: Asking, ask: Ask) -> None:
    body = say("approve", metadata={"thread_id": "t"})
    message = ask(client, body)["message"]
    (call,) = message["tool_calls"]
    assert call["function"]["name"] == "approval"
    calls = [{name: call[name] for name in ("id", "type", "function")}]
    answer = {"role": "tool", "tool_call_id": call["id"], "content": '{"approved": true}'}
    body["messages"] += [{"role": "assistant", "tool_calls": calls}, answer]

    assert ask(client, body)["message"]["content"] == "Going on."


@WAYS
def test_without_a_thread_the_posted_history_is_the_conversation(client: Asking, ask: Ask, scene: Scene) -> None:
    history = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello to you."},
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "And now?"}]},
    ]
    for _ in range(2):
        body = {"model": "bees", "messages": history, "temperature": 0.5, "max_tokens": 7, "user": "ann"}
        assert ask(client, body)["message"]["content"] == "4: And now?"

    said = [(message["role"], message["parts"][0]["text"]) for message in scene.runs[-1].messages.items[:3]]
    assert said == [("user", "Hello"), ("assistant", "Hello to you."), ("user", "And now?")]
    request = scene.runs[-1].request
    assert request.system == "Be kind.\n\nBe brief."
    assert (request.call_settings.temperature, request.call_settings.max_tokens) == (0.5, 7)
    assert request.extra == {"user": "ann"}


@WAYS
def test_on_a_thread_only_what_is_new_counts(client: Asking, ask: Ask, url: str) -> None:
    named = {"metadata": {"thread_id": "t"}}
    assert ask(client, say("one", **named))["message"]["content"] == "2: one"
    history = [*say("one")["messages"], {"role": "assistant", "content": "2: one"}, *say("two")["messages"]]
    assert ask(client, {"model": "bees", "messages": history, **named})["message"]["content"] == "4: two"
    assert ask(client, say("three", **named))["message"]["content"] == "6: three"

    messages = httpx.get(f"{url}/threads/t/state").json()["state"]["messages"]
    assert [message["parts"][0]["text"] for message in messages if message["role"] == "user"] == ["one", "two", "three"]


@WAYS
def test_what_is_asked_again_is_told_again_and_not_done_again(client: Asking, ask: Ask, scene: Scene) -> None:
    body = say("look up", metadata={"thread_id": "t"})
    first, second = ask(client, body), ask(client, body)

    assert first == second
    assert len(scene.runs) == 1


def test_usage_is_told(client: Asking) -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
    assert client.create(**say("think"))["completion"]["usage"] == usage

    *chunks, last = client.stream(**say("think", stream_options={"include_usage": True}))["chunks"]
    assert (last["choices"], last["usage"]) == ([], usage)
    assert all(chunk["usage"] is None for chunk in chunks)
    assert not any("usage" in chunk for chunk in client.stream(**say("think"))["chunks"])


def test_the_objects_of_an_answer_belong_together(client: Asking) -> None:
    chunks = client.stream(**say("think"))["chunks"]
    completion = client.create(**say("think"))["completion"]

    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert (completion["object"], completion["model"]) == ("chat.completion", "bees")
    assert completion["id"] != chunks[0]["id"]


@WAYS
def test_a_failing_agent_is_an_error_that_says_why(client: Asking, ask: Ask, scene: Scene) -> None:
    acts: dict[Any, Any] = {created: client.create, streamed: client.stream, accumulated: client.accumulate}
    answer = acts[ask](**say("fail"))

    error = answer["error"]
    assert "There are no bees." in error["message"]
    assert (error["type"], error["code"]) == ("server_error", "no_bees")
    assert error["status"] == (500 if ask is created else None)
    assert len(scene.runs) == 1, "the client was told not to try again"
    if ask is streamed:
        text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in answer["chunks"])
        assert text == "Half an "


@pytest.mark.parametrize(
    ("change", "name", "code", "param"),
    [
        ({"model": "hornets"}, "NotFoundError", "model_not_found", None),
        ({"n": 2}, "BadRequestError", "unsupported_parameter", "n"),
        ({"logprobs": True}, "BadRequestError", "unsupported_parameter", "logprobs"),
        ({"messages": []}, "BadRequestError", "invalid_request", "messages"),
        ({"messages": [{"role": "king", "content": "x"}]}, "BadRequestError", "invalid_request", "messages[0].role"),
        ({"temperature": "hot"}, "BadRequestError", "invalid_request", None),
        ({"metadata": {"thread_id": "no spaces"}}, "BadRequestError", "invalid_thread_id", None),
    ],
)
def test_a_bad_request_is_refused_in_the_clients_own_words(
    client: Asking, change: Json, name: str, code: str, param: str | None, scene: Scene
) -> None:
    for ask in (client.create, client.stream):
        error = ask(**{**say("hello"), **change})["error"]
        assert (error["name"], error["code"], error["param"]) == (name, code, param)
        assert error["type"] == "invalid_request_error"
    assert scene.runs == []


def test_the_agents_are_the_models(client: Asking) -> None:
    models = client.models()["models"]

    assert [(model["id"], model["object"]) for model in models] == [("bees", "model"), ("wasps", "model")]
    assert client.model("wasps")["model"] == models[1]
    assert client.model("hornets")["error"]["code"] == "model_not_found"


def test_giving_up_a_stream_stops_a_run_that_nobody_can_come_back_to(client: Asking, scene: Scene) -> None:
    answer = client.stream(leave_after=5, **say("endless"))

    assert len(answer["chunks"]) == 5
    assert scene.stopped.wait(PATIENCE)


def test_a_thread_may_be_named_by_a_header(url: str, scene: Scene) -> None:
    for kind in (Npm, PyPI):
        client: Asking = kind(f"{url}/v1", headers={"Statecast-Thread-Id": kind.__name__})
        client.create(**say("one"))
        client.create(**say("two"))
        client.close()
        assert len(scene.runs[-1].messages.items) == 4
        assert scene.runs[-1].thread_id == kind.__name__
