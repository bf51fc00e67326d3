"""A declared state type is right, or refused where the agent is made: no request meets it first."""

from __future__ import annotations

import datetime
import decimal
import enum
import pathlib
import uuid
from collections import deque
from dataclasses import InitVar, dataclass, field
from typing import Annotated, Any, ClassVar, Generic, NotRequired, TypedDict, TypeVar

import msgspec
import pydantic
import pydantic.dataclasses
import pytest

from statecast_agents import Agent, Json
from statecast_agents.schema import StateType

T = TypeVar("T")
AT = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class Color(enum.Enum):
    RED = "red"


class Inner(msgspec.Struct, rename="camel"):
    small_price: decimal.Decimal = decimal.Decimal("1.10")


class Structs(msgspec.Struct, omit_defaults=True):
    price: decimal.Decimal = decimal.Decimal("1.10")
    tags: set[str] = msgspec.field(default_factory=lambda: {"a"})
    inner: Inner = msgspec.field(default_factory=Inner)
    inners: list[Inner] = msgspec.field(default_factory=lambda: [Inner()])
    numbers: dict[int, str] = msgspec.field(default_factory=lambda: {1: "a"})
    data: bytes = b"hi"
    at: datetime.datetime = AT
    color: Color = Color.RED
    pair: tuple[int, str] = (1, "b")
    kind: ClassVar[str] = "no field"
    messages: list[Json] = []


STRUCTS = {
    "price": "1.10",
    "tags": ["a"],
    "inner": {"smallPrice": "1.10"},
    "inners": [{"smallPrice": "1.10"}],
    "numbers": {"1": "a"},
    "data": "aGk=",
    "at": "2026-01-01T00:00:00Z",
    "color": "red",
    "pair": [1, "b"],
    "messages": [],
}


@dataclass
class Data:
    tags: frozenset[str] = field(default_factory=lambda: frozenset({"a"}))
    made: int = field(init=False, default=5)
    kind: ClassVar[int] = 1
    inner: Inner = field(default_factory=Inner)


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    when: datetime.datetime = AT
    tags: tuple[str, ...] = ("a",)
    color: Color = Color.RED
    id: uuid.UUID = uuid.UUID(int=1)
    price: decimal.Decimal = decimal.Decimal("1.10")
    path: pathlib.Path = pathlib.Path("/x")
    wire_name: int = pydantic.Field(default=1, alias="wireName", gt=0)
    messages: list[Any] = []


MODEL = {
    "when": "2026-01-01T00:00:00Z",
    "tags": ["a"],
    "color": "red",
    "id": str(uuid.UUID(int=1)),
    "price": "1.10",
    "path": "/x",
    "wireName": 1,
    "messages": [],
}


@pydantic.dataclasses.dataclass
class PydanticData:
    tags: set[str] = field(default_factory=lambda: {"a"})


class Box(msgspec.Struct, Generic[T]):
    value: T | None = None
    items: list[T] = []


class ModelBox(pydantic.BaseModel, Generic[T]):
    value: T | None = None


@dataclass
class DataBox(Generic[T]):
    items: list[T] = field(default_factory=list)


class Partly(TypedDict):
    note: NotRequired[str]


class Wholly(TypedDict):
    note: str


class Empty(TypedDict, total=False):
    note: str


class Needs(msgspec.Struct):
    title: str


RIGHT: list[tuple[Any, Json, Json]] = [
    (None, None, {"any": "thing"}),
    (Structs, STRUCTS, {"price": "2.20"}),
    (Data, {"tags": ["a"], "made": 5, "inner": {"smallPrice": "1.10"}}, {"tags": []}),
    (Model, MODEL, {**MODEL, "tags": ["b", "c"]}),
    (PydanticData, {"tags": ["a"]}, {"tags": ["b"]}),
    (Box[int], {"value": None, "items": []}, {"value": 1}),
    (Box, {"value": None, "items": []}, {"value": "x"}),
    (DataBox[str], {"items": []}, {"items": ["x"]}),
    (ModelBox[int], {"value": None}, {"value": 1}),
    (Partly, {}, {"note": "x"}),
    (Wholly, None, {"note": "x"}),
    (Empty, {}, {"note": "x"}),
    (Needs, None, {"title": "x"}),
    (dict, {}, {"a": 1}),
    (dict[str, int], None, {"a": 1}),
    (dict[str, Any] | None, None, None),
]


@pytest.mark.parametrize(("declared", "first", "other"), RIGHT, ids=[str(row[0]) for row in RIGHT])
def test_the_first_state_is_made_of_defaults_and_is_of_its_type(declared: Any, first: Json, other: Json) -> None:
    agent = Agent(state=declared)

    assert agent.initial_state() == first
    if first is not None:
        agent.state_type.validate(first)
    agent.state_type.validate(other)
    agent.state_type.json_schema()


class NoDate(pydantic.BaseModel):
    at: datetime.datetime = "yesterday"  # type: ignore[assignment]  # what is refused


class TooSmall(pydantic.BaseModel):
    count: int = pydantic.Field(default=0, gt=0)


class Aliases(pydantic.BaseModel):
    count: int = pydantic.Field(default=1, validation_alias="in", serialization_alias="out")
    model_config = pydantic.ConfigDict(extra="forbid")


class TooSmallStruct(msgspec.Struct):
    count: Annotated[int, msgspec.Meta(gt=0)] = 0


class NotANumber(msgspec.Struct):
    share: float = float("nan")


class Large(msgspec.Struct):
    id: int = 2**60 + 1


class Reserved(msgspec.Struct):
    constructor: int = 1


class Paths(msgspec.Struct):
    path: pathlib.Path = pathlib.Path("/x")


class Wrong(msgspec.Struct):
    title: str = 5  # type: ignore[assignment]  # what is refused


class Nested(msgspec.Struct):
    paths: list[Paths] = msgspec.field(default_factory=lambda: [Paths()])


@dataclass
class Given:
    seed: InitVar[int]
    title: str = ""


@dataclass
class GivenWithDefault:
    title: str = ""
    seed: InitVar[int] = 1

    def __post_init__(self, seed: int) -> None:
        self.title = str(seed)


REFUSED = [
    *(NoDate, TooSmall, Aliases, TooSmallStruct, NotANumber, Large, Reserved, Paths, Wrong, Nested),
    *(Given, GivenWithDefault),
]


@pytest.mark.parametrize("declared", REFUSED)
def test_a_type_whose_own_defaults_are_no_state_is_refused_where_the_agent_is_made(declared: Any) -> None:
    with pytest.raises(TypeError, match=declared.__name__):
        Agent(state=declared)


def test_every_thread_has_defaults_of_its_own() -> None:
    class Counting(msgspec.Struct):
        items: list[int] = msgspec.field(default_factory=lambda: [len(made)])

    made: list[int] = []
    kind = StateType(Counting)
    made.append(1)

    assert kind.initial() == {"items": [1]}
    assert deque([kind.initial()])[0] is not kind.initial()
