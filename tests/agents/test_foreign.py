"""Values of agent frameworks, as JSON that a state can hold."""

from __future__ import annotations

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import logging
import pathlib
import types
import uuid
from collections.abc import Iterator
from typing import Any

import msgspec
import pydantic
import pytest

from statecast_agents import Document, Json, StateTooLarge, to_json, to_state
from statecast_agents.foreign import MAX_PATHS, LeftOut


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    at: datetime.date = datetime.date(2026, 1, 2)


class Row(msgspec.Struct, rename="camel"):
    row_number: int


class Model(pydantic.BaseModel):
    name: str
    password: str = pydantic.Field(default="hidden", exclude=True)
    inner: Point = Point(1)


class Attrs:
    __attrs_attrs__ = (types.SimpleNamespace(name="a"), types.SimpleNamespace(name="b"))

    def __init__(self) -> None:
        self.a, self.b = 1, {2}


class Array:
    """What numpy's arrays and scalars have."""

    dtype = "float32"

    def __init__(self, value: Any) -> None:
        self.value = value

    def tolist(self) -> Any:
        return self.value


class Broken:
    def model_dump(self, **options: Any) -> Any:
        raise RuntimeError("a secret")


class Opaque:
    """A proxy that fails whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("a secret")


class Unsized(collections.UserList[str]):
    def __len__(self) -> int:
        raise RuntimeError("a secret")


class Letters(collections.UserList[str]):
    pass


CONVERTED: list[tuple[object, Json]] = [
    ({"a": [1, 2.5, None, True, "ü"]}, {"a": [1, 2.5, None, True, "ü"]}),
    (Point(1), {"x": 1, "at": "2026-01-02"}),
    (Row(1), {"rowNumber": 1}),
    (Model(name="A"), {"name": "A", "inner": {"x": 1, "at": "2026-01-02"}}),
    (Attrs(), {"a": 1, "b": [2]}),
    (Colour.RED, "red"),
    ({"b", "a", "c"}, ["a", "b", "c"]),
    (frozenset({1, "a", None}), [None, 1, "a"]),
    ((1, (2, 3)), [1, [2, 3]]),
    (collections.deque([1, 2]), [1, 2]),
    (Letters("ab"), ["a", "b"]),
    (array.array("i", [1, 2]), [1, 2]),
    (range(3), [0, 1, 2]),
    (types.MappingProxyType({"a": 1}), {"a": 1}),
    (collections.ChainMap({"a": 1}), {"a": 1}),
    (
        {2: "a", 2.5: "b", None: "c", True: "d", Colour.RED: "e"},
        dict(zip(["2", "2.5", "null", "true", "red"], "abcde", strict=True)),
    ),
    ({uuid.UUID(int=1): 1, datetime.date(2026, 1, 2): 2}, {str(uuid.UUID(int=1)): 1, "2026-01-02": 2}),
    (decimal.Decimal("1.10"), "1.10"),
    (pathlib.PurePosixPath("/a/b"), "/a/b"),
    (datetime.timedelta(seconds=1), "PT1S"),
    ({"v": Array(1.5), "m": Array([[1, 2]])}, {"v": 1.5, "m": [[1, 2]]}),
    ([float("nan"), float("inf")], [None, None]),
    ([2**53, 2**60 + 1, -(2**60 + 1)], [2**53, str(2**60 + 1), str(-(2**60 + 1))]),
    (["a\ud83d\ude00", "a\ud83d"], ["a😀", "a\ufffd"]),
    (Document({"a": [1]}).root, {"a": [1]}),
]


@pytest.mark.parametrize(("value", "expected"), CONVERTED, ids=[type(value).__name__ for value, _ in CONVERTED])
def test_what_json_can_express_is_converted(value: object, expected: Json) -> None:
    left: list[object] = []
    found = to_state(value, left_out=lambda path, item: left.append(item))

    assert found == expected
    assert left == []
    assert to_json(found) == found, "a state can hold it"


def numbers() -> Iterator[int]:
    yield 1


LEFT_OUT: list[object] = [
    b"a",
    bytearray(b"a"),
    memoryview(b"a"),
    numbers(),
    len,
    object(),
    Broken(),
    Opaque(),
    Unsized(),
    int,
    iter([1]),
]


@pytest.mark.parametrize("value", LEFT_OUT, ids=[type(value).__name__ for value in LEFT_OUT])
def test_what_json_cannot_express_is_left_out_and_named(value: object) -> None:
    left: list[tuple[str, object]] = []
    found = to_state(
        {"a": value, "b": [1, value, 2], "c": {"d": (value,)}},
        path=["at"],
        left_out=lambda path, item: left.append(("/".join(path), item)),
    )

    assert found == {"b": [1, 2], "c": {"d": []}}
    assert left == [("at/a", value), ("at/b/*", value), ("at/c/d/*", value)]
    assert to_state(value) is None


def test_keys_that_no_client_accepts_are_left_out() -> None:
    left: list[str] = []
    found = to_state(
        {"__proto__": 1, (1, 2): 2, b"a": 3, Broken(): 4, "a": 4},
        left_out=lambda path, item: left.append(str(path[-1])),
    )

    assert found == {"a": 4}
    assert left == ["__proto__", "*", "*", "*"]


def test_cycles_and_what_is_too_deep_are_left_out() -> None:
    cycle: dict[str, Any] = {"a": 1}
    cycle["self"] = [cycle]
    deep: list[Any] = []
    for _ in range(1000):
        deep = [deep]

    assert to_state(cycle) == {"a": 1, "self": []}
    shared = {"x": 1}
    assert to_state([shared, shared]) == [{"x": 1}, {"x": 1}]
    found = to_state(deep)
    assert to_json(found) == found


def test_only_selected_keys_are_looked_at() -> None:
    value = {"a": 1, "b": b"", "c": 3}
    left: list[object] = []

    assert to_state(value, select=["a", "c", "d"], left_out=lambda path, item: left.append(item)) == {"a": 1, "c": 3}
    assert to_state(value, select=lambda key: key > "b") == {"c": 3}
    assert to_state(Model(name="A"), select={"name"}) == {"name": "A"}
    assert left == []
    with pytest.raises(TypeError, match="expected a value with keys to select from, got list"):
        to_state([1], select=["a"])


BOMB: list[Any] = ["a" * 10]
for _ in range(60):
    BOMB = [BOMB, BOMB]


@pytest.mark.parametrize(
    "value",
    [range(10**15), {"a": range(10**15)}, "a" * 2000, ["a"] * 2000, {str(n): n for n in range(500)}, BOMB],
    ids=["range", "range inside", "text", "list", "dict", "bomb"],
)
def test_a_value_that_is_too_large_is_refused_before_all_of_it_is_converted(value: object) -> None:
    with pytest.raises(StateTooLarge):
        to_state(value, limit=1000)


def test_the_log_names_each_place_once(caplog: pytest.LogCaptureFixture) -> None:
    left_out = LeftOut("bees")
    with caplog.at_level(logging.WARNING, "statecast"):
        for _ in range(2):
            to_state({"raw": [b"a", b"b"], "model": Broken()}, path=["state"], left_out=left_out.report)

    assert [record.getMessage() for record in caplog.records] == [
        'agent "bees" left out of its state what JSON cannot express: a bytes at "state/raw/*"',
        f'agent "bees" left out of its state what JSON cannot express: a {__name__}.Broken at "state/model"',
    ]
    with caplog.at_level(logging.WARNING, "statecast"):
        for number in range(2 * MAX_PATHS):
            left_out.report([str(number)], b"")
    assert len(caplog.records) == MAX_PATHS
    assert caplog.records[-1].getMessage().endswith("further values are left out without a word")
