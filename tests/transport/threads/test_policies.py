"""What a batch does to a run that is under way: a declared policy, of the agent or of the request."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import anyio
import pytest

from statecast import AddMessage, Agent, App, Run, UntypedCommand, create_app
from statecast.state import Json
from statecast.testing import TestClient
from tests.transport.failing_store import Failing
from tests.transport.followers import PATH, following, posted, state_of, status_of, until_status
from tests.transport.held_agent import HOLD, NOTE, held, note, said, until

pytestmark = pytest.mark.anyio

POLICIES = ["enqueue", "reject", "interrupt", "rollback", "deliver"]


def choices(policy: str) -> Any:
    """Return a decorator: the policy is the agent's, or the request's."""
    cases = [({"policy": policy}, {}), ({}, {"policy": policy}), ({"policy": "reject"}, {"policy": policy})]
    return pytest.mark.parametrize(("agent_says", "request_says"), cases)


def noted(text: str) -> dict[str, Any]:
    return {**NOTE, "text": text}


@choices("enqueue")
async def test_enqueue_runs_it_afterwards(agent_says: Any, request_says: Any) -> None:
    agent, release = held(**agent_says)
    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        async with client.stream("POST", PATH, json=posted(NOTE, **request_says)) as second:
            assert second.status == 200
            release.set()
            await first.read()
            await second.read()
        assert await state_of(client) == {"notes": ["held", "went on", "noted"]}


async def test_enqueue_is_the_default() -> None:
    assert Agent().policy == "enqueue"


@choices("reject")
async def test_reject_refuses_it_and_names_the_run(agent_says: Any, request_says: Any) -> None:
    agent_says = {} if request_says else agent_says
    agent, release = held(**agent_says)
    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        refused = await client.post(PATH, json=posted(NOTE, **request_says))
        release.set()
        await first.read()
        accepted = await client.run(NOTE, thread_id="t", **request_says)

    error = refused.json()["error"]
    assert (refused.status, error["code"]) == (409, "run_active")
    assert error["runId"] == first.headers["statecast-run-id"]
    assert accepted.state == {"notes": ["held", "went on", "noted"]}


async def test_reject_counts_a_run_that_is_about_to_begin() -> None:
    store = Failing()
    agent, release = held(policy="reject")
    app = create_app(agent, store=store)
    async with TestClient(app) as client:
        await client.run(NOTE, thread_id="t")
        store.go = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(client.run, HOLD, thread_id="t"))
            await until(lambda: _thread(app).inbox)
            (waiting,) = _thread(app).inbox
            refused = await client.run(NOTE, thread_id="t")
            store.go.set()
            release.set()
    assert (refused.code, (refused.error or {})["runId"]) == ("run_active", waiting.id)


def _thread(app: App) -> Any:
    thread = app.hub.loaded("t")
    assert thread
    return thread


@choices("deliver")
async def test_deliver_refuses_what_the_run_does_not_listen_for(agent_says: Any, request_says: Any) -> None:
    agent, release = held(**agent_says)
    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        refused = await client.post(PATH, json=posted(NOTE, **request_says))
        release.set()
        await first.read()
        assert await state_of(client) == {"notes": ["held", "went on"]}

    error = refused.json()["error"]
    assert (refused.status, error["code"]) == (409, "not_listening")
    assert error["runId"] == first.headers["statecast-run-id"]


@pytest.mark.parametrize("policy", POLICIES)
async def test_what_a_run_listens_for_is_delivered_whatever_the_policy(policy: str) -> None:
    agent = Agent(policy=policy)  # type: ignore[arg-type]  # one of the literals

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        note(run, "working")
        note(run, (await run.wait_for("steer")).body["to"])

    agent.commands.add("steer")
    async with TestClient(agent) as client:
        first = await client.run({"type": "work"}, thread_id="t")
        second = await client.run({"type": "steer", "to": "north"}, thread_id="t", policy=policy)

    assert second.headers["statecast-run-id"] == first.headers["statecast-run-id"]
    assert second.state == {"notes": ["working", "north"]}


@pytest.mark.parametrize(("policy", "code"), [("deliver", "not_listening"), ("reject", "run_active")])
async def test_of_a_batch_that_is_refused_nothing_is_delivered(policy: str, code: str) -> None:
    agent = Agent(commands=["steer"])

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        note(run, (await run.wait_for("steer")).body["to"])

    async with TestClient(agent) as client:
        await client.run({"type": "work"}, thread_id="t")
        batch: list[Any] = [{"type": "steer", "to": "north"}, said("and what else?")]
        refused = await client.run(*batch, thread_id="t", policy=policy)
        assert (refused.status, refused.code) == (409, code)
        assert (await status_of(client), await state_of(client)) == ("waiting", None)


async def test_of_a_mixed_batch_the_others_run_afterwards() -> None:
    agent = Agent(commands=["steer"])

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        note(run, (await run.wait_for("steer")).body["to"])

    @agent.on("note")
    async def noted(run: Run, command: UntypedCommand) -> None:
        note(run, "noted")

    async with TestClient(agent) as client:
        await client.run({"type": "work"}, thread_id="t")
        batch: list[Any] = [NOTE, {"type": "steer", "to": "north"}]
        assert (await client.run(*batch, thread_id="t")).state == {"notes": ["north", "noted"]}


async def test_of_a_mixed_batch_the_client_sees_all_even_if_it_had_seen_all_before() -> None:
    agent = Agent()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        note(run, (await run.wait_for(AddMessage)).message.text)

    @agent.on("note")
    async def noted(run: Run, command: UntypedCommand) -> None:
        note(run, "noted")

    async with TestClient(agent) as client:
        first = await client.run({"type": "work"}, thread_id="t", state={})
        second = await client.run(said("hello"), NOTE, thread_id="t", state=first.state)
        assert second.state == await state_of(client)
    assert second.state["notes"] == ["hello", "noted"]


@choices("interrupt")
@pytest.mark.parametrize("protocol", ["assistant-transport", "data-stream"])
async def test_interrupt_stops_the_run_and_is_next(agent_says: Any, request_says: Any, protocol: str) -> None:
    agent, release = held(**agent_says)
    path = f"/assistant?protocol={protocol}"
    queued = {"policy": "enqueue"}
    async with TestClient(agent) as client:
        await client.run(NOTE, thread_id="t")
        async with (
            following(client) as follower,
            client.stream("POST", path, json=posted(HOLD)) as first,
            client.stream("POST", path, json=posted(noted("waited"), **queued)) as behind,
        ):
            await first.read_until(b"held")
            assert (await client.get("/status/t")).json()["queued"]
            async with client.stream("POST", path, json=posted(noted("urgent"), **request_says)) as urgent:
                for response in (first, urgent, behind):
                    await response.read()
            await follower.until(lambda view: view.statuses.count("completed") == 2)
        state = await state_of(client)

    assert state == {"notes": ["noted", "held", "urgent", "waited"]}
    assert follower.statuses == ["running", "interrupted", "running", "completed", "running", "completed"]
    assert first.content.endswith(b"data: [DONE]\n\n") == (protocol == "assistant-transport")
    for body in (first.content, behind.content, urgent.content):
        assert b"error" not in body
        assert not any(line.startswith(b"3:") for line in body.split(b"\n"))
    assert not release.is_set()


async def test_an_interrupted_run_has_no_error_to_show() -> None:
    agent, _ = held(policy="interrupt")
    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        async with following(client) as follower:
            await client.run(NOTE, thread_id="t")
            await follower.until(lambda view: "completed" in view.statuses)
        await first.read()
    run_id = first.headers["statecast-run-id"]
    assert {"id": run_id, "status": "interrupted"} in [frame.get("run") for frame in follower.frames]


async def test_the_latest_of_several_interrupting_batches_is_next() -> None:
    agent = Agent(policy="interrupt", cancel_grace=60)
    release = anyio.Event()

    @agent.on("hold")
    async def hold(run: Run, command: UntypedCommand) -> None:
        note(run, "held")
        await release.wait()

    @agent.on("note")
    async def noted(run: Run, command: UntypedCommand) -> None:
        note(run, command.body["text"])

    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        async with anyio.create_task_group() as tasks:
            for count, text in enumerate(("one", "two"), 1):
                tasks.start_soon(partial(client.run, {**NOTE, "text": text}, thread_id="t"))
                await until(lambda count=count: len(_thread(client.app).inbox) == count)  # type: ignore[misc, arg-type]
            release.set()
            await first.read()
        assert await state_of(client) == {"notes": ["held", "two", "one"]}


async def test_an_interrupting_batch_that_is_not_kept_interrupts_nothing() -> None:
    store = Failing()
    agent, release = held()
    async with (
        TestClient(create_app(agent, store=store)) as client,
        client.stream("POST", PATH, json=posted(HOLD)) as first,
    ):
        await first.read_until(b"held")
        store.broken = True
        assert (await client.post(PATH, json=posted(NOTE, policy="interrupt"))).status == 503
        store.broken = False
        release.set()
        assert b"went on" in await first.read()
        assert await status_of(client) == "completed"


@pytest.mark.parametrize("policy", ["interrupt", "rollback"])
async def test_a_run_that_waits_is_stopped_too(policy: str) -> None:
    agent = Agent(policy=policy, commands=["steer"])  # type: ignore[arg-type]  # one of the literals

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        note(run, "working")
        await run.wait_for("steer")
        note(run, "never")

    @agent.on("note")
    async def noted(run: Run, command: UntypedCommand) -> None:
        note(run, "noted")

    async with TestClient(agent) as client:
        await client.run({"type": "work"}, thread_id="t")
        assert await status_of(client) == "waiting"
        after = await client.run(NOTE, thread_id="t")
    assert after.state == {"notes": ["noted"] if policy == "rollback" else ["working", "noted"]}


ROOTS: list[tuple[Json, Json]] = [
    (None, {"a": 1}),
    (None, "text"),
    ({}, None),
    ({"a": 1, "b": {"c": [1, 2]}}, {"b": {"c": [2]}, "z": 0}),
    ({"a": "text"}, {"a": "text and more"}),
    ({"a": 1}, [1]),
    ([1, 2, 3], [3, 1]),
    ([1, 2, 3], [1, 2, 3, {"x": []}]),
    ([], {}),
    ("text", "text and more"),
    ("text and more", "text"),
    ("text", 1),
    (1, True),
    (True, 1),
    (0.5, None),
    ({"a": True}, {"a": 1}),
    ({"a": [{"b": "x"}, 2]}, {"a": [{"b": "xy"}, 2, 3], "c": {}}),
]


@pytest.mark.parametrize(("before", "meanwhile"), ROOTS)
async def test_rollback_puts_any_state_back(before: Json, meanwhile: Json) -> None:
    agent = Agent(policy="rollback", messages=None)

    @agent.on("hold")
    async def hold(run: Run, command: UntypedCommand) -> None:
        run.state = copy.deepcopy(meanwhile)
        run.parts.append_text("held")
        await anyio.sleep_forever()

    @agent.on("look")
    async def look(run: Run, command: UntypedCommand) -> None:
        run.parts.append_text(repr(run.state))

    async with TestClient(agent) as client:
        await client.run(thread_id="t", state=before)
        async with following(client) as follower, client.stream("POST", PATH, json=posted(HOLD)) as first:
            await first.read_until(b'"held"')
            assert _same(await state_of(client), meanwhile)
            looked = await client.run({"type": "look"}, thread_id="t")
            await first.read()
            await follower.until(lambda view: view.statuses.count("completed") == 1)
        state = await state_of(client)

    assert _same(state, before)
    assert _same(looked.state, before)
    assert _same(follower.state, before)
    assert follower.kinds.count("snapshot") == 1
    assert follower.statuses == ["running", "interrupted", "running", "completed"]


def _same(one: Json, other: Json) -> bool:
    return repr(one) == repr(other) or (one == other and isinstance(one, bool) == isinstance(other, bool))


async def test_rollback_takes_the_message_of_the_stopped_run_along() -> None:
    agent, _ = held(policy="rollback")
    async with TestClient(agent) as client:
        await client.run(said("one"), thread_id="t")
        before = await state_of(client)
        async with client.stream("POST", PATH, json=posted(said("two"), HOLD)) as first:
            await first.read_until(b"held")
            assert len((await state_of(client))["messages"]) == 2
            after = await client.run(NOTE, thread_id="t")
            body = await first.read()

    assert after.state == {**before, "notes": ["noted"]}
    assert b"error" not in body
    assert body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("declared", [policy for policy in POLICIES if policy != "rollback"])
async def test_rollback_needs_an_agent_that_declares_it(declared: Any) -> None:
    agent, release = held(policy=declared)
    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        refused = await client.post(PATH, json=posted(NOTE, policy="rollback"))
        assert (refused.status, refused.json()["error"]["code"]) == (422, "policy_not_available")
        assert await status_of(client) == "running"
        release.set()
        assert b"went on" in await first.read()


async def test_an_agent_that_declares_rollback_may_be_interrupted_without() -> None:
    agent, _ = held(policy="rollback")
    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        after = await client.run(NOTE, thread_id="t", policy="interrupt")
        await first.read()
    assert after.state == {"notes": ["held", "noted"]}


async def test_a_run_that_is_being_stopped_already_is_rolled_back_all_the_same() -> None:
    agent = Agent(policy="rollback", cancel_grace=60)
    stop = anyio.Event()

    @agent.on("hold")
    async def hold(run: Run, command: UntypedCommand) -> None:
        note(run, "held")
        await stop.wait()

    @agent.on("note")
    async def noted(run: Run, command: UntypedCommand) -> None:
        note(run, "noted")

    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        await client.post("/cancel", json={"threadId": "t"})
        async with client.stream("POST", PATH, json=posted(NOTE)) as second:
            stop.set()
            await first.read()
            await second.read()
        assert await state_of(client) == {"notes": ["noted"]}


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_policy_is_for_the_time_of_a_run(policy: Any) -> None:
    async with TestClient(held(policy=policy)[0]) as client:
        for _ in range(2):
            ran = await client.run(NOTE, thread_id="t", policy=policy)
            assert (ran.status, ran.error) == (200, None)
        assert await state_of(client) == {"notes": ["noted", "noted"]}


@pytest.mark.parametrize("policy", ["stop", "", 1, ["enqueue"], {}])
async def test_a_policy_that_is_none_is_refused(policy: Json) -> None:
    async with TestClient(held()[0]) as client:
        refused = await client.run(NOTE, thread_id="t", policy=policy)
        assert (refused.status, refused.code) == (422, "invalid_request")
        assert "policy" in (refused.error or {})["message"]
        assert (await client.get("/status/t")).status == 404


async def test_what_a_stopped_run_listened_for_is_not_delivered_to_it_any_more() -> None:
    agent = Agent(cancel_grace=60, commands=["steer"])
    release = anyio.Event()

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        run.listen("steer")
        note(run, "working")
        await release.wait()

    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted({"type": "work"})) as first:
        await first.read_until(b"working")
        await client.post("/cancel", json={"threadId": "t"})
        async with client.stream("POST", PATH, json=posted({"type": "steer"})) as second:
            assert second.headers["statecast-run-id"] != first.headers["statecast-run-id"]
            release.set()
            await first.read()
            await second.read()
        await until_status(client, "completed")
