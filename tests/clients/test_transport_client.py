"""`useAssistantTransportRuntime`, as published, against a real server: in both of its protocols.

Whatever a test is about, the client has nothing to complain of and ends with the state that the server has.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping

import pytest

from statecast import AddMessage, AddToolResult, Agent, AgentError, Command, Run, UntypedCommand, create_app
from tests.clients.node import Json, Protocol, Transport, TransportReport, need_node, run_transport
from tests.clients.serving import served
from tests.clients.transport_checks import IDLE, PATIENCE, check, said, settings


@pytest.fixture(params=["assistant-transport", "data-stream"], autouse=True)
def protocol(request: pytest.FixtureRequest) -> Protocol:
    need_node()
    name: Protocol = request.param
    return name


def play(agent: Agent, protocol: Protocol, *steps: Mapping[str, Json], **more: Json) -> TransportReport:
    """Play a scenario in which nothing goes wrong."""
    with served(create_app(agent)) as url:
        report = run_transport(settings(url, protocol, steps=list(steps), **more))
        check(report, url)
    return report


def echo(name: str = "echo") -> Agent:
    """Return an agent that answers each message word by word."""
    agent = Agent(name)

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        for word in f"You said: {command.message.text}".split(" "):
            message.append_text(word + " ")
            await asyncio.sleep(0)

    return agent


def test_a_message_is_answered_word_by_word(protocol: Protocol) -> None:
    report = play(echo(), protocol, {"do": "append", "text": "hello there, grüß Gott 😀"}, IDLE)

    assert said(report.final_state) == [
        ("user", "hello there, grüß Gott 😀"),
        ("assistant", "You said: hello there, grüß Gott 😀 "),
    ]
    assert "append-text" in report.responses[0]["body"]
    assert [message["role"] for message in report.messages] == ["user", "assistant"]
    assert report.finishes == 1


def test_the_first_state_that_the_client_shows_has_the_users_message(protocol: Protocol) -> None:
    report = play(echo(), protocol, {"do": "append", "text": "hello"}, IDLE)

    assert report.states[0] == {}
    assert said(report.states[1])[0] == ("user", "hello")


def test_a_sub_agents_conversation_is_in_the_tool_call_as_the_page_draws_it(protocol: Protocol) -> None:
    agent = Agent("lead")

    @agent.on(AddMessage)
    async def delegate(run: Run, command: AddMessage) -> None:
        call = run.messages.assistant().add_tool_call("research", {})
        call.messages.user("How many?")
        for word in ("One. ", "Two. "):
            researcher = call.messages.assistant()
            researcher.append_text(word)
            await asyncio.sleep(0)
            inner = researcher.add_tool_call("count", {})
            inner.messages.assistant().append_text("Counting.")
            await asyncio.sleep(0)
            inner.set_result(1)
        call.set_result(2)

    report = play(agent, protocol, {"do": "append", "text": "hello"}, IDLE)
    (call,) = report.messages[1]["content"]
    talk = [
        (each["role"], each.get("status", {}).get("type"), [part["type"] for part in each["content"]])
        for each in call["messages"]
    ]

    assert talk == [
        ("user", None, ["text"]),
        ("assistant", "complete", ["text", "tool-call"]),
        ("assistant", "complete", ["text", "tool-call"]),
    ]
    assert call["messages"][1]["content"][1]["messages"][0]["content"] == [{"type": "text", "text": "Counting."}]


def test_a_message_that_gets_another_id_while_it_grows_is_shown_once(protocol: Protocol) -> None:
    agent = Agent("relay")

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant(id="early")
        message.append_text("Half ")
        await asyncio.sleep(0)
        message.rename("late")
        await asyncio.sleep(0)
        message.append_text("and half.")

    report = play(agent, protocol, {"do": "append", "text": "hello"}, IDLE, {"do": "append", "text": "more"}, IDLE)

    assert said(report.final_state)[1] == ("assistant", "Half and half.")
    assert [message["role"] for message in report.messages] == ["user", "assistant"] * 2
    assert report.messages[1]["id"] == "late"


def test_two_turns_are_one_conversation(protocol: Protocol) -> None:
    report = play(echo(), protocol, {"do": "append", "text": "one"}, IDLE, {"do": "append", "text": "two"}, IDLE)

    assert [text for _, text in said(report.final_state)] == ["one", "You said: one ", "two", "You said: two "]


def test_the_second_turn_on_a_known_thread_carries_only_what_is_new(protocol: Protocol) -> None:
    turns = [{"do": "append", "text": "one"}, IDLE, {"do": "append", "text": "two"}, IDLE]
    report = play(echo(), protocol, *turns, threadId="thread-1")

    assert report.requests[1]["body"]["threadId"] == "thread-1"
    assert '"path":[],"value"' not in report.responses[1]["body"]
    assert "You said: one" not in report.responses[1]["body"]


def test_an_image_reaches_the_agent(protocol: Protocol) -> None:
    agent = Agent()
    pixel = "data:image/png;base64,iVBORw0KGgo="

    @agent.on(AddMessage)
    async def look(run: Run, command: AddMessage) -> None:
        images = [part["image"] for part in command.message.parts if part["type"] == "image"]
        run.messages.assistant().append_text(f"{len(images)} image, {command.message.text}")
        run.state["seen"] = images

    parts = [{"type": "text", "text": "what is this?"}, {"type": "image", "image": pixel}]
    report = play(agent, protocol, {"do": "append", "parts": parts}, IDLE)

    assert report.final_state["messages"][0]["parts"] == parts
    assert report.final_state["seen"] == [pixel]
    assert said(report.final_state)[-1] == ("assistant", "1 image, what is this?")


class SetTitle(Command, frozen=True):
    new_title: str
    is_final: bool = False


def test_a_custom_command_reaches_its_handler(protocol: Protocol) -> None:
    agent = Agent(initial={"title": "none"})

    @agent.on(SetTitle)
    def set_title(run: Run, command: SetTitle) -> None:
        run.state["title"] = command.new_title
        run.state["final"] = command.is_final

    command = {"type": "set-title", "newTitle": "Tides", "isFinal": True}
    report = play(agent, protocol, {"do": "command", "command": command}, IDLE)

    assert report.final_state == {"title": "Tides", "final": True}


def test_an_unknown_command_is_refused_with_a_hint(protocol: Protocol) -> None:
    agent = Agent(commands=[SetTitle])

    with served(create_app(agent)) as url:
        steps = [{"do": "command", "command": {"type": "set-titel"}}, {"do": "wait", "for": {"errors": 1}}]
        report = run_transport(settings(url, protocol, steps=steps))

    assert (
        'did you mean "set-title"?'
        in json.loads(report.errors[0]["message"].removeprefix("Status 422: "))["error"]["message"]
    )
    assert report.final_state == {}
    assert report.complaints == []


def test_two_messages_in_one_tick_are_one_batch(protocol: Protocol) -> None:
    report = play(echo(), protocol, {"do": "append", "messages": [{"text": "one"}, {"text": "two"}]}, IDLE)

    assert len(report.requests) == 1
    texts = [text for _, text in said(report.final_state)]
    assert texts[:2] == ["one", "two"]
    assert sorted(texts[2:]) == ["You said: one ", "You said: two "]


def test_two_messages_in_one_tick_of_a_later_turn_are_both_kept(protocol: Protocol) -> None:
    both = {"do": "append", "messages": [{"text": "one"}, {"text": "two"}]}
    report = play(echo(), protocol, {"do": "append", "text": "zero"}, IDLE, both, IDLE, threadId="thread-1")

    first, second = report.commands[1:]
    assert first["parentId"] == second["parentId"] == report.final_state["messages"][1]["id"]
    assert [text for role, text in said(report.final_state) if role == "user"] == ["zero", "one", "two"]


def test_two_commands_in_one_tick_are_handled_in_order(protocol: Protocol) -> None:
    agent = Agent(initial={"steps": []})

    @agent.on("step")
    async def step(run: Run, command: UntypedCommand) -> None:
        run.state.setdefault("steps", []).append(command.body["to"])

    commands = [{"type": "step", "to": "left"}, {"type": "step", "to": "right"}]
    report = play(agent, protocol, {"do": "command", "commands": commands}, IDLE)

    assert len(report.requests) == 1
    assert report.final_state["steps"] == ["left", "right"]


def asking() -> Agent:
    """Return an agent that answers nothing before a tool of the page has been asked."""
    agent = Agent()

    @agent.on(AddMessage)
    async def ask(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        message.append_text("Let me ask. ")
        call = message.add_tool_call("add")
        for piece in ('{"a": 1', ', "b": 2}'):
            call.append_args(piece)
            await asyncio.sleep(0)
        call.finish_args()
        run.state["tools"] = sorted(run.request.tools)

    @agent.on(AddToolResult)
    async def go_on(run: Run, command: AddToolResult) -> None:
        outcome = "failed with" if command.is_error else "gave"
        run.messages.last_assistant().append_text(f"{command.tool_name} {outcome} {json.dumps(command.result)}")

    return agent


def call_in(state: Json) -> Json:
    return next(part for message in state["messages"] for part in message["parts"] if part["type"] == "tool-call")


@pytest.mark.parametrize(
    ("answer", "last"),
    [
        ({"result": {"sum": 3}}, 'add gave {"sum": 3}'),
        ({"result": None}, "add gave null"),
        ({"result": "no idea", "isError": True}, 'add failed with "no idea"'),
    ],
    ids=["result", "null", "error"],
)
def test_what_the_user_answers_a_tool_call_with_reaches_the_agent(
    protocol: Protocol, answer: dict[str, Json], last: str
) -> None:
    steps = [{"do": "append", "text": "how much is it?"}, IDLE, {"do": "tool-result", **answer}, IDLE]
    report = play(asking(), protocol, *steps)

    assert [command["type"] for command in report.commands] == ["add-message", "add-tool-result"]
    call = call_in(report.final_state)
    assert (call["args"], call["result"], call["isError"]) == ({"a": 1, "b": 2}, answer["result"], "isError" in answer)
    assert said(report.final_state)[-1] == ("assistant", last)


@pytest.mark.parametrize(
    ("execute", "last"),
    [
        ("async ({a, b}) => ({sum: a + b})", 'add gave {"sum": 3}'),
        ("async () => { throw new Error('out of paper') }", 'add failed with "Error: out of paper"'),
    ],
    ids=["returns", "throws"],
)
def test_a_tool_of_the_page_runs_there_and_its_result_comes_back(protocol: Protocol, execute: str, last: str) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
        "required": ["a", "b"],
    }
    tools = {"add": {"description": "Add two numbers.", "parameters": schema, "execute": execute}}
    answered = {"do": "wait", "for": {"path": ["messages", 1, "parts", 2], "exists": True}}
    report = play(asking(), protocol, {"do": "append", "text": "how much is it?"}, answered, IDLE, tools=tools)

    assert report.requests[0]["body"]["tools"]["add"]["parameters"] == schema
    assert report.final_state["tools"] == ["add"]
    assert said(report.final_state)[-1] == ("assistant", last)


def test_an_edit_drops_what_followed(protocol: Protocol) -> None:
    turns = [{"do": "append", "text": "one"}, IDLE, {"do": "append", "text": "two"}, IDLE]
    report = play(echo(), protocol, *turns, {"do": "edit", "index": 2, "text": "other"}, IDLE)

    assert report.commands[-1]["sourceId"] is not None
    assert [text for _, text in said(report.final_state)] == ["one", "You said: one ", "other", "You said: other "]


def test_an_edit_of_the_first_message_starts_anew(protocol: Protocol) -> None:
    turns = [{"do": "append", "text": "one"}, IDLE, {"do": "append", "text": "two"}, IDLE]
    report = play(echo(), protocol, *turns, {"do": "edit", "index": 0, "text": "other"}, IDLE, threadId="thread-1")

    assert report.commands[-1]["parentId"] is None
    assert [text for _, text in said(report.final_state)] == ["other", "You said: other "]


@pytest.mark.parametrize("thread", [{"threadId": "thread-1"}, {}], ids=["named", "unnamed"])
def test_a_cancelled_run_stops_and_the_next_turn_goes_on_from_there(
    protocol: Protocol, thread: dict[str, Json]
) -> None:
    agent = Agent()
    stopped = threading.Event()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text("I begin")
        if command.message.text == "stay":
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()

    begun = {"path": ["messages", 1, "parts", 0, "text"], "equals": "I begin"}
    with served(create_app(agent)) as url:
        with Transport(settings(url, protocol, cancelApi=f"{url}/cancel", **thread)) as client:
            client.step("append", text="stay")
            client.step("cancel", when=begun)
            assert stopped.wait(PATIENCE)
            client.step(**IDLE)
            client.step("append", text="go on")
            client.step(**IDLE)
            report = client.report()
        check(report, url)

    assert [request["url"] for request in report.requests][1] == f"{url}/cancel"
    assert json.loads(report.responses[1]["body"])["cancelled"] is True
    assert report.cancels == [{"commands": [], "error": None}]
    assert [text for _, text in said(report.final_state)] == ["stay", "I begin", "go on", "I begin"]


def test_a_run_goes_on_when_its_page_is_closed(protocol: Protocol) -> None:
    agent = Agent()
    release, done = threading.Event(), threading.Event()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        message.append_text("half")
        await asyncio.to_thread(release.wait, PATIENCE)
        message.append_text(" and half")
        done.set()

    with served(create_app(agent)) as url:
        half = {"path": ["messages", 1, "parts", 0, "text"], "equals": "half"}
        steps = [{"do": "append", "text": "hello"}, {"do": "wait", "for": half}, {"do": "unmount"}]
        report = run_transport(settings(url, protocol, threadId="thread-1", steps=steps))
        release.set()
        assert done.wait(PATIENCE)
        again = run_transport(
            settings(url, protocol, threadId="thread-1", steps=[{"do": "append", "text": "back"}, IDLE])
        )
        check(again, url)

    assert report.responses[0]["end"] == "aborted"
    assert report.complaints == []
    assert [text for _, text in said(again.final_state)] == ["hello", "half and half", "back", "half and half"]


@pytest.mark.parametrize("steps", ["state first", "at once"])
def test_a_second_page_joins_a_run_under_way(protocol: Protocol, steps: str) -> None:
    agent = Agent()
    release = threading.Event()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        message.append_text("half")
        await asyncio.to_thread(release.wait, PATIENCE)
        message.append_text(" and half")

    half = {"path": ["messages", 1, "parts", 0, "text"], "equals": "half"}
    with served(create_app(agent)) as url:
        config = settings(url, protocol, threadId="thread-1", resumeApi=f"{url}/resume?protocol={protocol}")
        if steps == "state first":
            config["resumeStateApi"] = f"{url}/initial-state"
        with Transport(config) as one, Transport(config) as other:
            one.step("append", text="hello")
            one.step("wait", **{"for": half})
            other.step("resume")
            other.step("wait", **{"for": half})
            release.set()
            reports = [page.step(**IDLE) and page.report() for page in (one, other)]
        for report in reports:
            check(report, url)

    assert [text for _, text in said(reports[1].final_state)] == ["hello", "half and half"]


def test_a_page_that_resumes_when_nothing_runs_is_left_as_it_is(protocol: Protocol) -> None:
    with served(create_app(echo())) as url:
        resuming = {"resumeApi": f"{url}/resume?protocol={protocol}", "resumeStateApi": f"{url}/initial-state"}
        steps = [{"do": "resume"}, IDLE]
        report = run_transport(settings(url, protocol, threadId="thread-1", steps=steps, **resuming))

    assert [response["status"] for response in report.responses] == [204]
    assert (report.final_state, report.errors, report.complaints) == ({}, [], [])


def test_commands_made_during_a_run_follow_it_in_one_request(protocol: Protocol) -> None:
    agent = Agent()
    release = threading.Event()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        message.append_text("wait")
        await asyncio.to_thread(release.wait, PATIENCE)
        message.append_text("ed")

    @agent.on("note")
    async def note(run: Run, command: UntypedCommand) -> None:
        run.state.setdefault("notes", []).append(command.body["text"])

    with served(create_app(agent)) as url, Transport(settings(url, protocol)) as client:
        client.step("append", text="hello")
        client.step("wait", **{"for": {"path": ["messages", 1, "parts", 0, "text"], "equals": "wait"}})
        client.step("command", command={"type": "note", "text": "one"})
        queued = client.step("command", command={"type": "note", "text": "two"})
        assert (queued["pending"], queued["requests"]) == (2, 1)
        release.set()
        client.step(**IDLE)
        report = client.report()
        check(report, url)

    assert [command["type"] for command in report.requests[1]["body"]["commands"]] == ["note", "note"]
    assert report.final_state["notes"] == ["one", "two"]
    assert said(report.final_state)[-1] == ("assistant", "waited")


def test_a_failure_that_the_agent_explains_reaches_the_user(protocol: Protocol) -> None:
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text("Looking it up.")
        raise AgentError("The library is closed today.", code="closed")

    with served(create_app(agent)) as url:
        steps = [{"do": "append", "text": "hello"}, {"do": "wait", "for": {"errors": 1}}, IDLE]
        report = run_transport(settings(url, protocol, steps=steps))
        check(report, url, errors=["The library is closed today."])

    assert said(report.final_state) == [("user", "hello"), ("assistant", "Looking it up.")]


def test_a_failure_that_nobody_explained_keeps_its_secrets(protocol: Protocol) -> None:
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        raise RuntimeError("password=hunter2")

    with served(create_app(agent)) as url:
        steps = [{"do": "append", "text": "hello"}, {"do": "wait", "for": {"errors": 1}}, IDLE]
        report = run_transport(settings(url, protocol, steps=steps))
        check(report, url, errors=["The agent failed. The reason is in the server's log."])

    assert "hunter2" not in json.dumps(report.responses)


def test_after_a_failure_the_conversation_goes_on(protocol: Protocol) -> None:
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        if command.message.text == "fail":
            raise AgentError("No.")
        run.messages.assistant().append_text("Yes.")

    with served(create_app(agent)) as url:
        failed = [{"do": "append", "text": "fail"}, {"do": "wait", "for": {"errors": 1}}, IDLE]
        steps = [*failed, {"do": "append", "text": "work"}, IDLE]
        report = run_transport(settings(url, protocol, threadId="thread-1", steps=steps))
        check(report, url, errors=["No."])

    assert [text for _, text in said(report.final_state)] == ["fail", "work", "Yes."]


def test_a_wrong_address_is_a_readable_error(protocol: Protocol) -> None:
    with served(create_app(echo())) as url:
        steps = [{"do": "append", "text": "hello"}, {"do": "wait", "for": {"errors": 1}}, IDLE]
        report = run_transport({**settings(url, protocol), "api": f"{url}/asistant", "steps": steps})

    status, _, body = report.errors[0]["message"].partition(": ")
    assert status == "Status 404"
    assert set(json.loads(body)["error"]) >= {"code", "message"}
    assert report.complaints == []


def test_a_page_may_begin_with_no_state_at_all(protocol: Protocol) -> None:
    report = play(echo(), protocol, {"do": "append", "text": "hello"}, IDLE, initialState=None)

    assert report.requests[0]["body"]["state"] is None
    assert said(report.final_state) == [("user", "hello"), ("assistant", "You said: hello ")]


def test_a_page_that_begins_with_no_state_gets_the_agents_first_one(protocol: Protocol) -> None:
    agent = Agent(initial={"title": "Untitled", "messages": []})
    report = play(agent, protocol, {"do": "append", "text": "hello"}, IDLE, initialState=None)

    assert report.final_state["title"] == "Untitled"
    assert said(report.final_state) == [("user", "hello")]


def test_strict_mode_changes_nothing(protocol: Protocol) -> None:
    turns = [{"do": "append", "text": "one"}, IDLE, {"do": "append", "text": "two"}, IDLE]
    report = play(echo(), protocol, *turns, strictMode=True)

    assert len(report.requests) == 2
    assert [text for _, text in said(report.final_state)] == ["one", "You said: one ", "two", "You said: two "]


def test_a_reloaded_page_that_lost_its_state_is_brought_up_to_date(protocol: Protocol) -> None:
    turns = [{"do": "append", "text": "one"}, IDLE, {"do": "reload"}, {"do": "append", "text": "two"}, IDLE]
    report = play(echo(), protocol, *turns, threadId="thread-1")

    assert report.requests[1]["body"]["state"] == {}
    assert [text for _, text in said(report.final_state)] == ["one", "You said: one ", "two", "You said: two "]


def test_what_the_page_sends_beside_commands_reaches_the_agent(protocol: Protocol) -> None:
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        request = run.request
        run.state["asked"] = [
            request.system,
            request.call_settings.temperature,
            request.config.model_name,
            request.extra,
        ]

    report = play(
        agent,
        protocol,
        {"do": "append", "text": "hello"},
        IDLE,
        system="Be brief.",
        callSettings={"temperature": 0.5},
        config={"modelName": "small"},
        body={"tenant": "north"},
        headers={"x-tenant": "north"},
    )

    assert report.final_state["asked"] == ["Be brief.", 0.5, "small", {"tenant": "north"}]


def test_message_parts_beside_the_state_do_not_disturb_it(protocol: Protocol) -> None:
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.parts.append_reasoning("hm")
        run.parts.append_text("Well. ")
        run.parts.add_tool_call("look", {"at": "sea"}).set_result({"waves": 3})
        run.parts.add_source("https://example.org/sea", title="The sea")
        run.parts.add_data_part("chart", {"points": [1, 2]})
        run.parts.append_text("Done.")
        run.messages.assistant().append_text("Done.")
        run.parts.finish()

    report = play(agent, protocol, {"do": "append", "text": "hello"}, IDLE)

    assert said(report.final_state) == [("user", "hello"), ("assistant", "Done.")]


def test_every_kind_of_change_arrives(protocol: Protocol) -> None:
    agent = Agent(initial={"list": [3, 1, 2], "map": {"a": 1, "b": 2}, "text": ""})

    @agent.on("change")
    async def change(run: Run, command: UntypedCommand) -> None:
        state = run.state
        state["list"].sort()
        state["list"].insert(0, {"deep": [None, True, 1.5, "ä\u2028😀"]})
        del state["list"][2]
        del state["map"]["a"]
        state["map"] |= {"c": {"0": "zero", "": "empty"}}
        await asyncio.sleep(0)
        for letter in "grün":
            state["text"] += letter
            await asyncio.sleep(0)
        state["list"][0]["deep"].pop()
        state["list"][1:] = []

    report = play(agent, protocol, {"do": "command", "command": {"type": "change"}}, IDLE, initialState=None)

    assert report.final_state == {
        "list": [{"deep": [None, True, 1.5]}],
        "map": {"b": 2, "c": {"0": "zero", "": "empty"}},
        "text": "grün",
    }
