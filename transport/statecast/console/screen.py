"""A thread on a screen of its own, drawn anew in place until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import deque
from typing import Final

from rich.console import Group
from rich.live import Live
from rich.text import Text

from statecast.client import Change, Client, ClientError, Refused
from statecast_agents import Json, operations

from .output import OUT, STATUS_STYLES, visible
from .state_rows import StateRows

__all__ = ["Screen"]

FRAME: Final = 1 / 15  #: seconds between two drawings, at least
FRESH: Final = 1.0  #: seconds for which a change is highlighted


class Screen:
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
        try:
            with Live(
                console=OUT, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
            ) as live:
                while not following.done():
                    self._wake.clear()
                    began = time.monotonic()
                    live.update(self._drawn(began), refresh=True)
                    await asyncio.sleep(max(FRAME, 3 * (time.monotonic() - began)))
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(FRESH if len(self._before) > 1 else None):
                            await self._wake.wait()
            await following
        finally:
            following.cancel()

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

    def _drawn(self, now: float) -> Group:
        """Return the headline, and as many rows of the state as fit."""
        while len(self._before) > 1 and self._before[1][0] < now - FRESH:
            self._before.popleft()
        if self._now is None:
            return Group(self._headline(""))
        changes = operations.diff(self._before[0][1], self._now.state)
        state = StateRows(self._now.state, changes, OUT)
        fits = max(OUT.height - 1, 1)
        changed = state.changed_rows()
        if changed and not any(self._top <= row < self._top + fits for row in changed):
            self._top = changed[-1] - fits // 2
        self._top = max(min(self._top, len(state) - fits), 0)
        rows = state.rows(self._top, fits)
        whole = len(rows) == len(state)
        place = "" if whole else f"rows {self._top + 1} to {self._top + len(rows)} of {len(state)}"
        return Group(self._headline(place), *rows)

    def _headline(self, place: str) -> Text:
        pieces = [(self._id, "bold")]
        if self._now is not None:
            run = self._now.run
            status = "idle" if run is None else run.status
            pieces += [(" ", ""), (status, STATUS_STYLES.get(status, "bold"))]
            if run is not None and run.error is not None:
                pieces.append((f" {run.error.message}", ""))
            pieces.append((f" · revision {self._now.revision}", "dim"))
        pieces += [(f" · {place}", "dim")] if place else []
        pieces.append(
            (f" · {self._trouble}", STATUS_STYLES["waiting"]) if self._trouble else (f" · {self._url}", "dim")
        )
        line = Text(no_wrap=True, overflow="ellipsis")
        for text, style in pieces:
            # A tab or a line end in it would make it longer than its row.
            line.append(" ".join(visible(text).splitlines()).replace("\t", " "), style)
        return line
