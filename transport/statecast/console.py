"""`statecast send` and `statecast watch`: what a terminal shows of a thread.

Rule 1: stdout has what was asked for, the answer or the state, and nothing else. What there is to say about it goes to
stderr, or into the headline of a screen.
Rule 2: what an agent writes must not steer a terminal, so control characters are made visible there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import stat
import sys
import time
import unicodedata
from collections import deque
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from statecast_agents import AppendText, Json, operations

from .client import Change, Client, ClientError, ConnectionLost, Refused, Snapshot, Thread

__all__ = ["run", "send", "watch"]

OK: Final = 0
FAILED: Final = 1
REFUSED: Final = 2  #: or there is no server
WAITING: Final = 3
INTERRUPTED: Final = 130  #: by Ctrl-C, as shells count it

PATIENCE: Final = 60.0  #: seconds without the server until `send` gives up
FRAME: Final = 1 / 15  #: seconds between two drawings, at least
FRESH: Final = 1.0  #: seconds for which a change is highlighted

# Escape sequences of a terminal.
_DIM, _BOLD, _RESET = "\x1b[2m", "\x1b[1m", "\x1b[0m"
_KEY, _STRING, _OTHER, _CHANGED = "\x1b[36m", "", "\x1b[35m", "\x1b[1;30;43m"
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  #: a screen of our own, without a cursor
_BEGIN, _END = "\x1b[?2026h\x1b[H", "\x1b[J\x1b[?2026l"  #: of a drawing, which shows all at once
_COLORS: Final = {"completed": "\x1b[32m", "failed": "\x1b[31m", "waiting": "\x1b[33m", "running": "\x1b[36m"}

#: Neither C1 controls nor directions of text, which JSON does not escape, nor those that it does.
_VISIBLE: Final = {code: f"\\u{code:04x}" for code in (*range(32), *range(127, 160), *range(0x202A, 0x202F))}
_VISIBLE_TEXT: Final = {code: shown for code, shown in _VISIBLE.items() if chr(code) not in "\n\t"}

_Marks = Mapping[tuple[str, ...], int | None]
_Spans = list[tuple[str, str]]


def run(command: Coroutine[Any, Any, int]) -> int:
    """Run a command, and return its exit status. What goes wrong is one line."""
    try:
        return asyncio.run(command)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    except BrokenPipeError:  # who read the output has seen enough; what is left must not fail when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except ConnectionLost as lost:
        _say(f"statecast: {lost}; to start a server: statecast serve module:agent, or statecast demo")
    except (ClientError, ImportError, ValueError) as error:
        _say(f"statecast: {error}")
    return REFUSED


async def send(url: str, thread_id: str | None, agent: str | None, commands: Sequence[str | dict[str, Json]]) -> int:
    """Send commands, show the answer as it grows, and then how the run ended.

    Raises:
        ClientError: There is no server, or it refused.
    """
    async with Client(url, patience=0) as once:
        thread = once.thread(thread_id)
        before = await _look(thread)
    async with Client(url, patience=PATIENCE, on_trouble=_tell) as client:
        thread = client.thread(thread.id, agent=agent)
        answer = _Answer(None if before is None else before.state)
        last: Change | None = None
        try:
            async for change in thread.follow(until=await thread.send(*commands)):
                answer.show(change)
                last = change
        finally:
            answer.end()
    assert last is not None, "a stream ends behind a change"
    assert last.run is not None, "what was followed is a run"
    for part in _last_parts(last):
        if part.get("type") == "tool-call" and "result" not in part:
            _say(f"{part.get('toolName')} {part.get('argsText')} waits for its result, as {part.get('toolCallId')}")
    if last.run.error is not None:
        _say(f"statecast: {last.run.error.message}")
    status = last.run.status
    _say(f"{status}, thread {thread.id}", color=_COLORS.get(status, ""))
    return {"completed": OK, "waiting": WAITING}.get(status, FAILED)


async def watch(url: str, thread_id: str, *, once: bool = False, lines: bool = False) -> int:
    """Show a thread's state as it changes: in place on a terminal, else as a line of JSON for each change.

    Args:
        url: The server.
        thread_id: The thread; one that is still to be made is waited for, except where it is to be shown only once.
        once: Whether to show it only once.
        lines: Whether lines are wanted on a terminal, too.

    Raises:
        ClientError: There is no server, or it refused.
    """
    terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and not lines
    async with Client(url, patience=0) as first:
        now = await (first.thread(thread_id).state() if once else _look(first.thread(thread_id)))
    if once:
        assert now is not None, "or it was refused"
        _write(_plain(now.state) if terminal else _line(thread_id, now))
    elif terminal:
        await _Screen(url, thread_id).show()
    else:
        _end_with_the_reader()
        async with Client(url, on_trouble=_tell) as client:
            async for change in client.thread(thread_id).follow(wait=True):
                _write(_line(thread_id, change))
    return OK


def _end_with_the_reader() -> None:
    """End this task when nobody reads a pipe any more, rather than at the next change."""
    task = asyncio.current_task()
    assert task is not None, "called in a coroutine"
    if stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode):
        with contextlib.suppress(NotImplementedError):  # not everywhere
            asyncio.get_running_loop().add_reader(sys.stdout.fileno(), task.cancel)


async def _look(thread: Thread) -> Snapshot | None:
    """Return a thread as it is; None for one that is still to be made."""
    try:
        return await thread.state()
    except Refused as refused:
        if refused.code == "unknown_thread":
            return None
        raise


class _Answer:
    """Prints what the assistant says beyond what it had said in the state `before`."""

    def __init__(self, before: Json) -> None:
        self._before = [_text_of(message) for message in _messages(before)]
        self._shown = ""

    def show(self, change: Change) -> None:
        """Print what is new."""
        texts: list[str] = []
        for index, message in enumerate(_messages(change.state)):
            text = _text_of(message)
            if index < len(self._before):
                text = text.removeprefix(self._before[index])
            if text and (message.get("role") or message.get("type")) in ("assistant", "ai"):
                texts.append(text)
        text = "\n\n".join(texts) or _text_of({"parts": change.parts})
        if not text.startswith(self._shown):  # it said something else instead
            _write("\n\n")
            self._shown = ""
        piece = text[len(self._shown) :]
        _write(piece.translate(_VISIBLE_TEXT) if sys.stdout.isatty() else piece)
        self._shown = text

    def end(self) -> None:
        """End the line."""
        if self._shown and not self._shown.endswith("\n"):
            _write("\n")


def _messages(state: Json) -> list[Mapping[str, Json]]:
    """Return the messages in a state, where it has any in one of the usual places."""
    found = state.get("messages") if isinstance(state, dict) else state
    return [item if isinstance(item, dict) else {} for item in found] if isinstance(found, list) else []


def _text_of(message: Mapping[str, Json]) -> str:
    parts = message.get("parts", message.get("content"))
    if not isinstance(parts, Sequence) or isinstance(parts, str):
        return str(parts or "")
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    return "\n\n".join(text for text in texts if isinstance(text, str) and text)


def _last_parts(change: Change) -> list[Mapping[str, Json]]:
    messages = _messages(change.state)
    parts = messages[-1].get("parts") if messages else None
    return [part for part in (*(parts if isinstance(parts, list) else ()), *change.parts) if isinstance(part, dict)]


class _Screen:
    """A thread on a screen of its own, until Ctrl-C."""

    def __init__(self, url: str, thread_id: str) -> None:
        self._url = url
        self._id = thread_id
        self._wake = asyncio.Event()
        self._trouble = ""
        self._now: Change | None = None
        self._before: deque[tuple[float, Json]] = deque()  #: states of the last `FRESH` seconds, and the one before
        self._top = 0  #: the first row of the state that is shown

    async def show(self) -> None:
        """Draw whatever is new, at most every `FRAME` seconds."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None, "this is a coroutine"
        following = asyncio.create_task(self._follow())
        following.add_done_callback(lambda _: self._wake.set())
        with contextlib.suppress(NotImplementedError, AttributeError):  # not everywhere
            loop.add_signal_handler(signal.SIGTERM, task.cancel)
            loop.add_signal_handler(signal.SIGWINCH, self._wake.set)
        _write(_ENTER)
        try:
            while not following.done():
                self._wake.clear()
                began = time.monotonic()
                _write(self._drawn(began))
                await asyncio.sleep(max(FRAME, 3 * (time.monotonic() - began)))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(FRESH if len(self._before) > 1 else None):
                        await self._wake.wait()
            await following
        finally:
            following.cancel()
            _write(_LEAVE)

    async def _follow(self) -> None:
        async with Client(self._url, on_trouble=self._explain) as client:
            async for change in client.thread(self._id).follow(wait=True):
                self._before.append((time.monotonic(), change.state))
                self._now = change
                self._wake.set()

    def _explain(self, trouble: ClientError | None) -> None:
        waits = isinstance(trouble, Refused) and trouble.code == "unknown_thread"
        self._trouble = "" if trouble is None else "waiting for it to be made" if waits else f"{trouble}; trying again"
        self._wake.set()

    def _drawn(self, now: float) -> str:
        """Return what draws the screen anew."""
        width, height = shutil.get_terminal_size()
        while len(self._before) > 1 and self._before[1][0] < now - FRESH:
            self._before.popleft()
        rows: list[_Spans] = []
        if self._now is not None:
            changed = operations.diff(self._before[0][1], self._now.state)
            marks = {change.path: len(change.value) if isinstance(change, AppendText) else None for change in changed}
            rows = list(_wrapped(_spans(self._now.state, marks), width))
        fits = max(height - 1, 1)
        fresh = [any(style is _CHANGED for _, style in row) for row in rows]
        ends = [number for number, is_fresh in enumerate(fresh) if is_fresh and not any(fresh[number + 1 : number + 2])]
        if ends and not any(self._top <= number < self._top + fits for number in ends):
            self._top = ends[-1] - fits // 2
        self._top = max(min(self._top, len(rows) - fits), 0)
        shown = rows[self._top : self._top + fits]
        more = f"rows {self._top + 1} to {self._top + len(shown)} of {len(rows)}" if len(shown) < len(rows) else ""
        lines = [_fitted(self._headline(more), width), *shown]
        return _BEGIN + "\x1b[K\n".join(map(_painted, lines)) + "\x1b[K" + _END

    def _headline(self, more: str) -> _Spans:
        spans: _Spans = [(self._id, _BOLD)]
        if self._now is not None:
            run = self._now.run
            status = "idle" if run is None else run.status
            spans += [(" ", ""), (status, _COLORS.get(status, _BOLD))]
            if run is not None and run.error is not None:
                spans.append((f" {run.error.message}", ""))
            spans.append((f" · revision {self._now.revision}", _DIM))
        spans += [(f" · {more}", _DIM)] if more else []
        spans.append((f" · {self._trouble}", _COLORS["waiting"]) if self._trouble else (f" · {self._url}", _DIM))
        return [(text.translate(_VISIBLE), style) for text, style in spans]


def _spans(value: Json, marks: _Marks, path: tuple[str, ...] = (), *, fresh: bool = False) -> Iterator[tuple[str, str]]:
    """Yield JSON with indents as pieces of text, each with its style.

    Args:
        value: What is shown.
        marks: What is new: a path, and how many characters there at the end; None: all of it.
        path: Where `value` is.
        fresh: Whether all of it is new.
    """
    fresh = fresh or (path in marks and marks[path] is None)

    def styled(style: str) -> str:
        return _CHANGED if fresh else style

    if isinstance(value, (dict, list)) and value:
        indent = "  " * len(path)
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        items = value.items() if isinstance(value, dict) else ((None, item) for item in value)
        yield f"{opening}\n", styled("")
        for index, (key, item) in enumerate(items):
            yield f"{indent}  ", ""
            if key is not None:
                yield f"{_quoted(key)}: ", styled(_KEY)
            yield from _spans(item, marks, (*path, str(index) if key is None else key), fresh=fresh)
            yield ",\n" if index < len(value) - 1 else "\n", ""
        yield indent, ""
        yield closing, styled("")
    elif isinstance(value, str):
        new = (None if fresh else marks.get(path)) or 0
        yield f'"{_quoted(value[: len(value) - new])[1:-1]}', styled(_STRING)
        yield _quoted(value[len(value) - new :])[1:-1], _CHANGED
        yield '"', styled(_STRING)
    else:
        yield json.dumps(value), styled(_OTHER)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).translate(_VISIBLE)


def _wrapped(spans: Iterable[tuple[str, str]], width: int) -> Iterator[_Spans]:
    """Yield rows that fit into `width` cells; what does not fit goes on in the next one, indented as the first."""
    row: _Spans = []
    left, indent = width, 0
    for text, style in spans:
        line, ends, _ = text.partition("\n")
        if not row:
            indent = len(line) - len(line.lstrip(" "))
            indent = indent if 2 * indent < width else 0
        while line:
            piece = _cut(line, left) or ("" if left < width - indent else line[0])
            line = line[len(piece) :]
            row.append((piece, style))
            left -= _cells(piece)
            if line:
                yield row
                row, left = [(" " * indent, "")], width - indent
        if ends:
            yield row
            row, left = [], width
    yield row


def _fitted(spans: _Spans, width: int) -> _Spans:
    return next(_wrapped(spans, width))


def _cut(text: str, cells: int) -> str:
    """Return as much of the beginning of a text as fits."""
    if text[: max(cells, 0)].isascii():
        return text[: max(cells, 0)]
    taken = 0
    for index, character in enumerate(text):
        taken += _cells(character)
        if taken > cells:
            return text[:index]
    return text


def _cells(text: str) -> int:
    """Return how many columns of a terminal a text takes, about."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.category(character) in ("Mn", "Me", "Cf") for character in text)


def _painted(spans: _Spans) -> str:
    if "NO_COLOR" in os.environ:
        return "".join(f"\x1b[7m{text}{_RESET}" if style is _CHANGED else text for text, style in spans)
    return "".join(f"{style}{text}{_RESET}" if style else text for text, style in spans)


def _plain(state: Json) -> str:
    return "".join(text for text, _ in _spans(state, {})) + "\n"


def _line(thread_id: str, known: Snapshot) -> str:
    """Return what is known of a thread as a line of JSON."""
    fields = {"threadId": thread_id, **{name: getattr(known, name) for name in known.__struct_fields__}}
    return msgspec.json.encode(fields).decode() + "\n"


def _tell(trouble: ClientError | None) -> None:
    waits = isinstance(trouble, Refused) and trouble.code == "unknown_thread"
    said = "connected" if trouble is None else "waiting for the thread" if waits else f"{trouble}; trying again"
    _say(f"statecast: {said}")


def _say(text: str, *, color: str = "") -> None:
    if sys.stderr.isatty():
        text = _painted([(text.translate(_VISIBLE_TEXT), color)])
    sys.stderr.write(f"{text}\n")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
