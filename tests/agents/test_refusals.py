"""S5: what JSON or the clients cannot carry is an error where it is assigned, and the state is as it was."""

from __future__ import annotations

import array
import collections
import copy
import decimal
import enum
import fractions
import functools
import itertools
import math
import re
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from statecast_agents import MAX_DEPTH, MAX_INTEGER, Document, Json, NotJson, OperationError, to_json
from tests.agents.written import flushed


class Big(enum.IntEnum):
    A = 2**53 + 1


class Odd(enum.Enum):
    NAN = math.nan
    SET = frozenset({1})


def nested(containers: int, leaf: Json = None) -> Json:
    """Put `leaf` into that many containers."""
    return functools.reduce(lambda value, number: [value] if number % 2 else {"k": value}, range(containers), leaf)


def cycle() -> Json:
    """Make a list that holds itself."""
    row: list[Json] = []
    row.append({"row": row})
    return row


REFUSED: dict[str, tuple[Any, str]] = {
    "nan": (math.nan, "expected a finite number, got float nan"),
    "inf": (-math.inf, "expected a finite number, got float -inf"),
    "big": (
        2**53 + 1,
        "expected an integer that JavaScript can hold; send larger ones as strings, got int 9007199254740993",
    ),
    "big, negative": (-(2**53 + 1), "got int -9007199254740993"),
    "surrogate": ("ab\ud800", r"expected text without lone surrogates, got '\ud800' at character 2"),
    "big, as an enum": (Big.A, "expected an integer that JavaScript can hold"),
    "nan, as an enum": (Odd.NAN, "expected a finite number"),
    "set, as an enum": (Odd.SET, "got frozenset frozenset({1})"),
    "bytes": (b"x", "expected a JSON value, got bytes b'x'; use text, as in base64.b64encode(...).decode()"),
    "bytearray": (bytearray(b"x"), "got bytearray bytearray(b'x'); use text"),
    "set": ({1}, "expected a JSON value, got set {1}; use a list, as in sorted(...)"),
    "frozenset": (frozenset("a"), "got frozenset frozenset({'a'}); use a list"),
    "mapping": (types.MappingProxyType({"a": 1}), "got mappingproxy mappingproxy({'a': 1}); use dict(...)"),
    "decimal": (decimal.Decimal("1.5"), "got Decimal Decimal('1.5')"),
    "fraction": (fractions.Fraction(1, 2), "got Fraction Fraction(1, 2)"),
    "complex": (1j, "got complex 1j"),
    "range": (range(3), "got range range(0, 3)"),
    "deque": (collections.deque([1]), "got deque deque([1])"),
    "array": (array.array("i", [1]), "got array array('i', [1])"),
    "generator": (itertools.count(), "got count count(0)"),
    "path": (Path("x"), "got PosixPath PosixPath('x')"),
    "pattern": (re.compile("x"), "got Pattern re.compile('x')"),
    "class": (dict, "got type <class 'dict'>"),
    "function": (len, "got builtin_function_or_method <built-in function len>"),
    "key, integer": ({1: 2}, 'expected a string as key at "1", got int 1'),
    "key, None": ({None: 2}, 'expected a string as key at "None", got NoneType None'),
    "key, tuple": ({("a",): 2}, "expected a string as key"),
    "key, surrogate": ({"\udfff": 2}, r"got '\udfff' at character 0"),
    "key, __proto__": ({"__proto__": {}}, "got the reserved name '__proto__'"),
    "key, constructor": ({"constructor": {}}, "got the reserved name 'constructor'"),
    "key, prototype": ({"prototype": {}}, "got the reserved name 'prototype'"),
    "cycle": (cycle(), f"expected at most {MAX_DEPTH} nested containers"),
    "depth": (nested(MAX_DEPTH + 1), f"expected at most {MAX_DEPTH} nested containers"),
}

# Every way into a state; `v` is the value that comes.
WAYS: dict[str, Callable[[Document, Any], object]] = {
    "d[k] = v": lambda document, v: document.root.__setitem__("new", v),
    "d[k] = v, over another": lambda document, v: document.root.__setitem__("d", v),
    "d[k] = v, over text": lambda document, v: document.root.__setitem__("t", v),
    "setdefault": lambda document, v: document.root.setdefault("new", v),
    "update": lambda document, v: document.root.update({"n": 2, "d": {}, "new": v}),
    "|=": lambda document, v: document.root.__ior__({"n": 2, "new": [v]}),
    "l[i] = v": lambda document, v: document.root["l"].__setitem__(0, v),
    "l[i:j] = v": lambda document, v: document.root["l"].__setitem__(slice(0, 2), [5, v]),
    "append": lambda document, v: document.root["l"].append(v),
    "insert": lambda document, v: document.root["l"].insert(0, v),
    "extend": lambda document, v: document.root["l"].extend([5, v]),
    "+=": lambda document, v: document.root["l"].__iadd__([5, v]),
    "state = v": lambda document, v: setattr(document, "root", v),
    "within others": lambda document, v: document.root.__setitem__("new", {"a": [0, {"b": v}]}),
}

BEFORE: Json = {"d": {"a": 1}, "l": [{"n": 1}, 2, "three"], "n": 1, "t": "text"}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("value", "text"), REFUSED.values(), ids=REFUSED)
def test_a_refused_value_leaves_no_trace(value: Any, text: str, way: Callable[[Document, Any], object]) -> None:
    document = Document(BEFORE)
    parts = document.root["d"], document.root["l"], document.root["l"][0]

    with pytest.raises(NotJson):
        way(document, value)
    assert document.root == BEFORE
    assert document.flush().operations == b""
    assert parts == (document.root["d"], document.root["l"], document.root["l"][0])
    document.root["l"][0]["n"] = 2
    document.root["d"]["a"] = 2
    assert flushed(document) == [("set", "l/0/n", 2), ("set", "d/a", 2)]


@pytest.mark.parametrize(("value", "text"), REFUSED.values(), ids=REFUSED)
def test_the_error_says_what_was_expected_and_what_came(value: Any, text: str) -> None:
    with pytest.raises(NotJson, match=re.escape(text)) as refused:
        Document(value)
    assert refused.value.code == "not_json"
    assert isinstance(refused.value, ValueError)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (math.nan, []),
        ({"a": math.nan}, ["a"]),
        ({"a": [0, {"b": {1}}]}, ["a", 1, "b"]),
        ([[], [[b""]]], [1, 0, 0]),
        ({"a": {"__proto__": 1}}, ["a", "__proto__"]),
        ({"a": ({"b": 1j},)}, ["a", 0, "b"]),
    ],
)
def test_the_error_says_where_in_the_value_it_is(value: Json, path: list[str | int]) -> None:
    with pytest.raises(NotJson) as refused:
        to_json(value)
    assert refused.value.path == path
    assert (f'at "{"/".join(map(str, path))}"' in str(refused.value)) is bool(path)


@pytest.mark.parametrize("key", ["__proto__", "constructor", "prototype", "\ud800", 1, None, ("a",), 1.5, b"a", []])
@pytest.mark.parametrize("value", [1, "text", None, 0.5, {"a": 1}, [1]])
def test_a_refused_key_leaves_no_trace(key: Any, value: Json) -> None:
    document = Document({"a": 1})

    for assign in (document.root.__setitem__, document.root.setdefault):
        with pytest.raises(NotJson, match=r"key|surrogate"):
            assign(key, value)
    assert document.root == {"a": 1}
    assert document.flush().operations == b""


@pytest.mark.parametrize(
    ("delta", "error"),
    [
        ("\udc00", NotJson),
        ("\ud83d ok", NotJson),
        (1, TypeError),
        (None, TypeError),
        (b"x", TypeError),
        (["x"], TypeError),
    ],
)
def test_text_grows_by_text_alone(delta: Any, error: type[Exception]) -> None:
    document = Document({"t": "a", "l": ["b"]})

    for append in (
        lambda: document.root.append_text("t", delta),
        lambda: document.root["l"].append_text(0, delta),
        lambda: document.append_text(delta, ["t"]),
    ):
        with pytest.raises(error):
            append()
    assert document.root == {"t": "a", "l": ["b"]}
    assert document.flush().operations == b""


@pytest.mark.parametrize("grow", ["s['t'] += '\\ud800.'", "s['l'][0] += '\\udfff'", "document.root = '\\ud800'"])
def test_text_that_grows_by_a_lone_surrogate_stays_as_it_was(grow: str) -> None:
    document = Document({"t": "a", "l": ["b"]})

    with pytest.raises(NotJson, match="surrogate"):
        exec(grow, {"s": document.root, "document": document})
    assert document.root == {"t": "a", "l": ["b"]}
    assert document.flush().operations == b""


@pytest.mark.parametrize(
    "append",
    [
        lambda root: root.append_text("missing", "x"),
        lambda root: root.append_text("n", "x"),
        lambda root: root.append_text("l", "x"),
        lambda root: root["l"].append_text(0, "x"),
        lambda root: root["l"].append_text(9, "x"),
        lambda root: root["l"].append_text(-9, "x"),
    ],
)
def test_text_grows_only_where_there_is_text(append: Callable[[Json], None]) -> None:
    document = Document({"n": 1, "l": [1]})

    with pytest.raises(OperationError, match="expected a text at"):
        append(document.root)
    assert document.flush().operations == b""


def test_a_state_that_is_no_text_does_not_grow() -> None:
    document = Document({})

    with pytest.raises(OperationError, match="expected the state to be a text, got TrackedDict"):
        document.append_text("x")
    document.root = "a"
    with pytest.raises(NotJson):
        document.append_text("\udc00")
    with pytest.raises(TypeError):
        document.append_text(1)  # type: ignore[arg-type]  # what is refused
    assert document.root == "a"


@pytest.mark.parametrize(
    "value",
    [
        MAX_INTEGER,
        -MAX_INTEGER,
        2**53,
        -(2**53),
        10**22,
        1152921504606847000,
        1e308,
        5e-324,
        "\ud7ff\ue000\U0010ffff",
        "\x00",
        "",
    ],
)
def test_what_is_just_within_is_accepted(value: Json) -> None:
    document = Document({})

    document.root["a"] = value
    document.root["l"] = [value]
    document.root["l"].append(value)
    assert document.root == {"a": value, "l": [value, value]}


@pytest.mark.parametrize("leaf", [1, "text", None, 0.5, Path])
def test_containers_nest_as_deep_as_allowed_however_they_got_there(leaf: Json) -> None:
    leaf = "converted" if leaf is Path else leaf
    at_once = Document(nested(MAX_DEPTH, leaf))
    by_and_by = Document([])
    at = by_and_by.root
    for _ in range(MAX_DEPTH - 1):
        at.append([])
        at = at[0]

    with pytest.raises(NotJson, match=str(MAX_DEPTH)):
        at.append([])
    with pytest.raises(NotJson, match=str(MAX_DEPTH)):
        at_once.root["k" if isinstance(at_once.root, dict) else 0] = nested(MAX_DEPTH)
    at.append(leaf)
    assert copy.deepcopy(at_once.root) == nested(MAX_DEPTH, leaf)


def test_one_refused_value_refuses_all_that_came_with_it() -> None:
    document = Document({"l": [1], "n": 1})

    for attempt in (
        lambda: document.root.update(n=2, m=3, bad=math.nan),
        lambda: document.root.update({"n": 2, "constructor": 3}),
        lambda: document.root["l"].extend([2, 3, math.nan]),
        lambda: document.root["l"].__setitem__(slice(None), [2, {"x": {1}}]),
    ):
        with pytest.raises(NotJson):
            attempt()
    assert document.root == {"l": [1], "n": 1}
    assert document.flush().operations == b""
