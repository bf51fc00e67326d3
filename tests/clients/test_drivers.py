"""The judges themselves: a driver that overlooks things would let every other test pass."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import pytest

from statecast import Agent, create_app
from tests.clients import installed
from tests.clients.driver import Driver
from tests.clients.node import (
    Accumulator,
    Json,
    Protocol,
    ScenarioFailed,
    Transport,
    TransportReport,
    run_browser,
    run_transport,
)
from tests.clients.serving import served

PROTOCOLS: list[Protocol] = ["assistant-transport", "data-stream"]


def response(protocol: Protocol, *batches: Sequence[Json]) -> bytes:
    """Write a response of state operations as the wire has it."""
    if protocol == "data-stream":
        return "".join(f"aui-state:{json.dumps(batch, ensure_ascii=False)}\n" for batch in batches).encode()
    chunks = [{"type": "update-state", "path": [], "operations": batch} for batch in batches]
    lines = [json.dumps(chunk, ensure_ascii=False) for chunk in chunks] + ["[DONE]"]
    return "".join(f"data: {line}\n\n" for line in lines).encode()


GREETING: list[list[Json]] = [
    [{"type": "set", "path": [], "value": {"text": ""}}],
    [{"type": "append-text", "path": ["text"], "value": "grüß "}],
    [{"type": "append-text", "path": ["text"], "value": "dich 😀"}, {"type": "set", "path": ["done"], "value": True}],
]
GREETED: list[Json] = [{"text": ""}, {"text": "grüß "}, {"text": "grüß dich 😀", "done": True}]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_state_of_a_response_is_told(accumulator: Accumulator, protocol: Protocol) -> None:
    decoded = accumulator.decode(protocol, response(protocol, *GREETING))

    assert (decoded.states, decoded.final) == (GREETED, GREETED[-1])
    assert (decoded.error, decoded.warnings) == (None, [])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_response_may_be_cut_anywhere(accumulator: Accumulator, protocol: Protocol) -> None:
    body = response(protocol, *GREETING)
    decoded = accumulator.decode(protocol, body, frames=range(1, len(body)))

    assert decoded.states == GREETED
    assert [state for state, _ in groupby(decoded.frame_states)] == [None, *GREETED]


def test_batches_without_bytes_give_the_same_states(accumulator: Accumulator) -> None:
    assert accumulator.apply(GREETING).states == GREETED


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_operation_that_cannot_be_applied_is_an_error(accumulator: Accumulator, protocol: Protocol) -> None:
    wrong = {"type": "append-text", "path": ["nothing"], "value": "x"}
    decoded = accumulator.decode(protocol, response(protocol, GREETING[0], [wrong]))

    assert decoded.error == "Expected string at path [nothing]"
    assert decoded.states == GREETED[:1]
    assert accumulator.apply([GREETING[0], [wrong]]).error == decoded.error


def test_what_the_client_drops_is_a_warning(accumulator: Accumulator) -> None:
    unknown = b'data: {"type":"unheard-of"}\n\ndata: [DONE]\n\n'

    assert "unknown-type" in accumulator.decode("assistant-transport", unknown).warnings[0]
    assert "Dropped invalid" in accumulator.decode("data-stream", b"no colon here\n").warnings[0]


def test_a_response_cut_off_is_an_error_where_the_protocol_has_an_end(accumulator: Accumulator) -> None:
    whole = response("assistant-transport", *GREETING)

    assert "[DONE]" in (accumulator.decode("assistant-transport", whole[:-14]).error or "")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_reported_failure_is_the_error_of_the_response(accumulator: Accumulator, protocol: Protocol) -> None:
    body = {
        "assistant-transport": b'data: {"type":"error","error":"no luck"}\n\ndata: [DONE]\n\n',
        "data-stream": b'3:"no luck"\n',
    }[protocol]

    assert accumulator.decode(protocol, body).error == "no luck"


def test_a_step_that_does_not_come_true_says_what_was_known() -> None:
    steps = [{"do": "wait", "for": {"path": ["never"], "exists": True}, "timeout": 100}]

    with pytest.raises(ScenarioFailed, match="waited 100 ms") as failed:
        run_transport({"api": "http://127.0.0.1:9/", "initialState": {"known": 1}, "steps": steps})
    assert failed.value.report["finalState"] == {"known": 1}


def test_scenarios_share_a_process_and_know_nothing_of_each_other() -> None:
    def reported(known: int) -> tuple[Driver, TransportReport]:
        with Transport({"api": "http://127.0.0.1:9/", "initialState": {"known": known}}) as page:
            page.step("append", text="hello", **{"for": "idle"})
            return page._driver, page.told()

    (first, before), (second, after) = reported(1), reported(2)

    assert first is second
    assert (before.states[0], after.states[0]) == ({"known": 1}, {"known": 2})
    for report in (before, after):
        assert len(report.requests) == len(report.errors) == 1


def test_two_scenarios_at_once_have_a_process_each() -> None:
    settings = {"api": "http://127.0.0.1:9/", "initialState": {}}
    with Transport(settings) as one, Transport(settings) as other:
        assert one._driver is not other._driver


def test_a_scenario_that_failed_leaves_its_process_to_nobody() -> None:
    settings = {"api": "http://127.0.0.1:9/", "initialState": {}}
    with Transport(settings) as page, pytest.raises(ScenarioFailed, match="unknown step"):
        page.step("dance")
    with Transport(settings) as other:
        assert other._driver is not page._driver


def test_windows_of_a_browser_know_nothing_of_each_other(chromium: str) -> None:
    read = {"do": "evaluate", "function": "() => [localStorage.length, document.cookie]"}
    write = {"do": "evaluate", "function": "() => { localStorage.setItem('a', 'b'); document.cookie = 'c=d'; }"}
    with served(create_app(Agent())) as url:
        goto = {"do": "goto", "url": f"{url}/health"}
        first, second = run_browser([goto, write, read]), run_browser([goto, read])

    assert (first.steps[2]["value"], second.steps[1]["value"]) == ([1, "c=d"], [0, ""])


def test_without_node_a_test_is_skipped_with_the_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("STATECAST_TEST_ALL", raising=False)
    monkeypatch.setattr(installed, "_node", installed._node.__wrapped__)

    with pytest.raises(pytest.skip.Exception, match=r"needs Node\.js 20\.19 or newer, and found none"):
        installed.need_node()
    monkeypatch.setenv("STATECAST_TEST_ALL", "1")
    with pytest.raises(pytest.fail.Exception, match="found none"):
        installed.need_node()


def test_the_lockfile_names_no_registry() -> None:
    locked = json.loads((installed.CLIENTS.source / "package-lock.json").read_text())

    assert not [name for name, package in locked["packages"].items() if "resolved" in package]
    assert all(package.get("integrity") for name, package in locked["packages"].items() if name)


def test_a_driver_that_cannot_start_says_why() -> None:
    driver = Driver("no-such-file.mjs")

    with pytest.raises(RuntimeError, match=r"no-such-file\.mjs"):
        driver.hear()
    assert isinstance(driver._process, subprocess.Popen)
    assert driver._process.returncode == 1


def test_a_browser_tells_what_its_page_showed_and_what_went_wrong(chromium: str, tmp_path: Path) -> None:
    page = """<!doctype html><link rel="icon" href="data:,"><input><p data-state="waiting"></p><script>
      document.querySelector("input").addEventListener("change", async (event) => {
        const answer = await fetch("/no-such-place");
        const shown = document.querySelector("p");
        shown.textContent = `${event.target.value}: ${answer.status}`;
        shown.dataset.state = "done";
        console.warn("careful");
        throw new Error("a page's own");
      });
    </script>"""
    (tmp_path / "index.html").write_text(page)

    with served(create_app(Agent(), page=tmp_path)) as url:
        report = run_browser(
            [
                {"do": "goto", "url": f"{url}/"},
                {"do": "fill", "selector": "input", "text": "grüß"},
                {"do": "press", "key": "Enter", "selector": "input"},
                {"do": "wait", "selector": "p", "attribute": "data-state", "equals": "done"},
                {"do": "read", "selector": "p, input"},
                {"do": "tab", "name": "second", "url": f"{url}/"},
                {"do": "wait", "selector": "p", "state": "attached"},
                {"do": "screenshot", "file": str(tmp_path / "second.png")},
            ]
        )

    assert report.steps[4]["texts"] == ["grüß", "grüß: 404"]
    assert [entry["url"].removeprefix(url) for entry in report.failures] == ["/no-such-place"]
    assert [line["text"] for line in report.console if line["level"] == "warning"] == ["careful"]
    assert any("a page's own" in complaint for complaint in report.complaints)
    assert [page["tab"] for page in report.pages] == ["first", "second"]
    assert (tmp_path / "second.png").read_bytes().startswith(b"\x89PNG")
