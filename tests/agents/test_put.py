"""Putting whole values into a state: only what differs is sent."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statecast_agents import Document, Json, OperationError, Run, RunEnded, StateTooLarge, operations
from tests.agents.written import Written, flushed


def run_on(state: Json, limit: int | None = None) -> tuple[Run, Document]:
    document = Document(state)
    if limit is not None:
        document.bound(limit)
    return Run(id="run_1", thread_id="t", document=document), document


ROWS = [{"id": n, "title": "a title of some length"} for n in range(20)]

PUTS: list[tuple[str, Json, Any, Json, list[Written]]] = [
    ("nothing", {"a": {"b": [1, "x"]}}, "a", {"b": [1, "x"]}, []),
    ("new", {}, "a", {"b": 1}, [("set", "a", {"b": 1})]),
    ("first", None, "a", 1, [("set", "", {"a": 1})]),
    ("parents", {}, ["a", "b", "c"], 1, [("set", "a", {"b": {"c": 1}})]),
    ("text", {"a": {"t": "Once"}}, "a", {"t": "Once upon"}, [("append-text", "a/t", " upon")]),
    ("other text", {"a": {"t": "Once"}}, "a", {"t": "Twice"}, [("set", "a/t", "Twice")]),
    ("item", {"a": [{"n": 1}]}, "a", [{"n": 1}, {"n": 2}], [("set", "a/1", {"n": 2})]),
    ("in an item", {"a": [{"n": 1}, {"n": 2}]}, ["a", 1], {"n": 3}, [("set", "a/1/n", 3)]),
    ("key", {"a": {"x": 1}}, "a", {"x": 1, "y": 2}, [("set", "a/y", 2)]),
    ("fewer keys", {"a": {"x": 1, "y": 2}, "b": 1}, "a", {"x": 1}, [("set", "a", {"x": 1})]),
    ("fewer items", {"a": [1, 2, 3], "b": 1}, "a", [1, 2], [("set", "a", [1, 2])]),
    ("moved items", {"a": ROWS, "b": 1}, "a", ROWS[1:] + ROWS[:1], [("set", "a", ROWS[1:] + ROWS[:1])]),
    ("other kind", {"a": [1]}, "a", {"b": 1}, [("set", "a", {"b": 1})]),
    ("bool", {"a": [1, 0]}, "a", [True, False], [("set", "a/0", True), ("set", "a/1", False)]),
    ("root", {"a": 1, "b": 2}, [], {"a": 1, "b": 3}, [("set", "b", 3)]),
]


@pytest.mark.parametrize(("state", "path", "value", "written"), [put[1:] for put in PUTS], ids=[put[0] for put in PUTS])
def test_only_what_differs_is_sent(state: Json, path: Any, value: Json, written: list[Written]) -> None:
    run, document = run_on(state)

    run.put(path, value)
    assert flushed(document) == written
    at = document.root
    for key in [path] if isinstance(path, str) else path:
        at = at[key]
    assert at == value
    run.put(path, value)
    assert flushed(document) == []


def test_a_foreign_value_is_converted_and_what_is_selected_is_put() -> None:
    @dataclasses.dataclass
    class Plan:
        steps: tuple[str, ...]
        done: set[int]
        client: object

    run, document = run_on({})
    run.put("plan", Plan(("read", "write"), {2, 1}, object()))
    assert flushed(document) == [("set", "plan", {"steps": ["read", "write"], "done": [1, 2]})]
    run.put("plan", Plan(("read", "write"), {1, 2, 3}, object()), select=["done"])
    assert flushed(document) == [("set", "plan", {"done": [1, 2, 3]})]


def test_what_is_left_out_is_logged_once_for_an_agent(caplog: pytest.LogCaptureFixture) -> None:
    run, _ = run_on({})
    with caplog.at_level(logging.WARNING, "statecast"):
        run.put("plan", {"raw": b"a"})
        run.put("plan", {"raw": b"b"})

    assert ["plan/raw" in record.getMessage() for record in caplog.records] == [True]


def test_a_value_that_is_too_large_changes_nothing() -> None:
    run, document = run_on({"a": {"x": "y" * 400}, "b": "z" * 400}, limit=1000)
    before = document.encode()

    for value in ("c" * 2000, {"x": "y" * 400, "n": "m" * 300}, {"x": "y" * 800}):
        with pytest.raises(StateTooLarge):
            run.put("a", value)
        assert document.encode() == before
        assert flushed(document) == []
    run.put("a", {"x": "y" * 402, "n": "m" * 50})
    run.put("a", {"x": "!" * 500})
    assert document.root["a"] == {"x": "!" * 500}


@pytest.mark.parametrize(
    "path", [["a", "b"], ["list", "x"], ["list", 5], ["__proto__"]], ids=["text", "key", "index", "reserved"]
)
def test_a_path_that_leads_nowhere_changes_nothing(path: Any) -> None:
    run, document = run_on({"a": "text", "list": [1]})
    with pytest.raises(OperationError):
        run.put(path, 1)

    assert flushed(document) == []


def test_a_run_that_has_ended_puts_nothing() -> None:
    run, document = run_on({"a": 1})
    document.end(lambda: RunEnded("run_1"))
    with pytest.raises(RunEnded):
        run.put("a", 2)

    assert run.state == {"a": 1}


def test_what_the_agent_holds_of_the_state_stays_part_of_it() -> None:
    run, document = run_on({"a": {"rows": [{"n": 1}]}})
    row = run.state["a"]["rows"][0]

    run.put("a", {"rows": [{"n": 2}, {"n": 3}]})
    flushed(document)
    row["n"] = 4
    assert flushed(document) == [("set", "a/rows/0/n", 4)]


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["", "a", "ab", "abc", "b"])),
    lambda inner: st.one_of(st.lists(inner, max_size=12), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    max_leaves=20,
)


@given(values, values)
def test_whatever_was_there_the_clients_have_the_value_afterwards(before: Json, after: Json) -> None:
    run, document = run_on({"at": before})
    document.flush()
    client = document.plain()

    run.put("at", after)
    client = operations.apply(client, operations.decode(document.flush().operations or b"[]"))
    assert msgspec.json.encode(client) == document.encode()
    assert document.root == {"at": after}
