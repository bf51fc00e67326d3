"""What an agent sees of a run."""

from __future__ import annotations

import re
from typing import Any

import anyio
import pytest

from statecast_agents import (
    AgentError,
    AppendText,
    CallSettings,
    Config,
    Document,
    Json,
    NotJson,
    Operation,
    OperationError,
    Request,
    Run,
    Set,
    chunks,
    errors,
    operations,
)
from tests.agents.programs import programs, same
from tests.agents.written import Written, flushed


def run_on(state: Json, **rest: Any) -> tuple[Document, Run]:
    document = Document(state)
    return document, Run(id="run_1", thread_id="t", document=document, **rest)


def test_the_state_of_a_run_is_that_of_the_thread() -> None:
    document, run = run_on({"a": 1})

    run.state["b"] = 2
    run.state |= {"c": 3}
    assert run.state is document.root
    assert flushed(document) == [("set", "b", 2), ("set", "c", 3)]
    run.state = [run.state["a"]]
    assert flushed(document) == [("set", "", [1])]
    with pytest.raises(NotJson):
        run.state = {1}
    assert run.state == [1]


def test_a_run_tells_who_it_is_and_what_came() -> None:
    _, run = run_on({})

    assert (run.id, run.thread_id, run.commands, run.cancelled) == ("run_1", "t", [], False)
    assert run.request == Request(system=None, tools={}, call_settings=CallSettings(), config=Config(), extra={})
    assert run.messages.items == []


def test_the_messages_are_where_the_agent_declared_them() -> None:
    document, run = run_on(None, messages=("chat", "log"))

    run.messages.assistant(id="a").append_text("hi")
    written = {"id": "a", "role": "assistant", "parts": [{"type": "text", "text": "hi"}]}
    assert document.root == {"chat": {"log": [written]}}


def test_an_agent_that_keeps_its_own_messages_has_none_here() -> None:
    _, run = run_on({}, messages=None)

    assert not run.keeps_messages
    with pytest.raises(AgentError, match="messages=None"):
        _ = run.messages


GROWING: list[tuple[Json, list[str | int], list[Written]]] = [
    ({"t": "a"}, ["t"], [("append-text", "t", "x")]),
    ({"l": [{"t": ""}]}, ["l", 0, "t"], [("append-text", "l/0/t", "x")]),
    ({"l": ["a", "b"]}, ["l", -1], [("append-text", "l/1", "x")]),
    ("a", [], [("append-text", "", "x")]),
]


@pytest.mark.parametrize(("state", "path", "expected"), GROWING)
def test_text_grows_where_the_path_says(state: Json, path: list[str | int], expected: list[Written]) -> None:
    document, run = run_on(state)

    run.append_text(path, "x")
    assert flushed(document) == expected


@pytest.mark.parametrize(
    "path",
    [
        *([], ["t", 0], ["t", "x"], ["n"], ["missing"], ["missing", "t"], ["l"], ["l", 5], ["l", -5], ["l", "0"]),
        *(["l", 0, 0], [0], ["l", "x", "y"], ["n", "x"], [None], [["t"], "x"]),
    ],
)
def test_text_grows_nowhere_else(path: Any) -> None:
    document, run = run_on({"t": "a", "n": 1, "l": ["b"]})

    with pytest.raises(OperationError, match="expected"):
        run.append_text(path, "x")
    assert document.flush().operations == b""


def test_operations_from_elsewhere_do_what_a_client_would() -> None:
    for program in programs(500):
        document, run = run_on(program.before)
        client = program.before
        for frame, state in program.frames:
            run.apply(*operations.decode(frame or b"[]"))
            client = operations.apply(client, operations.decode(document.flush().operations or b"[]"))
            assert same(run.state, state), program
            assert same(client, state), program


APPLIED: list[tuple[Json, Operation, list[Written]]] = [
    ({}, Set(("a",), 1), [("set", "a", 1)]),
    (None, Set(("a", "b"), 1), [("set", "", {"a": {"b": 1}})]),
    ({}, Set(("a", "b", "0"), 1), [("set", "a", {"b": {"0": 1}})]),
    ({"a": None}, Set(("a", "b"), 1), [("set", "a", {"b": 1})]),
    ({"a": {"b": {}}}, Set(("a", "b", "c"), 1), [("set", "a/b/c", 1)]),
    ([1], Set(("1",), 2), [("set", "1", 2)]),
    ([1], Set(("1", "a"), 2), [("set", "1", {"a": 2})]),
    ([1], Set(("0",), 2), [("set", "0", 2)]),
    ([[1]], Set((), 2), [("set", "", 2)]),
    ({"t": "a"}, AppendText(("t",), "b"), [("append-text", "t", "b")]),
    (["a"], AppendText(("0",), "b"), [("append-text", "0", "b")]),
    ("a", AppendText((), "b"), [("append-text", "", "b")]),
]


@pytest.mark.parametrize(("state", "operation", "expected"), APPLIED)
def test_an_operation_is_applied_at_its_place(state: Json, operation: Operation, expected: list[Written]) -> None:
    document, run = run_on(state)

    run.apply(operation)
    assert flushed(document) == expected
    assert document.root == operations.apply(state, [operation])


@pytest.mark.parametrize(
    "operation",
    [
        *(Set((segment,), 1) for segment in ("2", "-1", "00", "x", "²", "1" * 5000, "__proto__")),
        *(AppendText((segment,), "x") for segment in ("0", "1", "2", "-1", "00", "x", "²", "__proto__")),
        *(Set(("0", "x"), 1), AppendText(("0", "x"), "x"), AppendText((), "x"), Set(("0",), {1}), Set(("1", "a"), {1})),
        *(Set(("1", "constructor"), 1), Set(("1", "a", "b"), float("nan"))),
    ],
)
def test_an_operation_that_does_not_fit_changes_nothing(operation: Operation) -> None:
    document, run = run_on([1])

    with pytest.raises((OperationError, NotJson)):
        run.apply(operation)
    assert document.root == [1]
    assert document.flush().operations == b""


def test_what_is_emitted_and_flushed_goes_to_the_engine() -> None:
    emitted: list[object] = []
    _, run = run_on({}, emit=emitted.append, flush=lambda: emitted.append("flush"))

    run.parts.append_text("a")
    run.flush()
    assert emitted == [chunks.PartStarted(part=0, init=chunks.TextPart()), chunks.TextDelta(part=0, text="a"), "flush"]


def test_a_run_needs_no_engine() -> None:
    _, run = run_on({})

    run.parts.append_text("a")
    run.flush()


def test_tasks_run_beside_the_handler() -> None:
    _, run = run_on({"seen": []})

    async def note(text: str, *, twice: bool = False) -> None:
        run.state["seen"].append(text)

    async def main() -> None:
        async with anyio.create_task_group() as run.tasks:
            run.start_soon(note, "a")
            run.start_soon(note, "b")

    anyio.run(main)
    assert sorted(run.state["seen"]) == ["a", "b"]


def test_tasks_need_a_run_that_is_under_way() -> None:
    _, run = run_on({})

    async def nothing() -> None:
        """Never called."""

    with pytest.raises(RuntimeError, match="an active run"):
        run.start_soon(nothing)


def test_no_text_of_a_config_shows_the_key() -> None:
    config = Config(api_key="sk-secret", base_url="http://b", model_name="m")
    texts = [repr(config), str(config), f"{config}", f"{config!r:>9}", repr(Request(config=config))]
    texts += map(repr, config.__rich_repr__())  # what rich prints, in tracebacks too

    assert not [text for text in texts if "secret" in text]
    assert str(config) == "Config(api_key='…', base_url='http://b', model_name='m')"
    assert config.api_key == "sk-secret"
    assert repr(Config()) == "Config(api_key=None, base_url=None, model_name=None)"


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_one_of_ours_and_has_a_code(name: str) -> None:
    kind = getattr(errors, name)

    assert issubclass(kind, errors.StatecastError)
    assert kind is errors.MessageConflict or re.fullmatch("[a-z]+(_[a-z]+)*", kind.code)
    assert name in (errors.__doc__ or "")


def test_an_agent_fails_with_a_text_for_the_user() -> None:
    error = AgentError("The shop is closed.", code="closed")

    assert (str(error), error.code, AgentError("x").code) == ("The shop is closed.", "closed", "agent_failed")
