"""Random programs over a state, lived through twice: by the tracked state, and by a plain one that Python itself keeps.

A step draws a mutation and its arguments, does it to both, and expects the same result or the same kind of error. Where
an argument is a part of the state, the plain side gets a copy of it: what is assigned is owned.
"""

from __future__ import annotations

import copy
import functools
import json
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec
import pytest

from statecast_agents import Document, Json, OperationError, lazy, operations, pieces
from statecast_agents import document as documents
from statecast_agents.moves import DETACHED

KEYS = ["a", "b", "c", "é 😀", "x/y~z", "0", "1", ""]
TEXTS = ["", "a", "ab", "é", "😀\u2028", "x/y~z", "\x00\x7f", '"\\']
SCALARS = [None, True, False, 0, 1, -1, 2**53 - 1, 0.5, 1.0, -2.25, 1e300]
LARGEST = 60  #: containers; above it a program adds only scalars, so that copies of copies do not get out of hand


@dataclass(frozen=True)
class Arguments:
    """What the mutations of one step may use; `value` and `values` differ between the two sides in identity only."""

    key: str
    index: int
    other: int
    cut: slice
    times: int
    text: str
    value: Json
    values: list[Json]


def _grow(container: Any, at: Any, text: str) -> None:
    if hasattr(container, "append_text"):
        container.append_text(at, text)
        return
    try:
        old = container[at]
    except LookupError:
        old = None
    if not isinstance(old, str):
        raise OperationError("no text")
    container[at] = old + text


def _swap(row: Any, one: int, other: int) -> None:
    row[one], row[other] = row[other], row[one]


def _order(value: Json) -> str:
    return json.dumps(value, sort_keys=True)


Mutation = Callable[[Any, Arguments], Any]

OF_DICTS: dict[str, Mutation] = {
    "d[k] = v": lambda d, a: operator.setitem(d, a.key, a.value),
    "d[k] = text": lambda d, a: operator.setitem(d, a.key, a.text),
    "d[k] = d[k]": lambda d, a: operator.setitem(d, a.key, d[a.key]),
    "d[k] += text": lambda d, a: operator.setitem(d, a.key, d[a.key] + a.text),
    "d[k] |= {…}": lambda d, a: operator.setitem(d, a.key, operator.ior(d[a.key], {"a": a.value})),
    "append_text": lambda d, a: _grow(d, a.key, a.text),
    "del": lambda d, a: operator.delitem(d, a.key),
    "pop": lambda d, a: d.pop(a.key),
    "pop, default": lambda d, a: d.pop(a.key, a.text),
    "popitem": lambda d, a: d.popitem(),
    "clear": lambda d, a: d.clear() if a.times == 0 else None,
    "setdefault": lambda d, a: d.setdefault(a.key, a.value),
    "update": lambda d, a: d.update({a.key: a.value, "b": a.text}),
    "update, pairs": lambda d, a: d.update([(a.key, value) for value in a.values]),
    "update, keywords": lambda d, a: d.update({a.key: 1}, a=a.value, b=a.text),
    "update, itself": lambda d, a: d.update({**d, a.key: a.text}),
    "|=": lambda d, a: _nothing(operator.ior(d, {a.key: a.value})),
    "__init__": lambda d, a: d.__init__({a.key: a.value}),
}

OF_LISTS: dict[str, Mutation] = {
    "l[i] = v": lambda row, a: operator.setitem(row, a.index, a.value),
    "l[i] = text": lambda row, a: operator.setitem(row, a.index, a.text),
    "l[i] = l[i]": lambda row, a: operator.setitem(row, a.index, row[a.index]),
    "l[i] += text": lambda row, a: operator.setitem(row, a.index, row[a.index] + a.text),
    "append_text": lambda row, a: _grow(row, a.index, a.text),
    "del l[i]": lambda row, a: operator.delitem(row, a.index),
    "del l[i:j]": lambda row, a: operator.delitem(row, a.cut),
    "pop": lambda row, a: row.pop(),
    "pop, index": lambda row, a: row.pop(a.index),
    "insert": lambda row, a: row.insert(a.index, a.value),
    "append": lambda row, a: row.append(a.value),
    "extend": lambda row, a: row.extend(a.values),
    "extend, itself": lambda row, a: row.extend(row if len(row) < 5 else []),
    "+=": lambda row, a: _nothing(operator.iadd(row, a.values)),
    "*=": lambda row, a: _nothing(operator.imul(row, a.times if len(row) < 5 else 1)),
    "clear": lambda row, a: row.clear() if a.times == 0 else None,
    "remove": lambda row, a: row.remove(a.value),
    "reverse": lambda row, a: row.reverse(),
    "sort": lambda row, a: row.sort(key=_order),
    "sort, reverse": lambda row, a: row.sort(key=_order, reverse=True),
    "l[i:j] = values": lambda row, a: operator.setitem(row, a.cut, a.values),
    "l[i:j] = reversed": lambda row, a: operator.setitem(row, a.cut, row[a.cut][::-1]),
    "l[:] = some of it": lambda row, a: operator.setitem(row, slice(None), row[a.cut]),
    "l[:] = twice itself": lambda row, a: operator.setitem(row, slice(None), row + row if len(row) < 5 else row),
    "l[:] = what it pops": lambda row, a: operator.setitem(row, slice(None), (row.pop() for _ in range(len(row)))),
    "swap": lambda row, a: _swap(row, a.index, a.other),
    "__init__": lambda row, a: row.__init__(a.values),
}

REFUSED = (LookupError, TypeError, ValueError, AttributeError)


def _nothing(result: object) -> None:
    """Hide what an operator returned: itself."""


class Program:
    """A state, its plain twin, and what a client knows of it.

    Args:
        random: Where every decision comes from: one seed is one program, and hypothesis shrinks it.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self.before = draw_state(random)  #: the state at first
        self.document = _draw_document(random, self.before)
        self.plain: Json = copy.deepcopy(self.before)
        self.client = self.before  #: what the operations so far make of `before`
        self.frames: list[tuple[bytes, Json]] = []  #: each flush and the state then; no bytes if nothing changed
        self.story: list[str] = []
        self._held: list[tuple[Any, Any]] = []  # containers a variable still names, in the state or not
        self._ended: list[tuple[Document, Json, list[tuple[Any, Any]], list[Any]]] = []  # what was held of earlier runs

    def run(self) -> None:
        """Live through all of it, checking what can be checked without a client."""
        longest = self._random.choice([1, 1, 6])  # many turns are of one mutation each
        with pytest.MonkeyPatch.context() as patch:  # so that small states are lazy like large ones
            patch.setattr(lazy, "FEW", self._random.choice([0, 2, lazy.FEW]))
            patch.setattr(lazy, "WIDE", self._random.choice([0, 3, lazy.WIDE]))
            patch.setattr(documents, "SPLIT", self._random.choice([0, documents.SPLIT]))
            patch.setattr(documents, "LARGE", self._random.choice([0, pieces.LARGE]))
            patch.setattr(pieces, "LARGE", self._random.choice([1, 8, 30]))
            patch.setattr(pieces, "PIECE", self._random.choice([1, 8, 30]))
            for _ in range(self._random.randrange(2, 6 if longest > 1 else 16)):
                for _ in range(self._random.randrange(1, longest + 1)):
                    self._step()
                self._flush()
                self._go_on()
            self._check_ended()

    def _go_on(self) -> None:
        """Sometimes have the state written down, have it rest, or let another run follow."""
        chosen = self._random.randrange(12)
        if chosen == 0:
            assert same(self.document.plain(), self.plain), self
        elif chosen == 1:
            assert same(json.loads(self.document.encode()), self.plain), self
        elif chosen <= 3:
            self.story.append("the next run")
            ended, self.document = self.document, self.document.end(lambda: OperationError("ended"))
            self._ended.append(
                (ended, copy.deepcopy(self.plain), self._held, copy.deepcopy([it for _, it in self._held]))
            )
            self._held = []
        elif chosen == 4:
            self.story.append("rest")
            self.document.rest()
            self._held = []

    def _check_ended(self) -> None:
        """Check that whoever holds something of an earlier run sees what it was when that ended, and cannot write."""
        for document, plain, held, was in self._ended:
            assert same(document.root, plain), self
            assert same(json.loads(document.encode()), plain), self
            assert same(document.plain(), plain), self
            for (one, _), value in zip(held, was, strict=True):
                assert same(one, value), self
                for node in [*nodes_in(one), *nodes_in(document.root)]:
                    with pytest.raises(OperationError):
                        node.clear()
                assert same(one, value), self
            assert same(document.root, plain), self

    def _flush(self) -> None:
        flushed = self.document.flush().operations
        state = copy.deepcopy(self.plain)
        self.story.append(f"flush: {flushed.decode()}")
        self.frames.append((flushed, state))
        self.client = operations.apply(self.client, operations.decode(flushed or b"[]"))
        assert same(self.client, state), self
        assert self.document.flush().operations == b"", self

    def _step(self) -> None:
        pairs = [*places(self.plain)]
        if not pairs or self._random.random() < 0.05:
            self._replace_root(pairs)
            return
        again = self._held and self._random.random() < 0.4
        tracked, plain = self._choose(self._held if again else pairs)
        table = OF_DICTS if isinstance(plain, dict) else OF_LISTS
        name = self._random.choice(list(table))
        ours, theirs = self._draw_arguments(plain, pairs)
        self.story.append(f"{name} on {plain!r} with {theirs}")
        result, expected = outcome(table[name], tracked, ours), outcome(table[name], plain, theirs)
        own_again(self.plain)
        assert same(result, expected), self
        assert same(self.document.root, self.plain), self
        self._held = [pair for pair in [*self._held[-3:], (tracked, plain)] if self._tells(*pair)]
        if isinstance(result, (dict, list)) and name.startswith("pop") and self._tells(result, expected):
            self._held.append((result, expected))

    def _choose(self, pairs: Sequence[tuple[Any, Any]]) -> tuple[Any, Any]:
        """Choose a part of both states, and look at it in the tracked one if there is only its place."""
        tracked, plain = self._random.choice(pairs)
        if isinstance(tracked, tuple):
            tracked = functools.reduce(operator.getitem, tracked, self.document.root)
        return tracked, plain

    def _replace_root(self, pairs: list[tuple[Any, Any]]) -> None:
        random = self._random
        part = self._choose(pairs) if pairs else (None, None)
        grown = f"{self.plain}{random.choice(TEXTS)}" if isinstance(self.plain, str) else "once"
        chosen = random.choice([part, (grown, grown), (self.document.root, self.plain), (draw_state(random),) * 2])
        self.story.append(f"state = {chosen[1]!r}")
        same_object = chosen[1] is self.plain
        self.document.root = chosen[0]
        self.plain = self.plain if same_object else copy.deepcopy(chosen[1])
        assert same(self.document.root, self.plain), self
        self._held = [pair for pair in self._held if self._tells(*pair)]

    def _tells(self, tracked: Any, plain: Any) -> bool:
        """Whether two are alike, and of each part both are in their state, or neither.

        An assignment moves what has left the state, and copies what is in it; the plain side always gets a copy.
        """
        if not same(tracked, plain) or any(
            getattr(one, "_document", None) is DETACHED for one, _ in containers(tracked, plain)
        ):
            return False  # of the latter, a copy is in the state: whoever writes to them is refused
        inside = [*containers(self.document.root, self.plain)]
        ours, theirs = {id(one) for one, _ in inside}, {id(other) for _, other in inside}
        return all((id(one) in ours) == (id(other) in theirs) for one, other in containers(tracked, plain))

    def _draw_arguments(self, target: Any, pairs: list[tuple[Any, Any]]) -> tuple[Arguments, Arguments]:
        random = self._random
        small = len(pairs) > LARGEST
        values = [self._draw_value(pairs, small=small) for _ in range(1 + random.randrange(3))]
        known = list(target) if isinstance(target, dict) else []
        size = len(target) + 2
        ours, theirs = (
            Arguments(key, index, other, cut, times, text, side[0], side[1:])
            for key in [random.choice(known if known and random.random() < 0.7 else KEYS)]
            for index, other in [(random.randrange(-size, size), random.randrange(-size, size))]
            for cut in [_draw_slice(random, size)]
            for times in [random.randrange(-1, 3)]
            for text in [random.choice(TEXTS)]
            for side in ([one for one, _ in values], [copy.deepcopy(other) for _, other in values])
        )
        return ours, theirs

    def _draw_value(self, pairs: list[tuple[Any, Any]], *, small: bool) -> tuple[Any, Any]:
        if small:
            return (self._random.choice(SCALARS),) * 2
        if self._random.random() < 0.4:
            return self._choose([*pairs, *self._held])
        return (draw(self._random),) * 2

    def __repr__(self) -> str:
        return "\n".join([f"a state of {self.before!r}", *self.story, f"is {self.document.root!r}, not {self.plain!r}"])


def _draw_document(random: Random, state: Json) -> Document:
    """Make a document that was assigned its state, or adopted it, decoded or as text, or has it from an earlier run."""
    document = random.choice(
        [
            lambda: Document(state),
            lambda: Document.adopting(copy.deepcopy(state)),
            lambda: Document.adopting(None, msgspec.json.encode(state)),
        ]
    )()
    for _ in range(random.randrange(3)):
        for path, _ in random.choices([*places(state)] or [((), None)], k=random.randrange(3)):
            functools.reduce(operator.getitem, path, document.root)
        if isinstance(state, dict):
            document.at([random.choice(KEYS)])
        document.flush()
        document = document.end(lambda: OperationError("ended"))
    document.flush()
    return document


def draw_state(random: Random) -> Json:
    """Draw a JSON value that a program can do something with, most of the time."""
    values = [draw(random, 1) for _ in range(2 + random.randrange(4))]
    by_key = dict(zip(KEYS, values, strict=False))
    return random.choice([values, values, by_key, by_key, by_key, values[0]])


def draw(random: Random, depth: int = 0) -> Json:
    """Draw a JSON value."""
    kind = random.randrange(9 if depth < 3 else 5)
    if kind < 2:
        return random.choice(SCALARS)
    if kind < 5:
        return random.choice(TEXTS)
    if kind < 7:
        return {random.choice(KEYS): draw(random, depth + 1) for _ in range(random.randrange(4))}
    return [draw(random, depth + 1) for _ in range(random.randrange(4))]


def _draw_slice(random: Random, size: int) -> slice:
    start, stop = (random.choice([None, random.randrange(-size, size)]) for _ in range(2))
    return slice(start, stop, random.choice([None, None, 1, 2, -1, -2]))


def outcome(mutation: Mutation, target: Any, arguments: Arguments) -> Any:
    """Return what a mutation returns, or the kind of error it raises."""
    try:
        return mutation(target, arguments)
    except OperationError:
        return "OperationError"
    except REFUSED as error:
        return type(error).__name__


def containers(one: Json, other: Json) -> Iterator[tuple[Any, Any]]:
    """Pair the dicts and lists of two equal values, outermost first. What is no node yet does not become one."""
    if isinstance(one, dict):
        yield one, other
        for key, value in dict.items(one):
            yield from containers(value, other[key])
    elif isinstance(one, list):
        yield one, other
        for value, twin in zip(list.__iter__(one), other, strict=True):
            yield from containers(value, twin)


def places(plain: Json, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Json]]:
    """Yield the paths to the dicts and lists of a value, and these."""
    if isinstance(plain, (dict, list)):
        yield path, plain
        for key, value in plain.items() if isinstance(plain, dict) else enumerate(plain):
            yield from places(value, (*path, key))


def nodes_in(node: Json) -> Iterator[Any]:
    """Look at a node and everything in it."""
    if isinstance(node, (dict, list)):
        yield node
        for item in node.values() if isinstance(node, dict) else node:
            yield from nodes_in(item)


def own_again(value: Json) -> None:
    """Give each place in a plain state a container of its own, where a mutation made two places share one."""
    seen: set[int] = set()

    def own(value: Json) -> Json:
        if isinstance(value, (dict, list)):
            value = copy.deepcopy(value) if id(value) in seen else value
            seen.add(id(value))
            for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
                value[key] = own(item)
        return value

    own(value)


def same(one: Json, other: Json) -> bool:
    """Compare as JSON does: 1 is 1.0, True is not 1, and the order of keys is nothing."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in dict.items(one))
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, list.__iter__(one), list.__iter__(other)))
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def programs(count: int) -> Iterator[Program]:
    """Yield `count` programs that have run; the same ones each time."""
    for seed in range(count):
        program = Program(Random(seed))
        program.run()
        yield program
