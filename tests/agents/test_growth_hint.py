"""The hint in the log for code that makes a long text longer by `+=`."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator

import pytest

from statecast_agents import Document, growth_hint
from statecast_agents.growth_hint import LONG_TEXT, PLACES


@pytest.fixture
def hints(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    monkeypatch.setattr(growth_hint, "_named", set())
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]  # a list of them
    logging.getLogger("statecast").addHandler(handler)
    yield messages
    logging.getLogger("statecast").removeHandler(handler)


def line() -> int:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


@pytest.mark.parametrize("key", ["text", 0], ids=["dict", "list"])
def test_a_line_that_makes_a_long_text_longer_is_named_once(hints: list[str], key: str | int) -> None:
    root = Document({"text": "x" * LONG_TEXT} if isinstance(key, str) else ["x" * LONG_TEXT]).root
    for _ in range(3):
        root[key] += "y"
        at = line() - 1

    (hint,) = hints
    assert hint.startswith(f"{__file__}:{at} makes a text of {LONG_TEXT} characters longer")
    assert "append_text" in hint


def test_nothing_is_said_of_short_texts_appends_and_other_texts(hints: list[str]) -> None:
    root = Document({"short": "x" * (LONG_TEXT - 1), "long": "x" * LONG_TEXT}).root
    root["short"] += "y"
    root.append_text("long", "y")
    root["long"] = "z" * (LONG_TEXT + 2)

    assert hints == []


def test_only_so_many_lines_are_named(hints: list[str]) -> None:
    root = Document({"long": "x" * LONG_TEXT}).root
    exec(compile('root["long"] += "y"\n' * (PLACES + 3), "agent.py", "exec"), {"root": root})

    assert len(hints) == PLACES
