"""Characters that a provider cuts in two between its deltas are whole in the end, however the text grows."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statecast_agents import Document, Json, Messages, NotJson, Parts, chunks, operations

GROWTHS: dict[str, tuple[Callable[[Document], Callable[[str], None]], Callable[[Json], str]]] = {}


def growth(name: str, read: Callable[[Json], str]) -> Callable[[Callable[[Document], Callable[[str], None]]], None]:
    def register(make: Callable[[Document], Callable[[str], None]]) -> None:
        GROWTHS[name] = make, read

    return register


@growth("append_text of a dict", lambda root: root["t"])
def _dict(document: Document) -> Callable[[str], None]:
    document.root = {"t": ""}
    return lambda delta: document.root.append_text("t", delta)


@growth("append_text of a list", lambda root: root["l"][0])
def _list(document: Document) -> Callable[[str], None]:
    document.root = {"l": [""]}
    return lambda delta: document.root["l"].append_text(0, delta)


@growth("append_text by path", lambda root: root["l"][0])
def _path(document: Document) -> Callable[[str], None]:
    document.root = {"l": [""]}
    return lambda delta: document.append_text(delta, ["l", 0])


@growth("+= in a dict", lambda root: root["t"])
def _add(document: Document) -> Callable[[str], None]:
    document.root = {"t": ""}

    def grow(delta: str) -> None:
        document.root["t"] += delta

    return grow


@growth("+= in a list", lambda root: root[0])
def _add_in_list(document: Document) -> Callable[[str], None]:
    document.root = [""]

    def grow(delta: str) -> None:
        document.root[0] += delta

    return grow


@growth("+= of the whole state", lambda root: root)
def _add_to_all(document: Document) -> Callable[[str], None]:
    document.root = ""

    def grow(delta: str) -> None:
        document.root += delta

    return grow


@growth("assigning what was gathered", lambda root: root["t"])
def _gather(document: Document) -> Callable[[str], None]:
    document.root = {"t": ""}
    gathered: list[str] = []

    def grow(delta: str) -> None:
        gathered.append(delta)
        document.root["t"] = "".join(gathered)

    return grow


@growth("a message's text", lambda root: "".join(part["text"] for part in root["messages"][0]["parts"]))
def _text(document: Document) -> Callable[[str], None]:
    return Messages(document, ["messages"]).assistant().append_text


@growth("a message's reasoning", lambda root: "".join(part["text"] for part in root["messages"][0]["parts"]))
def _reasoning(document: Document) -> Callable[[str], None]:
    return Messages(document, ["messages"]).assistant().append_reasoning


@growth("a call's arguments", lambda root: root["messages"][0]["parts"][0]["argsText"])
def _args(document: Document) -> Callable[[str], None]:
    return Messages(document, ["messages"]).assistant().add_tool_call("f").append_args


def halves_of(text: str) -> list[str]:
    """Return what a provider that writes escapes sends: one UTF-16 unit after the other."""
    data = text.encode("utf-16-le")
    return [data[at : at + 2].decode("utf-16-le", "surrogatepass") for at in range(0, len(data), 2)]


@pytest.mark.parametrize("name", GROWTHS)
@given(text=st.text(st.sampled_from("aé\U0001f600\U0001f468\u200d\U0010ffff"), min_size=1, max_size=8), data=st.data())
def test_a_text_is_whole_in_the_end_wherever_it_was_cut(name: str, text: str, data: st.DataObject) -> None:
    units = halves_of(text)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(units)))) | {len(units)})
    document = Document({})
    make, read = GROWTHS[name]
    grow = make(document)
    client: Json = None
    document.flush()
    client = msgspec.json.decode(document.encode())
    before = 0
    for cut in cuts:
        grow("".join(units[before:cut]))
        before = cut
        client = operations.apply(
            client, operations.decode(document.flush().operations or b"[]")
        )  # what it is shown is no half
        client = msgspec.json.decode(msgspec.json.encode(client))

    assert read(document.root) == text
    assert read(client) == text


@pytest.mark.parametrize("name", [name for name in GROWTHS if name != "assigning what was gathered"])
@pytest.mark.parametrize("then", [["next"], [], ["next", "\U0001f600"]])
def test_a_half_without_its_other_half_is_left_out(name: str, then: list[str]) -> None:
    document = Document({})
    make, read = GROWTHS[name]
    grow = make(document)

    for delta in ("a\ud83d", *then):
        grow(delta)
    assert read(document.root) == "a" + "".join(then)


@pytest.mark.parametrize("name", [name for name in GROWTHS if name != "assigning what was gathered"])
@pytest.mark.parametrize("delta", ["\ude00", "\ud83dx", "\ud83d\ud83d", "x\ude00"])
def test_a_half_that_cannot_be_completed_is_an_error_at_its_line(name: str, delta: str) -> None:
    document = Document({})
    make, read = GROWTHS[name]
    grow = make(document)
    grow("a")

    with pytest.raises(NotJson, match="surrogate"):
        grow(delta)
    grow("b")
    with pytest.raises(NotJson, match="surrogate"):
        grow("\ude00")  # the first half of what was refused does not wait
    assert read(document.root) == "ab"


def test_the_other_half_is_not_taken_by_another_text() -> None:
    document = Document({"a": "", "b": ""})
    document.root["a"] += "\ud83d"

    with pytest.raises(NotJson):
        document.root["b"] += "\ude00"
    document.root["b"] += "\ud83d"
    document.root["a"] += "\ude00"
    document.root["b"] += "\ude01"
    assert document.root == {"a": "\U0001f600", "b": "\U0001f601"}


def test_two_halves_that_are_next_to_each_other_are_one_character() -> None:
    document = Document({})
    document.root["t"] = "\ud83d" + "\ude00"
    document.root["l"] = ["\ud83d" + "\ude00", {"\ud83d" + "\ude00": 1}]

    assert document.root == {"t": "\U0001f600", "l": ["\U0001f600", {"\U0001f600": 1}]}


def test_halves_that_wait_are_bounded() -> None:
    document = Document({"l": [""] * 1_000})
    for index in range(1_000):
        document.root["l"][index] += "\ud83d"

    with pytest.raises(NotJson):
        document.root["l"][0] += "\ude00"
    document.root["l"][999] += "\ude00"
    assert document.root["l"][999] == "\U0001f600"


@given(text=st.text(st.sampled_from("aé\U0001f600\U0010ffff"), min_size=1, max_size=8), data=st.data())
@pytest.mark.parametrize("kind", ["text", "reasoning", "args"])
def test_parts_outside_the_state_are_whole_as_well(kind: str, text: str, data: st.DataObject) -> None:
    units = halves_of(text)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(units)))) | {len(units)})
    sent: list[chunks.Chunk] = []
    parts = Parts(sent.append)
    grow = {"text": parts.append_text, "reasoning": parts.append_reasoning}.get(kind) or parts.add_tool_call(
        "f"
    ).append_args
    for start, end in zip([0, *cuts], cuts, strict=False):
        grow("".join(units[start:end]))

    assert "".join(chunk.text for chunk in sent if isinstance(chunk, chunks.TextDelta)) == text


def test_a_half_at_the_end_of_a_part_is_left_out() -> None:
    sent: list[chunks.Chunk] = []
    parts = Parts(sent.append)
    parts.append_text("a\ud83d")
    parts.append_reasoning("b")
    parts.append_text("c\ud83d")
    parts.append_text("d")
    with pytest.raises(NotJson):
        parts.append_text("\ude00")
    parts.close()

    assert [chunk.text for chunk in sent if isinstance(chunk, chunks.TextDelta)] == ["a", "b", "c", "d"]
