"""assistant-ui's data-stream runtime, driven by data_stream.mjs, and what it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.clients.conversing_agent import Part, Said, call, file, joined
from tests.clients.driver import Json
from tests.clients.scenario import Scenario

__all__ = ["Pages", "PagesReport", "checked", "shown"]


@dataclass(frozen=True)
class PagesReport:
    """What the pages of a scenario did."""

    pages: Mapping[
        str, Json
    ]  #: by name: {messages, data: what onData got, errors: those of onError, cancels, finishes}
    requests: list[Json]  #: {url, method, headers, body}
    responses: list[Json]  #: one for each request: {status, headers, body, end}
    console: list[Json]  #: {level, text}
    uncaught: list[str]  #: what nobody caught

    @property
    def main(self) -> Json:
        """The first page."""
        return self.pages["main"]

    @property
    def thread_id(self) -> str:
        """The thread that the server spoke of last."""
        return [name for response in self.responses if (name := response["headers"].get("statecast-thread-id"))][-1]


class Pages(Scenario[PagesReport]):
    """Pages, step by step.

    A page with a module of its own has a process of its own: what the module leaves behind, such as reports that are
    still to be sent, would be taken for another page's.
    """

    script = "data_stream.mjs"
    reported = PagesReport

    def __init__(self, settings: Mapping[str, Json]) -> None:
        super().__init__(settings, alone="module" in settings)


def checked(report: PagesReport, *, errors: Sequence[str] = ()) -> PagesReport:
    """Check what holds in every scenario: nothing to complain of, but these errors of all pages."""
    complaints = [line for line in report.console if line["level"] in ("warn", "error")]
    assert complaints == [], complaints
    assert [error for page in report.pages.values() for error in page["errors"]] == list(errors)
    assert report.uncaught == []
    return report


def shown(messages: Sequence[Json]) -> Said:
    """Return what messages of the runtime show."""
    return joined((message["role"], [_shown(part) for part in message["content"]]) for message in messages)


def _shown(part: Json) -> Part:
    match part["type"]:
        case "text" | "reasoning" as kind:
            return kind, part["text"]
        case "tool-call":
            return call(part["toolName"], part["args"], part)
        case "source":
            return "source", part["url"], part.get("title")
        case "file":
            return file(part["mimeType"], part["data"])
        case "image":
            return file("image/png", part["image"])
        case "data":
            return "data", part["name"], part["data"]
        case kind:
            raise AssertionError(f"expected a part of a known type, got {kind}")
