"""A state at rest is JSON text; its nodes are made when somebody looks at it, or of what was decoded already."""

from __future__ import annotations

import msgspec

from statecast_agents import Document, Json

TEXT = b'{"messages":[{"id":"m","parts":[]}]}'


def at_rest(text: bytes = TEXT) -> Document:
    return Document.adopting(None, text)


def test_nodes_are_made_of_what_the_caller_has_decoded_and_leave_it_as_it_is() -> None:
    document = at_rest()
    decoded: Json = msgspec.json.decode(TEXT)
    document.prepare(TEXT, decoded)
    assert not document.rests

    document.root["messages"][0]["parts"].append("x")
    assert document.root == {"messages": [{"id": "m", "parts": ["x"]}]}
    assert decoded == msgspec.json.decode(TEXT)


def test_what_was_decoded_of_another_text_is_not_used() -> None:
    document = at_rest()
    document.prepare(b'{"other":1}', {"other": 1})
    assert document.root == msgspec.json.decode(TEXT)

    document = Document({"a": 1})
    document.prepare(TEXT, msgspec.json.decode(TEXT))
    assert document.root == {"a": 1}


def test_the_plain_state_is_what_was_adopted_and_later_a_copy() -> None:
    adopted: Json = {"a": [1]}
    document = Document.adopting(adopted)
    assert document.plain() is adopted

    document.root["a"].append(2)
    copy = document.plain()
    document.root["a"].append(3)
    assert (adopted, copy) == ({"a": [1]}, {"a": [1, 2]})
    assert type(copy["a"]) is list
    assert at_rest().plain() == msgspec.json.decode(TEXT)
    assert Document.adopting(7).plain() == 7
