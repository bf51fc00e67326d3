"""`apply` of `client.js` does what the published client and `statecast.operations` do, and shares what it can."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random

import pytest

from statecast_agents import Json, Operation, operations
from tests.agents.programs import draw, programs, same
from tests.agents.test_operations import applied, draw_operation
from tests.clients.client_module import MODULE, Module, _Node
from tests.clients.node import Accumulator, need_node


@pytest.fixture(scope="module")
def module() -> Iterator[Module]:
    need_node()
    node = _Node({"module": MODULE.as_uri()})
    yield Module(node)
    node.close()


def test_what_others_refuse_is_refused_and_the_rest_gives_the_same(module: Module, accumulator: Accumulator) -> None:
    refusals = 0
    for seed in range(2000):
        random = Random(seed)
        before = state = draw(random)
        chosen: list[Operation] = []
        refused = False
        while not refused and len(chosen) < 5:
            chosen.append(draw_operation(random, state))
            refused, state = applied(state, chosen[-1])
        batches = [json.loads(operations.encode([operation])) for operation in chosen]
        ours = module.apply(before, batches)
        published = accumulator.apply(batches, initial=before)

        assert ours["wrong"] == [], (before, chosen)
        assert (ours["refused"] is not None) is refused, (before, chosen, ours)
        assert (published.error is not None) is refused, (before, chosen)
        assert same(ours["state"], state), (before, chosen)
        assert same(published.final, state), (before, chosen)
        refusals += refused
    assert 300 < refusals < 1700  # both sides of the line are tried


def test_batches_of_a_program_lead_to_its_state(module: Module) -> None:
    for program in programs(300):
        batches = [json.loads(flushed) for flushed, _ in program.frames if flushed]
        ours = module.apply(program.before, batches)

        assert (ours["refused"], ours["wrong"]) == (None, []), program
        assert same(ours["state"], program.plain), program


def test_a_refused_batch_leaves_nothing_of_itself(module: Module) -> None:
    batch = [
        {"type": "set", "path": ["a", "b"], "value": 1},
        {"type": "append-text", "path": ["a", "b"], "value": "x"},
    ]
    ours = module.apply({"a": {}}, [batch])

    assert ours["state"] == {"a": {}}
    assert "expected a text to append to at /a/b" in ours["refused"]
    assert ours["wrong"] == []


@pytest.mark.parametrize("key", ["__proto__", "constructor", "prototype"])
def test_a_value_with_a_reserved_key_is_refused(module: Module, key: str) -> None:
    ours = module.apply({}, [[{"type": "set", "path": ["a"], "value": [{key: {"polluted": True}}]}]])

    assert ours["state"] == {}
    assert key in ours["refused"]


@pytest.mark.parametrize(
    ("before", "value", "kept"),
    [
        ({"m": [{"a": 1}, {"b": 2}]}, [{"a": 1}, {"b": 2}, {"c": 3}], "longer"),
        ({"m": [{"a": 1}, {"b": 2}]}, [{"a": 1}], "shorter"),
        ({"m": [{"a": 1}, {"b": [1, {}]}]}, [{"a": 2}, {"b": [1, {}]}], "changed in the middle"),
        ({"m": {"x": {"y": [1]}, "z": 1}}, {"x": {"y": [1]}}, "a key gone"),
        ({"m": []}, {}, "of another kind"),
        ({"m": [None]}, [{}], "nothing there before"),
    ],
)
def test_a_container_that_is_set_again_shares_what_is_equal_in_it(
    module: Module, before: Json, value: Json, kept: str
) -> None:
    ours = module.apply(before, [[{"type": "set", "path": ["m"], "value": value}]])

    assert ours == {**ours, "state": {"m": value}, "refused": None, "wrong": []}, kept
