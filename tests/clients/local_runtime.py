"""The local runtime of assistant-ui in a page, with an adapter that someone wrote by hand: local.mjs, from Python."""

from __future__ import annotations

import atexit
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from tests.clients.node import Json, _Driver, _Scenario

__all__ = ["LocalReport", "LocalRuntime"]


@dataclass(frozen=True)
class LocalReport:
    """What the runtime did in one scenario."""

    messages: list[Json]  #: the runtime's own at the end
    requests: list[Json]  #: {url, method, headers, body}
    responses: list[Json]  #: one for each request: {status, headers, body, end}
    console: list[Json]  #: {level, text}
    uncaught: list[str]  #: what nobody caught

    @property
    def said(self) -> list[tuple[str, list[Json]]]:
        """Who said what: text where a part is text, else the part."""
        return [(message["role"], [_plain(part) for part in message["content"]]) for message in self.messages]


class LocalRuntime(_Scenario):
    """A page with the runtime, step by step: a context manager.

    Args:
        url: What the adapter posts to.
        adapter: Its name in adapters.mjs, or in another `module`.
        steps: Taken at once.
        settings: Further ones of local.mjs.
    """

    script = "local.mjs"
    _idle: ClassVar[list[_Driver]] = []  #: processes that are ready again: starting one takes longer than a scenario

    def __init__(self, url: str, adapter: str, *, steps: Sequence[Mapping[str, Json]] = (), **settings: Json) -> None:
        settings = {"url": url, "adapter": adapter, **settings}
        if self._idle:
            self._driver, self._report = self._idle.pop(), None
            self.step("begin", settings=settings)
        else:
            super().__init__(settings)
        for step in steps:
            self.step(**step)

    def __enter__(self) -> LocalRuntime:
        return self

    def __exit__(self, *_: object) -> None:
        if self._report is None:  # else it failed, and its process is gone
            self._idle.append(self._driver)

    @classmethod
    def end(cls) -> None:
        """End the processes."""
        for driver in cls._idle:
            driver.close()

    def report(self) -> LocalReport:
        """Return what the scenario did so far."""
        return LocalReport(**self.step("report")["report"])


def _plain(part: Json) -> Json:
    return part["text"] if part["type"] == "text" else part


atexit.register(LocalRuntime.end)
