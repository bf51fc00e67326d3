"""What a document says of a flush that found a text to have grown, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from statecast_agents import Changes, Document


def document() -> Document:
    made = Document({"a": "", "b": "", "list": ["", ""], "n": 0})
    made.flush()
    return made


def grow(of: Document, *path: str | int) -> tuple[bytes | None, bytes]:
    of.append_text('x"\n', path)
    changes = of.flush()
    assert changes.grew_at is not None
    assert changes.operations == b"[%b%b}]" % (changes.grew_at, changes.delta)
    return changes.grew_at, changes.delta


def test_a_text_that_grows_again_is_known_by_the_same_object() -> None:
    state = document()

    where, delta = grow(state, "a")
    assert (where, delta) == (b'{"type":"append-text","path":["a"],"value":', b'"x\\"\\n"')
    assert grow(state, "a")[0] is where


def test_a_text_that_grows_by_several_pieces_at_once_is_no_other() -> None:
    state = document()
    where, _ = grow(state, "list", 1)
    for piece in ("p", "q"):
        state.append_text(piece, ["list", 1])

    changes = state.flush()
    assert changes.operations == b'[{"type":"append-text","path":["list","1"],"value":"pq"}]'
    assert changes.grew_at is where
    assert changes.delta == b'"pq"'


def test_another_text_and_one_that_has_moved_are_known_by_other_objects() -> None:
    state = document()
    root: Any = state.root
    places = [grow(state, "a"), grow(state, "b"), grow(state, "list", 0), grow(state, "list", 1)]
    root["list"] = ["", ""]
    state.flush()
    places.append(grow(state, "list", 1))
    assert len({where for where, _ in places}) == 4

    root["inner"] = {"text": ""}
    state.flush()
    before, _ = grow(state, "inner", "text")
    root["list"].insert(0, {"text": ""})
    state.flush()
    assert grow(state, "list", 0, "text")[0] != before


@pytest.mark.parametrize(
    "change",
    [
        lambda root: None,
        lambda root: root.update(n=1),
        lambda root: root.update(a="another"),
        lambda root: (root.append_text("a", "x"), root.append_text("b", "y")),
        lambda root: (root.append_text("a", "x"), root.update(n=1)),
        lambda root: (root.append_text("a", "x"), root.update(a="")),
        lambda root: root["list"].append("x"),
        lambda root: root.append_text("a", ""),
    ],
    ids=["nothing", "a number", "a text set", "two texts", "a number too", "set after it", "a list", "by nothing"],
)
def test_what_is_anything_else_is_not_said_to_be_growth(change: Callable[[Any], object]) -> None:
    state = document()
    grow(state, "a")
    change(state.root)
    changes = state.flush()

    assert (changes.grew_at, changes.delta) == (None, b"")


def test_a_text_that_left_the_state_with_its_container_has_not_grown() -> None:
    state = Document({"inner": {"text": ""}})
    state.flush()
    root: Any = state.root
    inner = root["inner"]
    grow(state, "inner", "text")
    inner.append_text("text", "x")
    root["inner"] = None

    assert state.flush() == Changes(b'[{"type":"set","path":["inner"],"value":null}]')
