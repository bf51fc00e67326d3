"""Parts of a state that an assignment puts elsewhere: whoever holds them still writes into the state, or is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from statecast_agents import MAX_DEPTH, Document, Json, NotJson, OperationError, RunEnded, operations

Way = Callable[[Document], object]


def messages(count: int = 4) -> dict[str, Json]:
    return {
        "messages": [{"id": str(number), "parts": [{"text": f"{number} "}]} for number in range(count)],
        "plan": {"steps": []},
        "other": {},
    }


KEPT: dict[str, Way] = {
    "a shorter list": lambda d: d.root.__setitem__("messages", d.root["messages"][-2:]),
    "a comprehension": lambda d: d.root.__setitem__("messages", [m for m in d.root["messages"] if m["id"] != "0"]),
    "sorted": lambda d: d.root.__setitem__("messages", sorted(d.root["messages"], key=lambda m: m["id"], reverse=True)),
    "reversed": lambda d: d.root.__setitem__("messages", list(reversed(d.root["messages"]))),
    "list +": lambda d: d.root.__setitem__("messages", [{"id": "new", "parts": []}, *d.root["messages"]]),
    "update": lambda d: d.root.update(messages=d.root["messages"][1:]),
    "|=": lambda d: d.root.__ior__({"messages": d.root["messages"][1:]}),
    "a slice": lambda d: d.root["messages"].__setitem__(slice(None), d.root["messages"][2:]),
    "nested in new ones": lambda d: d.root.__setitem__("messages", [{"wrapped": m} for m in d.root["messages"]]),
    "the whole state": lambda d: setattr(d, "root", {**d.root, "x": 1}),
    "the state, turned inside out": lambda d: setattr(d, "root", {"then": d.root["messages"]}),
    "a child in the place of its parent": lambda d: setattr(d, "root", d.root["messages"]),
    "pop and append": lambda d: d.root["messages"].append(d.root["messages"].pop(3)),
    "pop and insert": lambda d: d.root["messages"].insert(0, d.root["messages"].pop()),
    "pop and assign": lambda d: d.root["other"].__setitem__("m", d.root["messages"].pop()),
    "renamed": lambda d: d.root.__setitem__("then", d.root.pop("messages")),
    "moved in an update": lambda d: d.root.update(other=d.root["messages"], messages=[]),
    "sort": lambda d: d.root["messages"].sort(key=lambda m: -int(m["id"])),
}


def flushed(document: Document, client: Json) -> Json:
    """Return what a client has after a flush, which is what the state is."""
    client = operations.apply(client, operations.decode(document.flush().operations or b"[]"))
    assert client == document.root
    return client


@pytest.mark.parametrize("way", KEPT.values(), ids=KEPT)
@pytest.mark.parametrize("between", [False, True], ids=["in one turn", "in two turns"])
def test_who_holds_a_part_of_what_is_assigned_again_writes_into_the_state(way: Way, between: bool) -> None:
    document = Document(messages())
    client: Json = copy.deepcopy(messages())
    message = document.root["messages"][3]
    part = message["parts"][0]
    part.append_text("text", "before ")
    way(document)
    if between:
        client = flushed(document, client)
    part.append_text("text", "after")
    message["status"] = "done"
    message["parts"].append({"text": "another part"})
    client = flushed(document, client)
    found = str(client)
    assert "3 before after" in found
    assert "'status': 'done'" in found
    assert "another part" in found


def test_two_items_that_change_places_are_both_where_they_belong_or_refuse() -> None:
    document = Document(messages())
    items = document.root["messages"]
    first, second = items[0], items[1]
    items[0], items[1] = items[1], items[0]
    first["status"] = "written"
    assert items[1]["status"] == "written"
    with pytest.raises(OperationError, match="second place"):
        second["status"] = "written"
    assert "status" not in items[0]


def test_what_stays_in_its_place_is_copied_and_goes_on_there() -> None:
    document = Document(messages())
    message = document.root["messages"][0]
    document.root["chosen"] = message
    message["status"] = "done"
    assert document.root["messages"][0]["status"] == "done"
    assert "status" not in document.root["chosen"]
    document.root["messages"].pop(0)
    with pytest.raises(OperationError, match="take it from the state again"):
        message["status"] = "lost"
    document.root["chosen"]["status"] = "here"


def test_what_was_taken_out_is_an_ordinary_dict() -> None:
    document = Document(messages())
    message = document.root["messages"].pop()
    document.flush()
    message["status"] = "done"
    message["parts"].clear()
    assert document.flush().operations == b""
    document.root["messages"].append(message)
    assert document.root["messages"][-1] is message
    assert document.root["messages"][-1]["status"] == "done"


def test_an_item_that_is_assigned_twice_is_there_twice_and_once_itself() -> None:
    document = Document(messages())
    message = document.root["messages"].pop()
    document.root["messages"] += [message, message]
    one, other = document.root["messages"][-2:]
    assert one is message
    assert other is not message
    other["status"] = "done"
    assert "status" not in one


def test_nothing_moves_in_an_assignment_that_is_refused() -> None:
    document = Document(messages())
    before = copy.deepcopy(document.root)
    message = document.root["messages"][3]
    with pytest.raises(NotJson):
        document.root["messages"] = [*document.root["messages"][-2:], {"bad": object()}]
    with pytest.raises(NotJson):
        document.root.update(messages=document.root["messages"][-2:], other=b"bytes")
    with pytest.raises(ValueError, match="extended slice"):
        document.root["messages"][::2] = document.root["messages"][:1]
    assert document.root == before
    assert document.flush().operations == b""
    message["status"] = "done"
    assert document.root["messages"][3]["status"] == "done"


def test_a_part_that_would_nest_too_deep_stays_where_it_is() -> None:
    deep: Json = {}
    for _ in range(MAX_DEPTH - 3):
        deep = {"in": deep}
    document = Document({"deep": deep, "low": {"er": {"still": {}}}})
    taken = document.root["deep"]
    with pytest.raises(NotJson, match="nested containers"):
        document.root["low"]["er"]["still"] = document.root.pop("deep")
    assert document.root == {"low": {"er": {"still": {}}}}
    document.root["deep"] = taken
    assert document.root["deep"] is taken


def test_a_state_that_has_ended_is_prepared_and_read_and_refuses_writes() -> None:
    document = Document(messages())
    document.flush()
    document.end(lambda: RunEnded("run_1"))
    document.prepare()
    assert document.root == messages()
    with pytest.raises(RunEnded, match="run_1"):
        document.root["plan"]["late"] = True


def test_a_part_is_never_put_into_itself() -> None:
    document = Document({"a": {"b": {}}})
    taken = document.root.pop("a")
    taken["b"]["self"] = taken
    document.root["a"] = taken
    assert document.root == {"a": {"b": {"self": {"b": {}}}}}


@pytest.mark.parametrize("seed", range(300))
def test_a_write_through_a_held_part_is_in_the_state_where_python_has_it_or_is_refused(seed: int) -> None:
    random = Random(seed)
    document = Document(messages(3))
    plain: Any = messages(3)
    client: Json = copy.deepcopy(plain)
    held = list(zip(parts_of(document.root), parts_of(plain), strict=True))
    refused = set()
    for number in range(25):
        ours, theirs = random.choice(held)
        draw = random.choice(SHUFFLES)
        place = random.random()
        try:
            draw(document.root, ours, place)
        except OperationError:
            refused.add(id(ours))
            continue
        except (LookupError, TypeError):
            with pytest.raises((LookupError, TypeError)):
                draw(plain, theirs, place)
            continue
        draw(plain, theirs, place)
        for one, other in held:
            if isinstance(one, dict) and random.random() < 0.3:
                mark = f"mark {number} {id(one)}"
                other["mark"] = mark
                try:
                    one["mark"] = mark
                except OperationError:
                    refused.add(id(one))
                    continue
                if within(plain, mark):
                    assert within(document.root, mark), f"{mark} was lost"
        client = flushed(document, client)


def parts_of(value: Any) -> list[Any]:
    """Return the containers in a value, without the value itself."""
    found: list[Any] = []
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, (dict, list)):
            found += [item, *parts_of(item)]
    return found


def within(value: Any, mark: str) -> bool:
    """Whether a text is in a value; a part that holds itself in plain Python is looked at once."""
    seen, todo = set(), [value]
    while todo:
        at = todo.pop()
        if at == mark if isinstance(at, str) else False:
            return True
        if isinstance(at, (dict, list)) and id(at) not in seen:
            seen.add(id(at))
            todo += at.values() if isinstance(at, dict) else at
    return False


def _at(items: Any, place: float) -> int:
    return int(place * len(items))


def _swap(root: Any, part: Any, place: float) -> None:
    items = root["messages"]
    items[0], items[_at(items, place)] = items[_at(items, place)], items[0]


SHUFFLES: list[Callable[[Any, Any, float], object]] = [
    lambda root, part, place: root.__setitem__("messages", root["messages"][_at(root["messages"], place) :]),
    lambda root, part, place: root.__setitem__("messages", list(reversed(root["messages"]))),
    lambda root, part, place: root["messages"].append(root["messages"].pop(_at(root["messages"], place))),
    lambda root, part, place: root["other"].__setitem__("m", root["messages"].pop()),
    lambda root, part, place: root["messages"].append(root["other"].pop("m")),
    lambda root, part, place: root.update(plan={"steps": root["messages"][:1]}, messages=root["messages"][1:]),
    lambda root, part, place: root["messages"].insert(0, {"id": "x", "parts": [root["plan"]["steps"].pop()]}),
    _swap,
]
