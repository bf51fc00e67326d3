"""What an agent declares: handlers, a state type, a first state, where the messages are."""

from __future__ import annotations

import contextvars
import dataclasses
import datetime as dt
import functools
import threading
from collections.abc import Callable
from typing import Annotated, Any, NotRequired, TypedDict

import anyio
import msgspec
import pydantic
import pytest

from statecast_agents import (
    AddMessage,
    Agent,
    Command,
    Document,
    Json,
    NewMessage,
    NotJson,
    Run,
    StateInvalid,
    UntypedCommand,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class SetTitle(Command, frozen=True, kw_only=True):
    title: str


def run_of(*commands: Any) -> Run:
    return Run(id="run_1", thread_id="t", document=Document({"seen": []}), commands=commands)


HELLO = AddMessage(message=NewMessage(role="user", parts=[]))
BATCH = [SetTitle(title="A"), UntypedCommand("open", {}), HELLO, SetTitle(title="B"), UntypedCommand("ignored", {})]


# Handlers


async def test_handlers_are_called_one_after_the_other_in_the_order_of_the_batch() -> None:
    agent = Agent()

    @agent.on(SetTitle)
    async def set_title(run: Run, command: SetTitle) -> None:
        await anyio.lowlevel.checkpoint()
        run.state["seen"].append(f"title {command.title}")

    @agent.on("open", AddMessage)
    def other(run: Run, command: Command) -> None:
        run.state["seen"].append(command.type)

    run = run_of(*BATCH)
    await agent.perform(run)
    assert run.state["seen"] == ["title A", "open", "add-message", "title B"]


async def test_one_function_may_take_the_batch() -> None:
    agent = Agent()

    @agent.batch
    async def everything(run: Run) -> None:
        run.state["seen"] += [command.type for command in run.commands]

    run = run_of(*BATCH)
    await agent.perform(run)
    assert run.state["seen"] == ["set-title", "open", "add-message", "set-title", "ignored"]


async def test_an_agent_without_handlers_does_nothing() -> None:
    run = run_of(*BATCH)

    await Agent().perform(run)
    assert run.state == {"seen": []}


class PlainCallable:
    def __call__(self, run: Run, command: Command) -> None:
        run.state["seen"].append(threading.current_thread() is threading.main_thread())


class AsyncCallable:
    async def __call__(self, run: Run, command: Command) -> None:
        run.state["seen"].append(threading.current_thread() is threading.main_thread())


def plain(run: Run, command: Command) -> None:
    PlainCallable()(run, command)


async def asynchronous(run: Run, command: Command) -> None:
    PlainCallable()(run, command)


@pytest.mark.parametrize(
    ("handler", "in_the_main_thread"),
    [
        (plain, False),
        (PlainCallable(), False),
        (PlainCallable().__call__, False),
        (functools.partial(plain), False),
        (asynchronous, True),
        (AsyncCallable(), True),
        (AsyncCallable().__call__, True),
        (functools.partial(asynchronous), True),
    ],
)
async def test_a_plain_handler_runs_in_a_thread_of_its_own(handler: Any, in_the_main_thread: bool) -> None:
    agent = Agent()
    agent.on("open")(handler)
    run = run_of(UntypedCommand("open", {}))

    await agent.perform(run)
    assert run.state["seen"] == [in_the_main_thread]


async def test_what_a_plain_handler_returns_to_await_is_awaited() -> None:
    agent = Agent()
    agent.on("open")(lambda run, command: asynchronous(run, command))
    run = run_of(UntypedCommand("open", {}))

    await agent.perform(run)
    assert run.state["seen"] == [True]


async def test_a_handler_in_a_thread_sees_the_context_of_the_run() -> None:
    user = contextvars.ContextVar[str]("user")
    user.set("zoe")
    agent = Agent()

    @agent.on("open")
    def handler(run: Run, command: Command) -> None:
        run.state["seen"].append(user.get())

    run = run_of(UntypedCommand("open", {}))
    await agent.perform(run)
    assert run.state["seen"] == ["zoe"]


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_a_handler_that_fails_ends_the_batch(kind: str) -> None:
    agent = Agent()

    @agent.on("open")
    def fail(run: Run, command: Command) -> Any:
        if kind == "def":
            raise LookupError("no luck")

        async def later() -> None:
            raise LookupError("no luck")

        return later()

    agent.on(SetTitle)(plain)
    run = run_of(UntypedCommand("open", {}), SetTitle(title="A"))
    with pytest.raises(LookupError, match="no luck"):
        await agent.perform(run)
    assert run.state == {"seen": []}


# Registration


def test_a_decorated_handler_stays_what_it_was() -> None:
    assert Agent().on("a", "b")(asynchronous) is asynchronous
    assert Agent().batch(asynchronous) is asynchronous


def test_a_handler_makes_its_command_known() -> None:
    agent = Agent(commands=["first"])
    agent.on(SetTitle, "open")(plain)

    assert agent.commands.names == ["add-message", "add-tool-result", "answer", "first", "set-title", "open"]


REGISTRATIONS: dict[str, tuple[Callable[[Agent], object], str]] = {
    "twice": (lambda agent: agent.on(SetTitle)(plain), 'the command "set-title" has a handler already'),
    "twice, by name": (lambda agent: agent.on("set-title")(plain), 'the command "set-title" has a handler already'),
    "batch after on": (lambda agent: agent.batch(plain), 'the agent "helper" has handlers already'),
    "no command": (lambda agent: agent.on(Run), "expected a subclass of Command"),  # type: ignore[arg-type]
    "no name": (lambda agent: agent.on(1), "expected a subclass of Command"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("register", "text"), REGISTRATIONS.values(), ids=REGISTRATIONS)
def test_a_registration_that_cannot_be_meant_is_refused(register: Callable[[Agent], object], text: str) -> None:
    agent = Agent("helper")
    agent.on(SetTitle)(plain)

    with pytest.raises(TypeError, match=text):
        register(agent)


def test_a_function_over_the_batch_is_the_only_one() -> None:
    agent = Agent("helper")
    agent.batch(plain)

    with pytest.raises(TypeError, match='the agent "helper" has handlers already'):
        agent.batch(plain)
    with pytest.raises(TypeError, match='the agent "helper" has one function over the batch already'):
        agent.on("open")


@pytest.mark.parametrize(
    ("declared", "path"),
    [("messages", ("messages",)), ("chat", ("chat",)), (["a", "b"], ("a", "b")), ([], ()), (None, None)],
)
def test_the_messages_are_where_the_agent_says(declared: Any, path: tuple[str, ...] | None) -> None:
    assert Agent(messages=declared).messages == path


# State types


class Item(msgspec.Struct, rename="camel"):
    the_name: str = "x"


class Struct(msgspec.Struct, rename="camel"):
    user_name: str = "anonymous"
    items: list[Item] = msgspec.field(default_factory=lambda: [Item()])
    when: dt.date | None = None
    level: Annotated[int, msgspec.Meta(ge=0)] = 0


class Needy(msgspec.Struct):
    name: str


@dataclasses.dataclass
class Data:
    name: str = "x"
    tags: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class NeedyData:
    name: str


class Model(pydantic.BaseModel):
    user_name: str = pydantic.Field("anonymous", alias="userName")
    level: int = pydantic.Field(0, ge=0)
    when: dt.date | None = None


class NeedyModel(pydantic.BaseModel):
    name: str


class Typed(TypedDict):
    name: str
    note: NotRequired[str]


class Loose(TypedDict, total=False):
    name: str


# The state type, what the agent declares as first state, and the first state.
FIRST: list[tuple[Any, Any, Json]] = [
    (None, None, None),
    (None, {"a": 1}, {"a": 1}),
    (None, lambda: {"a": (1,)}, {"a": [1]}),
    (None, 7, 7),
    (None, False, False),
    (None, "", ""),
    (None, Data, {"name": "x", "tags": []}),
    (None, Data("y"), {"name": "y", "tags": []}),
    (Struct, None, {"userName": "anonymous", "items": [{"theName": "x"}], "when": None, "level": 0}),
    (Struct, Struct("zoe", []), {"userName": "zoe", "items": [], "when": None, "level": 0}),
    (Struct, lambda: Struct("zoe", []), {"userName": "zoe", "items": [], "when": None, "level": 0}),
    (Struct, {"userName": "zoe"}, {"userName": "zoe"}),
    (Needy, None, None),
    (Data, None, {"name": "x", "tags": []}),
    (NeedyData, None, None),
    (Model, None, {"userName": "anonymous", "level": 0, "when": None}),
    (
        Model,
        Model(userName="zoe", level=0, when=dt.date(2026, 1, 2)),
        {"userName": "zoe", "level": 0, "when": "2026-01-02"},
    ),
    (NeedyModel, None, None),
    (Typed, None, None),
    (Typed, {"name": "x"}, {"name": "x"}),
    (Loose, None, {}),
    (dict, None, {}),
    (list, None, []),
    (dict[str, int], None, None),
]


@pytest.mark.parametrize(("kind", "initial", "first"), FIRST)
def test_a_new_thread_has_the_first_state(kind: Any, initial: Any, first: Json) -> None:
    agent = Agent(state=kind, initial=initial)

    assert agent.initial_state() == first
    assert Document(agent.initial_state()).root == first
    if first is not None and kind is not None:
        agent.state_type.validate(first)


def test_each_thread_has_a_first_state_of_its_own() -> None:
    agent = Agent(initial={"l": []})

    agent.initial_state()["l"].append(1)
    assert agent.initial_state() == {"l": []}


def test_a_first_state_that_is_no_json_is_an_error() -> None:
    with pytest.raises(NotJson, match="got set"):
        Agent(initial=lambda: {"a": {1}}).initial_state()


# The state type, a state, and what is wrong with it.
CLAIMS: list[tuple[Any, Json, str | None]] = [
    (None, {"anything": [1]}, None),
    (Struct, {}, None),
    (Struct, {"userName": "zoe", "items": [{}], "when": "2026-01-02", "more": 1}, None),
    (Struct, {"userName": 1}, "Expected `str`, got `int` - at `$.userName`"),
    (Struct, {"items": [{"theName": None}]}, "at `$.items[0].theName`"),
    (Struct, {"when": "yesterday"}, "at `$.when`"),
    (Struct, {"level": -1}, "at `$.level`"),
    (Struct, [], "Expected `object`, got `array`"),
    (Struct, None, "Expected `object`, got `null`"),
    (Needy, {}, "missing required field `name`"),
    (Data, {"name": "x"}, None),
    (Data, {"tags": "x"}, "at `$.tags`"),
    (Typed, {"name": "x"}, None),
    (Typed, {"note": "x"}, "missing required field `name`"),
    (dict[str, int], {"a": 1}, None),
    (dict[str, int], {"a": "1"}, "at `$[...]`"),
    (Struct | None, None, None),
    (Model, {"userName": "zoe", "when": "2026-01-02"}, None),
    (Model, {"level": -1}, "greater than or equal to 0"),
    (Model, {"level": "high"}, "level"),
    (NeedyModel, {}, "name"),
]


@pytest.mark.parametrize(("kind", "state", "problem"), CLAIMS)
def test_a_state_handed_over_is_validated(kind: Any, state: Json, problem: str | None) -> None:
    validate = Agent(state=kind).state_type.validate

    for value in (state, Document(state).root):
        if problem is None:
            validate(value)
            continue
        with pytest.raises(StateInvalid) as refused:
            validate(value)
        assert refused.value.code == "invalid_state"
        assert problem in str(refused.value)
        assert str(refused.value).startswith(f"expected a state of type {getattr(kind, '__name__', kind)}: ")


@pytest.mark.parametrize(
    ("kind", "properties"),
    [(Struct, "userName items when level"), (Data, "name tags"), (Typed, "name note"), (Model, "userName level when")],
)
def test_a_state_type_has_a_json_schema(kind: Any, properties: str) -> None:
    schema = Agent(state=kind).state_type.json_schema()

    assert schema is not None
    if "$ref" in schema:
        schema = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    assert [*schema["properties"]] == properties.split()


def test_an_untyped_state_has_no_schema() -> None:
    assert Agent().state_type.json_schema() is None
