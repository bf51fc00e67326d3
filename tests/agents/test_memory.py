"""What an agent keeps for itself: under names, as JSON or bytes, and taken back with the conversation."""

from __future__ import annotations

import threading
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statecast_agents import Document, Memory, MemoryTooLarge, Messages, NotJson, Run, RunEnded
from statecast_agents.memory_versions import Record, decode


class Thread:
    """A conversation with a memory, and the store that it is written to."""

    def __init__(self, **settings: Any) -> None:
        self.document = Document({"messages": []})
        self.stored: dict[int, bytes] = {}
        self.settings = settings
        self.memory = self.new()

    @property
    def messages(self) -> Messages:
        return Messages(self.document, ["messages"])

    @property
    def ids(self) -> list[str]:
        return [message.id for message in self.messages]

    def new(self) -> Memory:
        """Return the memory as the next process reads it from the store."""
        records = sorted(Record(number, decode(data)) for number, data in self.stored.items())
        return Memory(self.document, self.messages, records=records, **self.settings)

    def store(self) -> None:
        for number, data in self.memory.take():
            if data is None:
                self.stored.pop(number, None)
            else:
                self.stored[number] = data

    def say(self, id: str, role: str = "assistant") -> None:
        self.messages.items.append({"id": id, "role": role, "parts": []})

    def cut(self, keep: int) -> None:
        ids = self.ids
        del self.messages.items[keep:]
        self.memory.cut(ids, keep)

    @property
    def size(self) -> int:
        return sum(map(len, self.stored.values()))


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -1.5, "text", "ünïcödé 🌍", [], {}, [1, {"a": [None]}], b"", b"\x00\xff" * 3],
    ids=["null", "true", "0", "float", "text", "unicode", "list", "dict", "nested", "no bytes", "bytes"],
)
def test_what_is_written_is_read_again_as_it_was(value: Any) -> None:
    thread = Thread()
    thread.memory["name"] = value
    assert thread.memory["name"] == value
    thread.store()
    again = thread.new()
    assert (again["name"], type(again["name"])) == (value, type(value))


def test_it_is_used_like_a_dict() -> None:
    memory = Thread().memory
    memory.update(a=1, b=b"2", c=[3])
    del memory["b"]
    assert memory.pop("c") == [3]
    assert memory.get("c", "none") == "none"
    assert memory.setdefault("d", {"e": 1}) == {"e": 1}
    assert (dict(memory), list(memory), len(memory)) == ({"a": 1, "d": {"e": 1}}, ["a", "d"], 2)
    assert "a" in memory
    assert "b" not in memory
    with pytest.raises(KeyError, match="b"):
        del memory["b"]
    memory.clear()
    assert not memory


def test_what_is_read_is_a_copy_and_what_is_written_is_one_too() -> None:
    memory = Thread().memory
    value = {"items": [1]}
    memory["a"] = value
    value["items"].append(2)
    memory["a"]["items"].append(3)
    assert memory["a"] == {"items": [1]}


def test_its_repr_has_the_names_only() -> None:
    memory = Thread().memory
    memory["token"] = "secret"
    assert repr(memory) == "Memory('token')"


@pytest.mark.parametrize("name", ["", "n" * 129, 1, None, "\ud800", "__proto__", "statecast.mine"], ids=repr)
def test_a_name_that_is_none_is_refused(name: Any) -> None:
    memory = Thread().memory
    with pytest.raises(NotJson, match="expected"):
        memory[name] = 1
    assert not memory


@pytest.mark.parametrize(
    "value",
    [float("nan"), {1, 2}, {"a": object()}, {1: 2}, 2**70 + 1, [b"bytes"]],
    ids=["NaN", "a set", "an object", "an integer as key", "a large integer", "bytes within"],
)
def test_a_value_that_is_neither_json_nor_bytes_is_refused(value: Any) -> None:
    memory = Thread().memory
    memory["a"] = "before"
    with pytest.raises(NotJson, match="expected"):
        memory["a"] = value
    assert memory["a"] == "before"


def test_what_a_state_converts_is_converted() -> None:
    memory = Thread().memory
    memory["a"] = Messages(Document({"messages": []}), ["messages"]).items
    assert memory["a"] == []


def test_a_write_beyond_the_limit_is_refused() -> None:
    memory = Thread(limit=1_000).memory
    memory["a"] = bytes(500)
    for name in ("a", "b"):
        with pytest.raises(
            MemoryTooLarge, match=r"at most 1000 bytes, got 1\d\d\d: .* raise `Limits.memory`"
        ) as raised:
            memory[name] = bytes(950)
    assert raised.value.code == "memory_too_large"
    assert dict(memory) == {"a": bytes(500)}
    del memory["a"]
    memory["b"] = bytes(900)


def test_the_engines_own_values_are_beside_the_agents() -> None:
    thread = Thread(limit=200)
    thread.say("a")
    thread.memory["mine"] = 1
    thread.memory.slots["statecast.own"] = {"large": "x" * 300}
    thread.say("b")
    thread.memory.slots["statecast.own"] = 2
    assert dict(thread.memory) == {"mine": 1}
    assert dict(thread.memory.slots) == {"statecast.own": 2}
    with pytest.raises(KeyError):
        thread.memory["statecast.own"]
    thread.memory.clear()
    thread.store()
    assert dict(thread.new().slots) == {"statecast.own": 2}
    thread.cut(1)
    assert dict(thread.memory.slots) == {"statecast.own": {"large": "x" * 300}}
    assert thread.memory["mine"] == 1


def test_a_run_that_has_ended_cannot_write_but_read() -> None:
    document = Document({})
    run = Run(id="run", thread_id="t", document=document)
    run.memory["a"] = 1
    document.flush()
    document.end(lambda: RunEnded("run"))
    for write in (lambda: run.memory.update(a=2), lambda: run.memory.pop("a"), lambda: run.memory.restore([])):
        with pytest.raises(RunEnded):
            write()
    assert dict(run.memory) == {"a": 1}


def test_what_is_kept_is_asked_for_once_and_only_while_the_run_goes_on() -> None:
    document = Document({})
    opened: list[Memory] = []

    def open_memory() -> Memory:
        opened.append(Memory(document))
        return opened[-1]

    runs = [Run(id=id, thread_id="t", document=document, memory=open_memory) for id in ("used", "not used")]
    assert not opened

    runs[0].memory["a"] = 1
    assert runs[0].memory is runs[0].memory is opened[0]

    document.flush()
    document.end(lambda: RunEnded("run"))
    assert dict(runs[1].memory) == dict(runs[1].answers) == {}
    assert len(opened) == 1
    with pytest.raises(RunEnded):
        runs[1].memory["a"] = 2


def test_threads_write_side_by_side() -> None:
    thread = Thread()

    def write(name: str) -> None:
        for number in range(50):
            thread.memory[name] = [number] * number

    workers = [threading.Thread(target=write, args=(f"n{number}",)) for number in range(4)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        thread.store()
    thread.store()
    assert dict(thread.new()) == {f"n{number}": [49] * 49 for number in range(4)}


def test_the_first_change_of_several_wakes_who_stores_them() -> None:
    woken: list[None] = []
    memory = Memory(Document({}, wake=lambda: woken.append(None)))
    memory["a"], memory["b"] = 1, 2
    assert (len(woken), memory.changed) == (1, True)
    assert len(memory.take()) == 1
    memory["b"] = 2  # it is that already
    assert (len(woken), memory.take()) == (2, [])


# Taken back


def conversation(thread: Thread, turns: int) -> None:
    """Let an agent answer questions, and keep what was said."""
    for turn in range(turns):
        thread.say(f"u{turn}", "user")
        thread.say(f"a{turn}")
        thread.memory["turns"] = [*thread.memory.get("turns", []), turn]
        thread.store()


@pytest.mark.parametrize(
    ("keep", "turns"), [(0, None), (1, None), (2, [0]), (3, [0]), (4, [0, 1]), (5, [0, 1]), (6, [0, 1, 2])]
)
def test_it_goes_back_with_the_conversation(keep: int, turns: list[int] | None) -> None:
    thread = Thread()
    conversation(thread, 3)
    thread.cut(keep)
    assert thread.memory.get("turns") == turns
    thread.store()
    assert thread.new().get("turns") == turns


def test_what_a_run_writes_before_its_answer_goes_with_the_answer() -> None:
    thread = Thread()
    conversation(thread, 1)
    thread.say("u1", "user")
    thread.memory["turns"] = [0, 1]
    thread.say("a1")
    thread.cut(3)
    assert thread.memory["turns"] == [0]


def test_of_several_messages_of_an_answer_each_has_its_version() -> None:
    thread = Thread()
    thread.say("u", "user")
    for id in ("a", "b", "c"):
        thread.say(id)
        thread.memory["last"] = id
    thread.cut(3)
    assert thread.memory["last"] == "b"


def test_a_message_that_was_renamed_takes_its_version_along() -> None:
    thread = Thread()
    for turn in range(2):
        thread.say(f"u{turn}", "user")
        thread.say(f"early{turn}")
        thread.memory["turn"] = turn
        thread.messages.items[-1]["id"] = f"late{turn}"
    thread.cut(3)
    assert thread.memory["turn"] == 0
    thread.cut(1)
    assert "turn" not in thread.memory


def test_messages_that_the_agent_has_dropped_take_nothing_along() -> None:
    thread = Thread()
    conversation(thread, 4)
    del thread.messages.items[:4]  # u2, a2, u3, a3
    thread.cut(2)
    assert thread.memory["turns"] == [0, 1, 2]


def test_what_was_deleted_comes_back() -> None:
    thread = Thread()
    thread.say("a")
    thread.memory["kept"] = b"1"
    thread.say("b")
    del thread.memory["kept"]
    thread.store()
    thread.cut(1)
    assert thread.memory["kept"] == b"1"


def test_what_was_cut_comes_back_when_it_is_restored() -> None:
    thread = Thread()
    conversation(thread, 3)
    before = thread.memory.records
    thread.cut(2)
    thread.memory["turns"] = "other"
    thread.store()
    thread.memory.restore(before)
    thread.store()
    assert thread.memory["turns"] == thread.new()["turns"] == [0, 1, 2]


# What is stored


@pytest.mark.parametrize("before_the_end", ["", "]", '], "usage": 12}'], ids=["at the end", "in a list", "within"])
def test_a_history_that_grows_is_stored_once(before_the_end: str) -> None:
    thread = Thread()
    text = ""
    for turn in range(200):
        thread.say(f"m{turn}")
        text += f"the text of turn {turn}. " * 20
        thread.memory["history"] = (text + before_the_end).encode()
        thread.store()
    assert len(thread.stored) == 200
    assert thread.size < 1.1 * len(text)
    assert thread.new()["history"] == (text + before_the_end).encode()


def test_only_so_many_versions_are_kept_and_further_back_it_is_empty() -> None:
    thread = Thread(versions=10)
    most = 0
    for turn in range(95):
        thread.say(f"m{turn}")
        thread.memory["turn"] = turn
        thread.store()
        most = max(most, len(thread.stored))
    assert most <= 20
    thread.cut(85)
    assert thread.memory["turn"] == 84
    thread.store()
    thread.cut(60)
    assert not thread.memory
    thread.store()
    assert thread.stored == {}


def test_many_writes_at_one_message_leave_room_for_the_versions_of_others() -> None:
    thread = Thread(versions=10)
    for turn in range(8):
        thread.say(f"m{turn}")
        for step in range(30):
            thread.memory["at"] = [turn, step]
            thread.store()
    thread.cut(1)
    assert thread.memory["at"] == [0, 29]


def test_versions_that_replace_all_are_bounded_in_bytes() -> None:
    thread, random = Thread(limit=10_000), Random(1)
    for turn in range(50):
        thread.say(f"m{turn}")
        thread.memory["blob"] = random.randbytes(4_000)
        thread.store()
        assert thread.size < 40_000
    last = thread.memory["blob"]
    thread.say("u", "user")
    thread.cut(50)
    assert thread.new()["blob"] == last


_TEXTS = st.sampled_from([b"", b"a", b"ab" * 5_000, b"ab" * 5_000 + b"c", b"x" + b"ab" * 5_000, "text", [1], None])
_STEPS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from("xyz"), _TEXTS),
    st.tuples(st.just("delete"), st.sampled_from("xyz"), st.none()),
    st.tuples(st.just("say"), st.sampled_from(["user", "assistant"]), st.none()),
    st.tuples(st.just("cut"), st.floats(0, 1), st.none()),
    st.tuples(st.just("store"), st.none(), st.none()),
    st.tuples(st.just("restart"), st.none(), st.none()),
    st.tuples(st.just("mark"), st.none(), st.none()),
    st.tuples(st.just("roll back"), st.none(), st.none()),
)


@given(st.lists(_STEPS, max_size=40), st.sampled_from([3, 100]))
@settings(max_examples=200, deadline=None)
def test_it_is_what_copies_of_it_would_be(steps: list[tuple[str, Any, Any]], versions: int) -> None:
    thread = Thread(versions=versions)
    now: dict[str, Any] = {}
    at: list[tuple[int, dict[str, Any]]] = []  # how many messages stay with what it held
    mark: Any = None
    for number, (step, one, other) in enumerate(steps):
        if step == "write":
            thread.memory[one] = other
            now = {**now, one: other}
        elif step == "delete":
            assert (thread.memory.pop(one, None), one in now) == (now.get(one), one in now)
            now = {name: value for name, value in now.items() if name != one}
        elif step == "say":
            thread.say(f"m{number}", one)
        elif step == "cut":
            keep = int(one * len(thread.ids))
            thread.cut(keep)
            at = [version for version in at if version[0] <= keep]
            now = at[-1][1] if at else {}
        elif step in ("store", "restart"):
            thread.store()
            thread.memory = thread.new() if step == "restart" else thread.memory
        elif step == "mark":
            mark = thread.memory.records, now, list(at), list(thread.messages.items)
        elif mark is not None:
            thread.memory.restore(mark[0])
            now, at = mark[1], list(mark[2])
            thread.messages.items[:] = mark[3]
        if step in ("write", "delete"):
            last = thread.messages[-1] if thread.ids else None
            at.append((0 if last is None else len(thread.ids) + (last.role == "user"), now))
        if versions == 100 or step != "cut":
            assert dict(thread.memory) == now
        else:  # it may be empty instead
            assert dict(thread.memory) in (now, {})
            if dict(thread.memory) != now:
                now, at = {}, []
    thread.store()
    assert dict(thread.new()) == now
