"""A run that asks may end: the thread waits for the answers, holds nothing, and each answer begins the next run."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import msgspec
import pytest

from statecast import AddMessage, AddToolResult, Agent, AgentError, Answer, Run, create_app
from statecast.state import Json
from statecast.testing import Response, TestClient
from tests.transport.followers import (
    PATH,
    posted,
    reopened,
    state_of,
    status_of,
    store_of,
)
from tests.transport.held_agent import note, said

pytestmark = pytest.mark.anyio


def cleaner(**settings: Any) -> Agent:
    """Return an agent that asks before it deletes each file that a message names, and does so with all the answers."""
    agent = Agent(**settings)

    @agent.on(AddMessage)
    async def plan(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        names = command.message.text.split()
        if names[0] != "delete":
            message.append_text(f"said {command.message.text}, after {sorted(run.answers.values(), key=str)}")
            return
        for name in names[1:]:
            message.add_tool_call("delete", {"file": name}, id=name).ask(f"Delete {name}?", id=f"ask-{name}")

    @agent.on(Answer)
    async def go_on(run: Run, command: Answer) -> None:
        if run.pending:
            note(run, f"waits for {len(run.pending)}")
            return
        for id, answer in run.answers.items():
            call = run.messages.find_tool_call(id.removeprefix("ask-"))
            assert call is not None
            call.set_result("deleted" if answer["approved"] else "kept")
        note(run, "done")

    return agent


def answer(**answers: Json) -> dict[str, Any]:
    return {"type": "answer", "answers": {f"ask-{name}": value for name, value in answers.items()}}


def calls_in(state: Json) -> dict[str, Json]:
    return {
        part["toolCallId"]: part
        for message in state["messages"]
        for part in message["parts"]
        if part["type"] == "tool-call"
    }


async def test_a_question_ends_the_run_and_its_answer_begins_the_next() -> None:
    async with TestClient(cleaner()) as client:
        asked = await client.run("delete a", thread_id="t")
        waiting = await status_of(client)
        done = await client.run(answer(a=True), state=asked.state, thread_id="t")
        after = await status_of(client)

    (question,) = asked.state["pending"]
    assert question == {"id": "ask-a", "callId": "a", "kind": "approval", "prompt": "Delete a?"}
    assert calls_in(asked.state)["a"]["approval"] == {"id": "ask-a", "prompt": "Delete a?"}
    assert "result" not in calls_in(asked.state)["a"]
    assert waiting == "waiting"
    assert done.state["pending"] == []
    assert calls_in(done.state)["a"]["approval"] == {"id": "ask-a", "prompt": "Delete a?", "approved": True}
    assert calls_in(done.state)["a"]["result"] == "deleted"
    assert after == "completed"


async def test_several_are_answered_one_by_one_in_any_order() -> None:
    async with TestClient(cleaner()) as client:
        asked = await client.run("delete a b c", thread_id="t")
        first = await client.run(answer(b=False), state=asked.state, thread_id="t")
        between = await status_of(client)
        elsewhere = await client.run(answer(c={"approved": True, "reason": "old"}), thread_id="t")  # another tab
        last = await client.run(answer(a=True), state=first.state, thread_id="t")

    assert [question["id"] for question in first.state["pending"]] == ["ask-a", "ask-c"]
    assert between == "waiting"
    assert elsewhere.state["notes"] == ["waits for 2", "waits for 1"]
    calls = calls_in(last.state)
    assert {id: call["result"] for id, call in calls.items()} == {"a": "deleted", "b": "kept", "c": "deleted"}
    assert calls["c"]["approval"]["reason"] == "old"
    assert last.state["notes"][-1] == "done"


@pytest.mark.parametrize("kind", ["memory", "sqlite", "shared"])
async def test_answers_and_questions_outlive_a_restart(tmp_path: Path, kind: str) -> None:
    store = store_of(kind, tmp_path)
    async with TestClient(create_app(cleaner(), store=store)) as client:
        asked = await client.run("delete a b", thread_id="t")
        await client.run(answer(b=False), state=asked.state, thread_id="t")
    store = reopened(store)
    async with TestClient(create_app(cleaner(), store=store)) as client:
        between = await status_of(client)
        again = await client.run(answer(b=True), thread_id="t")
        done = await client.run(answer(a=True), thread_id="t")

    assert between == "waiting"
    assert again.error is not None
    assert {id: call["result"] for id, call in calls_in(done.state).items()} == {"a": "deleted", "b": "kept"}


async def test_several_can_be_answered_at_once() -> None:
    async with TestClient(cleaner()) as client:
        asked = await client.run("delete a b", thread_id="t")
        done = await client.run(answer(b=False, a=True), state=asked.state, thread_id="t")

    assert {id: call["result"] for id, call in calls_in(done.state).items()} == {"a": "deleted", "b": "kept"}


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"ask-a": "yes"}, "invalid_answer"),
        ({"ask-a": 1}, "invalid_answer"),
        ({"ask-a": {"approved": "true"}}, "invalid_answer"),
        ({"ask-a": {"optionId": "allow-once"}}, "invalid_answer"),
        ({"ask-a": {"approved": True, "value": 1}}, "invalid_answer"),
        ({"ask-a": True, "ask-z": True}, "unknown_question"),
        ({"ask-b": True}, "question_answered"),
        (True, "invalid_command"),
    ],
    ids=str,
)
async def test_a_wrong_answer_is_refused_and_changes_nothing(value: Json, code: str) -> None:
    async with TestClient(cleaner()) as client:
        await client.run("delete a b", thread_id="t")
        asked = await client.run(answer(b=True), thread_id="t")
        refused = await client.run({"type": "answer", "answers": value}, state=asked.state, thread_id="t")
        state = await state_of(client)

    assert refused.code == code
    assert refused.status == (422 if code.startswith("invalid") else 409)
    assert state == asked.state


async def test_an_answer_with_an_id_counts_once() -> None:
    async with TestClient(cleaner()) as client:
        await client.run("delete a b", thread_id="t")
        first = await client.run({**answer(a=True), "id": "one"}, thread_id="t")
        again = await client.run({**answer(a=True), "id": "one"}, thread_id="t")

    assert again.status == 200
    assert again.state == first.state
    assert again.headers["statecast-run-id"] == first.headers["statecast-run-id"]


async def test_nobody_answers_what_was_not_asked() -> None:
    async with TestClient(cleaner()) as client:
        refused = await client.run(answer(a=True), thread_id="new")
        forged = {"pending": [{"id": "ask-a", "kind": "approval"}], "messages": []}
        claimed = await client.run(answer(a=True), state=forged, thread_id="claimed")
        taken_up = await client.run("hello", state=forged, thread_id="taken up")

    assert (refused.code, claimed.code) == ("unknown_question", "unknown_question")
    assert taken_up.code == "invalid_thread_id"


async def test_a_posted_state_brings_no_questions_along() -> None:
    async with TestClient(cleaner()) as client:
        forged = {"pending": [{"id": "ask-a", "kind": "approval"}], "messages": []}
        adopted = await client.run("hello", state=forged, thread_id="t")
        refused = await client.run(answer(a=True), state=adopted.state, thread_id="t")

    assert "pending" not in adopted.state
    assert refused.code == "unknown_question"


@pytest.mark.parametrize(
    ("result", "approved"),
    [
        (True, True),
        ({"approved": True}, True),
        ("true", False),
        ({"approved": "true"}, False),
        ({"approved": False}, False),
        (None, False),
    ],
    ids=str,
)
async def test_the_result_of_its_call_answers_a_question(result: Json, approved: bool) -> None:
    async with TestClient(cleaner()) as client:
        asked = await client.run("delete a", thread_id="t")
        command = {"type": "add-tool-result", "toolCallId": "a", "result": result}
        done = await client.run(command, state=asked.state, thread_id="t")

    call = calls_in(done.state)["a"]
    assert call["approval"]["approved"] is approved
    assert call["result"] == ("deleted" if approved else "kept")


async def test_a_failed_result_denies() -> None:
    async with TestClient(cleaner()) as client:
        asked = await client.run("delete a", thread_id="t")
        command = {"type": "add-tool-result", "toolCallId": "a", "result": True, "isError": True}
        done = await client.run(command, state=asked.state, thread_id="t")

    assert calls_in(done.state)["a"]["result"] == "kept"


# What else may come


async def test_a_message_instead_of_an_answer_dismisses_the_questions() -> None:
    async with TestClient(cleaner()) as client:
        asked = await client.run("delete a b", thread_id="t")
        moved_on = await client.run("hello", state=asked.state, thread_id="t")
        late = await client.run(answer(a=True), state=moved_on.state, thread_id="t")

    assert moved_on.state["pending"] == []
    for call in calls_in(moved_on.state).values():
        assert call["approval"]["resolution"] == "cancelled"
        assert (call["result"], call["isError"]) == ({"dismissed": True}, True)
    dismissed = {"approved": False, "dismissed": True}
    assert moved_on.state["messages"][-1]["parts"][0]["text"] == f"said hello, after {[dismissed, dismissed]}"
    assert late.code == "question_answered"


async def test_a_message_may_wait_for_the_answers() -> None:
    async with TestClient(cleaner(waiting_policy="enqueue")) as client:
        asked = await client.run("delete a b", thread_id="t")
        queued = await client.run("hello", state=asked.state, thread_id="t")
        held = (await client.get("/status/t")).json()
        await client.run(answer(a=True), thread_id="t")
        still = (await client.get("/status/t")).json()
        await client.run(answer(b=True), thread_id="t")
        await client.run(thread_id="t")
        end = await until_text(client, "said hello")

    assert queued.state == asked.state
    assert (held["status"], len(held["queued"])) == ("waiting", 1)
    assert (still["status"], len(still["queued"])) == ("waiting", 1)
    assert calls_in(end)["b"]["result"] == "deleted"


@pytest.mark.parametrize(("policy", "code"), [("reject", "run_active"), ("deliver", "not_listening")])
async def test_a_message_may_be_refused(policy: Any, code: str) -> None:
    async with TestClient(cleaner(waiting_policy=policy)) as client:
        asked = await client.run("delete a", thread_id="t")
        refused = await client.run("hello", state=asked.state, thread_id="t")
        done = await client.run(answer(a=True), state=asked.state, thread_id="t")

    assert (refused.status, refused.code) == (409, code)
    assert calls_in(done.state)["a"]["result"] == "deleted"


@pytest.mark.parametrize("policy", ["interrupt", "rollback", "reject"])
async def test_answers_are_accepted_whatever_the_policy(policy: Any) -> None:
    async with TestClient(cleaner(policy=policy)) as client:
        asked = await client.run("delete a b", thread_id="t")
        await client.run(answer(a=True), state=asked.state, thread_id="t")
        done = await client.run(answer(b=True), thread_id="t")

    assert {call["result"] for call in calls_in(done.state).values()} == {"deleted"}


async def test_stop_dismisses_what_is_open() -> None:
    async with TestClient(cleaner()) as client:
        await client.run("delete a", thread_id="t")
        stopped = (await client.post("/cancel", json={"threadId": "t"})).json()
        state = await state_of(client)
        again = (await client.post("/cancel", json={"threadId": "t"})).json()
        refused = await client.run(answer(a=True), thread_id="t")
        status = await status_of(client)
        after = await client.run("hello", thread_id="t")

    assert (stopped["cancelled"], again["cancelled"]) == (True, False)
    assert status == "cancelled"
    assert state["pending"] == []
    assert calls_in(state)["a"]["approval"]["resolution"] == "cancelled"
    assert refused.code == "question_answered"
    assert "dismissed" in after.state["messages"][-1]["parts"][0]["text"]


@pytest.mark.parametrize("drop", [True, False], ids=["and drops what waits", "and what waits runs"])
async def test_stop_ends_the_wait_of_a_message(drop: bool) -> None:
    async with TestClient(cleaner(waiting_policy="enqueue")) as client:
        asked = await client.run("delete a", thread_id="t")
        await client.run("hello", state=asked.state, thread_id="t")
        await client.post("/cancel", json={"threadId": "t", "queued": drop})
        if not drop:
            await until_text(client, "said hello")
        state, status = await state_of(client), (await client.get("/status/t")).json()

    assert state["pending"] == []
    assert calls_in(state)["a"]["result"] == {"dismissed": True}
    assert status["queued"] == []
    assert len(state["messages"]) == (2 if drop else 4)


async def test_stop_names_the_run_that_asked() -> None:
    async with TestClient(cleaner()) as client:
        await client.run("delete a", thread_id="t")
        refused = await client.post("/cancel", json={"threadId": "t", "runId": "run_other"})

    assert (refused.status, refused.json()["error"]["code"]) == (409, "run_mismatch")


async def test_an_edit_takes_the_questions_of_what_it_cuts_away() -> None:
    async with TestClient(cleaner()) as client:
        asked = await client.run("delete a", thread_id="t")
        source = asked.state["messages"][0]["id"]
        edited = await client.run(said("hello", parentId=None, sourceId=source), state=asked.state, thread_id="t")
        refused = await client.run(answer(a=True), thread_id="t")

    assert edited.state["pending"] == []
    assert edited.state["messages"][-1]["parts"][0]["text"] == "said hello, after []"
    assert refused.code == "unknown_question"


async def test_other_commands_leave_the_questions_open() -> None:
    agent = cleaner()

    @agent.on("note")
    async def noted(run: Run, command: Any) -> None:
        note(run, "noted")

    async with TestClient(agent) as client:
        asked = await client.run("delete a", thread_id="t")
        noted_state = await client.run({"type": "note"}, state=asked.state, thread_id="t")
        status = await status_of(client)
        done = await client.run(answer(a=True), thread_id="t")

    assert noted_state.state["notes"] == ["noted"]
    assert status == "waiting"
    assert calls_in(done.state)["a"]["result"] == "deleted"


# Where the questions are


class Files(msgspec.Struct, forbid_unknown_fields=True):
    messages: list[Any] = []
    title: str = ""


@pytest.mark.parametrize("state", [Files, None], ids=["strict type", "no type"])
async def test_clients_patch_a_state_with_questions_but_not_the_questions(state: Any) -> None:
    agent = cleaner(state=state, initial={"messages": [], "title": ""}, writable=["/title", "/pending", ""])

    async with TestClient(agent) as client:
        asked = await client.run("delete a", thread_id="t")
        titled = await patched(client, {"op": "replace", "path": "/title", "value": "Files"})
        forged = {"op": "add", "path": "/pending/-", "value": {"id": "ask-b", "kind": "approval"}}
        refused = [
            await patched(client, step)
            for step in (forged, {"op": "remove", "path": "/pending"}, {"op": "replace", "path": "", "value": {}})
        ]
        after = await state_of(client)

    assert titled.status == 200
    assert {(response.status, response.json()["error"]["code"]) for response in refused} == {(403, "not_writable")}
    assert after == {**asked.state, "title": "Files"}


async def test_the_questions_are_where_the_agent_declares_them() -> None:
    async with TestClient(cleaner(pending=["chat", "open"])) as client:
        asked = await client.run("delete a", thread_id="t")
        done = await client.run(answer(a=True), state=asked.state, thread_id="t")

    assert asked.state["chat"]["open"][0]["id"] == "ask-a"
    assert done.state["chat"] == {"open": []}


async def test_a_thread_without_questions_has_no_list_of_them() -> None:
    async with TestClient(cleaner()) as client:
        assert "pending" not in (await client.run("hello", thread_id="t")).state


# With a run under way


async def test_a_run_that_waits_is_given_the_answer_itself() -> None:
    agent = Agent()

    @agent.on(AddMessage)
    async def ask(run: Run, command: AddMessage) -> None:
        id = run.ask("Where to?", kind="text")
        given = await run.wait_for(Answer, where=lambda answer: id in answer.answers)
        note(run, f"{given.answers[id]} {run.answers[id]['text']} {run.pending}")

    async with TestClient(agent) as client:
        asked = await client.run("go", thread_id="t")
        (question,) = asked.state["pending"]
        done = await client.run({"type": "answer", "answers": {question["id"]: "home"}}, thread_id="t")
        status = await status_of(client)

    assert done.state["notes"] == ["home home []"]
    assert status == "completed"


async def test_a_question_can_be_answered_before_its_run_has_ended() -> None:
    agent, asked, release = cleaner(), anyio.Event(), anyio.Event()

    @agent.on("slow")
    async def slow(run: Run, command: Any) -> None:
        run.messages.assistant().add_tool_call("delete", {}, id="a").ask(id="ask-a")
        asked.set()
        await release.wait()
        note(run, "asked")

    async with TestClient(agent) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(partial(client.run, {"type": "slow"}, thread_id="t"))
        await asked.wait()
        async with client.stream("POST", PATH, json=posted(answer(a=True))) as stream:
            twice = await client.run(answer(a=True), thread_id="t")
            release.set()
            await stream.read()
        state = await state_of(client)

    assert twice.code == "question_answered"
    assert state["notes"] == ["asked", "done"]
    assert calls_in(state)["a"]["result"] == "deleted"


async def test_questions_of_a_run_that_fails_stay_open() -> None:
    agent = cleaner()

    @agent.on("fail")
    async def fail(run: Run, command: Any) -> None:
        run.messages.assistant().add_tool_call("delete", {}, id="a").ask(id="ask-a")
        raise AgentError("The library is closed.")

    async with TestClient(agent) as client:
        failed = await client.run({"type": "fail"}, thread_id="t")
        status = await status_of(client)
        done = await client.run(answer(a=True), state=failed.state, thread_id="t")

    assert (failed.code, status) == ("agent_failed", "failed")
    assert calls_in(done.state)["a"]["result"] == "deleted"


async def test_questions_of_a_run_that_is_stopped_are_dismissed() -> None:
    agent = cleaner()

    @agent.on("hang")
    async def hang(run: Run, command: Any) -> None:
        run.messages.assistant().add_tool_call("delete", {}, id="a").ask(id="ask-a")
        await anyio.sleep_forever()

    async with TestClient(agent) as client:
        async with client.stream("POST", PATH, json=posted({"type": "hang"})) as stream:
            await stream.read_until(b"ask-a")
            await client.post("/cancel", json={"threadId": "t"})
            await stream.read()
        state = await state_of(client)

    assert state["pending"] == []
    assert calls_in(state)["a"]["result"] == {"dismissed": True}


async def patched(client: TestClient, step: dict[str, Json]) -> Response:
    return await client.request("PATCH", "/threads/t/state", json=[step])


async def until_text(client: TestClient, text: str) -> Json:
    """Return the state once the last message has a text."""
    async with client.stream("GET", "/threads/t/events?format=snapshot") as events:
        await events.read_until(text.encode())
    return await state_of(client)


async def test_answers_that_a_run_did_not_read_are_not_kept_for_ever() -> None:
    agent = Agent()

    @agent.on(AddMessage)
    async def ask(run: Run, command: AddMessage) -> None:
        run.ask("Where to?", kind="text", id="where")
        run.ask("By train?", id="train")

    @agent.on(Answer)
    async def go(run: Run, command: Answer) -> None:
        note(run, str(command.answers))

    @agent.on("look")
    async def look(run: Run, command: Any) -> None:
        note(run, str(sorted(run.answers)))

    async with TestClient(agent) as client:
        await client.run("travel", thread_id="t")
        await client.run({"type": "answer", "answers": {"where": "home"}}, thread_id="t")
        await client.run({"type": "answer", "answers": {"train": True}}, thread_id="t")
        await client.run({"type": "look"}, thread_id="t")
        await client.run("travel", thread_id="t")
        await client.post("/cancel", json={"threadId": "t"})
        await client.run({"type": "look"}, thread_id="t")
        state = await state_of(client)

    assert state["notes"] == ["{'where': 'home'}", "{'train': True}", "[]", "['train', 'where']"]


async def test_answers_are_kept_while_a_call_of_the_page_is_open() -> None:
    agent = Agent()

    @agent.on(AddMessage)
    async def ask(run: Run, command: AddMessage) -> None:
        run.messages.assistant().add_tool_call("pick", {}, id="pick")
        run.ask("By train?", id="train")

    @agent.on(Answer)
    async def wait(run: Run, command: Answer) -> None:
        """Do nothing before the page has picked."""

    @agent.on(AddToolResult)
    async def go(run: Run, command: AddToolResult) -> None:
        note(run, str(run.answers))

    async with TestClient(agent) as client:
        await client.run("travel", thread_id="t")
        await client.run({"type": "answer", "answers": {"train": True}}, thread_id="t")
        done = await client.run({"type": "add-tool-result", "toolCallId": "pick", "result": 1}, thread_id="t")

    assert done.state["notes"] == ["{'train': {'approved': True}}"]


async def test_an_answer_behind_a_message_that_dismisses_its_question_is_refused() -> None:
    async with TestClient(cleaner()) as client, anyio.create_task_group() as tasks:
        asked = await client.run("delete a b", thread_id="t")
        tasks.start_soon(partial(client.run, "never mind", state=asked.state, thread_id="t"))
        await anyio.lowlevel.checkpoint()
        late = await client.run(answer(a=True), thread_id="t")
    async with TestClient(cleaner(waiting_policy="enqueue")) as client, anyio.create_task_group() as tasks:
        asked = await client.run("delete a b", thread_id="t")
        tasks.start_soon(partial(client.run, "afterwards", state=asked.state, thread_id="t"))
        await anyio.lowlevel.checkpoint()
        first = await client.run(answer(a=True), thread_id="t")
        second = await client.run(answer(b=True), thread_id="t")

    agent, asked_for, release = cleaner(), anyio.Event(), anyio.Event()

    @agent.on("slow")
    async def slow(run: Run, command: Any) -> None:
        run.messages.assistant().add_tool_call("delete", {}, id="a").ask(id="ask-a")
        run.flush()
        asked_for.set()
        await release.wait()

    async with TestClient(agent) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(partial(client.run, {"type": "slow"}, thread_id="t"))
        await asked_for.wait()
        async with client.stream("POST", PATH, json=posted(said("afterwards"))):  # it will wait for the answer
            async with client.stream("POST", PATH, json=posted(answer(a=True))) as answered:
                release.set()
                await answered.read()
        between = await state_of(client)

    assert calls_in(between)["a"]["result"] == "deleted"
    assert (late.status, late.code) == (409, "question_answered")
    assert (first.code, second.code) == (None, None)


async def test_answers_wait_for_the_results_of_the_pages_tools() -> None:
    agent = Agent()

    @agent.on(AddMessage)
    async def ask(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        message.add_tool_call("book", {}, id="c1").ask("Book it?", id="book")
        message.add_tool_call("pick_color", {}, id="c2")

    @agent.on(Answer)
    async def early(run: Run, command: Answer) -> None:
        note(run, "the color is missing")

    @agent.on(AddToolResult)
    async def go_on(run: Run, command: AddToolResult) -> None:
        note(run, str(dict(run.answers)))

    async with TestClient(agent) as client:
        await client.run("paint", thread_id="t")
        await client.run({"type": "answer", "answers": {"book": True}}, thread_id="t")
        await client.run({"type": "add-tool-result", "toolCallId": "c2", "result": "blue"}, thread_id="t")
        state = await state_of(client)

    assert state["notes"] == ["the color is missing", "{'book': {'approved': True}}"]


async def test_an_answer_that_no_handler_takes_is_noted_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    agent = Agent("forgetful")

    @agent.on(AddMessage)
    async def ask(run: Run, command: AddMessage) -> None:
        run.ask("Delete it?")

    async with TestClient(agent) as client:
        asked = await client.run("Tidy up", thread_id="t")
        (question,) = asked.state["pending"]
        await client.run({"type": "answer", "answers": {question["id"]: True}}, thread_id="t")

    (record,) = caplog.records
    assert record.getMessage().startswith('the agent "forgetful" has no handler for "answer"')
