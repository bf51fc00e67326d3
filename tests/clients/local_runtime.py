"""The local runtime of assistant-ui in a page, with an adapter that someone wrote by hand: local.mjs, from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.clients.driver import Json
from tests.clients.scenario import Scenario

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


class LocalRuntime(Scenario[LocalReport]):
    """A page with the runtime, step by step: a context manager.

    Args:
        url: What the adapter posts to.
        adapter: Its name in adapters.mjs, or in another `module`.
        steps: Taken at once.
        settings: Further ones of local.mjs.
    """

    script = "local.mjs"
    reported = LocalReport

    def __init__(self, url: str, adapter: str, *, steps: Sequence[Mapping[str, Json]] = (), **settings: Json) -> None:
        super().__init__({"url": url, "adapter": adapter, "steps": list(steps), **settings})


def _plain(part: Json) -> Json:
    return part["text"] if part["type"] == "text" else part
