"""Handlers whose states have types: mypy and pyright accept what is right here, and need each `type: ignore`.

`make types` runs mypy, which reports an ignored line that has no error; test_python_types.py runs pyright.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypedDict, assert_type

import msgspec
import pydantic

from statecast import AddMessage, Agent, Run


class TypedStep(TypedDict):
    title: str


class Typed(TypedDict):
    plan: list[TypedStep]
    topic: str


@dataclass
class DataStep:
    title: str


@dataclass
class Data:
    plan: list[DataStep] = field(default_factory=list[DataStep])
    topic: str = ""


class StructStep(msgspec.Struct):
    title: str


class Struct(msgspec.Struct):
    plan: list[StructStep] = []
    topic: str = ""


class ModelStep(pydantic.BaseModel):
    title: str


class Model(pydantic.BaseModel):
    plan: list[ModelStep] = []
    topic: str = ""


typed = Agent[Typed]("typed", initial={"plan": [], "topic": ""})
data = Agent[Data]("data")
struct = Agent[Struct]("struct")
model = Agent[Model]("model")
plain = Agent("plain", state=Struct)


@typed.on(AddMessage)
async def with_typed_dict(run: Run[Typed], command: AddMessage) -> None:
    assert_type(run.state["plan"], list[TypedStep])
    run.state["plan"].append({"title": "read"})
    run.state["topic"] += "!"
    run.state["topics"] = ""  # type: ignore[typeddict-unknown-key]  # wrong
    run.state["topic"] = 1  # type: ignore[typeddict-item]  # wrong
    run.state["plan"].append({"name": "read"})  # type: ignore[typeddict-item, typeddict-unknown-key]  # wrong


@data.on(AddMessage)
async def with_dataclass(run: Run[Data], command: AddMessage) -> None:
    assert_type(run.state.plan, list[DataStep])
    run.state.plan.append(DataStep("read"))
    run.state.plan[0].title += "!"
    run.state.topics = ""  # type: ignore[attr-defined]  # wrong
    run.state.topic = 1  # type: ignore[assignment]  # wrong
    run.state = Struct()  # type: ignore[assignment]  # wrong


@struct.on(AddMessage)
async def with_struct(run: Run[Struct], command: AddMessage) -> None:
    assert_type(run.state.topic, str)
    run.state.plan.append(StructStep(title="read"))
    run.state.plan[0].title += "!"
    run.state.topics = ""  # type: ignore[attr-defined]  # wrong
    run.state.plan.append(DataStep("read"))  # type: ignore[arg-type]  # wrong


@model.batch
async def with_model(run: Run[Model]) -> None:
    assert_type(run.state.plan, list[ModelStep])
    run.state.plan.append(ModelStep(title="read"))
    run.state.plan[0].title += "!"
    run.state.plan[0].name = "read"  # type: ignore[attr-defined]  # wrong


@plain.on(AddMessage)
async def without_a_type(run: Run, command: AddMessage) -> None:
    assert_type(run.state, Any)
    run.state["plan"] = [StructStep(title="read")]


def several(run: Run[Any]) -> None:
    run.messages.assistant().append_text("Any run will do.")
