"""Scenarios with the drivers in this folder, which `scenario.mjs` plays one after another."""

from __future__ import annotations

import atexit
import json
import re
from collections.abc import Mapping
from dataclasses import fields
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from .driver import TIMEOUT, Driver, Json

if TYPE_CHECKING:
    from typing import Self

    from _typeshed import DataclassInstance

__all__ = ["Scenario", "ScenarioFailed"]

Report = TypeVar("Report", bound="DataclassInstance")

_idle: dict[str, list[Driver]] = {}  #: processes that no scenario uses, by realm


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


class Scenario(Generic[Report]):
    """A scenario, whose steps may come one at a time while the test looks at the server in between: a context manager.

    It takes a process that an earlier scenario has left, which is kept for the next one unless something went wrong:
    starting one takes longer than most scenarios. Two at once have a process each.

    Args:
        settings: Those of the driver; its `steps` are taken at once.
        timeout: Seconds for one answer.
        alone: End the process with the scenario, which may leave something behind in it.

    Raises:
        ScenarioFailed: A step did not come true; raised by whatever asks next, or by leaving the context.
    """

    script: ClassVar[str]  #: the driver
    #: what shares a process: drivers with the same globals. Those with page.mjs have a DOM, the others do without it.
    realm: ClassVar[str] = "page"
    reported: type[Report]  #: the fields of the report

    def __init__(self, settings: Mapping[str, Json], *, timeout: float = TIMEOUT, alone: bool = False) -> None:
        idle = _idle.setdefault(self.realm, [])
        self._driver = idle.pop() if idle and not alone else Driver("scenario.mjs")
        self._driver.timeout = timeout
        self._alone = alone
        self._report: Mapping[str, Json] | None = None
        self._driver.tell({"play": self.script, "settings": dict(settings)})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self._end()
        else:
            self.close()

    def step(self, do: str, **fields: Json) -> Json:
        """Do one step and return what it saw."""
        assert self._report is None, f"expected a step of a scenario that goes on, got {do!r} after its end"
        self._driver.tell({"do": do, **fields})
        answer = self._driver.hear()
        if "step" not in answer:
            raise self._failed(answer)
        return answer["step"]

    def told(self) -> Report:
        """Return what is known so far, and go on."""
        return self._filled({"steps": [], **self.step("report")["report"]})

    def report(self) -> Report:
        """End the scenario and return what is known of it."""
        return self._filled(self._end())

    def close(self) -> None:
        """Give the scenario up, and its process with it."""
        if self._report is None:
            self._report = {}
            self._driver.close()

    def _end(self) -> Mapping[str, Json]:
        if self._report is None:
            self._driver.tell(None)
            report = self._driver.hear()
            if report["failure"]:
                raise self._failed(report)
            self._report = report
            assert self._driver.hear() == {"over": True}
            if self._alone:
                self._driver.close()
            else:
                _idle[self.realm].append(self._driver)
        return self._report

    def _failed(self, report: Mapping[str, Json]) -> ScenarioFailed:
        self._report = report
        self._driver.close()
        return ScenarioFailed(report)

    def _filled(self, report: Mapping[str, Json]) -> Report:
        return self.reported(**{field.name: report[_camel(field.name)] for field in fields(self.reported)})


def _camel(name: str) -> str:
    return re.sub("_(.)", lambda match: match[1].upper(), name)


@atexit.register
def _end_all() -> None:
    for idle in _idle.values():
        while idle:
            idle.pop().close()
