"""Talk to the drivers in this folder, which drive the published clients. README.md here lists what they understand."""

from __future__ import annotations

import atexit
import base64
import json
import re
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import IO, TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, TypeVar

from .installed import DRIVERS, environment, find_chromium, need_chromium, need_node

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

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

Json: TypeAlias = Any
Protocol: TypeAlias = Literal["assistant-transport", "data-stream"]

SCENARIO_TIMEOUT = 180  # seconds for one scenario; its steps have their own, shorter ones


# Scenarios


class ScenarioFailed(AssertionError):
    """A step of a scenario did not come true; `report` is what was known by then."""

    def __init__(self, report: Mapping[str, Json]) -> None:
        self.report = report
        failure = report.get("failure") or {}
        rest = {name: value for name, value in report.items() if name != "failure"}
        super().__init__(
            f"step {failure.get('index')} {json.dumps(failure.get('step'))}: {failure.get('message')}\n"
            f"{json.dumps(rest, indent=1, ensure_ascii=False)[-20_000:]}"
        )


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


Report = TypeVar("Report", bound="DataclassInstance")


def run_transport(config: Mapping[str, Json], *, timeout: float = SCENARIO_TIMEOUT) -> TransportReport:
    """Play `config["steps"]` with the hook of assistant-ui.

    Raises:
        ScenarioFailed: A step did not come true.
    """
    with Transport(config, timeout=timeout) as transport:
        return transport.report()


def run_browser(
    steps: Sequence[Mapping[str, Json]], *, timeout: float = SCENARIO_TIMEOUT, **settings: Json
) -> BrowserReport:
    """Play `steps` in a Chromium of its own; `settings` are those of browser.mjs.

    Raises:
        ScenarioFailed: A step did not come true.
    """
    with Browser({**settings, "steps": list(steps)}, timeout=timeout) as browser:
        return browser.report()


class _Driver:
    """A process that answers a line with a line. It is killed when it is silent for `timeout` seconds."""

    def __init__(self, command: Sequence[str], *, extra: Mapping[str, str] | None = None) -> None:
        self.timeout: float = SCENARIO_TIMEOUT
        self._said = ""  # on its standard error, known once it has ended
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
        self._process = subprocess.Popen(
            command,
            cwd=DRIVERS,
            env={**environment(), **(extra or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            encoding="utf-8",
        )

    def tell(self, value: Json) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(value, allow_nan=False) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # It has ended: what it said last is still there to read.

    def hear(self) -> Json:
        assert self._process.stdout is not None
        watchdog = threading.Timer(self.timeout, self._process.kill)
        watchdog.start()
        try:
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
            watchdog.join()
        if not line.endswith("\n"):
            self.close()
            raise RuntimeError(f"{self._process.args!r} said no more within {self.timeout} s: {self._said}")
        return json.loads(line)

    def end_input(self) -> None:
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                pass
            self._process.stdin = None

    def close(self) -> None:
        """End the process, reading what it still has to say; it is killed if it does not end by itself."""
        if self._log.closed:
            return
        self.end_input()
        try:
            self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        self._log.seek(0)
        self._said = self._log.read().decode(errors="replace")[-5000:]
        self._log.close()


class _Scenario:
    """A scenario whose steps may also come one at a time, while the test looks at the server in between."""

    script: str

    def __init__(self, settings: Mapping[str, Json], *, timeout: float = SCENARIO_TIMEOUT) -> None:
        self._driver = self._start()
        self._driver.timeout = timeout
        self._report: Mapping[str, Json] | None = None
        self._driver.tell(dict(settings))

    def _start(self) -> _Driver:
        return _Driver([need_node(), self.script])

    def step(self, do: str, **fields: Json) -> Json:
        """Do one step and return what it saw.

        Raises:
            ScenarioFailed: It did not come true.
        """
        self._driver.tell({"do": do, **fields})
        answer = self._driver.hear()
        if "step" not in answer:
            raise self._failed(answer)
        return answer["step"]

    def _failed(self, report: Mapping[str, Json]) -> ScenarioFailed:
        self._report = report
        self._driver.close()
        return ScenarioFailed(report)

    def _finish(self) -> Mapping[str, Json]:
        if self._report is None:
            self._driver.end_input()
            report = self._driver.hear()
            if report["failure"]:
                raise self._failed(report)
            self._report = report
            self._driver.close()
        return self._report

    def close(self) -> None:
        """End the process; a scenario that nobody asked for its report is dropped."""
        self._driver.close()


def _fill(kind: type[Report], report: Mapping[str, Json]) -> Report:
    values: dict[str, Json] = {field.name: report[_camel(field.name)] for field in fields(kind)}
    return kind(**values)


def _camel(name: str) -> str:
    return re.sub("_(.)", lambda match: match[1].upper(), name)


class Transport(_Scenario):
    """The hook of assistant-ui in a page, step by step: a context manager."""

    script = "transport.mjs"
    _next: ClassVar[_Driver | None] = None  #: started ahead: loading the clients takes longer than most scenarios

    def _start(self) -> _Driver:
        ready, Transport._next = Transport._next or super()._start(), super()._start()
        return ready

    @staticmethod
    def _drop_next() -> None:
        if Transport._next is not None:
            Transport._next.close()

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self, settings: Mapping[str, Json]) -> None:
        """Begin another scenario in the same process: starting one takes longer than most scenarios."""
        self.step("begin", settings=dict(settings))

    def told(self) -> TransportReport:
        """Return what the scenario did so far, but for its steps, and go on."""
        return _fill(TransportReport, {"steps": [], **self.step("report")["report"]})

    def report(self) -> TransportReport:
        """End the scenario and return what it did; raises `ScenarioFailed` if a step of the settings failed."""
        return _fill(TransportReport, self._finish())


atexit.register(Transport._drop_next)


class Browser(_Scenario):
    """A Chromium of its own, step by step: a context manager."""

    script = "browser.mjs"

    def _start(self) -> _Driver:
        return _Driver([need_node(), self.script], extra={"CHROMIUM": need_chromium()})

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def report(self) -> BrowserReport:
        """End the scenario and return what it saw; raises `ScenarioFailed` if a step of the settings failed."""
        return _fill(BrowserReport, self._finish())


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
        self._driver = _Driver([need_node(), "accumulate.mjs"])
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
