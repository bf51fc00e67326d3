"""A state as rows of JSON: every line is measured, and only those in view are highlighted.

A state may have more lines than a screen shows by thousands, and is drawn many times a second.
"""

from __future__ import annotations

import itertools
import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.text import Text

from statecast_agents import AppendText, Json, Operation

from .output import visible

__all__ = ["StateRows"]

_highlight: Final = JSONHighlighter().highlight

#: What changed: over the colors of JSON, and readable without colors.
CHANGED: Final = "bold not italic reverse yellow"


class _Line(NamedTuple):
    text: str
    changed: tuple[int, int] | None = None  #: what of it is marked: from which character, and up to which


class StateRows:
    """JSON with indents. Lines that are too long go on in the next row, indented likewise.

    Args:
        state: What is shown.
        changes: What is marked in it.
        console: Where it is shown.
    """

    def __init__(self, state: Json, changes: Iterable[Operation], console: Console) -> None:
        marks = {change.path: len(change.value) if isinstance(change, AppendText) else None for change in changes}
        self._console = console
        self._width = console.width
        self._lines = list(_lines(state, marks))
        self._ends = list(itertools.accumulate(self._height(line.text) for line in self._lines))

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._ends[-1]

    def text(self) -> Text:
        """Return all of it, highlighted."""
        return Text("\n").join(map(_highlighted, self._lines))

    def rows(self, first: int, count: int) -> list[Text]:
        """Return up to `count` rows, highlighted."""
        start = bisect_right(self._ends, first)
        rows: list[Text] = []
        skipped = first - (self._ends[start - 1] if start else 0)
        for line in self._lines[start:]:
            if len(rows) >= skipped + count:
                break
            rows += self._wrapped(_highlighted(line))
        return rows[skipped : skipped + count]

    def changed_rows(self) -> list[int]:
        """Return the rows where a mark ends."""
        marked = [line.changed is not None for line in self._lines] + [False]
        return [end - 1 for number, end in enumerate(self._ends) if marked[number] and not marked[number + 1]]

    def _height(self, line: str) -> int:
        # A character takes two cells at most.
        if 2 * len(line) <= self._width or cell_len(line) <= self._width:
            return 1
        return len(self._wrapped(Text(line)))

    def _wrapped(self, line: Text) -> list[Text]:
        indent = len(line.plain) - len(line.plain.lstrip(" "))
        if 2 * indent >= self._width:
            indent = 0
        rows = line[indent:].wrap(self._console, self._width - indent, overflow="fold")
        for row in rows:
            row.pad_left(indent)
        return list(rows)


def _highlighted(line: _Line) -> Text:
    text = Text(line.text)
    _highlight(text)
    if line.changed is not None:
        text.stylize(CHANGED, *line.changed)
    return text


def _lines(
    value: Json,
    marks: Mapping[tuple[str, ...], int | None],
    path: tuple[str, ...] = (),
    *,
    key: str = "",
    comma: str = "",
    fresh: bool = False,
) -> Iterator[_Line]:
    """Yield the lines of a value.

    Args:
        value: The value.
        marks: Paths of what changed, with the number of characters that were appended there; None: all is new.
        path: Where the value is.
        key: What is before it on its line.
        comma: What is behind it.
        fresh: Whether all of it is new.
    """
    mark = marks.get(path, 0)
    fresh = fresh or mark is None
    indent = "  " * len(path)
    start = len(indent)

    def line(text: str) -> _Line:
        return _Line(indent + text, (start, start + len(text)) if fresh else None)

    if isinstance(value, (dict, list)) and value:
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        yield line(key + opening)
        last = len(value) - 1
        items = value.items() if isinstance(value, dict) else ((None, item) for item in value)
        for index, (name, item) in enumerate(items):
            inner, before = (str(index), "") if name is None else (name, f"{_json(name)}: ")
            yield from _lines(item, marks, (*path, inner), key=before, comma="," if index < last else "", fresh=fresh)
        yield line(closing + comma)
    elif isinstance(value, str) and mark and not fresh:
        text = indent + key + _json(value)
        end = len(text) - 1
        yield _Line(text + comma, (end - len(_json(value[-mark:])) + 2, end))
    else:
        yield line(key + _json(value) + comma)


def _json(value: Json) -> str:
    return visible(json.dumps(value, ensure_ascii=False))
