"""Writing a large state again costs what has changed, and a copy of the text."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from statecast_agents import Document, OperationError, pieces


def large() -> dict[str, Any]:
    messages = [{"id": f"m{number}", "parts": [{"text": "word " * 40}]} for number in range(2_000)]
    table = {f"row {number}": {"n": number} for number in range(5_000)}
    return {"messages": messages, "table": table, "numbers": list(range(20_000)), "note": "", "n": 0}


#: Changes of a large state, and how many bytes of JSON may be made for each at most.
CHANGES: dict[str, tuple[Callable[[Any], object], int]] = {
    "a token": (lambda s: s["messages"][-1]["parts"][0].append_text("text", "token "), 2 * pieces.PIECE),
    "a number": (lambda s: s.update(n=s["n"] + 1), pieces.PIECE),
    "a message": (lambda s: s["messages"].append({"id": "new", "parts": []}), 2 * pieces.PIECE),
    "a row": (lambda s: s["table"].update({"row 1000": {"n": "x"}}), 2 * pieces.PIECE),
    "the last gone": (lambda s: s["messages"].pop(), 2 * pieces.PIECE),
    "nothing": (lambda s: s["messages"][0], 0),
    "another root key": (lambda s: s.update(title="t"), pieces.PIECE),
    "a list for a dict": (lambda s: s.update(table=[1, 2]), pieces.PIECE),
    "the first gone": (lambda s: s["messages"].pop(0), 2**20),
    "emptied": (lambda s: s["messages"].clear(), pieces.PIECE),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_large_state_that_has_changed_is_not_encoded_whole_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, most = CHANGES[name]
    document = Document.adopting(large())
    state: Any = document.root
    for number in range(2):  # it is cut when it changes for the first time
        document.encode()
        state["n"] += 1
        state["messages"][5]["id"] = f"m5 {number}"
        state["table"]["row 1"] = number
        document.flush()
    document.encode()

    made: list[int] = []
    encode = pieces._encode

    def counted(value: Any) -> bytes:
        text: bytes = encode(value)
        made.append(len(text))
        return text

    monkeypatch.setattr(pieces, "_encode", counted)
    monkeypatch.setattr("statecast_agents.document._encode", counted)
    for _ in range(3):
        change(document.root)
        document.flush()
        made.clear()
        assert msgspec.json.decode(document.encode()) == document.root
        assert sum(made) <= most
        document = document.end(lambda: OperationError("ended"))  # the next run goes on with the pieces


def test_a_posted_text_is_the_states_json_until_something_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps(large()).encode()  # with spaces, which no encoder of ours writes
    document = Document.adopting(None, text)
    encoded: list[Any] = []
    monkeypatch.setattr("statecast_agents.document._encode", encoded.append)
    assert document.at(["messages"])[0]["id"] == "m0"
    assert document.encode() == text
    assert document.root["n"] == 0
    assert document.encode() == text
    assert not encoded
    monkeypatch.undo()
    document.root["n"] += 1
    assert msgspec.json.decode(document.encode()) == large() | {"n": 1}


def test_what_is_encoded_before_a_flush_is_the_state_as_it_is() -> None:
    document = Document.adopting(large())
    state: Any = document.root
    for number in range(5):
        state["messages"][-1]["parts"][0]["text"] += f"{number}"
        state["messages"][number]["id"] = "x"
        assert msgspec.json.decode(document.encode()) == state
        state["messages"][-1]["parts"][0]["text"] += "."
        assert msgspec.json.decode(document.encode()) == state
        document.flush()
        state["messages"][-1]["parts"][0]["text"] += "!"
        document.flush()
        assert msgspec.json.decode(document.encode()) == state
