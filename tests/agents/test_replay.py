"""S2: what a client computes from the operations equals the server's state, whatever the program did to it.

STATECAST_PROGRAMS is how many random programs are tried.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statecast_agents import Json, operations
from tests.agents.programs import OF_DICTS, OF_LISTS, Program, programs, same
from tests.clients.node import Accumulator, Protocol
from tests.counts import count

pytestmark = pytest.mark.slow

PROGRAMS = count("PROGRAMS", 1000, long=5000)
AT_ONCE = 250  #: programs in one call of the client


@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_state_does_what_plain_python_does_and_its_operations_say_so(random: Random) -> None:
    Program(random).run()


def test_the_published_client_has_the_state_of_every_program_after_every_flush(accumulator: Accumulator) -> None:
    tried = programs(PROGRAMS)
    done = 0
    while group := list(islice(tried, AT_ONCE)):
        done += len(group)
        told = [(program, *frame) for program in group for frame in _frames(program)]
        answer = accumulator.apply([json.loads(flushed) for _, flushed, _ in told])

        assert answer.error is None
        for (program, _, state), client in zip(told, answer.states, strict=True):
            assert same(client, state), f"the client has {client!r}\n{program!r}"
    assert done == PROGRAMS


@pytest.mark.parametrize(
    ("protocol", "line"),
    [
        ("assistant-transport", b'data: {"type":"update-state","path":[],"operations":%b}\n\n'),
        ("data-stream", b"aui-state:%b\n"),
    ],
)
def test_what_is_flushed_goes_on_the_wire_as_it_is(accumulator: Accumulator, protocol: Protocol, line: bytes) -> None:
    for program in programs(150):
        frames = [(line % flushed, state) for flushed, state in program.frames if flushed]
        end = b"data: [DONE]\n\n" if protocol == "assistant-transport" else b""
        body = b"".join(frame for frame, _ in frames) + end
        answer = accumulator.decode(protocol, body, initial=program.before)

        assert (answer.error, answer.warnings) == (None, [])
        assert same(answer.states, [state for _, state in frames]), program


def test_the_programs_use_every_mutation_and_most_change_something() -> None:
    tried = list(programs(500))
    used = [line.partition(" on ")[0] for program in tried for line in program.story]
    changed = [bool(flushed) for program in tried for flushed, _ in program.frames]

    assert {*OF_DICTS, *OF_LISTS} <= {*used}
    assert sum(changed) > len(changed) / 2


def _frames(program: Program) -> Iterator[tuple[bytes, Json]]:
    """Yield what is flushed, with the state then; first, the state of the program before is replaced by this one's."""
    yield operations.encode([operations.Set((), program.before)]), program.before
    yield from ((flushed, state) for flushed, state in program.frames if flushed)
