"""A state whose nodes are made where somebody looks reads as plain Python in every form, and hands out nodes only."""

from __future__ import annotations

import copy
import functools
import itertools
import json
import operator
import pickle
import random
from collections import ChainMap, deque
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from statecast_agents import Document, OperationError, lazy
from statecast_agents.tracked import NODES


def unpacked(*items: Any, **more: Any) -> Any:
    return items or more


def first_rest(row: Any) -> Any:
    first, *rest = row
    return first, rest


def matched(value: Any) -> Any:
    match value:
        case {"k0": found, **rest}:
            return found, rest
        case [first, *_, last]:
            return first, last
    return None


def extended(row: Any) -> Any:
    plain: list[Any] = []
    plain += row
    plain[1:1] = row
    plain.extend(row)
    return plain


def merged(value: Any) -> Any:
    plain: dict[str, Any] = {}
    plain |= value
    plain.update(value)
    return plain


READS_OF_DICTS: dict[str, Callable[[Any], Any]] = {
    "d[k]": lambda d: d["k0"],
    "get": lambda d: (d.get("k1"), d.get("none"), d.get("none", 1)),
    "values": lambda d: list(d.values()),
    "items": lambda d: list(d.items()),
    "keys": lambda d: (list(d), list(d.keys()), list(reversed(d)), "k0" in d, len(d), bool(d)),
    "reversed values": lambda d: list(reversed(d.values())),
    "dict(d)": dict,
    "{**d}": lambda d: {**d},
    "d | e": lambda d: d | {"e": 1},
    "e | d": lambda d: {"e": 1} | d,
    "d | d": lambda d: d | d,
    "plain |= d": merged,
    "copy": lambda d: d.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": lambda d: pickle.loads(pickle.dumps(d)),
    "f(**d)": lambda d: unpacked(**d),
    "f(*d.values())": lambda d: unpacked(*d.values()),
    "match": matched,
    "setdefault": lambda d: d.setdefault("k1", 1),
    "pop": lambda d: d.pop("k1", None),
    "popitem": lambda d: d.popitem(),
    "comprehension": lambda d: {key: value for key, value in d.items() if key != "k1"},
    "itemgetter": operator.itemgetter("k0"),
    "ChainMap": lambda d: dict(ChainMap(d)),
    "==": lambda d: (d == copy.deepcopy(d), d != {}),
    "repr": repr,
    "json": lambda d: json.loads(json.dumps(d)),
    "json, indented": lambda d: json.loads(json.dumps(d, indent=1)),
    "msgspec": lambda d: msgspec.json.encode(d),
    "to_builtins": lambda d: msgspec.to_builtins(d),
    "isinstance": lambda d: (isinstance(d, dict), isinstance(d["k0"], dict)),
}

READS_OF_LISTS: dict[str, Callable[[Any], Any]] = {
    "l[i]": lambda row: (row[0], row[-1]),
    "l[i:j]": lambda row: (row[1:3], row[::-1], row[-2:]),
    "for": lambda row: [item for item in row],  # noqa: C416  # the loop is what is tested
    "list": list,
    "tuple": tuple,
    "[*l]": lambda row: [*row],
    "l + m": lambda row: row + [1],  # noqa: RUF005  # the operator is what is tested
    "m + l": lambda row: [1] + row,  # noqa: RUF005
    "l + l": lambda row: row + row,
    "l * 2": lambda row: row * 2,
    "2 * l": lambda row: 2 * row,
    "plain += l": extended,
    "copy": lambda row: row.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": lambda row: pickle.loads(pickle.dumps(row)),
    "reversed": lambda row: list(reversed(row)),
    "sorted": lambda row: sorted(row, key=str),
    "max": lambda row: max(row, key=str),
    "first, *rest": first_rest,
    "f(*l)": lambda row: unpacked(*row),
    "match": matched,
    "pop": lambda row: row.pop(),
    "pop, index": lambda row: row.pop(1),
    "enumerate": lambda row: list(enumerate(row)),
    "zip": lambda row: list(zip(row, row, strict=True)),
    "map": lambda row: list(map(operator.itemgetter("id"), row)),
    "filter": lambda row: list(filter(None, row)),
    "chain": lambda row: list(itertools.chain(row, row)),
    "islice": lambda row: list(itertools.islice(row, 2)),
    "reduce": lambda row: functools.reduce(lambda one, other: other, row),
    "sum": lambda row: sum([row, row], []),  # noqa: RUF017
    "deque": lambda row: list(deque(row)),
    "choice": lambda row: random.Random(1).choice(row),
    "sample": lambda row: random.Random(1).sample(row, 2),
    "itemgetter": operator.itemgetter(0, -1),
    "in, index, count": lambda row: (row[0] in row, row.index(row[1]), row.count(row[0]), {"no": 1} in row),
    "==": lambda row: (row == copy.deepcopy(row), row != []),
    "repr": repr,
    "json": lambda row: json.loads(json.dumps(row)),
    "msgspec": lambda row: msgspec.json.encode(row),
    "to_builtins": lambda row: msgspec.to_builtins(row),
    "isinstance": lambda row: (isinstance(row, list), isinstance(row[0], dict)),
}

SIZES = [3, 2 * lazy.FEW, 2 * lazy.WIDE]


def item(number: int) -> dict[str, Any]:
    wide = [{"n": inner} for inner in range(20)] if number < 3 else []
    return {"id": number, "parts": [{"text": f"text {number}"}, [number]], "wide": wide}


def plain_containers(value: Any) -> Iterator[Any]:
    if isinstance(value, (dict, list)):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from plain_containers(inner)


def handed_out(value: Any) -> Iterator[Any]:
    """Yield the containers in what a form of reading returned."""
    if isinstance(value, (dict, list, tuple)):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from handed_out(inner)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("form", READS_OF_DICTS)
def test_a_dict_reads_as_a_plain_one(form: str, size: int) -> None:
    check(READS_OF_DICTS[form], {f"k{number}": item(number) for number in range(size)})


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("form", READS_OF_LISTS)
def test_a_list_reads_as_a_plain_one(form: str, size: int) -> None:
    check(READS_OF_LISTS[form], [item(number) for number in range(size)])


def check(read: Callable[[Any], Any], value: Any) -> None:
    expected = read(copy.deepcopy(value))
    document = Document.adopting(value)
    before = copy.deepcopy(value)
    state: Any = document.root
    result = read(state)
    assert result == expected
    hidden = {id(inner) for inner in plain_containers(value)}
    assert hidden.isdisjoint(id(inner) for inner in handed_out(result)), "it handed out what is not tracked"
    assert value == before
    assert document.root == state == msgspec.json.decode(document.encode())

    document = document.end(lambda: OperationError("ended"))  # and so does what it left, half touched
    left = msgspec.json.decode(document.encode())
    assert read(document.root) == read(left)


def test_a_look_at_one_child_makes_no_nodes_of_the_others() -> None:
    document = Document.adopting({"messages": [item(number) for number in range(1_000)], "notes": {"a": [1]}})
    root: Any = document.root
    message = root["messages"][-1]
    assert root["messages"][-1] is message
    stored = list.__getitem__(root["messages"], slice(None))
    assert [type(inner) in NODES for inner in stored] == [False] * 999 + [True]
    message["parts"][0]["text"] += "!"
    assert document.flush().operations == (
        b'[{"type":"append-text","path":["messages","999","parts","0","text"],"value":"!"}]'
    )


def test_a_container_becomes_an_ordinary_node_when_all_its_children_are() -> None:
    document = Document.adopting({"messages": [item(number) for number in range(1_000)]})
    root: Any = document.root
    assert type(root["messages"]) is lazy.LazyList
    root["messages"].copy()
    assert {type(root), type(root["messages"]), *map(type, root["messages"])} <= NODES - {lazy.LazyList}


def test_an_earlier_run_sees_what_it_left_and_can_change_nothing() -> None:
    first = Document.adopting({"messages": [item(number) for number in range(1_000)], "n": 1})
    seen: Any = first.root
    touched = seen["messages"][0]
    touched["id"] = "touched"
    first.flush()

    second = first.end(lambda: OperationError("ended"))
    now: Any = second.root
    now["messages"][0]["id"] = "later"
    now["messages"][5]["parts"][0]["text"] = "later"
    del now["messages"][10:]
    now["n"] = 2
    second.flush()

    assert (seen["n"], len(seen["messages"]), seen["messages"][0]) == (1, 1_000, {**item(0), "id": "touched"})
    assert seen["messages"][5] == item(5)
    for node in (seen, seen["messages"], touched, seen["messages"][5], seen["messages"][500]["parts"][0]):
        with pytest.raises(OperationError, match="ended"):
            node.clear()
    third = second.end(lambda: OperationError("ended"))
    assert third.root == now == msgspec.json.decode(third.encode())
    assert (now["n"], len(now["messages"]), now["messages"][5]["parts"][0]) == (2, 10, {"text": "later"})


def test_runs_share_what_none_of_them_has_changed() -> None:
    document = Document.adopting({"messages": [item(number) for number in range(1_000)], "n": 1})
    before: Any = document.plain()
    for number in range(3):
        state: Any = document.root
        [message["id"] for message in state["messages"]]
        state["n"] = number
        state["messages"][7]["id"] = number
        document.flush()
        document = document.end(lambda: OperationError("ended"))
    after: Any = document.plain()
    same = [one is other for one, other in zip(before["messages"], after["messages"], strict=True)]
    assert same == [index != 7 for index in range(1_000)]
    assert after == {
        **before,
        "n": 2,
        "messages": [*before["messages"][:7], {**item(7), "id": 2}, *before["messages"][8:]],
    }


def test_what_the_engine_looks_at_is_all_that_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"rows": [item(number) for number in range(100)], "messages": [], "open": {"questions": [1]}}
    text = msgspec.json.encode(state)
    decoded: list[bytes] = []

    def decode(text: Any) -> Any:
        decoded.append(bytes(text))
        return msgspec.json.decode(text)

    monkeypatch.setattr(lazy, "_decode", decode)
    document = Document.adopting(None, text)
    messages: Any = document.at(["messages"])
    messages.append({"id": "m"})
    assert document.flush().operations == b'[{"type":"set","path":["messages","0"],"value":{"id":"m"}}]'
    assert document.at(["open", "questions"]) == [1]
    assert document.at(["none"]) is document.at(["open", "questions", "none"]) is None
    assert msgspec.json.decode(document.encode()) == {**state, "messages": [{"id": "m"}]}
    following = document.end(lambda: OperationError("ended"))
    assert decoded == [b"[]", b'{"questions":[1]}']

    assert following.at(["messages"]) == [{"id": "m"}]
    assert following.root == {**state, "messages": [{"id": "m"}]}
    assert decoded[2:] == [msgspec.json.encode(state["rows"])]
    assert document.root == following.root
    assert following.plain() == following.root


def test_a_state_whose_root_is_decoded_in_part_is_plain_and_written_as_a_whole() -> None:
    state = {"rows": [item(number) for number in range(5_000)], "messages": [{"id": "m"}], "n": 1}
    document = Document.adopting(None, msgspec.json.encode(state))
    messages: Any = document.at(["messages"])
    assert msgspec.json.decode(document.encode()) == document.plain() == state
    messages[0]["id"] = "x"
    document.flush()
    state["messages"] = [{"id": "x"}]
    assert msgspec.json.decode(document.encode()) == document.plain() == state
    ended, document = document, document.end(lambda: OperationError("ended"))
    for each in (ended, document):
        assert each.root == state
        assert msgspec.json.decode(each.encode()) == each.plain() == state
        assert msgspec.json.decode(each.rest()) == state
        assert each.root == state
