"""assistant-ui's AG-UI runtime, driven by ag_ui_page.mjs, and what it shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.clients.ag_ui import events_in, state_of
from tests.clients.conversing_agent import Part, Said, call, file, held, joined
from tests.clients.driver import Json
from tests.clients.scenario import Scenario

__all__ = ["Page", "PageReport", "agrees", "checked", "shown"]


@dataclass(frozen=True)
class PageReport:
    """What the hook did in one scenario."""

    thread_id: str
    messages: list[Json]  #: the runtime's own at the end
    state: Json  #: what the hook exposes of the agent's state
    interrupts: list[Json]  #: that are open
    requests: list[Json]  #: {url, method, headers, body}
    responses: list[Json]  #: one for each request: {status, headers, body, end}
    errors: list[Json]  #: onError: {message}
    console: list[Json]  #: {level, text}
    uncaught: list[str]  #: what nobody caught

    @property
    def events(self) -> list[list[Json]]:
        """The events of each response."""
        return [events_in(response["body"]) for response in self.responses]


class Page(Scenario[PageReport]):
    """The hook in a page, step by step."""

    script = "ag_ui_page.mjs"
    reported = PageReport


def checked(report: PageReport, *, errors: Sequence[str] = ()) -> PageReport:
    """Check what holds in every scenario: nothing to complain of, but these errors. Those nobody catches, by design."""
    assert all(any(error in text for error in errors) for text in report.uncaught)
    logged = [line for line in report.console if line["level"] in ("warn", "error")]
    assert all(any(error in line["text"] for error in errors) for line in logged)
    assert [error["message"] for error in report.errors] == list(errors)
    return report


def agrees(report: PageReport, url: str) -> Said:
    """Check that the page shows what its thread's state holds, but for what has no form in AG-UI, and return it."""
    state = state_of(url, report.thread_id)
    said = shown(report.messages)
    assert said == joined(
        (role, [part for part in parts if part[0] not in ("source", "file")]) for role, parts in held(state)
    )
    assert (report.state or {}) == {key: value for key, value in state.items() if key != "messages"}
    return said


def shown(messages: Iterable[Json]) -> Said:
    """Return what messages of assistant-ui show."""
    return joined(
        (message["role"], [made for part in message["content"] if (made := _shown(part)) is not None])
        for message in messages
    )


def _shown(part: Json) -> Part | None:
    match part["type"]:
        case "text" | "reasoning" as kind:
            return kind, part["text"]
        case "tool-call":
            return call(part["toolName"], part["args"], part)
        case "image":
            return file("image/png", part["image"])
        case "data" if part["name"] in ("source", "file", "annotations"):
            return None
        case "data":
            return "data", part["name"], part["data"]
        case kind:
            raise AssertionError(f"expected a part of a known type, got {kind}")
