"""`client.js` against a real server, over both of its wires: what it shows is what the server has, whatever breaks."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from statecast import App, Limits, create_app
from statecast.threads.errors import LeaseLost
from statecast.threads.hub import Hub, Submission
from statecast.threads.rules import Posted
from tests.client.agents import HOLD, make
from tests.client.network import Proxy, events, http, proxied, scripted, serving, until
from tests.clients.client_module import Module, Thread, running
from tests.clients.node import Json

pytestmark = pytest.mark.anyio


def app(**settings: Any) -> App:
    return create_app(make()[0], **settings)


def note(text: str) -> Json:
    return {"type": "note", "text": text}


async def state_of(url: str, thread: str = "t") -> Json:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{url}/threads/{thread}/state")
    return answer.json()


async def check(thread: Thread, url: str, id: str = "t") -> Json:
    """Check that a thread is shown as the server has it; returns what its subscriber was told."""
    server, shown = await state_of(url, id), await thread.snapshot()
    assert {key: shown[key] for key in ("state", "run", "revision", "cursor")} == {
        key: server[key] for key in ("state", "run", "revision", "cursor")
    }
    return await thread.told()


# Following


async def test_a_thread_is_there_first_and_then_its_changes(module: Module, wire: Json) -> None:
    async with serving(app()) as server:
        thread = await module.thread(server.url, **wire)
        assert (await thread.snapshot())["connection"] == "idle"
        await thread.send(note("a"))
        await thread.subscribe()
        await thread.wait("s.state !== null")
        accepted = (await thread.send({"type": "write", "count": 200}))["value"]
        await thread.wait('s.run.status === "completed" && s.state.text.includes("199 bees")')
        told = await check(thread, server.url)

    assert told["frames"].count("snapshot") == 1
    assert told["frames"].count("update-state") > 10
    assert told["told"][-1]["run"] == {"id": accepted["runId"], "status": "completed"}
    revisions = [snapshot["revision"] for snapshot in told["told"]]
    assert revisions == sorted(revisions)
    assert told["told"][-1] == {**told["told"][-1], "isRunning": False, "connection": "open", "error": None}


async def test_what_did_not_change_is_the_same_object(module: Module, wire: Json) -> None:
    async with serving(app()) as server:
        thread = await (await module.thread(server.url, **wire)).subscribe()
        await thread.send("Hello")
        await thread.wait('s.run?.status === "completed" && s.pending.length === 0')
        await thread.do("mark", path=["state", "messages"])
        await thread.do("mark", path=["state", "messages", 0])
        await thread.send(note("a"))
        await thread.wait('s.state.notes.length === 1 && s.run.status === "completed"')
        assert (await thread.do("same", path=["state", "messages"]))["same"]
        await thread.do("mark", path=["state", "notes"])
        # An edit sets the list again; what it holds is the same as far as it is.
        (first, *_) = (await thread.snapshot())["state"]["messages"]
        again = {"type": "add-message", "message": {**first}, "parentId": None, "sourceId": first["id"]}
        await thread.send(again)
        await thread.wait('s.state.messages.length === 2 && s.run.status === "completed"')
        assert (await thread.do("same", path=["state", "messages", 0]))["same"]
        assert (await thread.do("same", path=["state", "notes"]))["same"]
        await check(thread, server.url)


async def test_what_a_new_snapshot_does_not_change_is_the_same_object(module: Module) -> None:
    states = [{"deep": {"a": [1]}, "text": text} for text in "ab"]
    answers = [events(frame("snapshot", revision, state=state)) for revision, state in enumerate(states)]
    async with scripted(*answers) as server:
        thread = await (await module.thread(server.url)).subscribe()
        await thread.wait('s.state?.text === "a"')
        await thread.do("mark", path=["state", "deep"])
        await thread.wait('s.state.text === "b"')
        assert (await thread.do("same", path=["state", "deep"]))["same"]
        await thread.do("close")


async def test_message_parts_grow_and_come_to_who_joins_late(module: Module, wire: Json) -> None:
    agent, gate = make()
    async with serving(create_app(agent)) as server:
        first = await (await module.thread(server.url, name="first", **wire)).subscribe()
        await first.send({"type": "speak"})
        await first.wait('s.parts.length === 2 && s.parts[1].text.includes("5 ")')
        second = await (await module.thread(server.url, name="second", **wire)).subscribe()
        await second.wait('s.parts.length === 2 && s.parts[1].text.includes("5 ")')
        gate.set()
        for thread in (first, second):
            parts = (await thread.wait('s.run.status === "completed"'))["parts"]
            call = {"type": "tool-call", "toolName": "look", "argsText": '{"at":1}', "result": "seen", "isError": False}
            assert parts[:2] == [
                {"type": "reasoning", "text": "hm"},
                {"type": "text", "text": "0 1 2 3 4 5 6 7 8 9 "},
            ]
            assert parts[2] == {**call, "toolCallId": parts[2]["toolCallId"]}
        await first.send(note("a"))
        await second.wait("s.state.notes.length === 1 && s.parts.length === 0")


async def test_nobody_is_followed_when_nobody_is_subscribed(module: Module, wire: Json) -> None:
    async with serving(app()) as server:
        thread = await (await module.thread(server.url, **wire)).subscribe()
        await thread.send(note("a"))
        await thread.wait("s.state?.notes.length === 1 && s.pending.length === 0")
        await thread.do("unsubscribe")
        assert "value" in await thread.send(note("b"))
        await thread.wait('s.connection === "idle"')
        # A socket is open for as long as it takes to send, and may show what the command led to before its answer.
        notes = (await thread.snapshot())["state"]["notes"]
        assert notes == ["a"] or (wire["socket"] and notes == ["a", "b"])
        await thread.subscribe()
        await thread.wait("s.state.notes.length === 2")
        told = await check(thread, server.url)

    assert told["frames"].count("snapshot") == 1  # it went on from where it was


async def test_an_unknown_thread_is_looked_for_and_found(module: Module, wire: Json) -> None:
    async with serving(app()) as server:
        thread = await (await module.thread(server.url, **wire)).subscribe()
        seen = await thread.wait('s.connection === "unknown"')
        assert seen["error"]["refused"] == "unknown_thread"
        assert seen["state"] is None
        other = await module.thread(server.url, name="other", **wire)
        await other.send(note("a"))
        await thread.do("reconnect")  # rather than wait for the next look
        await thread.wait('s.connection === "open" && s.error === null && s.state?.notes.length === 1')


async def test_nothing_is_asked_for_a_new_thread_before_its_first_commands(module: Module, wire: Json) -> None:
    async with serving(app()) as server, proxied(server) as proxy:
        thread = await (await module.thread(proxy.url, isNew=True, **wire)).subscribe()
        await thread.wait('s.connection === "unknown" && s.error === null')
        assert proxy.connections == 0
        await thread.send(note("a"))
        await thread.wait('s.connection === "open" && s.state?.notes.length === 1')
        await check(thread, server.url)


# Sending


async def test_commands_get_ids_and_are_pending_until_the_state_shows_them(module: Module, wire: Json) -> None:
    async with serving(app()) as server:
        thread = await (await module.thread(server.url, isNew=True, **wire)).subscribe()
        await thread.send("Hello", {"type": "note", "text": "a", "id": "mine"})
        await thread.wait('s.run?.status === "completed" && s.pending.length === 0')
        told = (await check(thread, server.url))["told"]

    pending = next(snapshot["pending"] for snapshot in told if snapshot["pending"])
    message = {"role": "user", "id": pending[0]["message"]["id"], "parts": [{"type": "text", "text": "Hello"}]}
    assert pending == [
        {"type": "add-message", "id": pending[0]["id"], "message": message},
        {"type": "note", "text": "a", "id": "mine"},
    ]
    assert pending[0]["id"].startswith("cmd_")
    for snapshot in told[next(index for index, it in enumerate(told) if it["pending"]) :]:  # in one of them, always
        in_state = [it["id"] for it in (snapshot["state"] or {}).get("messages", [])]
        assert message["id"] in [*in_state, *(it["message"]["id"] for it in snapshot["pending"] if "message" in it)]


async def test_what_is_sent_is_sent_in_order(module: Module, wire: Json) -> None:
    async with serving(app()) as server:
        thread = await (await module.thread(server.url, **wire)).subscribe()
        for number in range(8):
            await thread.do("begin", **{"as": str(number)}, commands=note(str(number)))
        await thread.do("begin", **{"as": "stop"}, cancel=True)
        for number in range(8):
            assert "value" in await thread.do("finish", **{"as": str(number)})
        await thread.wait("s.state.notes.length === 8")

    assert (await thread.snapshot())["state"]["notes"] == [str(number) for number in range(8)]


async def test_a_refusal_is_told_and_what_follows_goes_on(module: Module, wire: Json) -> None:
    async with serving(app(limits=Limits(commands=2))) as server:
        thread = await (await module.thread(server.url, **wire)).subscribe()
        unknown = await thread.send({"type": "nothing"})
        many = await thread.send(note("a"), note("b"), note("c"))
        await thread.send(note("d"))
        await thread.wait("s.state?.notes.length === 1 && s.pending.length === 0")

    assert (unknown["refused"], unknown["status"]) == ("unknown_command", 422)
    assert "expected a command of type" in unknown["message"]
    assert (many["refused"], many["details"]) == ("too_many_commands", {"limit": 2})


async def test_a_refusal_that_passes_is_tried_again(
    module: Module, wire: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = Hub.submit
    refused: list[Posted] = []

    async def lose(hub: Hub, posted: Posted) -> Submission:
        if not refused:
            refused.append(posted)
            raise LeaseLost
        return await submit(hub, posted)

    monkeypatch.setattr(Hub, "submit", lose)
    async with serving(app()) as server:
        thread = await (await module.thread(server.url, **wire)).subscribe()
        assert "value" in await thread.send(note("a"))
        await thread.wait("s.state?.notes.length === 1")

    assert len(refused) == 1


async def test_fields_of_a_request_reach_the_server(module: Module, wire: Json) -> None:
    async with serving(app()) as server:
        thread = await module.thread(server.url, **wire)
        await thread.send(HOLD, state={"notes": ["adopted"], "text": ""})
        rejected = await thread.send(note("a"), policy="reject")
        server_side = await state_of(server.url)
        await thread.do("cancel")

    assert rejected["refused"] == "run_active"
    assert server_side["state"]["notes"] == ["adopted", "held"]


async def lose_the_answer(proxy: Proxy, thread: Thread, url: str, *, socket: bool) -> None:
    """Send a note whose answer is lost, after the server has it."""
    if not socket:
        proxy.eat("/assistant")
        await thread.do("begin", **{"as": "sent"}, commands=note("once"))
        return
    proxy.frozen = True
    await thread.do("begin", **{"as": "sent"}, commands=note("once"))
    while (await state_of(url))["state"]["notes"] != ["once"]:
        pass
    proxy.cut()
    proxy.frozen = False


async def test_what_was_lost_on_the_way_back_is_not_done_twice(module: Module, wire: Json) -> None:
    async with serving(app()) as server, proxied(server) as proxy:
        thread = await (await module.thread(proxy.url, **wire)).subscribe()
        await thread.send({"type": "grow", "text": "!"})
        await thread.wait('s.run?.status === "completed"')
        await lose_the_answer(proxy, thread, server.url, **wire)
        assert "value" in await thread.do("finish", **{"as": "sent"})
        await thread.wait('s.state.notes.length > 0 && s.connection === "open" && s.pending.length === 0')
        await check(thread, server.url)
        assert wire["socket"] or proxy.eaten == 1

    assert (await thread.snapshot())["state"]["notes"] == ["once"]


@pytest.mark.parametrize("code", ["store_unavailable", "server_full"])
async def test_a_server_that_is_busy_is_asked_again(module: Module, code: str) -> None:
    error = f'{{"error": {{"code": "{code}", "message": "later"}}}}'
    accepted = http("200 OK", content_type="text/event-stream", statecast_run_id="run_1", statecast_cursor="e-0")
    async with scripted(http("503 Busy", error), http("502 Bad Gateway", "<html>"), accepted) as server:
        thread = await module.thread(server.url)
        answer = await thread.send(note("a"))
        await thread.do("close")

    assert answer["value"] == {"runId": "run_1", "cursor": "e-0"}
    assert len(server.heads) == 3


async def test_a_refusal_that_is_cut_off_is_no_answer(module: Module) -> None:
    whole = http(
        "404 Not Found", '{"error": {"code": "unknown_thread", "message": "there is none"}}', content_length="65"
    )
    accepted = http("200 OK", content_type="text/event-stream", statecast_run_id="run_1", statecast_cursor="e-0")
    async with scripted(whole[:-10], accepted) as server:
        thread = await module.thread(server.url)
        answer = await thread.send(note("a"))
        await thread.do("close")

    assert answer["value"]["runId"] == "run_1"


async def test_an_answer_that_is_none_of_ours_is_told_as_it_is(module: Module) -> None:
    page = http("200 OK", "<html>", content_type="text/html")
    async with scripted(http("404 Not Found", "<html>"), http("403 Forbidden", '{"error": "no"}'), page) as server:
        thread = await module.thread(server.url)
        await thread.subscribe()
        seen = await thread.wait('s.connection === "refused"')
        answer = await thread.send(note("a"))
        other = await thread.send(note("b"))
        await thread.do("close")

    assert (seen["error"]["refused"], seen["error"]["status"]) == ("http_error", 404)
    assert other["refused"] == "not_statecast"
    assert (answer["refused"], answer["status"], answer["message"]) == (
        "http_error",
        403,
        f"expected an answer of Statecast, got 403 Forbidden from {server.url}/assistant",
    )


# Stopping


async def test_a_run_is_stopped(module: Module, wire: Json) -> None:
    async with serving(app()) as server:
        thread = await (await module.thread(server.url, **wire)).subscribe()
        # Together: what was sent before is stopped, though nothing has come of it yet.
        await thread.do("begin", **{"as": "sent"}, commands=HOLD)
        assert (await thread.do("cancel"))["value"] is True
        await thread.wait('s.run?.status === "cancelled" && !s.isRunning')
        assert (await thread.do("cancel"))["value"] is False
        accepted = (await thread.do("finish", **{"as": "sent"}))["value"]
        told = await check(thread, server.url)

    assert told["told"][-1]["run"]["id"] == accepted["runId"]


async def test_a_run_that_failed_is_listed_and_runs_again(module: Module) -> None:
    async with serving(app()) as server:
        thread = await (await module.thread(server.url)).subscribe()
        failed = (await thread.send({"type": "fail"}))["value"]["runId"]
        await thread.wait('s.run?.status === "failed" && !s.isRunning')
        again = (await thread.do("retry"))["value"]
        await thread.wait(f's.run.id === "{again}" && s.run.status === "failed"')
        listed = (await thread.do("runs"))["value"]
        refused = await thread.do("retry", runId="run_other")

    assert [run["id"] for run in listed] == [again, failed]
    assert listed[0]["error"]["code"] == "agent_failed"
    assert refused["refused"] == "unknown_run"


async def test_another_run_than_the_one_that_is_meant_is_left_alone(module: Module, wire: Json) -> None:
    async with serving(app()) as server:
        thread = await (await module.thread(server.url, **wire)).subscribe()
        await thread.send(HOLD)
        answer = await thread.do("cancel", which={"runId": "run_other"})
        assert answer["refused"] == "run_mismatch"
        assert (await thread.wait("s.isRunning"))["run"]["status"] == "running"
        await thread.send(note("a"))
        assert (await thread.do("cancel", which={"queued": True}))["value"] is True
        await thread.wait('s.run.status === "cancelled"')

    assert (await thread.snapshot())["state"]["notes"] == ["held"]


async def test_what_waits_behind_a_run_is_shown_also_to_who_comes_later(module: Module, wire: Json) -> None:
    agent, gate = make()
    async with serving(create_app(agent)) as server:
        thread = await (await module.thread(server.url, **wire)).subscribe()
        await thread.send(HOLD)
        behind = (await thread.send(note("behind")))["value"]["runId"]
        queued = (await thread.wait("s.queued.length === 1"))["queued"]
        assert (queued[0]["runId"], queued[0]["commands"][0]["text"]) == (behind, "behind")
        late = await (await module.thread(server.url, name="late", **wire)).subscribe()
        assert (await late.wait("s.queued.length === 1"))["queued"] == queued
        gate.set()
        for one in (thread, late):
            assert (await one.wait('s.state.notes.includes("behind") && !s.isRunning'))["queued"] == []
        await check(thread, server.url)


async def test_a_stop_that_is_tried_again_stops_no_later_run(module: Module) -> None:
    async with serving(app()) as server, proxied(server) as proxy:
        thread = await (await module.thread(proxy.url)).subscribe()
        first = (await thread.send(HOLD))["value"]["runId"]
        second = (await thread.send(HOLD))["value"]["runId"]
        await thread.wait(f's.run?.id === "{first}"')
        proxy.eat("/cancel")
        answer = await thread.do("cancel")
        await thread.wait(f's.run.id === "{second}" && s.isRunning')
        status = (await state_of(server.url))["run"]

    assert proxy.eaten == 1
    assert answer["value"] is False  # it was stopped by the first try, whose answer was lost
    assert status == {"id": second, "status": "running"}


# Connections that break


async def test_a_stream_that_is_cut_again_and_again_is_one_stream(module: Module, wire: Json) -> None:
    async with serving(app()) as server, proxied(server) as proxy:
        writer = await module.thread(server.url, name="writer")
        await writer.send(note("begin"))
        thread = await (await module.thread(proxy.url, **wire)).subscribe()
        await thread.wait("s.state !== null")
        for number in range(6):
            pieces = proxy.pieces
            await writer.send({"type": "write", "count": 200}, note(f"end {number}"))
            if number % 2:
                await more(proxy, pieces)  # some of it is there, perhaps half a frame
            proxy.cut()
            await thread.wait(f's.state.notes.at(-1) === "end {number}" && s.run.status === "completed"')
        told = await check(thread, server.url)

    assert proxy.connections > 3
    assert told["frames"].count("snapshot") == 1


async def more(proxy: Proxy, pieces: int) -> None:
    """Wait until more than that has come through."""
    await until(lambda: proxy.pieces > pieces)


async def test_a_silent_server_is_left_for_another_try(module: Module, wire: Json) -> None:
    async with serving(app()) as server, proxied(server) as proxy:
        thread = await (await module.thread(proxy.url, silence=400, **wire)).subscribe()
        await thread.send(note("a"))
        await thread.wait("s.state?.notes.length === 1")
        proxy.frozen = True
        before = proxy.connections
        await (await module.thread(server.url, name="other")).send(note("b"))
        await until(lambda: proxy.connections > before)
        proxy.frozen = False
        await thread.wait("s.state.notes.length === 2")
        await check(thread, server.url)


async def test_a_server_may_stop_in_mid_run_and_come_back(module: Module, wire: Json, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'threads.db'}"
    gate = threading.Event()
    async with serving(app(store=store)) as server:
        thread = await (await module.thread(server.url, **wire)).subscribe()
        await thread.send(HOLD)
        await thread.wait("s.state?.notes.length === 1")
        await server.stop()
        seen = await thread.wait('s.connection === "connecting" && s.error !== null')
        assert seen["state"]["notes"] == ["held"]  # what is known stays
        await thread.do("begin", **{"as": "one"}, commands=note("one"))
        await thread.do("begin", **{"as": "two"}, commands=note("two"))
        assert len((await thread.snapshot())["pending"]) == 2
        await server.start(app(store=store))
        for name in ("one", "two"):
            assert "value" in await thread.do("finish", **{"as": name})
        await thread.wait('s.state.notes.length === 3 && s.run.status === "completed" && s.pending.length === 0')
        gate.set()
        told = await check(thread, server.url)

    assert (await thread.snapshot())["state"]["notes"] == ["held", "one", "two"]
    assert told["frames"].count("snapshot") == 1
    assert "interrupted" in [snapshot["run"]["status"] for snapshot in told["told"] if snapshot["run"]]


async def test_a_thread_that_was_made_anew_replaces_the_old(module: Module, wire: Json) -> None:
    async with serving(app()) as server:
        thread = await (await module.thread(server.url, **wire)).subscribe()
        for text in "abc":
            await thread.send(note(text))
        await thread.wait("s.state?.notes.length === 3")
        await server.stop()
        await server.start(app())  # which remembers nothing
        await thread.wait('s.connection === "unknown"')
        assert (await thread.snapshot())["state"]["notes"] == ["a", "b", "c"]
        await thread.send(note("d"))
        await thread.wait("s.state.notes.length === 1")
        await check(thread, server.url)


def frame(kind: str, revision: int, **fields: Json) -> str:
    """Return an event as `events` takes it."""
    return f"e-{revision} " + json.dumps({"type": kind, "revision": revision, **fields})


SHOUT = [{"type": "append-text", "path": ["text"], "value": "!"}]


def paths_asked(heads: list[str]) -> list[str]:
    return [head.partition(" ")[2].partition(" ")[0] for head in heads]


async def test_a_frame_that_does_not_fit_is_mended_by_a_snapshot(module: Module) -> None:
    first = events(frame("snapshot", 1, state={}), frame("update-state", 2, operations=SHOUT))
    async with scripted(first, events(frame("snapshot", 2, state={"text": "!"})), events()) as server:
        thread = await (await module.thread(server.url)).subscribe()
        await thread.wait('s.state?.text === "!"')
        await until(lambda: len(server.heads) == 3)
        told = await thread.told()
        await thread.do("close")

    assert paths_asked(server.heads) == ["/threads/t/events", "/threads/t/events", "/threads/t/events?cursor=e-2"]
    errors = [snapshot["error"] for snapshot in told["told"] if snapshot["error"]]
    assert errors[0]["failed"] == "OperationError"


async def test_a_frame_that_comes_twice_counts_once(module: Module) -> None:
    first = events(frame("snapshot", 1, state={"text": ""}), frame("update-state", 2, operations=SHOUT))
    again = events(*[frame("update-state", revision, operations=SHOUT) for revision in (2, 3, 3)])
    async with scripted(first, again, events()) as server:
        thread = await (await module.thread(server.url)).subscribe()
        await until(lambda: len(server.heads) == 3)
        text = (await thread.snapshot())["state"]["text"]
        await thread.do("close")

    assert text == "!!"
    assert paths_asked(server.heads)[1:] == ["/threads/t/events?cursor=e-2", "/threads/t/events?cursor=e-3"]


# The rest


async def test_headers_are_asked_for_each_time_and_a_refusal_ends_the_tries(module: Module) -> None:
    async def identify(connection: HTTPConnection) -> str | None:
        if int(connection.headers["x-asked"]) < 3:
            raise HTTPException(401, "who are you?")
        return connection.headers["authorization"]

    async with serving(app(identify=identify)) as server:
        thread = await module.thread(server.url, headers={"authorization": "me"})
        await thread.subscribe()
        seen = await thread.wait('s.connection === "refused"')
        assert (await thread.send(note("a")))["status"] == 401
        assert "value" in await thread.send(note("b"))
        await thread.do("reconnect")
        await thread.wait('s.connection === "open" && s.error === null && s.state?.notes.length === 1')

    assert (seen["error"]["refused"], seen["error"]["status"]) == ("http_error", 401)


async def test_a_closed_thread_lets_go_of_everything(module: Module, wire: Json) -> None:
    async with serving(app()) as server, proxied(server) as proxy:
        thread = await (await module.thread(proxy.url, **wire)).subscribe()
        await thread.send(note("a"))
        await thread.wait("s.state?.notes.length === 1")
        proxy.close()
        await thread.do("begin", **{"as": "lost"}, commands=note("b"))
        await thread.do("close")
        assert (await thread.do("finish", **{"as": "lost"}))["failed"] == "AbortError"
        assert (await thread.send(note("c")))["failed"] == "AbortError"
        last = (await thread.told())["told"][-1]

    assert (last["connection"], last["pending"], last["state"]["notes"]) == ("closed", [], ["a"])


async def test_a_listener_that_fails_harms_no_other(wire: Json) -> None:
    with running() as module:
        async with serving(app()) as server:
            thread = await module.thread(server.url, **wire)
            await thread.do("fail")
            await thread.subscribe()
            await thread.send({"type": "write", "count": 20})
            await thread.wait('s.run?.status === "completed"')
            told = await check(thread, server.url)

    assert told["frames"].count("snapshot") <= 1
    assert any("a listener that fails" in line for line in module.console)


async def test_a_socket_that_cannot_be_had_is_told_at_once(module: Module) -> None:
    seen = module.scenario.step("wrong", options={"webSocket": True})  # in Node, the class has to be given

    assert seen["failed"] in (None, "TypeError")  # newer ones have it


@pytest.mark.parametrize("kind", ["zustand", "redux"])
async def test_a_store_holds_the_thread(module: Module, wire: Json, kind: str) -> None:
    async with serving(app()) as server:
        thread = await module.thread(server.url, **wire)
        await thread.do("store", kind=kind)
        await thread.send("Hello")
        await thread.wait('s.run?.status === "completed" && s.pending.length === 0')
        held = (await thread.do("state"))["snapshot"]
        assert held == await thread.snapshot()
        assert held["state"] == (await state_of(server.url))["state"]

    assert [message["role"] for message in held["state"]["messages"]] == ["user", "assistant"]
