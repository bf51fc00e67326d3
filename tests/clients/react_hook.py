"""The hook of `react.js` in a page of its own: `react_hook.mjs` beside this file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from statecast.http.endpoints.client_module import BROWSER
from tests.clients.driver import Json
from tests.clients.scenario import Scenario

__all__ = ["Hook", "HookReport"]


@dataclass(frozen=True)
class HookReport:
    """What the page with the hook did in one scenario."""

    console: list[Json]  #: {level, text}
    uncaught: list[str]
    requests: list[Json]  #: {url, method, headers, body}
    errors: list[str]  #: codes that `onError` was told of
    renders: int
    address: str  #: of the page, at the end


class Hook(Scenario[HookReport]):
    """A page with `useStatecast`, in StrictMode.

    Args:
        options: Those of the hook.
        strict: Whether the page is in StrictMode.
        tools: The page's own tools, by name: the source of what runs them.
    """

    script = "react_hook.mjs"
    realm = "react"
    reported = HookReport

    def __init__(self, options: Json, *, strict: bool = True, tools: Json | None = None) -> None:
        self._settings = {
            "module": (BROWSER / "react.js").as_uri(),
            "options": options,
            "strict": strict,
            "tools": tools or {},
        }
        super().__init__(self._settings)

    def do(self, source: str) -> Any:
        """Do something with `hook`, what the hook returned last; returns what it came to, as `value` or `failed`."""
        return self.step("act", of=f"async ({{hook, messages, page}}) => {source}")

    def say(self, text: str) -> None:
        """Write a message in the composer of assistant-ui, and send it."""
        self.do(f"{{ const {{ composer }} = hook.runtime.thread; composer.setText({text!r}); composer.send(); }}")

    def wait(self, source: str) -> Any:
        """Wait until something holds of `hook` and the `messages` that are shown; returns what is there then."""
        return self.step("wait", **{"for": f"({{hook, messages, page}}) => {source}"})

    def rest(self, count: int) -> list[Json]:
        """Wait until so many messages are shown and no run goes on; returns them."""
        shown: list[Json] = self.wait(f"messages.length === {count} && !hook.isRunning")["messages"]
        return shown

    def reload(self) -> None:
        """Load the page once more."""
        self.step("reload", settings=self._settings)
