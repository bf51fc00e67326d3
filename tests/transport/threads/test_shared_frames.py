"""Readers at the same place of a log: what one has encoded the others take, and none of them can tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Final
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statecast import Agent, Limits
from statecast.parts import Parts
from statecast.protocol import PROTOCOLS, Encoder, Entry, RunState
from statecast.protocol.assistant_transport.events import AssistantTransportEncoder
from statecast.protocol.thread_events.encoder import EventsEncoder, framed_as_line
from statecast.protocol.thread_events.patches import PatchEventsEncoder
from statecast.stores import Key, MemoryStore
from statecast.threads import Reader, Thread
from statecast.threads.log.journal import Journal
from statecast_agents import Document
from tests.transport.threads.test_reader import TIGHT, _alive

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

#: Each is read as the events of the epoch "e", or as the stream of the run "run".
ENCODERS: Final[Sequence[Callable[[], Encoder]]] = (
    lambda: PROTOCOLS["assistant-transport"]("run"),
    lambda: PROTOCOLS["data-stream"]("run"),
    lambda: EventsEncoder("e"),
    lambda: PatchEventsEncoder("e"),
    lambda: EventsEncoder("e", framed_as_line),
)

#: What happens to a thread, one after the other, to some of its readers.
ACTS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "set",
                "grow",
                "grow",
                "page",
                "part",
                "join",
                "late",
                "read",
                "read",
                "read",
                "beat",
                "turn",
                "close",
                "end",
            ]
        ),
        st.integers(0, 99),
    ),
    min_size=30,
    max_size=80,
)


def thread_of(limits: Limits = TIGHT) -> Thread:
    journal = Journal(MemoryStore())
    return Thread(Key(None, "t"), Agent(), Document({"text": ""}), journal=journal, limits=limits, epoch="e")


def follow(thread: Thread, encoder: Encoder, *, snapshot: bool = False) -> Reader:
    endless = isinstance(encoder, EventsEncoder)
    snapshot = snapshot or encoder.shared is None  # a patch is one to a state that was sent
    start = 0 if snapshot else thread.log.revision
    return thread.follow(encoder, revision=start, snapshot=snapshot, until="run", endless=endless)


async def read(acts: Sequence[tuple[str, int]], limits: Limits) -> list[bytes]:
    """Return what each reader got in all."""
    thread = thread_of(limits)
    _alive(thread, "run")
    parts = Parts(lambda chunk: thread.emit("run", chunk))
    readers = [follow(thread, make(), snapshot=True) for make in ENCODERS for _ in range(2)]
    got: list[list[bytes]] = [[] for _ in readers]
    for act, number in acts:
        match act:
            case "set":
                thread.document.root[f"key{number % 3}"] = number
            case "grow":
                thread.document.root["text"] += f"{number} "
            case "page":
                thread.document.root["page"] = str(number) * 3_000
            case "part":
                parts.append_text(f"{number} ")
            case "join" | "late":
                readers.append(follow(thread, ENCODERS[number % len(ENCODERS)](), snapshot=act == "late"))
                got.append([])
            case "read":
                places = list(range(len(readers)))
                Random(number).shuffle(places)  # whoever is first encodes
                for place in places[number % len(places) :]:
                    got[place].append(readers[place].take())
            case "beat":
                thread.log.beat()
            case "close":
                readers[number % len(readers)].close()
            case "turn":
                _alive(thread, "another")
            case "end":
                thread.record(RunState("run", "completed"))
        thread.flush()
    for reader, pieces in zip(readers, got, strict=True):
        while data := reader.take():
            pieces.append(data)
    return [b"".join(pieces) for pieces in got]


@pytest.mark.parametrize("limits", [TIGHT, Limits()], ids=["tight", "usual"])
@settings(deadline=None)
@given(acts=ACTS)
def test_readers_get_what_they_would_get_alone(limits: Limits, acts: Sequence[tuple[str, int]]) -> None:
    with patch("time.time", return_value=1_700_000_000.0):  # both runs end at the same time
        together = asyncio.run(read(acts, limits))
        with patch("statecast.threads.log.reader.SHARED", -1):
            assert asyncio.run(read(acts, limits)) == together


class Counting(AssistantTransportEncoder):
    """Counts the entries that are encoded, in all streams."""

    encoded = 0

    def encode(self, entry: Entry) -> bytes:
        Counting.encoded += 1
        return super().encode(entry)


@pytest.mark.parametrize(("readers", "times"), [(1, 10), (2, 10), (100, 10)])
async def test_what_many_read_is_encoded_once(readers: int, times: int) -> None:
    thread = thread_of(Limits())
    _alive(thread, "run")
    many = [follow(thread, Counting()) for _ in range(readers)]
    for reader in many:
        assert reader.take() == b""
    Counting.encoded = 0
    for number in range(times):
        thread.document.root["text"] += f"{number} "
        thread.flush()
        assert len({reader.take() for reader in many}) == 1
    assert Counting.encoded == times


async def test_a_stream_whose_end_came_meanwhile_ends() -> None:
    thread = thread_of(Limits())
    _alive(thread, "run")
    first, second = (follow(thread, PROTOCOLS["assistant-transport"]("run")) for _ in range(2))
    for reader in (first, second):
        reader.take()
    thread.document.root["text"] += "word"
    thread.flush()
    assert (b"word" in first.take(), first.finished) == (True, False)

    assert thread.active is not None
    thread.active.waits_since = thread.log.revision
    data = second.take()
    assert b"word" in data
    assert data.endswith(b"[DONE]\n\n")
    assert second.finished


async def test_the_end_of_a_stream_is_not_that_of_one_that_goes_on() -> None:
    thread = thread_of(Limits())
    _alive(thread, "run")
    ending = follow(thread, PROTOCOLS["assistant-transport"]("run"))
    endless = thread.follow(PROTOCOLS["assistant-transport"](None), revision=0, endless=True)
    for reader in (ending, endless):
        reader.take()
    thread.document.root["text"] += "word"
    thread.flush()
    assert thread.active is not None
    thread.active.waits_since = thread.log.revision
    data = ending.take()
    assert data.endswith(b"data: [DONE]\n\n")
    assert endless.take() == data.removesuffix(b"data: [DONE]\n\n")
    assert not endless.finished


async def test_nothing_is_kept_for_readers_that_have_left() -> None:
    thread = thread_of(Limits())
    _alive(thread, "run")
    many = [follow(thread, PROTOCOLS["assistant-transport"]("run")) for _ in range(3)]
    for text in ("one", "two"):
        thread.document.root["text"] += text
        thread.flush()
        for reader in many:
            reader.take()
    assert thread.log.frames
    for reader in many:
        thread.leave(reader)
    assert not thread.log.frames
