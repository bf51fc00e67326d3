"""A bounded document refuses what does not fit, at the line that assigns it, and is unchanged then."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statecast_agents import Document, StateTooLarge, operations, size_budget

pytestmark = pytest.mark.slow

LIMIT = 400

TEXTS = st.text(alphabet='a"\\\x00é😀', max_size=60)
KEYS = st.sampled_from(["a", "b", "a longer key", "\x01" * 8])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10**15) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)

Step = Callable[[Any], None]


def size_of(value: Any) -> int:
    return len(msgspec.json.encode(value))


def replaces(key: str, value: Any) -> Step:
    def step(state: Any) -> None:
        state[key] = value

    return step


def merges(values: dict[str, Any]) -> Step:
    return lambda state: state.update(values)


def grows(text: str) -> Step:
    def step(state: Any) -> None:
        state["text"] += text

    return step


def adds(value: Any) -> Step:
    return lambda state: state["items"].append(value)


def extends(values: list[Any]) -> Step:
    return lambda state: state["items"].extend(values)


def inserts(value: Any) -> Step:
    return lambda state: state["items"].insert(0, value)


def rewrites(value: Any) -> Step:
    def step(state: Any) -> None:
        if state["items"]:
            state["items"][-1] = value

    return step


def cuts(state: Any) -> None:
    state["items"] = state["items"][1:]


STEPS = st.one_of(
    st.builds(replaces, KEYS, VALUES),
    st.builds(merges, st.dictionaries(KEYS, VALUES, max_size=3)),
    st.builds(grows, TEXTS),
    st.builds(adds, VALUES),
    st.builds(extends, st.lists(VALUES, max_size=3)),
    st.builds(inserts, VALUES),
    st.builds(rewrites, VALUES),
    st.just(cuts),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(STEPS, st.booleans()), max_size=25), st.sampled_from([0, 100, size_budget.NEAR]))
def test_a_change_is_refused_exactly_if_the_state_would_be_too_large_and_then_changes_nothing(
    steps: list[tuple[Step, bool]], near: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(size_budget, "NEAR", near)
        follow(steps)


def follow(steps: list[tuple[Step, bool]]) -> None:
    begins: dict[str, Any] = {"text": "", "items": []}
    document, client, plain = Document(begins), copy.deepcopy(begins), copy.deepcopy(begins)
    document.flush()
    document.bound(LIMIT)
    for step, flushes in steps:
        would = copy.deepcopy(plain)
        step(would)
        fits = size_of(would) <= LIMIT
        try:
            step(document.root)
        except StateTooLarge as error:
            assert not fits, f"{size_of(would)} bytes were refused: {error}"
        else:
            assert fits, f"{size_of(would)} bytes were taken"
            plain = would
        assert document.root == plain
        if flushes:
            client = operations.apply(client, operations.decode(document.flush().operations or b"[]"))
            assert client == plain


def test_the_error_says_what_was_expected_and_why() -> None:
    document = Document({})
    document.bound(100)

    with pytest.raises(StateTooLarge) as refused:
        document.root["text"] = "x" * 200
    assert (refused.value.code, refused.value.size, refused.value.limit) == ("state_too_large", 211, 100)
    assert "16 Mi characters" in str(refused.value)
    assert document.root == {}


@pytest.mark.parametrize("kind", ["text", "list", "dict"])
def test_text_that_grows_too_long_is_put_back(kind: str) -> None:
    states: dict[str, Any] = {"text": "", "list": [""], "dict": {"text": ""}}
    paths: dict[str, list[str | int]] = {"text": [], "list": [0], "dict": ["text"]}
    document, path = Document(states[kind]), paths[kind]
    document.bound(100)
    document.append_text("x" * 60, path)

    with pytest.raises(StateTooLarge):
        document.append_text('"' * 60, path)
    document.append_text("y", path)
    root: Any = document.root
    assert (root if kind == "text" else root[path[0]]) == "x" * 60 + "y"


def test_a_state_from_before_the_limit_may_shrink_but_not_grow() -> None:
    document = Document({"items": ["x" * 100, "x" * 100]})
    document.bound(100)

    with pytest.raises(StateTooLarge):
        document.root["more"] = "x" * 40
    document.root["items"] = document.root["items"][1:]
    assert document.root == {"items": ["x" * 100]}


@pytest.mark.parametrize("path", [(), ("rows",)])
def test_the_spaces_in_a_state_that_a_client_posted_do_not_count(path: tuple[str, ...]) -> None:
    text = json.dumps({"rows": [[1, 2, 3]] * 30_000, "label": "é"}).encode()
    room = len(text) - size_of(json.loads(text)) - len(',"text":""')
    document = Document.adopting(None, text)
    document.bound(len(text))
    document.at(path)
    document.root["text"] = "x" * room
    assert len(document.encode()) == len(text)
    with pytest.raises(StateTooLarge):
        document.root["text"] += "x"


def test_operations_are_never_longer_than_the_state_where_they_are_long() -> None:
    document = Document({"items": [0] * 50_000})
    document.flush()
    document.root["items"][::2] = [1] * 25_000
    for index in range(50_000):
        document.root["items"][index] = 2

    assert len(document.flush().operations) < len(document.encode()) + 100


class Measured(Document):
    """A document that counts how often the whole of it is encoded."""

    __slots__ = ("times",)

    def __init__(self, value: Any) -> None:
        self.times = 0
        super().__init__(value)

    def _measure(self) -> None:
        self.times += 1
        super()._measure()


@pytest.mark.parametrize(
    "change",
    [
        lambda state, number: state.__setitem__("text", state["text"] + "a word "),
        lambda state, number: state.append_text("text", "a word "),
        lambda state, number: state["items"].append("a word"),
        lambda state, number: state.__setitem__("count", number),
        lambda state, number: state.__setitem__("label", f"{number} words"),
        lambda state, number: state.update(part={"number": number}),
    ],
)
def test_a_change_near_the_limit_does_not_measure_the_whole_state(change: Callable[[Any, int], None]) -> None:
    document = Measured({"text": "x" * 200_000, "items": [], "count": 0})
    document.bound(220_000)
    document.times = refused = 0
    for number in range(5_000):
        try:
            change(document.root, number)
        except StateTooLarge:
            refused += 1
        document.flush()
    assert document.times <= 3
    assert len(document.encode()) <= 220_000
    assert not refused or len(document.encode()) > 219_950
