"""Histories: what an agent does to its messages in one run, at random, as the entries of a log.

An orderly one only adds: text to the last part, arguments to open calls, results, parts, messages, with changes of the
state beside them in between. A wild one also splices lists, sets texts anew, moves parts and replaces the state.
"""

from __future__ import annotations

import copy
from random import Random
from typing import Any, Final

import msgspec

from statecast.protocol import Entry, OperationsEntry, RunEntry, RunState
from statecast_agents import AssistantMessage, Document, Json, Messages, ToolCall

__all__ = ["RUN", "History"]

RUN: Final = "run_1"

_WORDS: Final = ("a", "tok ", "ü", '"', "\\", "\n", "😀", '"},{', '","value":"', " ", "}]", "\u2028", "ein Wort ")
_NAMES: Final = ("look", "add", "äh")


class History:
    """One run's history, made of random pieces.

    Args:
        random: Where they come from.
        size: How many things happen.
        wild: Whether anything may happen.
        streams: Whether arguments of calls may come in pieces.
    """

    def __init__(self, random: Random, size: int, *, wild: bool = False, streams: bool = True) -> None:
        self.story: list[str] = []
        self._random = random
        self._count = 0
        self.document = Document({"title": "", "messages": [{"id": "u0", "role": "user", "parts": []}, _old()]})
        self.document.flush()
        self._messages = Messages(self.document, ("messages",))
        self.base = self.document.plain()  #: the state before the run
        self.entries: list[Entry] = []
        self.states: list[bytes] = []  #: after each entry
        self._add(RunEntry(1, RunState(RUN, "running")))
        self._messages.items.append({"id": "u1", "role": "user", "parts": [{"type": "text", "text": "go"}]})
        self._flush()
        self._message: AssistantMessage = self._messages.assistant()
        self._open: list[ToolCall] = []  #: calls without a result
        self._growing: list[tuple[ToolCall, str]] = []  #: calls whose arguments grow, and what they still lack
        orderly = [self._text] * 4 + [self._reasoning] * 2 + [self._grow_args] * 3
        orderly += [self._call, self._stream_call if streams else self._call]
        orderly += [self._settle, self._source, self._file, self._data, self._next, self._beside, self._older]
        disorderly = [self._drop, self._insert, self._reset_text, self._move, self._replace, self._unsettle, self._same]
        for _ in range(size):
            act = random.choice(orderly + (disorderly if wild else []))
            self.story.append(act.__name__.removeprefix("_"))
            act()
            if random.random() < 0.7:
                self._flush()
        for call, rest in self._growing:
            call.append_args(rest)
            call.finish_args()
        self._flush()
        self._add(RunEntry(len(self.entries) + 1, RunState(RUN, "completed")))

    @property
    def answer(self) -> list[Json]:
        """The messages of the run, as they are at the end."""
        state = msgspec.json.decode(self.document.encode())
        return state["messages"][3:]

    def rest(self, since: int, until: int) -> list[RunEntry]:
        """Return the entries between two that a snapshot does not stand for."""
        return [entry for entry in self.entries[since:until] if isinstance(entry, RunEntry)]

    def _add(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.states.append(self.document.encode())

    def _flush(self) -> None:
        changes = self.document.flush()
        if changes.operations:
            revision = len(self.entries) + 1
            self._add(OperationsEntry(revision, changes.operations, changes.grew_at, changes.delta))

    def _word(self) -> str:
        return "".join(self._random.choices(_WORDS, k=self._random.randint(1, 3)))

    def _value(self) -> Json:
        return self._random.choice([None, 1, "x", [1, {"y": None}], {"z": [True, 0.5]}, self._word(), {}])

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}{self._count}"

    # What is orderly

    def _text(self) -> None:
        for _ in range(self._random.randint(1, 4)):
            self._message.append_text(self._word())
            if self._random.random() < 0.7:
                self._flush()

    def _reasoning(self) -> None:
        self._message.append_reasoning(self._word())

    def _call(self) -> None:
        args = {self._word(): self._value() for _ in range(self._random.randint(0, 2))}
        self._open.append(self._message.add_tool_call(self._random.choice(_NAMES), args, id=self._name("call")))

    def _stream_call(self) -> None:
        call = self._message.add_tool_call(self._random.choice(_NAMES), id=self._name("call"))
        text = msgspec.json.encode({self._word(): self._value(), "more": self._word()}).decode()
        self._growing.append((call, text))

    def _grow_args(self) -> None:
        if self._growing:
            call, rest = self._growing.pop(self._random.randrange(len(self._growing)))
            piece = self._random.randint(1, len(rest))
            call.append_args(rest[:piece])
            if rest[piece:]:
                self._growing.append((call, rest[piece:]))
            else:
                call.finish_args()
                self._open.append(call)

    def _settle(self) -> None:
        if self._open:
            call = self._open.pop(self._random.randrange(len(self._open)))
            call.set_result(self._value(), is_error=self._random.random() < 0.3)

    def _source(self) -> None:
        title = self._random.choice([None, "T"])
        self._message.add_source(f"https://example.org/{self._name('s')}", title=title)

    def _file(self) -> None:
        self._message.add_file(*self._random.choice([("/9j/" + "4AAQ" * 16, "image/jpeg"), ("https://e.org/a", "a/b")]))

    def _data(self) -> None:
        self._message.add_data("chart", self._value())

    def _next(self) -> None:
        self._message = self._messages.assistant()

    def _beside(self) -> None:
        self.document.root["title"] += self._word()

    def _older(self) -> None:
        self._messages.items[1]["parts"][0].append_text("text", "!")

    # What is not

    @property
    def _parts(self) -> Any:
        return self._message.message["parts"]

    def _drop(self) -> None:
        if self._parts:
            del self._parts[self._random.randrange(len(self._parts))]
            self._forget()

    def _insert(self) -> None:
        at = self._random.randint(0, len(self._parts))
        self._parts.insert(at, {"type": self._random.choice(["text", "reasoning"]), "text": self._word()})

    def _reset_text(self) -> None:
        texts = [part for part in self._parts if "text" in part]
        if texts:
            part = self._random.choice(texts)
            part["text"] = self._random.choice([part["text"] + self._word(), self._word(), ""])

    def _move(self) -> None:
        self._random.choice([self._parts.reverse, lambda: self._parts.sort(key=lambda part: part["type"])])()

    def _replace(self) -> None:
        items = [item for item in self._messages.items if item["role"] == "user" or self._random.random() < 0.8]
        self._messages.items[:] = copy.deepcopy([msgspec.json.decode(msgspec.json.encode(item)) for item in items])
        self._forget()
        self._message = self._messages.last_assistant()

    def _same(self) -> None:
        self.document.root = msgspec.json.decode(self.document.encode())
        self._forget()
        self._message = self._messages.last_assistant()

    def _unsettle(self) -> None:
        for part in self._parts:
            if "result" in part and self._random.random() < 0.5:
                del part["result"]

    def _forget(self) -> None:
        """Go on with nothing that may be gone."""
        self._open, self._growing = [], []


def _old() -> dict[str, Json]:
    return {"id": "a0", "role": "assistant", "parts": [{"type": "text", "text": "earlier"}]}
