"""S1: a state is dicts and lists, for everything that reads."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from statecast_agents import Document, Json

STATE: Json = {"title": "Zoë", "items": [3, 1, {"done": None}], "by": {"b": 1, "a": 2.5}, "empty": [[], {}], "on": True}

READINGS: dict[str, Callable[[Json], object]] = {
    "==": lambda s: (s == STATE, STATE.__eq__(s), s["items"] != [3], s["by"] == {"a": 2.5, "b": 1}),
    "isinstance": lambda s: (isinstance(s, dict), isinstance(s["items"], list), isinstance(s["title"], str)),
    "bool": lambda s: (bool(s), bool(s["empty"][0]), bool(s["empty"][1])),
    "len": lambda s: (len(s), len(s["items"])),
    "in": lambda s: ("title" in s, 3 in s["items"], {"done": None} in s["items"]),
    "iteration": lambda s: ([*s], [*s["items"]], [*reversed(s["items"])], [*reversed(s)]),
    "views": lambda s: ([*s.keys()], [*s.values()], [*s.items()], s.keys() & {"title"}),
    "get": lambda s: (s.get("title"), s.get("nothing", 1)),
    "unpacking": lambda s: ({**s}, [*s["items"]], (lambda **fields: fields)(**s["by"])),
    "slices": lambda s: (s["items"][1:], s["items"][::-1], s["items"][-1]),
    "+ and *": lambda s: (s["items"] + [1], [0, *s["items"]], s["items"] * 2, 2 * s["items"]),
    "|": lambda s: (s | {"new": 1}, {"new": 1} | s),
    "order": lambda s: (sorted(s), sorted(s["by"].values()), s["empty"][0] < [1], max(s["items"][:2])),
    "count and index": lambda s: (s["items"].count(3), s["items"].index(1)),
    "copy": lambda s: (s.copy(), s["items"].copy(), copy.copy(s), copy.copy(s["items"])),
    "deepcopy": lambda s: (copy.deepcopy(s), copy.deepcopy([s["items"]])),
    "pickle": lambda s: [pickle.loads(pickle.dumps(s, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)],
    "repr": lambda s: (repr(s), str(s["items"]), f"{s['by']}"),
    "json": lambda s: (json.dumps(s), json.dumps(s, indent=1, sort_keys=True)),
    "msgspec": lambda s: (msgspec.json.encode(s), msgspec.to_builtins(s), msgspec.convert(s["by"], dict[str, float])),
    "constructors": lambda s: (dict(s), list(s["items"]), tuple(s["items"]), dict.fromkeys(s["by"])),
    "its own type": lambda s: (type(s)(s), type(s["items"])(s["items"]), type(s)(a=1), type(s).fromkeys("ab", 0)),
}


@pytest.mark.parametrize("reading", READINGS.values(), ids=READINGS)
def test_a_state_reads_as_plain_python_does(reading: Callable[[Json], object]) -> None:
    document = Document(STATE)

    assert reading(document.root) == reading(copy.deepcopy(STATE))
    assert document.flush().operations == b""


@pytest.mark.parametrize(
    "copied",
    [
        copy.deepcopy,
        lambda s: pickle.loads(pickle.dumps(s)),
        msgspec.to_builtins,
        lambda s: dataclasses.asdict(dataclasses.make_dataclass("Holder", ["state"])(s))["state"],
    ],
    ids=["deepcopy", "pickle", "msgspec", "dataclasses.asdict"],
)
def test_a_deep_copy_is_plain_all_the_way_and_not_the_state_s(copied: Callable[[Json], Json]) -> None:
    document = Document(STATE)
    twin = copied(document.root)

    assert _types(twin) == {dict, list, str, int, float, bool, type(None)}
    twin["items"][2]["done"] = "later"
    assert document.root == STATE
    assert document.flush().operations == b""


@pytest.mark.parametrize("copied", [copy.copy, dict, lambda s: s.copy(), lambda s: {**s}, lambda s: s | {}])
def test_a_shallow_copy_is_a_plain_dict_whose_values_are_still_the_state_s(copied: Callable[[Json], Json]) -> None:
    document = Document({"a": {"b": 1}})
    twin = copied(document.root)

    twin["c"] = 1
    assert type(twin) is dict
    assert document.flush().operations == b""
    twin["a"]["b"] = 2
    assert document.root == {"a": {"b": 2}}


def test_a_state_matches_patterns() -> None:
    match Document(STATE).root:
        case {"items": [int(first), *_, {"done": None}], "by": {"a": float(a)}, **rest}:
            assert (first, a, [*rest]) == (3, 2.5, ["title", "empty", "on"])
        case _:
            pytest.fail("no match")


@pytest.mark.parametrize("root", [None, True, 7, 0.5, "text", [], {}, [1, [2]]])
def test_a_state_may_be_any_json(root: Json) -> None:
    document = Document(root)

    assert document.root == root
    assert json.loads(document.encode()) == root
    assert document.flush().operations == b""


@pytest.mark.parametrize("root", [{}, []])
def test_a_state_is_no_more_hashable_than_dicts_and_lists(root: Json) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Document(root).root)


def test_a_document_takes_what_the_json_decoder_made() -> None:
    document = Document.adopting(copy.deepcopy(STATE))

    document.root["items"][2]["done"] = True
    assert json.loads(document.flush().operations) == [{"type": "set", "path": ["items", "2", "done"], "value": True}]


def _types(value: Any) -> set[type]:
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {type(value)}.union(*map(_types, below))
