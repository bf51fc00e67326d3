"""S5: what has a JSON form takes it when it is assigned."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import enum
import json
import uuid
from typing import Any, NamedTuple

import msgspec
import pydantic
import pytest

from statecast_agents import MAX_DEPTH, Document, Json, NotJson, to_json
from tests.agents.written import flushed

ID = uuid.UUID("12345678-1234-5678-1234-567812345678")
UTC = dt.UTC
CET = dt.timezone(dt.timedelta(hours=1))


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Mode(enum.StrEnum):
    FAST = "fast"


class Flags(enum.Flag):
    A = 1
    B = 2


class Shape(enum.Enum):
    SQUARE = (1, Color.RED)


@dataclasses.dataclass
class Point:
    x: int
    tags: list[str] = dataclasses.field(default_factory=list)
    when: dt.date | None = None
    inner: Any = None


class Snake(msgspec.Struct, rename="camel"):
    first_name: str
    middle_name: str | msgspec.UnsetType = msgspec.UNSET
    inner: Any = None


class Tagged(msgspec.Struct, tag="cat", tag_field="kind"):
    age: int


class Row(msgspec.Struct, array_like=True, tag=True):
    a: int
    b: Point


class Model(pydantic.BaseModel):
    some_name: str = pydantic.Field(alias="someName")
    when: dt.datetime
    color: Color = Color.RED
    inner: Point | None = None


class Numbers(pydantic.RootModel[list[int]]):
    pass


class Pair(NamedTuple):
    one: int
    other: Any


class Text(str):
    __slots__ = ()


class Integer(int):
    pass


class Real(float):
    pass


class Record(dict):
    pass


class Rows(list):
    pass


class Stamp(dt.datetime):
    """A datetime of another class, as pandas and freezegun have them."""


class Day(dt.date):
    pass


class Clock(dt.time):
    pass


class Span(dt.timedelta):
    pass


class Uuid(uuid.UUID):
    pass


CONVERTED: list[tuple[Any, Json]] = [
    # Dates and ids: ISO strings
    (dt.datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"),
    (dt.datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC), "2026-01-02T03:04:05.000678Z"),
    (dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=CET), "2026-01-02T03:04:05+01:00"),
    (dt.date(2026, 1, 2), "2026-01-02"),
    (dt.time(3, 4), "03:04:00"),
    (dt.timedelta(days=1, seconds=2), "P1DT2S"),
    (ID, "12345678-1234-5678-1234-567812345678"),
    (Stamp(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
    (Day(2026, 1, 2), "2026-01-02"),
    (Clock(3, 4), "03:04:00"),
    (Span(days=1), "P1D"),
    (Uuid(str(ID)), "12345678-1234-5678-1234-567812345678"),
    # Enums: their values
    (Color.RED, "red"),
    (Level.HIGH, 3),
    (Mode.FAST, "fast"),
    (Flags.A | Flags.B, 3),
    (Shape.SQUARE, [1, "red"]),
    # Subclasses of JSON's own types
    ((), []),
    ((1, (2, {"a": (3,)})), [1, [2, {"a": [3]}]]),
    (Pair(1, Pair(2, Color.RED)), [1, [2, "red"]]),
    (collections.OrderedDict(b=1, a=(2,)), {"b": 1, "a": [2]}),
    (collections.defaultdict(list, a=[1]), {"a": [1]}),
    (collections.Counter("aab"), {"a": 2, "b": 1}),
    (Record(a=Rows([Text("t"), Integer(1), Real(0.5)])), {"a": ["t", 1, 0.5]}),
    ({Text("k"): 1, Mode.FAST: 2, Color.RED: 3}, {"k": 1, "fast": 2, "red": 3}),
    # Structures
    (
        Point(1, ["a"], dt.date(2026, 1, 2), Point(2)),
        {"x": 1, "tags": ["a"], "when": "2026-01-02", "inner": {"x": 2, "tags": [], "when": None, "inner": None}},
    ),
    (Snake("Zoë"), {"firstName": "Zoë", "inner": None}),
    (Snake("Zoë", "B", Tagged(3)), {"firstName": "Zoë", "middleName": "B", "inner": {"kind": "cat", "age": 3}}),
    (Row(1, Point(2)), ["Row", 1, {"x": 2, "tags": [], "when": None, "inner": None}]),
    (
        Model(someName="n", when=dt.datetime(2026, 1, 2), inner=Point(1)),
        {
            "someName": "n",
            "when": "2026-01-02T00:00:00",
            "color": "red",
            "inner": {"x": 1, "tags": [], "when": None, "inner": None},
        },
    ),
    (Numbers([1, 2]), [1, 2]),
]


@pytest.mark.parametrize(("value", "expected"), CONVERTED)
def test_a_value_with_a_json_form_takes_it(value: Any, expected: Json) -> None:
    document = Document({"l": []})

    document.root["d"] = value
    document.root["l"].append(value)
    document.root["l"][0:1] = [value]
    document.root.update(u={"within": [value]})
    assert document.root == {"d": expected, "l": [expected], "u": {"within": [expected]}}
    assert json.loads(document.encode()) == document.root
    assert type(document.root["d"]) is type(Document(expected).root)


def test_what_was_converted_is_part_of_the_state() -> None:
    document = Document({})

    document.root["point"] = point = Point(1)
    point.tags.append("not in the state")
    document.flush()
    document.root["point"]["tags"].append("in the state")
    assert flushed(document) == [("set", "point/tags/0", "in the state")]


def test_text_of_another_class_grows_as_text() -> None:
    document = Document({"t": Text("a")})

    document.root["t"] += Text("b")
    assert flushed(document) == [("append-text", "t", "b")]


@pytest.mark.parametrize("leaf", [Color.RED, dt.date(2026, 1, 2), Text("t"), Integer(1), ID])
def test_a_converted_scalar_is_no_container(leaf: Any) -> None:
    value = leaf
    for _ in range(MAX_DEPTH):
        value = [value]

    assert to_json(value) is not None
    with pytest.raises(NotJson):
        to_json([value])


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (Point(1, inner={1}), ["inner"]),
        (Snake("a", inner=[b""]), ["inner", 0]),
        (Pair(1, {"a": 1j}), [1, "a"]),
    ],
)
def test_what_a_structure_holds_is_checked(value: Any, path: list[str | int]) -> None:
    with pytest.raises(NotJson) as refused:
        to_json(value)
    assert refused.value.path == path


def test_a_class_is_not_its_instances() -> None:
    for kind in (Point, Snake, Model, Color):
        with pytest.raises(NotJson, match="expected a JSON value"):
            to_json(kind)


def test_a_plain_copy_is_plain() -> None:
    value = to_json({"a": (Point(1),)})

    assert (type(value), type(value["a"]), type(value["a"][0])) == (dict, list, dict)
