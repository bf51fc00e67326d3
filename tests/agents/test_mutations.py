"""S1 and S3: every mutation that dict and list have becomes operations, and those cost what it changed."""

from __future__ import annotations

import bisect
import enum
import random
import time
from typing import Any

import pytest

from statecast_agents import Document, Json, operations
from statecast_agents.changes import MERGE_AT
from statecast_agents.tracked import GROW_IN_PLACE, TrackedDict, TrackedList
from tests.agents.written import Written, doing, flushed

NESTED = {"a": {"b": {"c": 1, "t": "x"}}, "l": [10, 20, 30, 40, 50, 60]}
HELD = {"l": [{"n": 0}, {"n": 1}, {"n": 2}, {"n": 3}]}

# Before, the statements, and the operations that they amount to: all of them, in order, and no more.
OF_DICTS: list[tuple[Json, str, list[Written]]] = [
    # Assignment
    ({}, "s['a'] = 1", [("set", "a", 1)]),
    ({"a": 1}, "s['a'] = 2", [("set", "a", 2)]),
    ({"a": 1}, "s['a'] = None", [("set", "a", None)]),
    ({"a": 1}, "s['a'] = True", [("set", "a", True)]),
    ({"a": 0}, "s['a'] = False", [("set", "a", False)]),
    ({"a": 1}, "s['a'] = 1.0", [("set", "a", 1.0)]),
    ({"a": 1}, "s['a'] += 1", [("set", "a", 2)]),
    ({"a": 1}, "s['a'] = {'b': [1]}", [("set", "a", {"b": [1]})]),
    ({"a": {"b": 1}}, "s['a'] = 'text'", [("set", "a", "text")]),
    (NESTED, "s['a']['b']['c'] = 2", [("set", "a/b/c", 2)]),
    (NESTED, "s['a']['b']['d'] = {}", [("set", "a/b/d", {})]),
    ({}, "s['a'] = {}; s['a']['b'] = 1; s['a']['c'] = [2]", [("set", "a", {"b": 1, "c": [2]})]),
    # Removal: clients know none, so the parent is set
    ({"a": 1, "b": 2}, "del s['a']", [("set", "", {"b": 2})]),
    (NESTED, "del s['a']['b']['c']", [("set", "a/b", {"t": "x"})]),
    (NESTED, "assert s['a']['b'].pop('c') == 1", [("set", "a/b", {"t": "x"})]),
    (NESTED, "assert s['a']['b'].pop('z', 5) == 5", []),
    (NESTED, "assert s['a']['b'].popitem() == ('t', 'x')", [("set", "a/b", {"c": 1})]),
    (NESTED, "s['a']['b'].clear()", [("set", "a/b", {})]),
    ({"a": {}}, "s['a'].clear()", []),
    # Several at once
    ({"a": 1}, "s.update({'a': 1, 'b': 2})", [("set", "b", 2)]),
    ({"a": 1}, "s.update([('a', 2)], b={'c': 3})", [("set", "a", 2), ("set", "b", {"c": 3})]),
    ({"a": 1}, "s.update()", []),
    ({"a": 1}, "s |= {'b': 2}", [("set", "b", 2)]),
    ({"a": 1}, "s |= [('b', 2)]", [("set", "b", 2)]),
    (NESTED, "s['a']['b'] |= {'c': 2}", [("set", "a/b/c", 2)]),
    (NESTED, "s.update({**s, 'new': 1})", [("set", "new", 1)]),
    ({"t": "a"}, "s.update(t='ab')", [("append-text", "t", "b")]),
    # Defaults
    ({"a": 1}, "assert s.setdefault('a', 2) == 1", []),
    ({"a": 1}, "assert s.setdefault('b') is None", [("set", "b", None)]),
    ({}, "s.setdefault('l', []).append(1)", [("set", "l", [1])]),
    ({"l": [0]}, "s.setdefault('l', []).append(1)", [("set", "l/1", 1)]),
    # Constructed again
    ({"a": 1}, "s.__init__(b=2)", [("set", "b", 2)]),
]

OF_LISTS: list[tuple[Json, str, list[Written]]] = [
    # Growth
    ([], "s.append(1)", [("set", "0", 1)]),
    ([1], "s.append({'a': 1}); s[-1]['b'] = 2", [("set", "1", {"a": 1, "b": 2})]),
    (NESTED, "s['l'].append(70)", [("set", "l/6", 70)]),
    (NESTED, "s['l'].extend([70, 'x'])", [("set", "l/6", 70), ("set", "l/7", "x")]),
    (NESTED, "s['l'].extend([])", []),
    (NESTED, "s['l'] += [70]", [("set", "l/6", 70)]),
    (NESTED, "s['l'] += (i for i in [70])", [("set", "l/6", 70)]),
    ([1, 2], "s *= 2", [("set", "2", 1), ("set", "3", 2)]),
    ([1, 2], "s *= 1", []),
    ([1, 2], "s *= 0", [("set", "", [])]),
    ([1, 2], "s *= -1", [("set", "", [])]),
    # Insertion moves what follows: those items, or the list, whichever is less
    (NESTED, "s['l'].insert(6, 70)", [("set", "l/6", 70)]),
    (NESTED, "s['l'].insert(99, 70)", [("set", "l/6", 70)]),
    (NESTED, "s['l'].insert(-1, 55)", [("set", "l/5", 55), ("set", "l/6", 60)]),
    (NESTED, "s['l'].insert(0, 5)", [("set", "l", [5, 10, 20, 30, 40, 50, 60])]),
    (NESTED, "s['l'].insert(-99, 5)", [("set", "l", [5, 10, 20, 30, 40, 50, 60])]),
    # Assignment
    ([1, 2], "s[0] = 3", [("set", "0", 3)]),
    ([1, 2], "s[-1] = 3", [("set", "1", 3)]),
    ([1, 2], "s[True] = 3", [("set", "1", 3)]),
    ([1, 2], "s[0] = True", [("set", "0", True)]),
    ([1, 2], "s[0], s[1] = s[1], s[0]", [("set", "0", 2), ("set", "1", 1)]),
    ([1, 1], "s[0], s[1] = s[1], s[0]", []),
    # Removal
    (NESTED, "del s['l'][5]", [("set", "l", [10, 20, 30, 40, 50])]),
    (NESTED, "del s['l'][1:]", [("set", "l", [10])]),
    (NESTED, "del s['l'][::2]", [("set", "l", [20, 40, 60])]),
    (NESTED, "del s['l'][3:3]", []),
    (NESTED, "assert s['l'].pop() == 60", [("set", "l", [10, 20, 30, 40, 50])]),
    (NESTED, "assert s['l'].pop(0) == 10", [("set", "l", [20, 30, 40, 50, 60])]),
    (NESTED, "s['l'].remove(20)", [("set", "l", [10, 30, 40, 50, 60])]),
    (NESTED, "s['l'].clear()", [("set", "l", [])]),
    ([], "s.clear()", []),
    # Slices: what is another item than before
    (NESTED, "s['l'][1:3] = [21, 31]", [("set", "l/1", 21), ("set", "l/2", 31)]),
    (NESTED, "s['l'][1:3] = [20, 31]", [("set", "l/2", 31)]),
    (NESTED, "s['l'][::3] = [11, 41]", [("set", "l/0", 11), ("set", "l/3", 41)]),
    (NESTED, "s['l'][6:] = [70]", [("set", "l/6", 70)]),
    (NESTED, "s['l'][:] = s['l']", []),
    (NESTED, "s['l'][4:] = []", [("set", "l", [10, 20, 30, 40])]),
    (NESTED, "s['l'][:] = 'ab'", [("set", "l", ["a", "b"])]),
    # Rearrangement
    ([3, 1, 2], "s.sort()", [("set", "", [1, 2, 3])]),
    ([1, 2, 4, 3, 5], "s.sort()", [("set", "2", 3), ("set", "3", 4)]),
    ([1, 2, 3], "s.sort()", []),
    ([1, 2, 3], "s.sort(key=lambda n: -n)", [("set", "", [3, 2, 1])]),
    ([1, 2, 3, 5, 4], "s.sort(reverse=True)", [("set", "", [5, 4, 3, 2, 1])]),
    ([1, 2, 1], "s.reverse()", []),
    ([], "s.reverse()", []),
    # Constructed again
    ([1, 2], "s.__init__([3])", [("set", "", [3])]),
]

OF_TEXTS: list[tuple[Json, str, list[Written]]] = [
    ({"t": ""}, "s['t'] += 'a'", [("append-text", "t", "a")]),
    ({"t": "a"}, "s['t'] += 'b'; s['t'] += 'c'", [("append-text", "t", "bc")]),
    ({"t": "a"}, "s['t'] = 'a' + '😀'", [("append-text", "t", "😀")]),
    ({"t": "ab"}, "s['t'] = 'a'", [("set", "t", "a")]),
    ({"t": "ab"}, "s['t'] = ''", [("set", "t", "")]),
    ({"t": "ab"}, "s['t'] = 'ba'", [("set", "t", "ba")]),
    ({"t": "a"}, "s.append_text('t', 'b')", [("append-text", "t", "b")]),
    ({"t": "a"}, "s.append_text('t', '')", []),
    ({"t": "a"}, "s['t'] += ''", []),
    (["a", "b"], "s[-1] += 'c'", [("append-text", "1", "c")]),
    (["a", "b"], "s.append_text(-1, 'c')", [("append-text", "1", "c")]),
    (["a", "b"], "s[0] = 'b'", [("set", "0", "b")]),
    (NESTED, "s['a']['b']['t'] += 'y'", [("append-text", "a/b/t", "y")]),
    ("a", "document.root += 'b'", [("append-text", "", "b")]),
    ("a", "document.append_text('b'); document.append_text('')", [("append-text", "", "b")]),
]

OF_ONE_TURN: list[tuple[Json, str, list[Written]]] = [
    # A value that is the same again is no change
    ({"a": 1}, "s['a'] = 1", []),
    ({"a": 0.5}, "s['a'] = float('0.5')", []),
    ({"a": "xy"}, "s['a'] = ''.join(['x', 'y'])", []),
    ({"a": None, "b": True}, "s['a'] = None; s['b'] = True", []),
    ({"a": {"b": 1}}, "s['a'] = s['a']", []),
    ([1, 0.5, "x", None, {}], "s[:] = s; s[0] = 1; s[1] = float('0.5'); s[2] = 'x'; s[3] = None; s[4] = s[4]", []),
    # Neighbouring appends merge, and so do those with something else between
    (
        {"t": "", "u": ""},
        "s['t'] += 'a'; s['u'] += 'x'; s['t'] += 'b'",
        [("append-text", "t", "ab"), ("append-text", "u", "x")],
    ),
    # The last of several values is the one that goes
    ({"a": 0}, "s['a'] = 1; s['a'] = 2; s['a'] = 3", [("set", "a", 3)]),
    ({"t": "a"}, "s['t'] += 'b'; s['t'] = 'c'; s['t'] += 'd'", [("set", "t", "cd")]),
    # What is set later holds what happened beneath it before, and what happens beneath it after
    (NESTED, "s['a']['b']['c'] = 2; s['a'] = {'b': 3}", [("set", "a", {"b": 3})]),
    (NESTED, "s['a']['b']['t'] += 'y'; del s['a']['b']['c']", [("set", "a/b", {"t": "xy"})]),
    (NESTED, "del s['a']['b']['c']; s['a']['b']['t'] += 'y'", [("set", "a/b", {"t": "xy"})]),
    (NESTED, "s['l'].append(70); s['l'].append(80); s['l'].pop(0)", [("set", "l", [20, 30, 40, 50, 60, 70, 80])]),
    (HELD, "s['l'][3]['n'] = 9; s['l'].insert(3, 0)", [("set", "l/3", 0), ("set", "l/4", {"n": 9})]),
    # A path is that of the end of the turn
    (HELD, "x = s['l'][3]; s['l'].insert(0, 0); document.flush(); x['n'] = 9", [("set", "l/4/n", 9)]),
    # What left the state concerns nobody
    (HELD, "x = s.pop('l'); document.flush(); x.append(1); x[0]['n'] = 9", []),
    (HELD, "x = s['l'][0]; s['l'][0] = 1; document.flush(); x['n'] = 9; x.clear()", []),
    (HELD, "x = s['l'][1]; s['l'][1:2] = []; document.flush(); x['n'] = 9", []),
    (HELD, "x = s['l'][1]; s.update(l=1); document.flush(); x['n'] = 9", []),
    (HELD, "x = s['l'][1]; s.update(l=[]); document.flush(); x['n'] = 9", []),
    (HELD, "x = s['l'][1]; x['n'] = 8; document.flush(); s['l'][1] = 1; document.flush(); x['n'] = 9", []),
    (HELD, "x = s['l'][1]; x['n'] = 8; document.flush(); s['l'] = 1; document.flush(); x['n'] = 9", []),
    (HELD, "x = s['l'][0]; x['n'] = 9; s['l'].pop(0)", [("set", "l", [{"n": 1}, {"n": 2}, {"n": 3}])]),
    (HELD, "x = s; document.root = {}; document.flush(); x['n'] = 9; x['l'][0]['n'] = 9", []),
    # The state itself
    (1, "document.root = 2", [("set", "", 2)]),
    (1, "document.root = None", [("set", "", None)]),
    (None, "document.root = [1]", [("set", "", [1])]),
    ({"a": 1}, "s['a'] = 2; document.root = {'b': 1}; document.root['c'] = 2", [("set", "", {"b": 1, "c": 2})]),
    ({"a": 1}, "document.root = document.root", []),
    (HELD, "document.root = s['l'][0]; document.root['m'] = 1", [("set", "", {"n": 0, "m": 1})]),
    # Keys are whatever they are
    ({}, "s['é/~\"\\n'] = {'': 1}", [("set", 'é/~"\n', {"": 1})]),
    ({"": {"": 1}}, "s['']['']= 2", [("set", "/", 2)]),
    ({"0": {"1": "x"}}, "s['0']['1'] += 'y'", [("append-text", "0/1", "y")]),
]

EVERY = [*OF_DICTS, *OF_LISTS, *OF_TEXTS, *OF_ONE_TURN]


@pytest.mark.parametrize(("before", "code", "expected"), EVERY, ids=[code for _, code, _ in EVERY])
def test_a_mutation_becomes_the_smallest_operations(before: Json, code: str, expected: list[Written]) -> None:
    document = Document(before)

    assert doing(code, document) == expected
    assert flushed(document) == []


# Methods of dict and list that leave the container as it is.
READERS = {
    *vars(object),
    *("__class_getitem__", "__contains__", "__getitem__", "__iter__", "__len__", "__reversed__", "__or__", "__ror__"),
    *("__add__", "__mul__", "__rmul__", "copy", "count", "get", "index", "items", "keys", "values"),
} - {"__init__", "__new__"}


@pytest.mark.parametrize(("tracked", "plain"), [(TrackedDict, dict), (TrackedList, list)])
def test_no_method_that_mutates_is_left_to_python(tracked: type, plain: type) -> None:
    assert {*vars(plain)} - READERS - {*vars(tracked)} == set()


@pytest.mark.parametrize(
    ("before", "code", "error"),
    [
        ({}, "del s['a']", KeyError),
        ({}, "s.pop('a')", KeyError),
        ({}, "s.popitem()", KeyError),
        ({}, "s['a'] += 1", KeyError),
        ({}, "s.update(1)", TypeError),
        ({}, "s |= 1", TypeError),
        ([], "s[0] = 1", IndexError),
        ([], "del s[0]", IndexError),
        ([], "s.pop()", IndexError),
        ([], "s['a'] = 1", TypeError),
        ([], "s.remove(1)", ValueError),
        ([1], "s.insert('a', 1)", TypeError),
        ([1, 2, 3], "s[::2] = [1]", ValueError),
        ([1], "s[:] = 1", TypeError),
        ([1], "s += 1", TypeError),
        ([1], "s *= 1.5", TypeError),
        ([2, "x", 1], "s.sort()", TypeError),
        ([2, 1], "s.sort(key=lambda n: s.append(3) or n)", ValueError),
        ([2, 1], "s.sort(key=lambda n: s.__setitem__(0, 9 + n) or n)", ValueError),
    ],
)
def test_what_python_refuses_is_refused_alike(before: Json, code: str, error: type[Exception]) -> None:
    document = Document(before)

    with pytest.raises(error):
        doing(code, document)
    client = operations.apply(before, operations.decode(document.flush().operations or b"[]"))
    assert client == document.root


@pytest.mark.parametrize(
    "code",
    [
        "s.reverse()",
        "s.sort(key=lambda d: -d['n'])",
        "s[:] = s[::-1]",
        "s[0:4:3] = s[3::-3]",
        "s[:] = sorted(s, key=id)",
    ],
)
def test_items_that_are_rearranged_stay_the_same_objects(code: str) -> None:
    document = Document([{"n": number} for number in range(4)])
    held = list(document.root)

    doing(code, document)
    assert sorted(map(id, document.root)) == sorted(map(id, held))
    for item in held:
        item["n"] += 10
        where = next(index for index, other in enumerate(document.root) if other is item)
        assert flushed(document) == [("set", f"{where}/n", item["n"])]


def test_a_list_may_be_set_from_what_a_generator_takes_out_of_it() -> None:
    document = Document([{"n": 0}, {"n": 1}])
    items = document.root

    items[:] = (items.pop() for _ in range(2))
    assert flushed(document) == [("set", "", [{"n": 1}, {"n": 0}])]
    items[0]["n"] = 5
    assert flushed(document) == [("set", "0/n", 5)]


def test_a_sort_key_may_change_the_items() -> None:
    document = Document([{"n": 1, "rank": 1}, {"n": 0}])
    document.root.reverse()
    document.flush()

    document.root.sort(key=lambda item: item.pop("rank", 0))
    assert flushed(document) == [("set", "1", {"n": 1})]


def test_what_was_assigned_is_owned() -> None:
    inner = [1]
    given = {"inner": inner}
    document = Document({"part": {"x": 1}})
    state = document.root

    state["a"] = given
    state["b"] = [given]
    state.update(c=inner)
    state["d"] = state["part"]
    document.flush()
    inner.append(2)
    given["more"] = [3]
    state["part"]["x"] = 2
    assert flushed(document) == [("set", "part/x", 2)]
    assert state == {"part": {"x": 2}, "a": {"inner": [1]}, "b": [{"inner": [1]}], "c": [1], "d": {"x": 1}}


def test_a_state_assigned_into_itself_is_a_copy_of_then() -> None:
    document = Document({"a": 1})

    document.root["before"] = document.root
    document.root["a"] = 2
    assert document.root == {"a": 2, "before": {"a": 1}}


def test_ten_thousand_appends_in_one_turn_are_one_operation() -> None:
    document = Document({"t": "", "u": ""})
    for number in range(5_000):
        document.root["t"] += f"{number} "
        document.root.append_text("u", f"{number} ")

    text = "".join(f"{number} " for number in range(5_000))
    assert flushed(document) == [("append-text", "t", text), ("append-text", "u", text)]


def test_a_long_text_grows_at_a_cost_that_does_not_depend_on_its_length() -> None:
    def cost(size: int) -> float:
        document = Document({"t": "x" * size, "l": ["x" * size]})
        begun = time.thread_time()
        for _ in range(300):
            document.root.append_text("t", "word ")
            document.root["l"].append_text(0, "word ")
            document.flush()
        return time.thread_time() - begun

    short = min(cost(20_000) for _ in range(5))
    long = min(cost(20_000_000) for _ in range(5))  # copied each time, this would be 600 copies of 20 MB
    assert long < short * 20


@pytest.mark.parametrize("size", [0, GROW_IN_PLACE - 1, GROW_IN_PLACE, GROW_IN_PLACE * 2])
def test_a_text_of_any_length_grows_by_what_is_appended(size: int) -> None:
    document = Document({"t": "x" * size, "l": ["x" * size]})
    before = document.root["t"]

    for delta in ("é", "😀 ", ""):
        document.root.append_text("t", delta)
        document.root["l"].append_text(-1, delta)
    assert document.root == {"t": before + "é😀 ", "l": [before + "é😀 "]}
    assert before == "x" * size
    assert flushed(document) == [("append-text", "t", "é😀 "), ("append-text", "l/0", "é😀 ")]


def test_a_turn_of_very_many_changes_costs_no_more_for_each() -> None:
    document = Document([])
    begun = time.thread_time()
    for number in range(MERGE_AT * 2):
        document.root.append(number)

    assert flushed(document) == [("set", "", list(range(MERGE_AT * 2)))]  # shorter than an operation for each
    assert time.thread_time() - begun < 20  # seconds; merging again for each change would take hours


def test_a_turn_of_very_many_changes_to_one_place_does_not_pile_up() -> None:
    document = Document({"t": ""})
    for _ in range(MERGE_AT * 3):
        document.root.append_text("t", "x")

    assert len(document._pending) <= MERGE_AT + 1
    assert flushed(document) == [("append-text", "t", "x" * MERGE_AT * 3)]


def test_a_document_wakes_its_reader_once_for_each_flush() -> None:
    woken: list[str] = []
    document = Document({"a": 0}, wake=lambda: woken.append("up"))
    state = document.root

    state["a"] = 0
    assert woken == []
    state["a"] = 1
    state["b"] = 2
    del state["b"]
    assert woken == ["up"]
    document.flush()
    state["a"] = 3
    assert woken == ["up", "up"]


class Name(str):
    """A string of another class, as libraries for markup and arrays have them."""

    __slots__ = ()


class Key(enum.Enum):
    """An enum whose values are strings."""

    A = "a"


class Word(enum.StrEnum):
    """An enum whose members are strings."""

    A = "a"


@pytest.mark.parametrize("key", [Name("a"), Key.A, Word.A])
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("s[k] = 1", [("set", "a", 1)]),
        ("s[k] = {'x': 1}; s['a']['x'] = 2", [("set", "a", {"x": 2})]),
        ("x = s['a']; s[k] = 1; document.flush(); x['n'] = 1", []),
        ("assert s.setdefault(k, 1) is s['a']", []),
        ("s.update({k: 1})", [("set", "a", 1)]),
        ("s['new'] = {k: 1}", [("set", "new", {"a": 1})]),
    ],
)
def test_a_key_of_another_class_is_the_string_it_stands_for(key: Any, code: str, expected: list[Written]) -> None:
    document = Document({"a": {}})

    assert doing(code, document, k=key) == expected
    assert {type(key) for key in document.root} == {str}


def test_text_at_a_key_of_another_class_grows() -> None:
    document = Document({"a": ""})

    document.root.append_text(Name("a"), "x")
    document.root[Word.A] += "y"
    assert flushed(document) == [("append-text", "a", "xy")]


@pytest.mark.parametrize(
    "shuffled",
    [random.Random(1).shuffle, lambda row: bisect.insort(row, 3), lambda row: row.extend(map(str, row))],
    ids=["random.shuffle", "bisect.insort", "extend by a view of itself"],
)
def test_the_standard_library_mutates_through_the_methods(shuffled: Any) -> None:
    before = [1, 2, 4, 5, 6]
    document = Document(before)

    shuffled(document.root)
    assert document.root != before
    assert operations.apply(before, operations.decode(document.flush().operations)) == document.root


def test_a_container_that_left_the_state_is_still_a_dict_or_a_list() -> None:
    document = Document({"d": {"a": 1}, "l": [1]})
    d, items = document.root.pop("d"), document.root.pop("l")
    document.flush()

    d["b"] = {"c": 2}
    d["b"]["c"] = 3
    del d["a"]
    items.insert(0, 0)
    items.sort(reverse=True)
    assert (d, items) == ({"b": {"c": 3}}, [1, 0])
    assert document.flush().operations == b""


@pytest.mark.parametrize(
    "move",
    [
        *("l.insert(0, 0)", "l.insert(3, 0)", "l.pop(0)", "del l[0]", "del l[1:3]", "l.remove(1)", "l.reverse()"),
        *("l[:0] = [0, 0]", "l[0:2] = []", "l.sort(key=str)", "l[:] = [l[4]]", "l[0], l[1] = l[1], l[0]"),
        *("l *= 2", "l.extend([7])", "s['m'] = l; s['l'].pop(1)", "s['other'] = 1", "del s['other']"),
    ],
)
def test_the_path_of_an_item_is_found_wherever_it_went(move: str) -> None:
    document = Document({"l": [1, 2, 3, {"t": ""}, {"n": 0}, 5], "other": 0})
    items = document.root["l"]
    item = items[4]
    document.flush()
    item["n"] = 1
    assert flushed(document) == [("set", "l/4/n", 1)]

    doing(move, document, l=items)
    item["n"] = 2
    assert flushed(document) == [("set", f"l/{items.index({'n': 2})}/n", 2)]
