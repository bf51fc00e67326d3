"""The published hooks, pages and decoders, driven by the scripts in this folder; README.md lists their settings."""

from __future__ import annotations

import base64
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .driver import TIMEOUT, Driver, Json
from .installed import find_chromium, need_chromium, need_node
from .scenario import Scenario, ScenarioFailed

__all__ = [
    "Accumulator",
    "Browser",
    "BrowserReport",
    "Decoded",
    "Json",
    "Protocol",
    "ScenarioFailed",
    "Transport",
    "TransportReport",
    "find_chromium",
    "need_chromium",
    "need_node",
    "run_browser",
    "run_transport",
]

Protocol: TypeAlias = Literal["assistant-transport", "data-stream"]


# Scenarios


@dataclass(frozen=True)
class TransportReport:
    """What the hook of assistant-ui did in one scenario."""

    final_state: Json  #: the state that the hooks exposed last
    states: list[Json]  #: each state that the converter saw, without repetitions
    messages: list[Json]  #: the client's own messages at the end
    requests: list[Json]  #: {url, method, headers, body}
    responses: list[Json]  #: one for each request: {status, headers, body, end}
    errors: list[Json]  #: onError: {message, commands}
    cancels: list[Json]  #: onCancel: {commands, error}
    finishes: int  #: onFinish
    loading: list[Json]  #: each change of the thread's isLoading: {isLoading, states: seen by then}
    console: list[Json]  #: {level, text}
    uncaught: list[str]  #: what nobody caught
    steps: list[Json]  #: what each step saw

    @property
    def commands(self) -> list[Json]:
        """Every command that was sent, in order."""
        return [command for request in self.requests for command in (request["body"] or {}).get("commands", [])]

    @property
    def complaints(self) -> list[str]:
        """What the client grumbled about: warnings, errors, and what nobody caught."""
        return [line["text"] for line in self.console if line["level"] in {"warn", "error"}] + self.uncaught


@dataclass(frozen=True)
class BrowserReport:
    """What the tabs of a Chromium saw in one scenario."""

    steps: list[Json]  #: what each step saw: {tab, url, …}
    console: list[Json]  #: {tab, level, text}
    page_errors: list[Json]  #: uncaught errors: {tab, text}
    network: list[Json]  #: {tab, method, url, body, status, failure}
    pages: list[Json]  #: the tabs at the end: {tab, url, text}

    @property
    def complaints(self) -> list[str]:
        """Warnings and errors of the pages, and what nobody caught."""
        logged = [line["text"] for line in self.console if line["level"] in {"warning", "error"}]
        return logged + [error["text"] for error in self.page_errors]

    @property
    def failures(self) -> list[Json]:
        """Requests that got no response, or an error status."""
        return [entry for entry in self.network if entry["failure"] or (entry["status"] or 0) >= 400]


def run_transport(config: Mapping[str, Json], *, timeout: float = TIMEOUT) -> TransportReport:
    """Play `config["steps"]` with the hook of assistant-ui.

    Raises:
        ScenarioFailed: A step did not come true.
    """
    with Transport(config, timeout=timeout) as transport:
        return transport.report()


def run_browser(steps: Sequence[Mapping[str, Json]], *, timeout: float = TIMEOUT, **settings: Json) -> BrowserReport:
    """Play `steps` in a Chromium of its own; `settings` are those of browser.mjs.

    Raises:
        ScenarioFailed: A step did not come true.
    """
    with Browser({**settings, "steps": list(steps)}, timeout=timeout) as browser:
        return browser.report()


class Transport(Scenario[TransportReport]):
    """The hook of assistant-ui in a page."""

    script = "transport.mjs"
    reported = TransportReport


class Browser(Scenario[BrowserReport]):
    """A private window of a Chromium, which all windows of this process share.

    Args:
        settings: Those of browser.mjs.
        timeout: Seconds for one answer.
    """

    script = "browser.mjs"
    realm = "browser"
    reported = BrowserReport

    def __init__(self, settings: Mapping[str, Json], *, timeout: float = TIMEOUT) -> None:
        super().__init__({"executable": need_chromium(), **settings}, timeout=timeout)


# The decoders


@dataclass(frozen=True)
class Decoded:
    """What the client's strict decoder and accumulator made of a response."""

    final: Json  #: the state at the end, or where the error struck
    states: list[Json]  #: after each update-state chunk, or each batch
    error: str | None  #: what a user of the hook would get in onError
    warnings: list[str]  #: what was printed, at any level
    parts: list[Json]  #: the message's parts, without the times at which newer clients saw them
    metadata: Json
    status: Json
    frame_states: list[Json]  #: after each of the `frames` that were asked for


class Accumulator:
    """The published decoders as a function, in one process for thousands of calls: a context manager."""

    def __init__(self, *, timeout: float = 60) -> None:
        self._driver = Driver("accumulate.mjs")
        self._driver.timeout = timeout
        self._lock = threading.Lock()
        self._asked = 0

    def __enter__(self) -> Accumulator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._driver.close()

    def decode(
        self,
        protocol: Protocol,
        body: bytes,
        *,
        initial: Json = None,
        frames: Sequence[int] | None = None,
        strict: bool = True,
    ) -> Decoded:
        """Decode a whole response over the state `initial`; `frames` are byte offsets where it is cut into pieces."""
        request: dict[str, Json] = {
            "protocol": protocol,
            "initial": initial,
            "body": base64.b64encode(body).decode(),
            "strict": strict,
        }
        if frames is not None:
            request["frames"] = list(frames)
        return self._ask(request)

    def apply(self, batches: Sequence[Sequence[Json]], *, initial: Json = None, strict: bool = True) -> Decoded:
        """Apply batches of state operations over `initial`, without any bytes."""
        return self._ask({"initial": initial, "batches": [list(batch) for batch in batches], "strict": strict})

    def _ask(self, request: dict[str, Json]) -> Decoded:
        with self._lock:
            self._asked += 1
            self._driver.tell({"id": self._asked, **request})
            answer = self._driver.hear()
            assert answer["id"] == self._asked
        return Decoded(
            final=answer["final"],
            states=answer["states"],
            error=answer["error"],
            warnings=answer["warnings"],
            parts=[{name: part[name] for name in part if name != "timing"} for part in answer.get("parts", [])],
            metadata=answer.get("metadata"),
            status=answer.get("status"),
            frame_states=answer.get("frameStates", []),
        )
