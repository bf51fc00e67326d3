"""History: what clients wrote and what the state has are one tree, in which the conversation stands last."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statecast.history.client_message import ClientMessage
from statecast.history.formats import read_message, write_message
from statecast.history.matching import Alias, match, same_message
from statecast.history.tree import HistoryMessage, branch, history, joined, state_messages
from statecast_agents import Json
from tests.transport.stored_samples import JSON

AUI = "aui/v0"
AI_SDK = "ai-sdk/v6"
BEGAN = 1000.0

#: What was written: "<id> <parent> <role>:<words>", with "-" for no parent, role u or a, in the order in which it was
#: written; what begins with an x is in the form of the AI SDK, with a ? of no known one. The state's have no parent.
SHORT = list[str]

ROLES = {"u": "user", "a": "assistant", "s": "system"}


def ours(message: str) -> dict[str, Json]:
    id, _, rest = message.partition(" ")
    role, _, words = rest.partition(":")
    return {"id": id, "role": ROLES[role], "parts": [{"type": "text", "text": words}] if words else []}


def written(messages: SHORT) -> list[ClientMessage]:
    made: list[ClientMessage] = []
    for at, message in enumerate(messages, 1):
        id, parent, rest = message.split(" ", 2)
        format = {"x": AI_SDK, "?": "new/v9"}.get(id[0], AUI)
        content = write_message(ours(f"{id} {rest}"), AUI if id[0] == "?" else format)
        at_time = BEGAN + at
        made.append(ClientMessage(id, None if parent == "-" else parent, format, content, at_time, at_time + 0.5))
    return made


def read(items: Sequence[ClientMessage], state: Sequence[Json], format: str | None = AUI) -> list[HistoryMessage]:
    return history(items, state, format=format, began=BEGAN)


def shown(placed: Sequence[HistoryMessage]) -> SHORT:
    return [f"{item.id} {item.parent_id or '-'}" for item in placed]


TWO = ["w1 - u:hi", "w2 w1 a:hello"]
STATE = ["s1 u:hi", "s2 a:hello"]

#: What was written; what the state has; the history.
TABLE: list[tuple[str, SHORT, SHORT, SHORT]] = [
    ("nothing", [], [], []),
    ("only the state", [], STATE, ["s1 -", "s2 s1"]),
    ("only what was written", TWO, [], ["w1 -", "w2 w1"]),
    ("the same in both", TWO, STATE, ["w1 -", "w2 w1"]),
    ("the same ids in both", TWO, ["w1 u:hi", "w2 a:hello"], ["w1 -", "w2 w1"]),
    ("an answer that was not written", TWO[:1], STATE, ["w1 -", "s2 w1"]),
    ("an answer that is not in the state yet", TWO, STATE[:1], ["w1 -", "w2 w1"]),
    ("an answer that was written in part", [TWO[0], "w2 w1 a:hel"], STATE, ["w1 -", "w2 w1"]),
    ("an answer that grew since it was read", TWO, [STATE[0], "s2 a:hel"], ["w1 -", "w2 w1"]),
    (
        "an answer in the agent's own words",
        [*TWO, "w3 w2 u:more"],
        [STATE[0], "s2 a:hi!", "s3 u:more"],
        ["w1 -", "w2 w1", "w3 w2"],
    ),
    ("a question in the agent's own words", TWO, ["s1 u:HI", "s2 a:hello"], ["w1 -", "w2 w1"]),
    (
        "a question in the agent's own words, with an answer by its id",
        TWO,
        ["s1 u:HI", "w2 a:you"],
        ["w1 -", "w2 w1"],
    ),
    ("words with other spaces", ["w1 - u:a b", "w2 w1 a:c"], ["s1 u:a  b ", "s2 a:d"], ["w1 -", "w2 w1", "s2 w1"]),
    ("what another client said since", TWO, [*STATE, "s3 u:more", "s4 a:yes"], ["w1 -", "w2 w1", "s3 w2", "s4 s3"]),
    (
        "what was written below what another client said",
        [*TWO, "w3 s4 u:and", "w4 w3 a:no"],
        [*STATE, "s3 u:more", "s4 a:yes", "s5 u:and", "s6 a:no"],
        ["w1 -", "w2 w1", "s3 w2", "s4 s3", "w3 s4", "w4 w3"],
    ),
    (
        "what was written below a state's message that a written one stands for",
        [TWO[0], "w3 s2 u:more", "w4 w3 a:yes"],
        [*STATE, "s3 u:more", "s4 a:yes"],
        ["w1 -", "s2 w1", "w3 s2", "w4 w3"],
    ),
    (
        "an edit, where the state has what was said before as well",
        [*TWO, "w3 - u:hey", "w4 w3 a:oh", "w5 w4 u:so", "w6 w5 a:well"],
        [*STATE, "s3 u:hey", "s4 a:oh", "s5 u:so", "s6 a:well"],
        ["w1 -", "w2 w1", "w3 -", "w4 w3", "w5 w4", "w6 w5"],
    ),
    ("what was said, said again by another client", TWO, [*STATE, "s3 u:hi"], ["w1 -", "w2 w1", "s3 w2"]),
    ("the parent by the state's id", [TWO[0], "w2 s1 a:hello"], STATE, ["w1 -", "w2 w1"]),
    ("an answer in two messages", TWO, ["s1 u:hi", "s2 a:hel", "s3 a:lo"], ["w1 -", "w2 w1"]),
    (
        "an answer in two messages, and more",
        [*TWO, "w3 w2 u:more", "w4 w3 a:yes"],
        ["s1 u:hi", "s2 a:hel", "s3 a:lo", "s4 u:more", "s5 a:yes"],
        ["w1 -", "w2 w1", "w3 w2", "w4 w3"],
    ),
    (
        "an answer in two messages of other words, and more",
        [*TWO, "w3 w2 u:more", "w4 w3 a:yes"],
        ["s1 u:hi", "s2 a:one", "s3 a:two", "s4 u:more", "s5 a:yes"],
        ["w1 -", "w2 w1", "w3 w2", "w4 w3"],
    ),
    ("an answer that goes on in another message", TWO, [*STATE, "s3 a:again"], ["w1 -", "w2 w1", "s3 w2"]),
    (
        "an answer of its own after one with its id",
        TWO,
        ["w1 u:hi", "w2 a:hello", "s3 a:hell"],
        ["w1 -", "w2 w1", "s3 w2"],
    ),
    ("an edit", [*TWO, "w3 - u:ho", "w4 w3 a:oh"], ["s3 u:ho", "s4 a:oh"], ["w1 -", "w2 w1", "w3 -", "w4 w3"]),
    ("an edit that no agent has seen", [*TWO, "w3 - u:ho"], STATE, ["w1 -", "w2 w1", "w3 -"]),
    ("an edit of the agent's, with the same answer", TWO, ["s1 u:ho", "s2 a:hello"], ["w1 -", "w2 w1"]),
    ("an edit that was not written", TWO, ["s1 u:ho", "s2 a:oh"], ["w1 -", "w2 w1", "s1 -", "s2 s1"]),
    ("another answer", [*TWO, "w3 w1 a:hey"], ["s1 u:hi", "s3 a:hey"], ["w1 -", "w2 w1", "w3 w1"]),
    ("another answer that was not written", TWO, ["s1 u:hi", "s3 a:hey"], ["w1 -", "w2 w1", "s3 w1"]),
    ("the first of two answers", [*TWO, "w3 w1 a:hey"], STATE, ["w1 -", "w2 w1", "w3 w1"]),
    (
        "the same question twice",
        [*TWO, "w3 w2 u:hi"],
        [*STATE, "s3 u:hi", "s4 a:ho"],
        ["w1 -", "w2 w1", "w3 w2", "s4 w3"],
    ),
    (
        "the same question twice, the second of which was written",
        ["w1 - u:hi"],
        ["s1 u:hi", "s2 a:hello", "w1 u:hi"],
        ["w1 -", "s1 -", "s2 s1"],
    ),
    ("one of the state's written again", ["s2 s1 a:hello!"], [*STATE, "s3 u:more"], ["s1 -", "s2 s1", "s3 s2"]),
    ("one of the state's written again, from the root", ["s2 - a:hello!"], STATE, ["s1 -", "s2 -"][::-1]),
    ("one of the state's written again, below what is gone", ["s2 gone a:hello!"], STATE, ["s1 -", "s2 s1"]),
    ("two users at once", TWO, ["s1 u:hi", "s2 u:ho", "s3 a:hey"], ["w1 -", "w2 w1", "s2 w1", "s3 s2"]),
    ("an unknown parent", [*TWO, "w3 gone u:more"], [], ["w1 -", "w2 w1", "w3 -"]),
    ("its own parent", ["w1 w1 u:hi"], [], ["w1 -"]),
    ("a cycle", ["w1 w3 u:a", "w2 w1 a:b", "w3 w2 u:c", "w4 w3 a:d"], [], ["w1 -", "w2 w1", "w3 w2", "w4 w3"]),
    (
        "a cycle below an older message",
        ["w1 w4 u:a", "w2 w4 a:b", "w3 w2 u:c", "w4 w3 a:d"],
        [],
        ["w2 -", "w3 w2", "w4 w3", "w1 w4"],
    ),
    ("a cycle through the state", ["s1 s2 u:hi"], STATE, ["s1 -", "s2 s1"]),
    (
        "a cycle of what has no words",
        ["w1 w2 s:be", "w2 w1 s:be"],
        ["w1 u:hi", "s2 u:ho"],
        ["w1 -", "w2 w1", "s2 w1"],
    ),
    ("a child that was written first", ["w2 w1 a:hello", "w1 - u:hi"], [], ["w1 -", "w2 w1"]),
    ("a message of the system", ["w0 - s:be", "w1 w0 u:hi"], STATE, ["w0 -", "w1 w0", "s2 w1"]),
    ("another form", ["x1 - u:hi", "x2 x1 a:hello"], STATE, ["s1 -", "s2 s1"]),
    ("another form in the state", ["x1 - u:hi", "x2 x1 a:hello"], ["x1 u:hi", "x2 a:hello"], ["x1 -", "x2 x1"]),
    ("another form in between", ["w1 - u:hi", "x2 w1 a:hello", "w3 x2 u:more"], [], ["w1 -", "w3 w1"]),
    (
        "another form in between, which is in the state",
        ["w1 - u:hi", "x2 w1 a:hello", "w3 x2 u:more"],
        ["w1 u:hi", "x2 a:hello", "w3 u:more"],
        ["w1 -", "x2 w1", "w3 x2"],
    ),
    ("only other forms in between, in a cycle", ["x1 x2 u:a", "x2 x1 a:b", "w3 x2 u:c"], [], ["w3 -"]),
    ("a state's message of the system", [], ["s0 s:be", *STATE], ["s1 -", "s2 s1"]),
]


@pytest.mark.parametrize(("items", "state", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_history_of_a_thread(items: SHORT, state: SHORT, expected: SHORT) -> None:
    placed = read(written(items), [ours(message) for message in state])
    assert shown(placed) == expected
    assert [item.format for item in placed] == [AUI] * len(placed)
    check_well_formed(placed)


def check_well_formed(placed: Sequence[HistoryMessage]) -> None:
    """Check that it imports, as assistant-ui does: each parent before its child, and no id twice."""
    heights: dict[str | None, int] = {None: -1}
    for item in placed:
        assert item.id not in heights
        assert item.parent_id in heights
        assert item.height == heights[item.parent_id] + 1
        heights[item.id] = item.height


def test_a_client_that_asks_for_no_form_gets_each_message_in_its_own() -> None:
    items = written(["x1 - u:hi", "w2 x1 a:hello", "?3 w2 u:so", "w4 ?3 a:no"])
    placed = read(items, [ours("s1 u:hi"), ours("s2 a:hello"), ours("s3 u:more")], None)
    assert shown(placed) == ["x1 -", "w2 x1", "?3 w2", "w4 ?3", "s3 w2"]
    assert [item.format for item in placed] == [AI_SDK, AUI, "new/v9", AUI, AUI]


def test_of_an_unknown_form_a_client_gets_what_was_written_in_it() -> None:
    assert shown(read(written([*TWO, "?3 w2 u:so", "?4 s1 a:so"]), [ours(s) for s in STATE], "new/v9")) == [
        "?3 -",
        "?4 -",
    ]


def test_no_name_is_the_name_of_an_unknown_form() -> None:
    assert read(written(TWO), [ours(s) for s in STATE], "") == []


def test_the_state_is_read_in_the_form_that_a_client_asks_for() -> None:
    for format in (AUI, AI_SDK):
        placed = read([], [ours("s1 u:hi")], format)
        assert [(item.format, item.content) for item in placed] == [(format, write_message(ours("s1 u:hi"), format))]


def test_what_was_written_is_read_as_it_was_written() -> None:
    items = written(TWO)
    assert [(item.content, item.created, item.updated) for item in read(items, [ours(s) for s in STATE])] == [
        (item.content, item.created, item.updated) for item in items
    ]


def test_calls_tell_messages_without_words_apart() -> None:
    def call(id: str) -> Json:
        part = {"type": "tool-call", "toolCallId": id, "toolName": "t", "args": {}, "argsText": "{}", "result": 1}
        return {"id": f"of-{id}", "role": "assistant", "parts": [part | {"isError": False}]}

    items = [
        ClientMessage("w1", None, AUI, write_message(call("one"), AUI), 1, 1),
        ClientMessage("w2", None, AUI, write_message(call("two"), AUI), 2, 2),
    ]
    assert shown(read(items, [call("one")])) == ["w1 -", "w2 -"]
    assert shown(read(items, [call("one"), ours("s u:so")]))[-1] == "s w1"
    assert shown(read(items, [call("three")]))[-1] == "of-three -"


# Ids and times


def test_messages_without_an_id_of_their_own_get_one_that_stays() -> None:
    messages = [
        {"role": "user"},
        {"id": "a", "role": "user"},
        {"id": "a", "role": "user"},
        {"id": 1, "role": "user"},
        {"id": "", "role": "user"},
    ]
    placed = read([], messages)
    assert shown(placed) == ["message-0 -", "a message-0", "message-2 a", "message-3 message-2", "message-4 message-3"]
    assert shown(read([], [*messages, ours("b u:hi")]))[:5] == shown(placed)


def test_a_message_without_an_id_of_its_own_is_the_one_that_was_written_under_the_id_it_got() -> None:
    items = written(["message-0 - u:hi", "w1 message-1 u:so"])
    state: list[Json] = [{"role": "user"}, {"role": "assistant"}]
    assert shown(read(items, state)) == ["message-0 -", "message-1 message-0", "w1 message-1"]


def test_what_is_no_message_of_a_state_is_left_out() -> None:
    messages: list[Json] = [
        None,
        1,
        "a",
        [],
        {},
        {"role": "tool"},
        {"role": ["user"]},
        {"id": "a", "role": "user", "parts": 1},
    ]
    assert shown(read([], messages)) == ["a -"]


def test_messages_that_tell_no_time_follow_one_another_since_the_thread_began() -> None:
    placed = read([], [ours(f"s{at} u:{at}") for at in range(3)])
    assert [(item.created, item.updated) for item in placed] == [(BEGAN + at / 1000,) * 2 for at in range(3)]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("2026-01-02T03:04:05.678Z", 1767323045.678),
        ("2026-01-02T04:04:05+01:00", 1767323045),
        ("2026-01-02T03:04:05", 1767323045),
        (1767323045678, 1767323045.678),
        (0, 0),
        ("soon", BEGAN),
        ("0001-01-01T00:00:00+14:00", BEGAN),
        (1e300, BEGAN),
        (-1e300, BEGAN),
        (True, BEGAN),
        (None, BEGAN),
        ({}, BEGAN),
    ],
)
def test_a_message_may_tell_when_it_was_made(told: Json, expected: float) -> None:
    (placed,) = read([], [{**ours("s1 u:hi"), "createdAt": told}])
    assert placed.created == pytest.approx(expected)


def test_a_time_without_an_offset_is_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    try:
        (placed,) = read([], [{**ours("s1 u:hi"), "createdAt": "2026-01-02T03:04:05"}])
    finally:
        monkeypatch.undo()
        time.tzset()
    assert placed.created == 1767323045


def test_no_message_of_the_state_was_made_before_the_one_above_it() -> None:
    times = [5_000_000, 4_000_000, None, 6_000_000]
    placed = read([], [{**ours(f"s{at} u:{at}"), "createdAt": told} for at, told in enumerate(times)])
    assert [item.created for item in placed] == [5000, 5000, 5000, 6000]


def test_what_was_written_below_a_message_of_the_state_is_newer_than_it() -> None:
    placed = read(written(["w1 s2 u:more", "w2 - u:ho"]), [ours(message) for message in STATE])
    assert [(item.id, item.created - BEGAN) for item in placed] == [
        ("s1", 0),
        ("s2", pytest.approx(0.001)),
        ("w1", 1),
        ("w2", 2),
    ]


def test_what_nobody_has_written_yet_is_newer_than_what_was_written() -> None:
    placed = read(written([*TWO, "w3 - u:gone"]), [*map(ours, STATE), ours("s3 u:more")])
    assert shown(placed)[-1] == "s3 w2"
    assert placed[-1].created >= max(item.created for item in placed)


# Branches

BRANCHES: list[tuple[str, SHORT, SHORT]] = [
    ("nothing", [], []),
    ("one branch", TWO, ["w1", "w2"]),
    ("the newest of two", [*TWO, "w3 w1 a:ho"], ["w1", "w3"]),
    ("an edit of the first", [*TWO, "w3 - u:ho"], ["w3"]),
    ("an unknown parent", [*TWO, "w3 gone u:ho", "w4 w3 a:so"], ["w3", "w4"]),
    ("its own parent", ["w1 w1 u:hi"], ["w1"]),
    ("a cycle", ["w1 w2 u:hi", "w2 w1 a:hello"], ["w1", "w2"]),
    ("several forms", ["w1 - u:hi", "x2 w1 a:hello", "w3 x2 u:more"], ["w1", "x2", "w3"]),
]


@pytest.mark.parametrize(("items", "expected"), [row[1:] for row in BRANCHES], ids=[row[0] for row in BRANCHES])
def test_the_newest_branch(items: SHORT, expected: SHORT) -> None:
    assert [item.id for item in branch(written(items))] == expected


def test_of_those_written_at_the_same_time_the_last_is_the_newest() -> None:
    items = [msgspec.structs.replace(item, created=1) for item in written([*TWO, "w3 w1 a:ho"])]
    assert [item.id for item in branch(items)] == ["w1", "w3"]


def test_the_newest_branch_as_messages_of_a_state() -> None:
    items = written(
        ["w0 - s:be", "w1 w0 u:hi", "x2 w1 a:hello", "?3 x2 a:what", "w4 ?3 u:more", "w5 w1 a:other", "w6 w4 a:ok"]
    )
    assert state_messages(items) == [ours("w1 u:hi"), ours("x2 a:hello"), ours("w4 u:more"), ours("w6 a:ok")]


def test_a_message_is_kept_in_a_note_as_json() -> None:
    (item,) = written(TWO[:1])
    assert msgspec.json.decode(msgspec.json.encode(item), type=ClientMessage) == item


#: What a client is about to write; below what; what was written already; the message of `STATE` that it is.
SAME: list[tuple[str, str, str | None, set[str], str | None]] = [
    ("the question", "u:hi", None, set(), "s1"),
    ("the answer", "a:hello", "s1", set(), "s2"),
    ("a part of the answer", "a:hel", "s1", set(), "s2"),
    ("more than the answer", "a:hello you", "s1", set(), None),
    ("another answer", "a:hey", "s1", set(), None),
    ("another question", "u:ho", None, set(), None),
    ("a question behind the answer", "u:hi", "s2", set(), None),
    ("an answer below nothing", "a:hello", None, set(), None),
    ("an answer below what is not in the state", "a:hello", "w1", set(), None),
    ("an answer that was written already", "a:hello", "s1", {"s2"}, None),
]


@pytest.mark.parametrize(
    ("said", "parent", "known", "expected"), [row[1:] for row in SAME], ids=[row[0] for row in SAME]
)
def test_a_message_that_is_in_the_state_already(
    said: str, parent: str | None, known: set[str], expected: str | None
) -> None:
    state = [ours(message) for message in STATE]
    assert same_message(ours(f"x {said}"), parent, state, known=known) == expected


def test_a_message_of_the_state_that_has_no_id_is_no_other() -> None:
    state = [{"role": "user", "parts": [{"type": "text", "text": "hi"}]}]
    assert same_message(ours("x u:hi"), None, state, known=()) is None


# Whatever was written, and whatever a state has

IDS = st.sampled_from([f"w{at}" for at in range(6)] + [f"s{at}" for at in range(4)] + ["message-0"])
WORDS = st.sampled_from(["", "a", "ab", "b", "c"])
SAID = st.builds(lambda id, role, words: ours(f"{id} {role}:{words}"), IDS, st.sampled_from("ua"), WORDS)
STATES = st.lists(SAID | st.just({"role": "user", "parts": []}) | JSON, max_size=8)


@st.composite
def trees(draw: st.DrawFn) -> list[ClientMessage]:
    made: list[ClientMessage] = []
    for id in draw(st.lists(IDS, unique=True, max_size=8)):
        parent = draw(st.none() | IDS)
        format = draw(st.sampled_from([AUI, AUI, AI_SDK, "new/v9"]))
        content: Any = draw(JSON)
        if not isinstance(content, dict):
            content = write_message(draw(SAID), AUI if format == "new/v9" else format)
        made.append(ClientMessage(id, parent, format, content, float(draw(st.integers(990, 1010))), 0.0))
    return made


@given(trees(), STATES, st.sampled_from([AUI, AI_SDK, None]))
@settings(deadline=None, max_examples=200)
def test_what_is_joined_by_aliases_is_what_is_matched(
    items: list[ClientMessage], state: list[Json], format: str | None
) -> None:
    once = match(items, state, format=format)
    again = match(items, state, format=format, aliases=once.found)

    assert (again.counterparts, again.found) == (once.counterparts, {})


@given(trees(), STATES, st.sampled_from([AUI, AI_SDK, "new/v9", None]))
@settings(deadline=None, max_examples=200)
def test_whatever_was_written_imports(items: list[ClientMessage], state: list[Json], format: str | None) -> None:
    placed = read(items, state, format)
    check_well_formed(placed)
    found = {item.id: item for item in placed}
    kept = [item for item in items if format in (None, item.format)]
    for item in kept:
        at = found[item.id]
        assert (at.content, at.created, at.updated, at.format) == (
            item.content,
            item.created,
            item.updated,
            item.format,
        )
        if item.parent_id is None:
            assert at.parent_id is None
    for at in placed:
        above = found.get(at.parent_id or "")
        if at.id not in {item.id for item in kept}:
            assert read_message(at.content, at.format, at.id) is not None
            assert above is None or at.created >= above.created
    assert [item.id for item in branch(items)] == list({item.id: None for item in branch(items)})
    assert all(message["role"] in ("user", "assistant") for message in state_messages(items))


# A conversation, whoever writes of it


class Told:
    """A thread whose agent answers, clients of two forms that write what they show, and others that do not."""

    def __init__(self) -> None:
        self.state: list[dict[str, Json]] = []
        self.items: list[ClientMessage] = []
        self.aliases: dict[str, dict[str, Alias]] = {AUI: {}, AI_SDK: {}}  #: that reading has found, by the form
        self.count = 0

    def words(self) -> str:
        self.count += 1
        return f"[{self.count:04}]"

    def say(self, role: str, words: str, id: str | None = None) -> None:
        self.state.append(ours(f"{id or f's{self.count}'} {role}:{words}"))

    def write(self, role: str, words: str, parent: str | None, format: str) -> str:
        message = ours(f"x {role}:{words}")
        known = {item.id for item in self.items}
        id = same_message(message, parent, self.state, known=known) or f"w{len(self.items)}"
        content = write_message(message, format)
        now = BEGAN + len(self.items) + 1
        self.items.append(ClientMessage(id, parent, format, content, now, now))
        return id

    def read(self, format: str) -> list[HistoryMessage]:
        """Return the history, and keep the aliases that are found."""
        matching = match(self.items, self.state, format=format, aliases=self.aliases[format])
        self.aliases[format] |= matching.found
        return joined(matching, format=format, began=BEGAN)

    def view(self, format: str) -> list[HistoryMessage]:
        """Return what a client shows that has just loaded the history."""
        placed = self.read(format)
        check_well_formed(placed)
        by_id = {item.id: item for item in placed}
        found: list[HistoryMessage] = []
        at = placed[-1] if placed else None
        while at is not None:
            found.append(at)
            at = by_id.get(at.parent_id or "")
        return found[::-1]

    def turn(self, kind: str, writes: str, answers: int, where: int, format: str, named: bool) -> None:
        """Do what a user does, through a client that writes the question, the answer, both, or nothing."""
        view = self.view(format)
        users = [at for at, item in enumerate(view) if item.content["role"] == "user"]
        keep, words = len(view), self.words()
        if kind != "ask" and users:
            keep = users[where % len(users)]
            said = [at for at, message in enumerate(self.state) if message["role"] == "user"][where % len(users)]
            del self.state[said + (kind == "again") :]
        parent = view[keep - 1].id if keep else None
        if kind == "again" and users:
            parent = view[keep].id
        else:
            question = self.write("u", words, parent, format) if "u" in writes else None
            self.say("u", words, question if named else None)
            parent = question or self.state[-1]["id"]
        texts: list[str] = []
        for _ in range(answers):
            texts.append(self.words())
            self.say("a", texts[-1])
        if "a" in writes and texts:
            self.write("a", "".join(texts), parent, format)


def merged(messages: Sequence[Any]) -> list[tuple[str, str]]:
    """Return who said what, with the messages of one answer as one."""
    said = [(m["role"], "".join(part["text"] for part in m["parts"])) for m in messages]
    return [(role, "".join(text for _, text in group)) for role, group in groupby(said, key=lambda pair: pair[0])]


TURNS = st.tuples(
    st.sampled_from(["ask", "ask", "edit", "again"]),
    st.sampled_from(["ua", "ua", "u", ""]),
    st.integers(1, 3),
    st.integers(0, 5),
    st.sampled_from([AUI, AUI, AI_SDK]),
    st.booleans(),
)


@given(st.lists(TURNS, max_size=8))
@settings(deadline=None, max_examples=120)
def test_a_client_that_loads_the_history_shows_the_conversation(
    turns: list[tuple[str, str, int, int, str, bool]],
) -> None:
    thread = Told()
    for turn in turns:
        thread.turn(*turn)
        for format in (AUI, AI_SDK):
            shown = [read_message(item.content, format, item.id) for item in thread.view(format)]
            assert merged(shown) == merged(thread.state)
            # And nothing that was said in it is there twice.
            texts = [str(item.content) for item in thread.read(format)]
            assert len(set(texts)) == len(texts)
            assert thread.read(format) == read(thread.items, thread.state, format)  # joined by ids, or by words
