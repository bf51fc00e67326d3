"""A state by the fields of its type: what is written through a view is in the state, as if it were written there."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
from typing import Annotated, Any, Generic, Literal, TypedDict, TypeVar

import msgspec
import pydantic
import pytest

from statecast_agents import Agent, Document, NotJson, Run, to_json
from statecast_agents.typed_view import view_of

T = TypeVar("T")
AT = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class Color(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class DataStep:
    title: str
    status: Literal["pending", "done"] = "pending"

    @property
    def finished(self) -> bool:
        return self.status == "done"

    def finish(self) -> None:
        self.status = "done"


@dataclasses.dataclass
class Data:
    plan: list[DataStep] = dataclasses.field(default_factory=list)
    by_name: dict[str, DataStep] = dataclasses.field(default_factory=dict)
    current: DataStep | None = None
    items: list[str] = dataclasses.field(default_factory=list)  # also the name of a dict's method


class StructStep(msgspec.Struct):
    title: str
    status: Literal["pending", "done"] = "pending"

    @property
    def finished(self) -> bool:
        return self.status == "done"

    def finish(self) -> None:
        self.status = "done"


class Struct(msgspec.Struct, rename="camel"):
    plan: list[StructStep] = []
    by_name: dict[str, StructStep] = {}
    current: StructStep | None = None
    items: list[str] = []


class ModelStep(pydantic.BaseModel):
    title: str
    status: Literal["pending", "done"] = "pending"

    @property
    def finished(self) -> bool:
        return self.status == "done"

    def finish(self) -> None:
        self.status = "done"


class Model(pydantic.BaseModel):
    plan: list[ModelStep] = []
    by_name: dict[str, ModelStep] = pydantic.Field(default={}, alias="byName")
    current: ModelStep | None = None
    items: list[str] = []


KINDS = {"dataclass": (Data, DataStep), "msgspec": (Struct, StructStep), "pydantic": (Model, ModelStep)}


@pytest.fixture(params=KINDS)
def kinds(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    return KINDS[request.param]


def run_of(kind: Any, value: Any = None) -> tuple[Run[Any], Document]:
    """Return a run over a typed state, and its document."""
    agent: Any = Agent[kind]()
    document = Document(agent.initial_state() if value is None else value)
    return Run(id="r", thread_id="t", document=document, view=agent.view), document


def test_fields_are_read_and_written(kinds: tuple[Any, Any]) -> None:
    kind, step = kinds
    run, document = run_of(kind)
    run.state.plan.append(step(title="read"))
    run.state.plan[0].status = "done"
    run.state.plan[0].title += "ing"
    run.state.items.append("one")
    run.state.by_name["a"] = step(title="walk")
    run.state.by_name["a"].status = "done"
    run.state.current = run.state.plan[0]
    by_name = "by_name" if kind is Data else "byName"
    assert document.root == {
        "plan": [{"title": "reading", "status": "done"}],
        by_name: {"a": {"title": "walk", "status": "done"}},
        "current": {"title": "reading", "status": "done"},
        "items": ["one"],
    }


def test_a_change_is_the_smallest_operation(kinds: tuple[Any, Any]) -> None:
    kind, step = kinds
    run, document = run_of(kind)
    run.state.plan.append(step(title="read"))
    document.flush()
    run.state.plan[0].status = "done"
    assert document.flush().operations == b'[{"type":"set","path":["plan","0","status"],"value":"done"}]'


def test_properties_and_methods_of_the_type_work(kinds: tuple[Any, Any]) -> None:
    kind, step = kinds
    run, document = run_of(kind)
    run.state.plan.append(step(title="read"))
    assert not run.state.plan[0].finished
    run.state.plan[0].finish()
    assert run.state.plan[0].finished
    assert document.root["plan"][0]["status"] == "done"


def test_a_part_is_an_instance_of_its_type_and_equal_to_one(kinds: tuple[Any, Any]) -> None:
    kind, step = kinds
    run, _ = run_of(kind)
    run.state.plan = [step(title="read")]
    assert isinstance(run.state, kind)
    assert isinstance(run.state.plan[0], step)
    assert run.state.plan[0] == step(title="read")
    assert run.state.plan == [step(title="read")]
    assert run.state.plan[0] != step(title="write")
    assert run.state.current is None


def test_lists_are_changed_in_every_way(kinds: tuple[Any, Any]) -> None:
    kind, step = kinds
    run, document = run_of(kind)
    plan = run.state.plan
    plan.extend([step(title="c"), step(title="a")])
    plan.insert(0, step(title="b"))
    plan += [step(title="d")]
    plan.sort(key=lambda one: one.title)
    plan.reverse()
    plan[1:2] = [step(title="e")]
    del plan[0]
    assert plan.pop().title == "a"
    assert [one.title for one in plan] == ["e", "b"]
    assert [one.title for one in plan + [step(title="z")]] == ["e", "b", "z"]  # noqa: RUF005  # the view's own
    run.state.plan = [one for one in plan if one.title != "e"]
    assert step(title="b") in run.state.plan
    assert len(run.state.plan) == 1
    assert [one["title"] for one in document.root["plan"]] == ["b"]


def test_dicts_are_changed_in_every_way(kinds: tuple[Any, Any]) -> None:
    kind, step = kinds
    run, _ = run_of(kind)
    named = run.state.by_name
    named.update(a=step(title="a"), b=step(title="b"))
    assert named.pop("a") == step(title="a")
    assert [(key, one.title) for key, one in named.items()] == [("b", "b")]
    assert named.get("c") is None
    named.setdefault("c", step(title="c")).finish()
    assert named["c"].finished
    del named["c"]
    assert named == {"b": step(title="b")}


def test_the_whole_state_is_assigned(kinds: tuple[Any, Any]) -> None:
    kind, step = kinds
    run, document = run_of(kind)
    run.state = kind(plan=[step(title="read")])
    assert run.state.plan[0].title == "read"
    assert document.root["plan"] == [{"title": "read", "status": "pending"}]


def test_a_field_that_the_state_lacks_has_its_default(kinds: tuple[Any, Any]) -> None:
    kind, step = kinds
    run, document = run_of(kind, {})
    assert run.state.current is None
    assert document.root == {}
    run.state.plan.append(step(title="read"))
    assert document.root == {"plan": [{"title": "read", "status": "pending"}]}
    run, _ = run_of(kind, {"plan": [{}]})
    assert run.state.plan[0].status == "pending"
    with pytest.raises(AttributeError, match="'title', which is a field without a default"):
        run.state.plan[0].title  # noqa: B018


def test_a_field_that_the_type_lacks_is_an_error(kinds: tuple[Any, Any]) -> None:
    run, document = run_of(kinds[0])
    before = to_json(document.root)
    with pytest.raises(AttributeError):
        run.state.plann  # noqa: B018
    with pytest.raises(AttributeError, match="expected a field of"):
        run.state.plann = []
    assert document.root == before


def test_a_view_can_be_assigned_anywhere_and_converted(kinds: tuple[Any, Any]) -> None:
    kind, step = kinds
    run, document = run_of(kind)
    run.state.plan.append(step(title="read"))
    document.root["others"] = {"first": run.state.plan[0]}
    assert document.root["others"] == {"first": {"title": "read", "status": "pending"}}
    assert to_json({"all": [run.state.plan[0]]}) == {"all": [{"title": "read", "status": "pending"}]}


class Read(msgspec.Struct, tag=True):
    page: int


class Write(msgspec.Struct, tag=True):
    page: int


class Box(msgspec.Struct, Generic[T]):
    value: T


class Odd(msgspec.Struct):
    doing: Read | Write | str | None = None
    at: datetime.datetime | None = None
    color: Color = Color.RED
    price: decimal.Decimal | int = 1
    tags: set[str] = set()
    pair: tuple[int, str] = (1, "a")
    step: Annotated[StructStep | list[StructStep] | None, "noted"] = None
    box: Box[StructStep] | None = None
    any: Any = None


def test_unions_generics_and_values_that_json_has_not() -> None:
    run, document = run_of(Odd)
    state = run.state
    state.doing = Write(page=2)
    assert isinstance(state.doing, Write)
    assert state.doing.page == 2
    state.doing = "nothing"
    assert state.doing == "nothing"
    state.at = AT
    assert state.at == AT
    assert document.root["at"] == "2026-01-01T00:00:00Z"
    state.color = Color.RED
    assert state.color is Color.RED
    assert state.price == 1
    document.root["tags"] = ["a", "b"]
    assert state.tags == {"a", "b"}
    assert state.pair == (1, "a")
    state.step = StructStep(title="one")
    assert state.step.title == "one"
    state.step = [StructStep(title="two")]
    assert state.step[0].title == "two"
    state.box = Box(StructStep(title="three"))
    assert state.box.value.title == "three"
    state.any = {"free": [1]}
    state.any["free"].append(2)
    assert document.root["any"] == {"free": [1, 2]}


class Typed(TypedDict, total=False):
    topic: str


@pytest.mark.parametrize("kind", [Typed, dict[str, int], list[str], Any, Literal["a"], int | None])
def test_what_json_has_itself_has_no_view(kind: Any) -> None:
    assert view_of(kind) is None


def test_an_agent_with_a_parameter_declares_its_type() -> None:
    agent = Agent[Struct]("worker")
    assert isinstance(agent, Agent)
    assert agent.state_type.declared is Struct
    assert agent.initial_state() == {"plan": [], "byName": {}, "current": None, "items": []}
    assert type(agent) is Agent[Struct]
    assert type(agent).__name__ == "Agent[Struct]"


def test_a_class_of_agents_may_have_the_parameter() -> None:
    class Worker(Agent[Data]):
        pass

    class Of(Agent[T], Generic[T]):
        pass

    assert Worker().state_type.declared is Data
    assert Of().state_type.declared is None


def test_an_agent_without_one_reads_its_state_as_it_is() -> None:
    agent = Agent(state=Struct)
    assert agent.view is None
    assert Agent[Typed]().view is None


def test_two_types_for_one_state_are_refused() -> None:
    assert Agent[Struct](state=Struct).view is not None
    with pytest.raises(TypeError, match="expected one type of the state"):
        Agent[Struct](state=Data)
    with pytest.raises(TypeError, match="expected a type that a state can have"):
        Agent[object]()


def test_an_assignment_that_no_state_can_hold_changes_nothing() -> None:
    run, document = run_of(Odd)
    before = to_json(document.root)
    with pytest.raises(NotJson):
        run.state.any = {1, 2}
    assert document.root == before


def test_changes_in_the_items_of_a_long_tuple_are_sent() -> None:
    class Table(msgspec.Struct):
        rows: tuple[Any, ...]

    document = Document.adopting({"rows": [{"cell": {"n": number}} for number in range(50)]})
    table = view_of(Table)(document.root)  # type: ignore[misc]  # a struct has a view
    table.rows[0]["cell"]["n"] = -1
    assert document.flush().operations == b'[{"type":"set","path":["rows","0","cell","n"],"value":-1}]'
