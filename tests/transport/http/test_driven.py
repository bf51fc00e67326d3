"""Driven streams: the log steps them; they end as those do that a task runs, and only where `send` is uvicorn's own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, cast

import anyio
import msgspec
import pytest
from starlette.types import Message, Receive, Scope, Send

from statecast import AddMessage, Agent, App, Run, create_app
from statecast.http.request.caller import EXPIRED
from statecast.http.response.driven import is_stepped
from statecast.http.response.stream import Stream, begin_stream
from statecast.http.response.subscription import Subscription
from statecast.protocol import PROTOCOLS
from statecast.protocol.assistant_transport.events import decode
from statecast.threads import Reader, Thread
from statecast.threads.offload import LARGE
from tests.transport.followers import served
from tests.transport.held_agent import said, until
from tests.transport.raw_connection import connection
from tests.transport.threads.test_reader import state_after, thread_of
from tests.transport.uvicorn_cycle import Cycle

pytestmark = pytest.mark.anyio

TURNS = 10  #: of the event loop, within which a frame that nothing delays is written


class Following:
    """A subscription to a thread, outside any hub."""

    def __init__(self, thread: Thread, *, snapshot: bool = False) -> None:
        self.reader: Reader = thread.follow(
            PROTOCOLS["assistant-transport"](None), revision=thread.log.revision, snapshot=snapshot, endless=True
        )
        self.source = self.reader
        self.cut = False
        self.hub = SimpleNamespace(sent_bytes=0)
        self.ends: list[bool] = []  #: for each time it was closed, whether the client was lost
        self._thread = thread

    def close(self, *, disconnected: bool = False) -> None:
        self.ends.append(disconnected)
        self._thread.leave(self.reader)


@contextlib.asynccontextmanager
async def streaming(
    following: Following, cycle: Cycle, *, first: bytes = b"", gather: float = 0.0
) -> AsyncIterator[asyncio.Task[None]]:
    """Run a stream in a task, as a server does."""
    await cycle.begin()
    stream = Stream(cast("Subscription", following), first=first, gather=gather)
    task = asyncio.create_task(stream.run(cycle.receive, cycle.send))
    await turns()
    try:
        yield task
    finally:
        cycle.disconnect()
        await asyncio.wait({task})


async def turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


def say(thread: Thread, text: str) -> None:
    assert isinstance(thread.document.root, dict)
    thread.document.root["said"] = text


def values(cycle: Cycle) -> list[Any]:
    """Return the values of the operations that were written."""
    chunks = decode(cycle.body)[0]
    return [operation["value"] for chunk in chunks for operation in chunk.get("operations", [])]


async def test_a_frame_is_written_without_a_task() -> None:
    thread, cycle = thread_of(), Cycle()
    others = len(asyncio.all_tasks())
    async with streaming(Following(thread), cycle):
        before = asyncio.all_tasks()
        assert len(before) == others + 1  # the request's
        for text in ("a", "b", "c"):
            say(thread, text)
            await turns()
            assert asyncio.all_tasks() == before

    assert values(cycle) == ["a", "b", "c"]


async def test_what_changes_in_one_turn_is_written_once() -> None:
    threads = [thread_of(), thread_of()]
    cycles = [Cycle(), Cycle()]
    async with streaming(Following(threads[0]), cycles[0]), streaming(Following(threads[1]), cycles[1]):
        for text in ("a", "b", "c"):
            for thread in threads:
                say(thread, text)
        assert not cycles[0].written
        await turns()

    assert [len(cycle.written) for cycle in cycles] == [1, 1]
    assert [values(cycle) for cycle in cycles] == [["c"], ["c"]]


async def test_a_full_socket_holds_up_its_own_stream_alone() -> None:
    thread, slow, fast = thread_of(), Cycle(), Cycle()
    async with streaming(Following(thread), slow), streaming(Following(thread), fast):
        before = len(asyncio.all_tasks())
        slow.fill()
        for text in ("a", "b", "c"):
            say(thread, text)
            await turns()
        assert len(asyncio.all_tasks()) == before + 1  # it holds one frame, and waits
        assert values(fast) == ["a", "b", "c"]
        assert slow.written == []
        slow.drain()
        await turns()
        assert len(asyncio.all_tasks()) == before

    assert values(slow) == ["a", "b", "c"]
    assert len(slow.written) == 2  # the frame that waited, and what came meanwhile


async def test_a_client_that_leaves_while_its_socket_is_full_ends_its_stream() -> None:
    thread, cycle = thread_of(), Cycle()
    following = Following(thread)
    async with streaming(following, cycle) as task:
        cycle.fill()
        say(thread, "a")
        await turns()
        cycle.disconnect()
        await asyncio.wait_for(task, 10)

    assert following.ends == [True]
    assert thread.readers == 0


async def test_a_client_that_leaves_ends_its_stream_once() -> None:
    thread, cycle = thread_of(), Cycle()
    following = Following(thread)
    async with streaming(following, cycle) as task:
        say(thread, "a")
        await turns()
        cycle.disconnect()
        say(thread, "b")
        await asyncio.wait_for(task, 10)
        say(thread, "c")
        await turns()

    assert following.ends == [True]
    assert values(cycle) == ["a"]


async def test_an_error_of_the_socket_ends_its_stream_alone() -> None:
    thread, broken, fine = thread_of(), Cycle(), Cycle()
    following = Following(thread)
    async with streaming(following, broken) as task, streaming(Following(thread), fine):
        broken.error = OSError("expected a socket, got none")
        say(thread, "a")
        await asyncio.wait({task})
        assert task.exception() is broken.error
        say(thread, "b")
        await turns()

    assert following.ends == [False]
    assert values(fine) == ["a", "b"]


async def test_an_error_of_the_socket_behind_a_full_one_ends_its_stream() -> None:
    thread, cycle = thread_of(), Cycle()
    async with streaming(Following(thread), cycle) as task:
        cycle.fill()
        say(thread, "a")
        await turns()
        cycle.error = OSError("expected a socket, got none")
        cycle.drain()
        await asyncio.wait({task})
        assert task.exception() is cycle.error


async def test_an_error_of_an_encoder_ends_its_stream_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    thread, broken, fine = thread_of(), Cycle(), Cycle()
    following = Following(thread)

    take = Reader.take

    def take_or_break(reader: Reader) -> bytes:
        if reader is following.reader:
            raise LookupError("expected a part, got none")
        return take(reader)

    async with streaming(following, broken) as task, streaming(Following(thread), fine):
        with monkeypatch.context() as patched:
            patched.setattr(Reader, "take", take_or_break)
            say(thread, "a")
            await asyncio.wait({task})
        assert isinstance(task.exception(), LookupError)
        await turns()

    assert values(fine) == ["a"]


async def test_a_closed_log_ends_the_response() -> None:
    thread, cycle = thread_of(), Cycle()
    following = Following(thread)
    async with streaming(following, cycle) as task:
        say(thread, "a")
        thread.flush()
        thread.log.close()
        await asyncio.wait_for(task, 10)
        assert cycle.complete

    assert following.ends == [False]
    assert values(cycle) == ["a"]


async def test_a_closed_log_ends_a_stream_that_has_just_sent_something() -> None:
    thread, cycle = thread_of(), Cycle()
    async with streaming(Following(thread), cycle, gather=0.01) as task:
        say(thread, "a")
        await turns()
        say(thread, "b")
        thread.flush()
        thread.log.close()
        await asyncio.wait_for(task, 10)
        assert cycle.complete

    assert values(cycle) == ["a", "b"]


async def test_a_stream_that_is_over_at_once_ends() -> None:
    thread, cycle = thread_of(), Cycle()
    thread.log.close()
    following = Following(thread)
    async with streaming(following, cycle) as task:
        await asyncio.wait_for(task, 10)
        assert cycle.complete

    assert following.ends == [False]


async def test_expired_credentials_end_the_response_with_the_reason() -> None:
    thread, cycle = thread_of(), Cycle()
    following = Following(thread)
    async with streaming(following, cycle) as task:
        following.reader.expire(EXPIRED)
        await asyncio.wait_for(task, 10)
        assert cycle.complete

    assert EXPIRED.code.encode() in cycle.body
    assert following.ends == [False]


async def test_a_response_that_is_cut_off_stays_incomplete() -> None:
    thread, cycle = thread_of(), Cycle()
    following = Following(thread)
    async with streaming(following, cycle) as task:
        following.cut = True
        thread.log.close()
        await asyncio.wait_for(task, 10)
        assert not cycle.complete

    assert following.ends == [False]


async def test_heartbeats_are_sent_to_idle_streams() -> None:
    thread, cycle = thread_of(), Cycle()
    async with streaming(Following(thread), cycle):
        thread.log.beat()
        await turns()

    assert cycle.body == PROTOCOLS["assistant-transport"](None).heartbeat


async def test_a_flood_shares_sends() -> None:
    thread, cycle = thread_of(), Cycle()
    async with streaming(Following(thread), cycle, gather=3600.0):
        say(thread, "a")
        await turns()
        say(thread, "b")
        await turns()

    assert values(cycle) == ["a"]  # the second waits for its time


async def test_the_end_of_a_stream_waits_for_no_other_frame() -> None:
    thread, cycle = thread_of(), Cycle()
    async with streaming(Following(thread), cycle, gather=3600.0) as task:
        say(thread, "a")
        await turns()
        say(thread, "b")
        thread.flush()
        thread.log.close()
        await asyncio.wait_for(task, 10)

    assert values(cycle) == ["a", "b"]


async def test_the_end_of_a_stream_ends_the_wait_for_other_frames() -> None:
    thread, cycle = thread_of(), Cycle()
    async with streaming(Following(thread), cycle, gather=3600.0) as task:
        for text in ("a", "b"):
            say(thread, text)
            await turns()
        assert values(cycle) == ["a"]
        thread.log.close()
        await asyncio.wait_for(task, 10)
        assert cycle.complete

    assert values(cycle) == ["a", "b"]


async def test_a_large_snapshot_is_encoded_off_the_event_loop() -> None:
    thread, cycle = thread_of(state={"said": "x" * LARGE}), Cycle()
    async with streaming(Following(thread, snapshot=True), cycle, first=b": first\n\n"):
        await until(lambda: b'"path":[]' in cycle.body)
        say(thread, "a")
        await turns()

    assert cycle.body.startswith(b": first\n\n")
    assert values(cycle) == [{"said": "x" * LARGE}, "a"]


async def test_a_step_runs_in_the_context_of_its_request() -> None:
    whose: ContextVar[str] = ContextVar("whose", default="nobody's")
    thread, cycle = thread_of(), Cycle()
    seen: list[str] = []
    write = cycle.write

    def note(data: bytes) -> None:
        seen.append(whose.get())
        write(data)

    cycle.write = note  # type: ignore[method-assign]  # to see where it is called
    whose.set("the request's")
    async with streaming(Following(thread), cycle):
        whose.set("another's")
        say(thread, "a")
        await turns()

    assert set(seen) == {"the request's"}


async def test_a_server_that_cancels_its_requests_is_obeyed() -> None:
    thread, cycle = thread_of(), Cycle()
    following = Following(thread)
    async with streaming(following, cycle) as task:
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()

    assert following.ends == [False]


async def test_only_the_send_of_uvicorn_itself_is_stepped() -> None:
    cycle = Cycle()

    async def wrapped(message: Message) -> None:
        await cycle.send(message)

    assert is_stepped(cycle.receive, cycle.send)
    assert not is_stepped(cycle.receive, wrapped)
    assert not is_stepped(Cycle().receive, cycle.send)
    assert not is_stepped(cycle.receive, cast("Any", cycle).begin)


class Wrapping:
    """Middleware that asks which task it runs in, at every message of a stream."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.tasks: set[asyncio.Task[Any] | None] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.app, name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def wrapped(message: Message) -> None:
            self.tasks.add(asyncio.current_task())
            with anyio.fail_after(10):
                await send(message)

        await self.app(scope, receive, wrapped if scope["type"] == "http" else send)


@pytest.mark.parametrize("wraps", [False, True], ids=["uvicorn's own", "a middleware's"])
async def test_both_ways_send_the_same(wraps: bool) -> None:
    agent = Agent(initial={"messages": []})

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        for word in ("one", "two", "three"):
            message.append_text(word)
            await asyncio.sleep(0)

    app = create_app(agent)
    wrapping = Wrapping(app)
    body = msgspec.json.encode({"threadId": "t", "commands": [said("hi")]})
    async with served(cast("Any", wrapping) if wraps else app) as server, connection(server) as raw:
        reply = await raw.ask(
            "/assistant?protocol=assistant-transport",
            "Host: 127.0.0.1",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            method="POST",
            body=body,
        )

    chunks, complete = decode(reply.body)
    assert complete
    assert state_after({}, reply.body)["messages"][-1]["parts"][0]["text"] == "onetwothree", chunks
    assert (None in wrapping.tasks, bool(wrapping.tasks)) == (False, wraps)


async def test_a_response_that_cannot_begin_leaves_no_reader() -> None:
    async def broken(message: Message) -> None:
        raise OSError("expected a socket, got none")

    thread = thread_of()
    following = Following(thread)
    scope: Scope = {"type": "http"}
    with pytest.raises(OSError, match="expected a socket"):
        await begin_stream(scope, broken, [], Stream(cast("Subscription", following)))

    assert following.ends == [False]
    assert thread.readers == 0
