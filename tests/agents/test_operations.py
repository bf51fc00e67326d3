"""Operations as values: `apply` does what a strict client does; JSON Patch and whole states convert."""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any

import jsonpatch
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statecast_agents import AppendText, Json, Operation, OperationError, Set, operations
from tests.agents.programs import KEYS, TEXTS, draw, programs, same
from tests.clients.node import Accumulator

pytestmark = pytest.mark.slow

SEGMENTS = [
    *KEYS,
    *["00", "01", "-1", "-0", "+1", "1.0", "1e0", " 1", "²", "١", "2", "3", "9", "length", "10000000000000000000000"],
    *["__proto__", "constructor", "prototype", "toString"],
]


def draw_operation(random: Random, state: Json) -> Operation:
    """Draw an operation that fits `state`, or nearly."""
    path: list[str] = []
    at = state
    while isinstance(at, (dict, list)) and at and random.random() < 0.8:
        key = random.choice([*at] if isinstance(at, dict) else [*range(len(at))])
        path.append(str(key))
        at = at[key]
    if isinstance(at, list) and random.random() < 0.5:
        path.append(str(len(at) + random.choice([0, 0, 0, 1])))
    while random.random() < 0.1:
        path.append(random.choice(SEGMENTS))
    if random.random() < (0.8 if isinstance(at, str) else 0.2):
        return AppendText(tuple(path), random.choice(TEXTS))
    return Set(tuple(path), draw(random))


def applied(state: Json, operation: Operation) -> tuple[bool, Json]:
    """Whether it was refused, and the state afterwards."""
    try:
        return False, operations.apply(state, [operation])
    except OperationError:
        return True, state


def test_what_the_published_client_refuses_is_refused_and_the_rest_gives_the_same(accumulator: Accumulator) -> None:
    refusals = 0
    for seed in range(3000):
        random = Random(seed)
        before = state = draw(random)
        chosen: list[Operation] = []
        refused = False
        while not refused and len(chosen) < 5:
            chosen.append(draw_operation(random, state))
            refused, state = applied(state, chosen[-1])
        batches = [json.loads(operations.encode([operation])) for operation in chosen]
        answer = accumulator.apply(batches, initial=before)

        assert (answer.error is not None) is refused, (before, chosen, answer.error)
        assert same(answer.final, state), (before, chosen)
        refusals += refused
    assert 500 < refusals < 2500  # both sides of the line are tried


@pytest.mark.parametrize(
    ("state", "operation", "expected"),
    [
        ({}, Set((), None), None),
        ({"a": 1}, Set(("a",), [1]), {"a": [1]}),
        (None, Set(("a", "0"), 1), {"a": {"0": 1}}),
        ({"a": None}, Set(("a", "b"), 1), {"a": {"b": 1}}),
        ([1], Set(("1",), 2), [1, 2]),
        ([1], Set(("1", "x"), 2), [1, {"x": 2}]),
        ({"t": ""}, AppendText(("t",), "x"), {"t": "x"}),
        (["a"], AppendText(("0",), "b"), ["ab"]),
        ("a", AppendText((), "b"), "ab"),
    ],
)
def test_an_operation_changes_one_place(state: Json, operation: Operation, expected: Json) -> None:
    before = copy.deepcopy(state)

    assert operations.apply(state, [operation]) == expected
    assert state == before


@pytest.mark.parametrize(
    ("state", "operation", "text"),
    [
        ({}, AppendText(("a",), "x"), "expected a text at '/a' to append to, got NoneType"),
        ({"a": 1}, AppendText(("a",), "x"), "expected a text at '/a' to append to, got int"),
        ({"a": 1}, Set(("a", "b"), 1), "expected a container above '/a/b', got int"),
        ("text", Set(("0",), 1), "expected a container above '/0', got str"),
        ([1], Set(("2",), 1), "expected an index up to 1 in '/2', got 2"),
        ([1], Set(("00",), 1), "expected a list index in '/00', got '00'"),
        ([1], Set(("a/b",), 1), "expected a list index in '/a~1b', got 'a/b'"),
        ([1], Set(("9" * 5000,), 1), "expected a list index"),
        ({}, Set(("constructor",), 1), "got the reserved segment 'constructor'"),
        (None, Set(("a", "__proto__", "b"), 1), "got the reserved segment '__proto__'"),
    ],
)
def test_a_refusal_says_what_was_expected(state: Json, operation: Operation, text: str) -> None:
    with pytest.raises(OperationError) as refused:
        operations.apply(state, [operation])
    assert text in str(refused.value)
    assert refused.value.code == "invalid_operation"


def test_what_did_not_change_is_shared() -> None:
    before: Json = {"a": {"deep": [1]}, "b": [{"x": 1}, {"y": 1}]}
    after = operations.apply(before, [Set(("b", "0", "x"), 2)])

    assert after["a"] is before["a"]
    assert after["b"][1] is before["b"][1]
    assert before["b"][0] == {"x": 1}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=3), below, max_size=4),
    max_leaves=12,
)
PATHS = st.lists(st.text(max_size=4), max_size=4).map(tuple)
OPERATIONS = st.lists(st.builds(Set, PATHS, JSON) | st.builds(AppendText, PATHS, st.text()), max_size=5)


@given(OPERATIONS)
def test_what_is_encoded_decodes_to_the_same(chosen: list[Operation]) -> None:
    assert operations.decode(operations.encode(chosen)) == chosen


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[",
        b"[1]",
        b'[{"type":"set"}]',
        b'[{"type":"set","path":"a","value":1}]',
        b'[{"type":"set","path":[0],"value":1}]',
        b'[{"type":"set","path":["a"]}]',
        b'[{"type":"append-text","path":["a"],"value":1}]',
        b'[{"type":"delete","path":["a"]}]',
        b'[{"path":["a"],"value":1}]',
        b'[{"type":"set","path":["\xff"],"value":1}]',
        b'[{"type":"set","path":[],"value":' + b"[" * 100_000 + b"]" * 100_000 + b"}]",
    ],
    ids=lambda data: data[:50].decode(errors="replace"),
)
def test_what_is_no_list_of_operations_is_refused(data: bytes) -> None:
    with pytest.raises(OperationError, match="expected a JSON array of operations"):
        operations.decode(data)


def test_operations_are_json_patches_to_those_who_read_these() -> None:
    for program in programs(1500):
        state = program.before
        for flushed, after in program.frames:
            patch = operations.to_json_patch(state, operations.decode(flushed or b"[]"))

            assert same(jsonpatch.apply_patch(copy.deepcopy(state), json.loads(json.dumps(patch))), after), program
            state = after


def test_a_json_patch_is_operations_to_those_who_read_these() -> None:
    moves = 0
    for program in programs(1500):
        state = program.before
        for _, after in program.frames:
            patch = jsonpatch.make_patch(state, after).patch
            made = operations.from_json_patch(state, patch)

            judged = jsonpatch.apply_patch(copy.deepcopy(state), patch)
            assert same(operations.apply(state, made), judged), (state, patch)
            moves += any(step["op"] in ("move", "remove") for step in patch)
            state = after
    assert moves > 100


@pytest.mark.parametrize(
    ("before", "chosen", "patch"),
    [
        ({"a": 1}, [Set(("a",), 2)], [{"op": "replace", "path": "/a", "value": 2}]),
        ({}, [Set(("a",), 2)], [{"op": "add", "path": "/a", "value": 2}]),
        ([1], [Set(("1",), 2)], [{"op": "add", "path": "/1", "value": 2}]),
        ({}, [Set((), [])], [{"op": "replace", "path": "", "value": []}]),
        ({}, [Set(("a", "b"), 2)], [{"op": "add", "path": "/a", "value": {"b": 2}}]),
        ({"a": None}, [Set(("a", "b"), 2)], [{"op": "replace", "path": "/a", "value": {"b": 2}}]),
        (None, [Set(("a",), 2)], [{"op": "replace", "path": "", "value": {"a": 2}}]),
        ({"t": "a"}, [AppendText(("t",), "b")], [{"op": "replace", "path": "/t", "value": "ab"}]),
        ({"~/": 1}, [Set(("~/",), 2)], [{"op": "replace", "path": "/~0~1", "value": 2}]),
        (
            {"l": []},
            [Set(("l", "0"), 1), Set(("l", "1"), 2)],
            [{"op": "add", "path": "/l/0", "value": 1}, {"op": "add", "path": "/l/1", "value": 2}],
        ),
    ],
)
def test_an_operation_is_one_step_of_a_json_patch(before: Json, chosen: list[Operation], patch: list[Any]) -> None:
    assert operations.to_json_patch(before, chosen) == patch


@pytest.mark.parametrize(
    ("before", "patch", "chosen"),
    [
        ({"a": 1}, [{"op": "test", "path": "/a", "value": 1}], []),
        ({"a": 1, "b": 2}, [{"op": "remove", "path": "/a"}], [Set((), {"b": 2})]),
        ({"a": "x"}, [{"op": "replace", "path": "/a", "value": "xy"}], [AppendText(("a",), "y")]),
        ({"l": [1, 2]}, [{"op": "add", "path": "/l/-", "value": 3}], [Set(("l", "2"), 3)]),
        (
            {"l": [1, 2]},
            [{"op": "add", "path": "/l/0", "value": 0}],
            [Set(("l", "0"), 0), Set(("l", "1"), 1), Set(("l", "2"), 2)],
        ),
        ({"a": 1}, [{"op": "copy", "from": "/a", "path": "/b"}], [Set(("b",), 1)]),
        ({"a": {"b": 1}}, [{"op": "move", "from": "/a/b", "path": "/a/c"}], [Set(("a",), {"c": 1})]),
        ({"a": 1}, [], []),
    ],
)
def test_a_step_of_a_json_patch_is_operations(before: Json, patch: list[Any], chosen: list[Operation]) -> None:
    assert operations.from_json_patch(before, patch) == chosen


@pytest.mark.parametrize(
    "step",
    [
        {"op": "test", "path": "/a", "value": 2},
        {"op": "remove", "path": "/missing"},
        {"op": "replace", "path": "/missing", "value": 1},
        {"op": "add", "path": "/missing/deeper", "value": 1},
        {"op": "add", "path": "/l/5", "value": 1},
        {"op": "add", "path": "/l/x", "value": 1},
        {"op": "add", "path": "/a/b", "value": 1},
        {"op": "add", "path": "no-slash", "value": 1},
        {"op": "add", "path": "/~2", "value": 1},
        {"op": "add", "path": "/b"},
        {"op": "add", "value": 1},
        {"op": "move", "path": "/b"},
        {"op": "move", "path": "/b", "from": "/missing"},
        {"op": "move", "path": "/l/0/x", "from": "/l"},
        {"op": "frobnicate", "path": "/a"},
        {"op": 1, "path": "/a"},
        {"op": "add", "path": 1, "value": 1},
        {"op": "remove", "path": ""},
        {"path": "/a"},
        {},
        "text",
        None,
        1,
    ],
)
def test_a_json_patch_that_does_not_apply_is_refused(step: Any) -> None:
    before = {"a": 1, "l": [0]}

    with pytest.raises(OperationError, match="does not apply"):
        operations.from_json_patch(before, [{"op": "add", "path": "/ok", "value": 1}, step])
    assert before == {"a": 1, "l": [0]}


@settings(max_examples=500)
@given(JSON, JSON)
def test_a_difference_leads_from_one_state_to_the_other(before: Json, after: Json) -> None:
    assert same(operations.apply(before, operations.diff(before, after)), after)


def test_a_difference_leads_through_every_state_of_a_program() -> None:
    for program in programs(1500):
        state = program.before
        for _, after in program.frames:
            made = operations.diff(state, after)

            assert same(operations.apply(state, made), after), (state, after, made)
            assert operations.diff(after, copy.deepcopy(after)) == [], after
            state = after


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"t": "a"}, {"t": "ab"}, [AppendText(("t",), "b")]),
        ({"t": "ab"}, {"t": "a"}, [Set(("t",), "a")]),
        ("", "a", [AppendText((), "a")]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, [Set(("a", "c"), 3)]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, [Set(("a",), {"b": 1})]),
        ([1, {"a": "x"}], [1, {"a": "xy"}, 3], [AppendText(("1", "a"), "y"), Set(("2",), 3)]),
        ([1, 2], [1], [Set((), [1])]),
        ([], [1, 2], [Set((), [1, 2])]),
        ({"l": [], "d": {}}, {"l": [], "d": {}}, []),
        (1, 1.0, []),
        (1, True, [Set((), True)]),
        (0, None, [Set((), None)]),
        ([], {}, [Set((), {})]),
    ],
)
def test_a_difference_is_as_small_as_the_two_kinds_allow(before: Json, after: Json, expected: list[Operation]) -> None:
    assert operations.diff(before, after) == expected
