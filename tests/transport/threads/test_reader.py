"""Readers: whoever reads from anywhere, at any pace, ends with what an uninterrupted reader has."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Final, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statecast import Agent, Limits
from statecast.parts import Parts
from statecast.protocol import PROTOCOLS, Cursor, RunError, RunState
from statecast.protocol.assistant_transport.events import decode
from statecast.stores import Key, MemoryStore
from statecast.threads import Reader, Thread
from statecast.threads.log.journal import Journal
from statecast.threads.runs.execution import Execution
from statecast_agents import Document, Json, chunks, operations

TIGHT: Final = Limits(keep_entries=4, keep_bytes=600, send_bytes=150)

#: What happens to a thread, one after the other: the state changes, parts are emitted, readers join and read.
ACTS = st.lists(
    st.sampled_from(
        ["set", "grow", "remove", "text", "reasoning", "call", "source", "join", "resume", "read", "read one"]
    ),
    max_size=60,
)


def thread_of(limits: Limits = TIGHT, state: Json = None) -> Thread:
    journal = Journal(MemoryStore())
    return Thread(Key(None, "t"), Agent(), Document({} if state is None else state), journal=journal, limits=limits)


def follow(thread: Thread, *, revision: int = 0, snapshot: bool = False, until: str | None = "run") -> Reader:
    return thread.follow(PROTOCOLS["assistant-transport"](until), revision=revision, snapshot=snapshot, until=until)


def state_after(base: Json, body: bytes) -> Json:
    """Return what a client computes."""
    for chunk in decode(body)[0]:
        if chunk["type"] == "update-state":
            base = operations.apply(base, msgspec.convert(chunk["operations"], list[operations.Operation]))
    return base


def parts_in(body: bytes) -> list[tuple[str, str]]:
    """Return each part's type and its whole text, deltas joined."""
    found: list[tuple[str, str]] = []
    for chunk in decode(body)[0]:
        if chunk["type"] == "part-start":
            found.append((chunk["part"]["type"], ""))
        elif chunk["type"] == "text-delta":
            kind, text = found[chunk["path"][0]]
            found[chunk["path"][0]] = (kind, text + chunk["textDelta"])
    return found


@given(acts=ACTS)
def test_any_interleaving_is_an_uninterrupted_read(acts: Sequence[str]) -> None:
    asyncio.run(_interleave(acts))


async def _interleave(acts: Sequence[str]) -> None:
    thread = thread_of(state={"text": ""})
    parts = Parts(lambda chunk: thread.emit("run", chunk))
    state = thread.document.root
    history: dict[int, Json] = {0: {"text": ""}}
    witness: list[tuple[str, str]] = []
    readers: list[tuple[Reader, Json, list[bytes], bool]] = []

    def join(revision: int, *, snapshot: bool) -> None:
        base = {"something": "else"} if snapshot else history[revision]
        readers.append((follow(thread, revision=revision, snapshot=snapshot), base, [], revision == 0))

    _alive(thread, "run")
    join(0, snapshot=False)
    for number, act in enumerate(acts):
        match act:
            case "set":
                state[f"key{number % 3}"] = number
            case "grow":
                state["text"] += f"{number} "
            case "remove":
                state.pop(f"key{number % 3}", None)
            case "text" | "reasoning":
                (parts.append_text if act == "text" else parts.append_reasoning)(f"{number} ")
                if witness and witness[-1][0] == act:
                    witness[-1] = (act, witness[-1][1] + f"{number} ")
                else:
                    witness.append((act, f"{number} "))
            case "call":
                parts.add_tool_call("look", {"n": number})
                witness.append(("tool-call", f'{{"n":{number}}}'))
            case "source":
                parts.add_source("https://example.com")
                witness.append(("source", ""))
            case "join":
                join(sorted(history)[number % len(history)], snapshot=False)
            case "resume":
                join(0, snapshot=True)
            case "read" | "read one":
                for reader, _, pieces, _ in readers[number % len(readers) :][: 1 if act == "read one" else None]:
                    pieces.append(reader.take())
        thread.flush()
        history[thread.log.revision] = msgspec.json.decode(thread.snapshot()[1])
    for reader, base, pieces, from_the_start in readers:
        while data := reader.take():
            pieces.append(data)
        body = b"".join(pieces)
        assert state_after(base, body) == state
        assert not from_the_start or parts_in(body) == witness
        assert reader.revision == thread.log.revision


def _alive(thread: Thread, run_id: str, *, begun: bool = True) -> None:
    """Let a run be under way, so that its streams do not end."""
    thread.queue.active = cast("Execution", SimpleNamespace(id=run_id, begun=begun, waits_since=None, start=0))


async def _grow(thread: Thread, times: int) -> None:
    for number in range(times):
        thread.document.root["text"] += f"{number} "
        thread.flush()


pytestmark = pytest.mark.anyio


async def test_a_reader_that_fell_behind_gets_a_snapshot() -> None:
    thread = thread_of(state={"text": ""})
    _alive(thread, "run")
    reader = follow(thread)
    await _grow(thread, 100)

    frames, _ = decode(reader.take())
    assert [operation for frame in frames for operation in frame["operations"]] == [
        {"type": "set", "path": [], "value": {"text": "".join(f"{number} " for number in range(100))}}
    ]


async def test_a_reader_that_keeps_up_gets_no_snapshot() -> None:
    thread = thread_of(state={"text": ""})
    _alive(thread, "run")
    reader = follow(thread)
    for number in range(100):
        thread.document.root["text"] += f"{number} "
        thread.flush()
        assert b'"append-text"' in reader.take()


async def test_a_reader_that_fell_behind_still_gets_every_part_and_the_failure() -> None:
    thread = thread_of(state={"text": ""})
    reader = follow(thread, until="run")
    parts = Parts(lambda chunk: thread.emit("run", chunk))
    for number in range(50):
        parts.append_text(f"{number} ")
        parts.add_source(f"https://example.com/{number}")
        await _grow(thread, 3)
    thread.record(RunState("run", "failed", RunError("no_luck", "No luck.")))
    await _grow(thread, 50)

    body = reader.take()
    assert parts_in(body) == [part for number in range(50) for part in [("text", f"{number} "), ("source", "")]]
    assert b'"error":"No luck."' in body
    assert reader.finished


async def test_a_stalled_reader_costs_the_log_nothing() -> None:
    thread = thread_of(Limits(keep_entries=16, keep_bytes=2_000), state={"text": ""})
    _alive(thread, "run")
    follow(thread)
    parts = Parts(lambda chunk: thread.emit("run", chunk))
    sizes = set()
    for _ in range(50):
        await _grow(thread, 20)
        for _ in range(20):
            parts.append_text("x")
        sizes.add((thread.log.revision - thread.log.start <= 32, len(thread.log.older) <= 4))
    assert sizes == {(True, True)}


async def test_a_stalled_reader_pins_the_parts_of_its_own_run_only() -> None:
    thread = thread_of(state={"text": ""})
    reader = follow(thread, until="run 0")
    sizes = []
    for run_id in (f"run {number}" for number in range(60)):
        thread.log.discard_parts()
        thread.record(RunState(run_id, "running"))
        for _ in range(5):
            thread.emit(run_id, chunks.Data(data=[run_id]))
        thread.record(RunState(run_id, "completed"))
        sizes.append(len(thread.log.older))

    assert max(sizes[30:]) == max(sizes[:30])
    assert reader.take().count(b'["run 0"]') == 5


async def test_every_reader_gets_everything_whatever_the_others_do() -> None:
    thread = thread_of(Limits(), state={"text": ""})
    _alive(thread, "run")
    stalled, steady = follow(thread), follow(thread)
    frames = []
    for number in range(100):
        thread.document.root["text"] += f"{number} "
        thread.flush()
        frames.append(steady.take())

    assert b"".join(frames) == stalled.take()


async def test_what_is_taken_at_once_is_bounded() -> None:
    thread = thread_of(Limits(send_bytes=1_000), state={"text": ""})
    _alive(thread, "run")
    reader = follow(thread)
    await _grow(thread, 200)

    pieces = []
    while data := reader.take():
        pieces.append(data)
    assert max(map(len, pieces)) < 1_200
    assert state_after({"text": ""}, b"".join(pieces)) == thread.document.root


async def test_a_stream_ends_with_its_run() -> None:
    thread = thread_of(state={})
    _alive(thread, "run")
    reader = follow(thread, until="run")
    thread.record(RunState("run", "running"))
    assert (reader.take(), reader.finished) == (b"", False)

    thread.record(RunState("run", "completed"))
    thread.queue.active = None
    assert (reader.take(), reader.finished) == (b"data: [DONE]\n\n", True)
    assert reader.take() == b""


async def test_a_stream_without_a_run_ends_when_it_has_caught_up() -> None:
    reader = follow(thread_of(state={"a": 1}), until=None, snapshot=True)

    assert state_after(None, reader.take()) == {"a": 1}
    assert reader.finished


async def test_a_quiet_stream_gets_a_heartbeat_and_a_busy_one_none() -> None:
    thread = thread_of(state={"text": ""})
    _alive(thread, "run")
    reader = follow(thread)
    thread.log.beat()
    assert reader.take() == b": \n\n"
    assert reader.take() == b""
    await _grow(thread, 1)
    reader.take()
    thread.log.beat()
    assert reader.take() == b""
    thread.log.beat()
    assert reader.take() == b": \n\n"


async def test_a_heartbeat_that_is_due_before_a_run_has_begun_does_not_end_the_waiting() -> None:
    thread = thread_of(state={"text": ""})
    _alive(thread, "run", begun=False)
    reader = follow(thread)
    thread.log.beat()
    thread.log.beat()
    assert reader.take() == b""
    waiting = asyncio.ensure_future(reader.wait())
    await asyncio.sleep(0)
    assert not waiting.done()

    _alive(thread, "run")
    await _grow(thread, 1)
    await asyncio.wait_for(waiting, 10)
    assert state_after({"text": ""}, reader.take()) == {"text": "0 "}


async def test_waiting_ends_when_there_is_something_and_may_be_given_up() -> None:
    thread = thread_of(state={"text": ""})
    _alive(thread, "run")
    reader = follow(thread)
    given_up = asyncio.ensure_future(reader.wait())
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait([given_up])
    waiting = asyncio.ensure_future(reader.wait())
    await asyncio.sleep(0)
    assert not waiting.done()

    await _grow(thread, 1)
    await asyncio.wait_for(waiting, 10)
    assert state_after({"text": ""}, reader.take()) == {"text": "0 "}


async def test_mutations_of_one_turn_leave_as_one_frame() -> None:
    thread = thread_of(state={"text": "", "done": False})
    _alive(thread, "run")
    reader = follow(thread)
    for word in ("one ", "two ", "three"):
        thread.document.root["text"] += word
    thread.document.root["done"] = True
    await reader.wait()

    (chunk,), _ = decode(reader.take())
    assert chunk["operations"] == [
        {"type": "append-text", "path": ["text"], "value": "one two three"},
        {"type": "set", "path": ["done"], "value": True},
    ]


async def test_a_cursor_names_the_end_of_the_log() -> None:
    thread = thread_of(state={"text": ""})
    before = thread.cursor
    await _grow(thread, 3)

    assert (before.revision, thread.cursor.revision) == (0, 3)
    assert Cursor.parse(str(thread.cursor)) == thread.cursor > before


def test_a_stream_of_a_thread_that_was_lost_ends_when_it_is_closed() -> None:
    async def scenario() -> None:
        thread = thread_of()
        thread.document.root["text"] = "not stored"
        thread.flush()
        reader = follow(thread, snapshot=True, until=None)
        thread.log.cut()
        assert reader.take() == b""
        reader.close()
        assert reader.take() == b""
        assert reader.finished

    asyncio.run(scenario())
