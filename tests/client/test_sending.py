"""Commands are applied once, whatever becomes of their requests; what a server refuses is an error with its code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from statecast import App, Limits, create_app
from statecast.client import Change, Client, ClientError, ConnectionLost, Receipt, Refused, RunLost, Thread
from tests.client.agents import HOLD, Note, make
from tests.client.network import Proxy, Serving, http, proxied, scripted, serving, until

pytestmark = pytest.mark.anyio


def app(**settings: Any) -> App:
    return create_app(make()[0], **settings)


def note(text: str, **fields: Any) -> dict[str, Any]:
    return {"type": "note", "text": text, **fields}


async def followed(thread: Thread, accepted: Receipt) -> list[Change]:
    return [change async for change in thread.follow(until=accepted)]


async def notes(thread: Thread) -> Any:
    return (await thread.state()).state["notes"]


@pytest.fixture
async def server() -> AsyncIterator[Serving]:
    async with serving(app()) as server:
        yield server


@pytest.fixture
async def proxy(server: Serving) -> AsyncIterator[Proxy]:
    async with proxied(server) as proxy:
        yield proxy


async def test_a_text_is_a_message_of_the_user(server: Serving) -> None:
    async with Client(server.url) as client:
        thread = client.thread("t")
        change = await thread.ask("hello")
    assert change.state["messages"][0]["parts"] == [{"type": "text", "text": "hello"}]
    assert change.run is not None
    assert change.run.status == "completed"


async def test_commands_are_instances_of_their_class_or_json(server: Serving) -> None:
    async with Client(server.url) as client:
        change = await client.thread().ask(Note(text="typed"), note("plain"))
    assert change.state["notes"] == ["typed", "plain"]


async def test_a_command_is_left_as_it_is(server: Serving) -> None:
    command = note("a")
    async with Client(server.url) as client:
        await client.thread().ask(command, command)
    assert command == note("a")


async def test_an_id_of_ones_own_is_kept(server: Serving) -> None:
    async with Client(server.url) as client:
        thread = client.thread()
        first = await thread.send(note("a", id="mine"))
        again = await thread.send(note("a", id="mine"))
        assert again.run_id == first.run_id
        with pytest.raises(Refused) as refused:
            await thread.send(note("b", id="mine"))
    assert (refused.value.status, refused.value.code) == (409, "command_id_reused")


async def test_a_thread_without_an_id_is_a_new_one(server: Serving) -> None:
    async with Client(server.url) as client:
        one, other = client.thread(), client.thread()
        await one.ask(note("a"))
        await other.ask(note("b"))
        assert await notes(client.thread(one.id)) == ["a"]
        assert await notes(client.thread(other.id)) == ["b"]


@pytest.mark.parametrize("lost", [1, 3])
async def test_what_was_lost_on_the_way_back_is_not_applied_twice(proxy: Proxy, lost: int) -> None:
    async with Client(proxy.url) as client:
        thread = client.thread()
        proxy.eat("POST /assistant", lost)
        accepted = await thread.send(note("a"), note("b"))
        assert proxy.eaten == lost
        last = (await followed(thread, accepted))[-1]
    assert last.state["notes"] == ["a", "b"]
    assert last.run is not None
    assert (last.run.id, last.run.status) == (accepted.run_id, "completed")


async def test_a_client_may_be_there_before_its_server(proxy: Proxy) -> None:
    trouble: list[ClientError | None] = []
    proxy.close()
    async with Client(proxy.url, on_trouble=trouble.append) as client, anyio.create_task_group() as tasks:

        async def come_back() -> None:
            await until(lambda: trouble)
            await proxy.open()

        tasks.start_soon(come_back)
        assert (await client.thread().ask(note("a"))).state["notes"] == ["a"]
    assert isinstance(trouble[0], ConnectionLost)
    assert not trouble[0].sent
    assert trouble[-1] is None


async def test_a_full_server_is_asked_again_when_it_says_so() -> None:
    trouble: list[ClientError | None] = []
    body = '{"error":{"code":"server_full","message":"try again soon","limit":7}}'
    done = http(
        "200 OK",
        content_type="text/event-stream",
        statecast_thread_id="t",
        statecast_run_id="r",
        statecast_cursor="e-0",
    )
    async with (
        scripted(http("503 Service Unavailable", body, retry_after="1"), http("502 Bad Gateway"), done) as script,
        Client(script.url, on_trouble=trouble.append) as client,
    ):
        accepted = await client.thread("t").send(note("a"))
    assert accepted == Receipt(thread_id="t", run_id="r", cursor="e-0")
    assert len(script.heads) == 3
    full, gateway, well = trouble
    assert isinstance(full, Refused)
    assert isinstance(gateway, Refused)
    assert (full.status, full.code, full.message, full.details) == (503, "server_full", "try again soon", {"limit": 7})
    assert (full.retry_after, gateway.retry_after) == (1.0, 0.0)
    assert (gateway.code, gateway.message) == ("http_error", "the answer was 502 Bad Gateway")
    assert well is None


@pytest.mark.parametrize(
    ("commands", "fields", "status", "code"),
    [
        ([{"type": "nonsense"}], {}, 422, "unknown_command"),
        ([{"type": "note"}], {}, 422, "invalid_command"),
        ([note("a")] * 65, {}, 422, "too_many_commands"),
        ([note("a")], {"system": 1}, 422, "invalid_request"),
        ([note("a")], {"policy": "rollback"}, 422, "policy_not_available"),
    ],
)
async def test_what_is_refused_is_refused_at_once(
    server: Serving, commands: list[Any], fields: dict[str, Any], status: int, code: str
) -> None:
    trouble: list[ClientError | None] = []
    async with Client(server.url, on_trouble=trouble.append) as client:
        thread = client.thread()
        await thread.send(HOLD)
        with pytest.raises(Refused) as refused:
            await thread.send(*commands, **fields)
    assert (refused.value.status, refused.value.code, trouble) == (status, code, [])
    assert refused.value.code in str(refused.value)
    if code == "too_many_commands":
        assert refused.value.details == {"limit": 64}


async def test_an_unknown_agent_is_refused(server: Serving) -> None:
    async with Client(server.url) as client:
        with pytest.raises(Refused, match="unknown_agent"):
            await client.thread(agent="nobody").ask("hello")
        change = await client.thread(agent="agent").ask("hello")
    assert change.run is not None


async def test_no_commands_are_a_mistake(server: Serving) -> None:
    async with Client(server.url) as client:
        with pytest.raises(ValueError, match="at least one command"):
            await client.thread().send()


@pytest.mark.parametrize("patience", [0, 0.3])
async def test_a_client_that_is_told_to_give_up_does(proxy: Proxy, patience: float) -> None:
    proxy.close()
    async with Client(proxy.url, patience=patience) as client:
        for asked in (client.thread().send("hello"), client.thread("t").state(), client.thread("t").cancel()):
            with pytest.raises(ConnectionLost, match=proxy.url):
                await asked
        with pytest.raises(ConnectionLost):
            await anext(client.thread("t").follow())


async def test_a_client_that_gives_up_says_what_was_refused_last() -> None:
    async with scripted(http("503 Service Unavailable")) as script, Client(script.url, patience=0) as client:
        with pytest.raises(Refused, match="503"):
            await client.thread().send("hello")


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found"])
async def test_what_is_no_statecast_server_is_no_server(status: str) -> None:
    answer = http(status, "<html>", content_type="text/html")
    async with scripted(*[answer] * 3) as script, Client(script.url) as client:
        with pytest.raises(Refused):
            await client.thread().send("hello")
        with pytest.raises(Refused):
            await client.thread("t").state()
        with pytest.raises(Refused):
            await anext(client.thread("t").follow())


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://example.com", "http://", "", "http://exa mple:x"])
async def test_a_bad_url_is_a_mistake(url: str) -> None:
    with pytest.raises(ValueError, match="expected the URL of a server"):
        Client(url)


async def test_headers_are_sent_with_every_request() -> None:
    async with (
        scripted(*[http("403 Forbidden")] * 2) as script,
        Client(script.url + "/app/", headers={"Authorization": "x"}) as client,
    ):
        with pytest.raises(Refused):
            await client.thread("t").send("hello")
        with pytest.raises(Refused):
            await anext(client.thread("a:b").follow())
    assert [script.header(index, "authorization") for index in range(2)] == ["x", "x"]
    assert [head.split()[1] for head in script.heads] == [
        "/app/assistant?protocol=assistant-transport",
        "/app/threads/a%3ab/events",
    ]


async def test_a_run_goes_on_without_its_client() -> None:
    agent, gate = make()
    async with serving(create_app(agent, on_disconnect="cancel")) as server:
        async with Client(server.url) as client:
            accepted = await client.thread("t").send(HOLD)
        gate.set()
        async with Client(server.url) as client:
            last = (await followed(client.thread("t"), accepted))[-1]
    assert last.run is not None
    assert (last.run.status, last.state["notes"]) == ("completed", ["held", "went on"])


async def test_a_failed_run_is_returned_with_its_error(server: Serving) -> None:
    async with Client(server.url) as client:
        run = (await client.thread().ask({"type": "fail"})).run
    assert run is not None
    assert run.error is not None
    assert (run.status, run.error.code) == ("failed", "agent_failed")


async def test_a_run_that_waits_is_returned_and_goes_on_with_the_next_command(server: Serving) -> None:
    async with Client(server.url) as client:
        thread = client.thread()
        waiting = await thread.ask({"type": "wait"})
        ended = await thread.ask({"type": "reply", "text": "yes"})
    assert waiting.run is not None
    assert ended.run is not None
    assert (waiting.run.status, ended.run.status) == ("waiting", "completed")
    assert waiting.run.id == ended.run.id
    assert ended.state["notes"] == ["yes"]


async def test_a_queued_run_is_followed_to_its_own_end() -> None:
    agent, gate = make()
    async with serving(create_app(agent)) as server, Client(server.url) as client:
        thread = client.thread()
        await thread.send(HOLD)
        queued = await thread.send(note("behind"))
        states: list[Change] = []
        async for change in thread.follow(until=queued):
            states.append(change)
            gate.set()
    assert states[-1].run is not None
    assert states[-1].run.id == queued.run_id
    assert states[-1].state["notes"] == ["held", "went on", "behind"]


async def test_a_run_that_another_one_has_replaced_is_still_told_apart(server: Serving) -> None:
    async with Client(server.url) as client:
        thread = client.thread()
        over = await thread.send(note("a"))
        failed = await thread.send({"type": "fail"})
        await thread.send(HOLD)
        runs = [(await followed(thread, accepted))[-1].run for accepted in (over, failed)]
    assert [(run.id, run.status) for run in runs if run] == [(over.run_id, "completed"), (failed.run_id, "failed")]


async def test_a_run_that_was_dropped_in_the_queue_is_told_of_as_cancelled(server: Serving) -> None:
    async with Client(server.url) as client:
        thread = client.thread()
        await thread.send(HOLD)
        dropped = await thread.send(note("never"))
        changes = thread.follow(until=dropped)
        await anext(changes)
        await thread.cancel(queued=True)
        runs = [change.run async for change in changes]
        later = (await followed(thread, dropped))[-1]
    assert [run.status for run in runs if run] == ["cancelled", "cancelled"]
    assert later.run == runs[-1]
    assert later.run is not None
    assert later.run.id == dropped.run_id


async def test_a_run_that_the_server_has_forgotten_is_lost() -> None:
    async with serving(app(limits=Limits(keep_entries=4))) as server, Client(server.url) as client:
        thread = client.thread()
        forgotten = await thread.send(note("a"))
        for number in range(10):
            await thread.ask(note(str(number)))
        with pytest.raises(RunLost):
            await followed(thread, forgotten)


async def test_a_run_is_cancelled(server: Serving) -> None:
    async with Client(server.url) as client:
        thread = client.thread()
        accepted = await thread.send(HOLD)
        async for change in thread.follow(until=accepted):
            if change.state["notes"]:
                assert await thread.cancel() in (True, False)
    assert change.run is not None
    assert change.run.status == "cancelled"


async def test_a_run_that_failed_is_listed_and_runs_again(server: Serving) -> None:
    async with Client(server.url) as client:
        thread = client.thread()
        failed = await thread.ask({"type": "fail"})
        again = await thread.retry()
        await followed(thread, Receipt(thread_id=thread.id, run_id=again, cursor=failed.cursor))
        newer, older = await thread.runs()
    assert failed.run is not None
    assert [older["id"], newer["id"]] == [failed.run.id, again]
    assert [older["status"], newer["status"]] == ["failed", "failed"]


async def test_nothing_to_cancel_is_no_error(server: Serving) -> None:
    async with Client(server.url) as client:
        thread = client.thread()
        await thread.ask(note("a"))
        assert not await thread.cancel()
        with pytest.raises(Refused, match="unknown_thread"):
            await client.thread("nobody").cancel()


async def test_only_the_run_that_is_meant_is_cancelled(server: Serving) -> None:
    async with Client(server.url) as client:
        thread = client.thread()
        accepted = await thread.send(HOLD)
        with pytest.raises(Refused) as refused:
            await thread.cancel("run_other")
        assert refused.value.code == "run_mismatch"
        assert refused.value.details["runId"] == accepted.run_id
        assert await thread.cancel(accepted.run_id)


async def test_a_cancel_whose_answer_was_lost_does_not_stop_the_next_run(proxy: Proxy) -> None:
    async with Client(proxy.url) as client:
        thread = client.thread()
        first, second = await thread.send(HOLD), await thread.send(HOLD)
        proxy.eat("POST /cancel")
        await thread.cancel()
        assert proxy.eaten == 1
        last = (await followed(thread, first))[-1]
        assert last.run is not None
        assert last.run.status == "cancelled"
        async for change in thread.follow():
            if change.state["notes"] == ["held", "held"]:
                break
    assert change.run is not None
    assert (change.run.id, change.run.status) == (second.run_id, "running")


async def test_a_state_is_patched_where_the_agent_allows_it(server: Serving) -> None:
    async with Client(server.url) as client:
        thread = client.thread()
        await thread.ask(note("a"))
        cursor = await thread.patch([{"op": "add", "path": "/notes/-", "value": "b"}])
        now = await thread.state()
        assert (now.cursor, now.state["notes"]) == (cursor, ["a", "b"])
        with pytest.raises(Refused, match="not_writable"):
            await thread.patch([{"op": "replace", "path": "/text", "value": "b"}])


async def test_a_patch_whose_answer_was_lost_is_sent_again_and_applied_once(proxy: Proxy) -> None:
    trouble: list[ClientError | None] = []
    async with Client(proxy.url, on_trouble=trouble.append) as client:
        thread = client.thread()
        await thread.ask(note("a"))
        proxy.eat("PATCH /threads")
        cursor = await thread.patch([{"op": "add", "path": "/notes/-", "value": "b"}])
        assert [isinstance(error, ConnectionLost) and error.sent for error in trouble] == [True, False]
        now = await thread.state()
        assert (now.cursor, now.state["notes"]) == (cursor, ["a", "b"])


async def test_a_patch_that_was_never_sent_is_sent_again(proxy: Proxy) -> None:
    trouble: list[ClientError | None] = []
    async with Client(proxy.url, on_trouble=trouble.append) as client, anyio.create_task_group() as tasks:
        thread = client.thread()
        await thread.ask(note("a"))
        proxy.close()

        async def come_back() -> None:
            await until(lambda: trouble)
            await proxy.open()

        tasks.start_soon(come_back)
        await thread.patch([{"op": "add", "path": "/notes/-", "value": "b"}])
        assert await notes(thread) == ["a", "b"]


async def test_a_state_tells_its_place_and_its_run(server: Serving) -> None:
    async with Client(server.url) as client:
        thread = client.thread()
        with pytest.raises(Refused) as refused:
            await thread.state()
        assert (refused.value.status, refused.value.code) == (404, "unknown_thread")
        accepted = await thread.send(note("a"))
        last = (await followed(thread, accepted))[-1]
        now = await thread.state()
    assert (now.cursor, now.revision, now.state, now.run) == (last.cursor, last.revision, last.state, last.run)


async def test_the_module_says_what_it_needs() -> None:
    code = "import sys; sys.modules['httpx'] = None; from statecast.client import Client; Client()"
    process = await anyio.run_process([sys.executable, "-c", code], check=False, stderr=subprocess.PIPE)
    assert process.stderr.decode().splitlines()[-1] == (
        "ImportError: statecast.client needs httpx: pip install 'statecast[client]'"
    )
