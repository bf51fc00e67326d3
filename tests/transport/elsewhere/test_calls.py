"""Calls between processes: performed once, whoever dies meanwhile, and errors stay what they were."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from statecast.protocol.errors import RequestError, TooDeep
from statecast.stores import Key
from statecast.threads.calls.replies import Refused, decode_reply, encode_reply
from statecast.threads.errors import (
    RunMismatch,
    ServerFull,
    TooManyCommands,
    UnknownThread,
)
from statecast_agents import InvalidAnswer, MessageConflict
from tests.transport.held_agent import HOLD, NOTE, held, until
from tests.transport.processes import Process, processes
from tests.transport.threads.test_deliveries import PAINT, painting

pytestmark = [pytest.mark.anyio]


def errors() -> Iterator[RequestError]:
    yield UnknownThread("t")
    yield RunMismatch("expected another", run_id="run_1")
    yield ServerFull("too much", retry_after=5, limit=7)
    yield TooManyCommands("too many", limit=64)
    yield MessageConflict("unknown_parent", "there is no such parent")
    yield InvalidAnswer("q1", "it is empty")
    yield TooDeep(128)
    yield RequestError("plain").within("the state")


@pytest.mark.parametrize("error", list(errors()), ids=lambda error: error.code)
def test_an_error_of_another_process_is_the_same_here(error: RequestError) -> None:
    reply = decode_reply(encode_reply(Refused.of(error)))
    assert isinstance(reply, Refused)
    here = reply.error()
    assert (type(here), here.code, here.message, here.fields(), here.retry_after) == (
        type(error),
        error.code,
        error.message,
        error.fields(),
        error.retry_after,
    )


def test_an_error_that_this_version_does_not_know_keeps_its_code() -> None:
    error = Refused("yet_to_come", "YetToCome", "expected more").error()
    assert (error.code, error.message) == ("yet_to_come", "expected more")


async def test_a_call_to_a_process_that_has_died_is_performed_by_the_one_that_asks() -> None:
    agent, _ = held()
    async with processes() as deployment:
        first, second = await deployment.start(agent), await deployment.start(agent)
        await first.send(NOTE)
        await until(lambda: first.status() == "completed" and first.stored)
        first.line.cut = True
        asking = asyncio.create_task(second.send(NOTE))
        await until(lambda: deployment.store._posts)
        deployment.expire()
        submission = await asking
        assert submission.run_id is not None
        await until(lambda: second.status() == "completed")
        assert second.notes() == ["noted", "noted"]
        assert not deployment.store._posts


async def test_a_call_is_performed_once_although_its_confirmation_is_lost() -> None:
    agent, _ = held(writable=["/notes"])
    async with processes() as deployment:
        first, second = await deployment.start(agent), await deployment.start(agent)
        await first.send(NOTE)
        await until(lambda: first.status() == "completed" and first.stored)
        first.line.deaf = True
        patch = [{"op": "add", "path": "/notes/-", "value": "patched"}]
        asking = asyncio.create_task(second.hub.patch("t", patch))
        await until(lambda: not deployment.store._posts and first.notes() == ["noted", "patched"])
        first.line.cut = True
        deployment.expire()
        await asking
        assert (await second.hub.find("t")) is not None
        assert second.notes() == ["noted", "patched"]


async def test_a_patch_whose_confirmation_and_thread_are_lost_is_applied_once() -> None:
    agent, _ = held(writable=["/notes"])
    async with processes() as deployment:
        first, second = await deployment.start(agent), await deployment.start(agent)
        await first.send(NOTE)
        await until(lambda: first.status() == "completed" and first.stored)
        await second.hub.find("t")
        await second.hub.find("t")  # as it is now
        written = deployment.store._known[Key(None, "t")]
        first.line.deaf = True
        patching = asyncio.create_task(first.hub.patch("t", [{"op": "add", "path": "/notes/-", "value": "patched"}]))
        await until(lambda: first.notes() == ["noted", "patched"])
        await until(lambda: written.revision == first.thread().log.revision)
        deployment.expire()
        await second.send(NOTE)
        first.line.deaf = False
        await patching
        await until(lambda: second.status() == "completed")
        assert second.notes() == ["noted", "patched", "noted"]


async def test_a_command_without_an_id_is_handed_to_a_run_once_although_its_thread_is_lost() -> None:
    agent, go = painting(restartable=True)

    def state(process: Process) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(process.thread().snapshot()[1])
        return found

    async with processes() as deployment:
        first, second = await deployment.start(agent), await deployment.start(agent)
        await first.send(PAINT)
        await until(lambda: "painting" in state(first) and first.registry.journal.all_stored)
        for _ in range(2):
            await second.hub.find("t")  # as it is now
        written = deployment.store._known[Key(None, "t")]
        first.line.deaf = True
        handing = asyncio.create_task(first.send({"type": "colour", "name": "blue"}))
        await until(lambda: any(b"blue" in batch for batch in written.inbox.values()))
        deployment.expire()
        await second.registry.own(Key(None, "t"))
        first.line.deaf = False
        await handing
        go.set()
        await until(lambda: not second.thread().busy and state(second)["seen"])
        assert state(second)["seen"] == ["blue"]


async def test_what_a_call_may_not_do_is_refused_with_the_same_error() -> None:
    agent, release = held()
    async with processes() as deployment:
        first, second = await deployment.start(agent), await deployment.start(agent)
        await first.send(HOLD)
        await until(lambda: first.status() == "running")
        with pytest.raises(RequestError) as refused:
            await second.hub.patch("t", [{"op": "add", "path": "/notes/-", "value": "patched"}])
        assert refused.value.code == "run_active"
        with pytest.raises(RequestError) as mismatch:
            await second.hub.cancel("t", run_id="other")
        assert mismatch.value.fields() == {"runId": first.thread().queue.live[0].id}
        release.set()
        await until(lambda: first.status() == "completed" and first.stored)


async def test_a_cursor_ahead_of_the_log_begins_a_new_epoch() -> None:
    agent, _ = held()
    async with processes() as deployment:
        first, second = await deployment.start(agent), await deployment.start(agent)
        await first.send(NOTE)
        await until(lambda: first.status() == "completed" and first.stored)
        thread = await second.hub.find("t")
        before = thread.cursor
        await second.hub.check_place(thread, before)
        assert thread.epoch == before.epoch
        await second.hub.check_place(thread, msgspec.structs.replace(before, revision=before.revision + 1))
        assert second.thread().epoch != before.epoch
        saved = await deployment.store.load(Key(None, "t"))
        assert saved is not None
        assert saved.epoch == second.thread().epoch
