"""`useStatecast` of `react.js` with a real server: in a DOM, in StrictMode, with assistant-ui's own components."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from anyio import to_thread

from examples.external_store.agent import agent as branching
from statecast import AddMessage, Agent, AgentError, Answer, Command, Run, create_app
from tests.clients.node import Json, need_node
from tests.clients.react_hook import Hook
from tests.clients.serving import served


class SetTitle(Command, frozen=True):
    """Change the title."""

    title: str


class Gate:
    """What holds the runs that are told to wait."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def open(self) -> None:
        self._event.set()

    async def passed(self) -> None:
        await to_thread.run_sync(self._event.wait, abandon_on_cancel=True)


def make(gate: Gate) -> Agent:
    agent = Agent(initial={"messages": [], "title": "", "words": 0})

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        text = command.message.text
        if "approve" in text:
            message.append_text("done" if await run.approval("Delete it?", file="a.txt") else "left")
            return
        if "ask" in text:
            message.add_tool_call("delete", {"file": "a.txt"}, id="call_1").ask("Delete it?")
            run.ask("Which?", kind="choice", options=[{"id": "tea", "label": "Tea"}, {"id": "milk", "label": "Milk"}])
            return
        if "page" in text:
            message.append_text(f"It is {await run.call_tool('clock', {'zone': 'UTC'})}.")
            return
        for word in f"You said: {text}".split():
            message.append_text(f"{word} ")
            run.state["words"] += 1
        if "hold" in text:
            await gate.passed()
        if "fail" in text:
            raise AgentError("It went wrong.", code="asked_to_fail")

    @agent.on(SetTitle)
    async def set_title(run: Run, command: SetTitle) -> None:
        if command.title == "second try" and run.state["title"] != "first try":
            run.state["title"] = "first try"
            raise AgentError("Not yet.", code="not_yet")
        run.state["title"] = command.title

    @agent.on(Answer)
    async def answered(run: Run, command: Answer) -> None:
        if run.pending:
            return
        given = run.answers
        for call in run.messages.last_assistant().tool_calls:
            call.set_result("gone" if given[call.part["approval"]["id"]]["approved"] else "kept")
        run.messages.last_assistant().append_text(next(one["optionId"] for one in given.values() if "optionId" in one))

    return agent


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def url(gate: Gate) -> Iterator[str]:
    need_node()
    with served(create_app(make(gate), cors_origins=["*"], open_list=True)) as address:
        yield address
        gate.open()


def texts(messages: list[Json]) -> list[str]:
    return [message["text"] for message in messages]


def sound(hook: Hook) -> Any:
    """End the scenario, and check that nothing went wrong in the page."""
    report = hook.report()
    assert [line["text"] for line in report.console] == []
    assert report.uncaught == []
    return report


def test_a_message_is_shown_at_once_and_its_answer_grows(url: str) -> None:
    with Hook({"url": url}) as hook:
        assert hook.do("hook.state")["value"] is None
        hook.say("hello")
        first = hook.do("messages")["value"]
        assert (first[0]["text"], first[0]["isOptimistic"]) == ("hello", True)
        messages = hook.rest(2)
        assert texts(messages) == ["hello", "You said: hello "]
        assert messages[0]["id"] == first[0]["id"]
        assert hook.wait("hook.state.words === 3")["run"]["status"] == "completed"
        assert sound(hook).errors == []


def test_what_did_not_change_is_the_same_object(url: str, gate: Gate) -> None:
    with Hook({"url": url}) as hook:
        hook.say("hello")
        hook.rest(2)
        hook.do("void (page.before = [...hook.runtime.thread.getState().messages, hook.state.messages[0]])")
        hook.say("hold on")
        hook.wait("messages.length === 4 && messages[3].text !== ''")
        same = "[...hook.runtime.thread.getState().messages.slice(0, 2), hook.state.messages[0]]"
        assert hook.do(f"{same}.map((one, index) => one === page.before[index])")["value"] == [True, True, True]
        gate.open()
        hook.rest(4)
        sound(hook)


def test_what_is_written_during_a_run_waits_in_the_server_and_a_reload_loses_none(url: str, gate: Gate) -> None:
    with Hook({"url": url, "urlParam": "thread"}) as hook:
        hook.say("hold this")
        hook.wait("messages.at(-1)?.status === 'running' && hook.run?.status === 'running'")
        hook.say("second")
        hook.say("third")
        queued = hook.wait("hook.queued.length === 2 && hook.pending.length === 0")["messages"]
        assert [message["text"] for message in queued if message.get("queued")] == ["second", "third"]
        hook.reload()
        again = hook.wait("hook.queued.length === 2")["messages"]
        assert [(one["id"], one["text"]) for one in again[:4]] == [(one["id"], one["text"]) for one in queued[:4]]
        assert again[1]["status"] == "running"
        gate.open()
        assert texts(hook.rest(6))[2:] == ["second", "You said: second ", "third", "You said: third "]
        report = sound(hook)
        assert f"thread={report.requests[-1]['url'].split('/')[4]}" in report.address


def test_a_new_address_keeps_what_the_router_of_the_page_has_in_its_entry(url: str) -> None:
    """Next.js takes a state with its mark for a call of its own, and would put the old address back later."""
    with Hook({"url": url, "urlParam": "thread"}) as hook:
        hook.do("history.replaceState({ __NA: true, key: 'a' }, '', location.href)")
        hook.say("one")
        hook.rest(2)
        entry = hook.do("[history.state, location.search === `?thread=${hook.threadId}`]")["value"]
        assert entry == [{"key": "a"}, True]
        sound(hook)


def test_a_stop_stops_the_run_and_the_answer_says_so(url: str) -> None:
    with Hook({"url": url}) as hook:
        hook.say("hold")
        hook.wait("messages.length === 2 && messages[1].text !== ''")
        hook.do("hook.runtime.thread.cancelRun()")
        assert hook.rest(2)[1]["status"] == "cancelled"
        assert hook.wait("!hook.isRunning")["run"]["status"] == "cancelled"
        sound(hook)


def test_a_failed_answer_says_why_and_can_be_tried_again(url: str) -> None:
    with Hook({"url": url}) as hook:
        hook.say("fail")
        hook.wait("messages.length === 2 && messages[1].status === 'error'")
        first = hook.do("hook.run")["value"]
        assert first["error"] == {"code": "asked_to_fail", "message": "It went wrong."}
        hook.do("hook.retry()")
        hook.wait(f"hook.run.id !== {first['id']!r} && !hook.isRunning")
        assert texts(hook.rest(2)) == ["fail", "You said: fail "]
        sound(hook)


def test_a_failed_command_of_the_app_is_tried_again_and_no_message_with_it(url: str) -> None:
    with Hook({"url": url}) as hook:
        hook.say("one")
        hook.rest(2)
        hook.do("hook.send({type: 'set-title', title: 'second try'})")
        failed = hook.wait("hook.run.status === 'failed' && !hook.isRunning")
        assert failed["run"]["error"]["code"] == "not_yet"
        hook.do("Promise.all([hook.retry(), hook.retry()])")  # a second click does nothing more
        hook.wait("hook.state.title === 'second try' && hook.run.status === 'completed' && !hook.isRunning")
        assert texts(hook.rest(2)) == ["one", "You said: one "]
        hook.do("hook.retry()")
        hook.wait(f"hook.run.status === 'completed' && hook.run.id !== {failed['run']['id']!r} && !hook.isRunning")
        sound(hook)


def test_a_message_that_is_edited_and_an_answer_that_is_made_again(url: str) -> None:
    with Hook({"url": url}) as hook:
        hook.say("one")
        hook.rest(2)
        hook.do("void hook.runtime.thread.getMessageByIndex(0).composer.beginEdit()")
        edit = "hook.runtime.thread.getMessageByIndex(0).composer"
        hook.do(f"{{ {edit}.setText('two'); {edit}.send(); }}")
        hook.wait("messages[1]?.text === 'You said: two '")
        assert texts(hook.rest(2)) == ["two", "You said: two "]
        run = hook.do("hook.run.id")["value"]
        hook.do("void hook.runtime.thread.getMessageByIndex(1).reload()")
        hook.wait(f"hook.run.id !== {run!r}")
        assert texts(hook.rest(2)) == ["two", "You said: two "]
        sound(hook)


def test_an_approval_is_a_question_until_it_is_answered(url: str) -> None:
    with Hook({"url": url, "urlParam": "thread"}) as hook:
        hook.say("approve")
        hook.wait("hook.questions.length === 1")
        (question,) = hook.do("hook.questions")["value"]
        assert (question["kind"], question["prompt"]) == ("approval", "Delete it?")
        assert question["details"] == {"file": "a.txt"}
        hook.reload()
        assert hook.wait("hook.questions.length === 1")["messages"][-1]["status"] == "requires-action"
        hook.do("hook.questions[0].answer(true)")
        assert texts(hook.rest(2))[1] == "approval|done"
        assert hook.do("hook.questions")["value"] == []
        sound(hook)


def test_questions_of_the_agent_are_answered_by_their_ids(url: str) -> None:
    with Hook({"url": url}) as hook:
        hook.say("ask")
        hook.wait("hook.questions.length === 2 && !hook.isRunning")
        one, two = hook.do("hook.questions")["value"]
        assert (one["kind"], one["call"]["name"], two["kind"]) == ("approval", "delete", "choice")
        assert [option["id"] for option in two["options"]] == ["tea", "milk"]
        hook.do("hook.questions[1].answer('milk')")
        hook.wait("hook.questions.length === 1")
        # As assistant-ui's own components answer it.
        part = "hook.runtime.thread.getMessageByIndex(1).getMessagePartByIndex(0)"
        hook.do(f"{part}.respondToToolApproval({{ approved: false }})")
        hook.wait("hook.questions.length === 0 && !hook.isRunning")
        assert texts(hook.rest(2))[1] == "delete|milk"
        assert hook.do("hook.state.messages[1].parts[0].result")["value"] == "kept"
        sound(hook)


def test_a_tool_of_the_page_runs_there(url: str) -> None:
    tools = {"clock": "async ({ zone }) => `noon in ${zone}`"}
    with Hook({"url": url}, tools=tools) as hook:
        hook.say("page")
        hook.wait("messages[1]?.text === 'clock|It is noon in UTC.'")
        posted = next(request for request in sound(hook).requests if request["method"] == "POST")
        assert posted["body"]["tools"] == {"clock": {"parameters": {"type": "object"}}}


def test_what_the_server_refuses_is_said_and_given_back(url: str) -> None:
    with Hook({"url": url, "fields": {"policy": "reject"}}) as hook:
        hook.say("hold")
        hook.wait("hook.run?.status === 'running'")
        hook.say("not now")
        hook.wait("hook.error?.code === 'run_active'")
        shown = hook.do("[messages.length, hook.runtime.thread.composer.getState().text]")["value"]
        assert shown == [2, "not now"]
        assert hook.do("hook.send({ type: 'no-such' })")["failed"] == "unknown_command"
        hook.do("hook.dismiss()")
        hook.wait("hook.error === null")
        assert sound(hook).errors == ["run_active", "unknown_command"]


def test_commands_change_the_state_and_threads_are_listed_beside_it(url: str) -> None:
    with Hook({"url": url, "threads": True, "urlParam": "thread"}) as hook:
        hook.say("bees")
        hook.rest(2)
        hook.do("hook.send({ type: 'set-title', title: 'On bees' })")
        first = hook.wait("hook.state.title === 'On bees'")["threadId"]
        hook.wait("hook.threads.items[0]?.title === 'bees'")
        hook.do("void hook.runtime.threads.switchToNewThread()")
        assert hook.wait("hook.threadId !== '' && messages.length === 0")["state"] is None
        hook.say("wasps")
        hook.rest(2)
        hook.wait("hook.threads.items.length === 2 && hook.threads.items[0].title === 'wasps'")
        hook.do(f"void hook.runtime.threads.switchToThread({first!r})")
        hook.wait("hook.state?.title === 'On bees'")
        assert texts(hook.rest(2))[0] == "bees"
        hook.do(f"hook.threads.rename({first!r}, 'Bees')")
        hook.wait("hook.threads.items.some(({ title }) => title === 'Bees')")
        assert hook.do("hook.runtime.threads.getState().threadIds.length")["value"] == 2
        hook.do(f"hook.threads.delete({first!r})")
        hook.wait("hook.threads.items.length === 1 && messages.length === 0")
        assert "thread=" not in sound(hook).address


def test_branches_that_an_agent_keeps_are_shown_and_switched(tmp_path: Any) -> None:
    need_node()
    with served(create_app(branching, cors_origins=["*"])) as address:
        with Hook({"url": address, "branchCommand": "show-branch"}) as hook:
            hook.say("one")
            hook.rest(2)
            edit = "hook.runtime.thread.getMessageByIndex(0).composer"
            hook.do(f"{{ {edit}.beginEdit(); {edit}.setText('two'); {edit}.send(); }}")
            hook.wait("messages[1]?.text === 'You said: two ' && !hook.isRunning")
            message = "hook.runtime.thread.getMessageByIndex(0)"
            assert hook.do(f"{message}.getState().branchCount")["value"] == 2
            hook.do(f"void {message}.switchToBranch({{ position: 'previous' }})")
            hook.wait("hook.state.messages[0].parts[0].text === 'one' && !hook.isRunning")
            assert texts(hook.rest(2)) == ["one", "You said: one "]
            sound(hook)


def test_files_are_uploaded_sent_removed_and_still_there_after_a_reload(url: str) -> None:
    options: Json = {"url": url, "urlParam": "thread", "attachments": True}
    with Hook(options) as hook:

        def attach(name: str, type: str) -> None:
            file = f"new File(['Honey'], {name!r}, {{type: {type!r}}})"
            hook.do(f"hook.runtime.thread.composer.addAttachment({file})")

        def attached(*expected: tuple[str, str]) -> None:
            listed = "hook.runtime.thread.composer.getState().attachments"
            shown = json.dumps([list(each) for each in expected], separators=(",", ":"))
            hook.wait(f"JSON.stringify({listed}.map(({{name, status}}) => [name, status.type])) === {shown!r}")

        attach("notes.txt", "text/plain")
        attach("bees.exe", "application/x-msdownload")
        attached(("notes.txt", "requires-action"), ("bees.exe", "incomplete"))
        refused = hook.do("hook.runtime.thread.composer.getState().attachments[1].status.message")["value"]
        hook.do("hook.runtime.thread.composer.getAttachmentByIndex(1).remove()")
        attached(("notes.txt", "requires-action"))
        hook.say("Read it")
        hook.rest(2)
        parts = "hook.state.messages[0].parts"
        sent = hook.do(parts)["value"]
        hook.reload()
        hook.rest(2)
        again = hook.do(parts)["value"]
        attached()

    assert "application/x-msdownload" in refused
    assert again == sent
    assert [part["type"] for part in sent] == ["text", "file"]
    assert httpx.get(sent[1]["data"]).text == "Honey"
