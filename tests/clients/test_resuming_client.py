"""Resuming with `useAssistantTransportRuntime`, as published: reloads, second tabs, waiting runs, stops and restarts.

In both protocols, on both stores that a server has without extras, and with and without `resumeStateApi`. At its end
the client has nothing to complain of, and the state that the server has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count

import pytest

from statecast import create_app
from tests.clients.node import Json, Protocol, Transport
from tests.clients.scenes import (
    BY_ITSELF,
    MODULE,
    NEVER,
    TEXT,
    Gates,
    Holding,
    Scene,
    cut,
    scripted,
    texts,
    until,
)
from tests.clients.serving import Restarting, served
from tests.clients.transport_checks import IDLE, PATIENCE

#: What a page asks before it resumes: where the thread stands, or nothing.
STEPS = pytest.mark.parametrize("steps", ["two steps", "one step"])
HALF = {"path": TEXT, "equals": "half"}

_numbers = count()


@pytest.fixture(params=["assistant-transport", "data-stream"])
def protocol(request: pytest.FixtureRequest) -> Protocol:
    name: Protocol = request.param
    return name


@pytest.fixture(scope="module", params=["memory", "sqlite"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Gates]]:
    file = tmp_path_factory.mktemp("store") / "threads.db"
    gates = Gates()
    app = create_app(scripted(gates), store="memory" if request.param == "memory" else f"sqlite:///{file}")
    with served(Holding(app, gates)) as url:
        yield url, gates


@pytest.fixture
def scene(server: tuple[str, Gates], protocol: Protocol) -> Scene:
    url, gates = server
    return Scene(url, protocol, f"thread-{next(_numbers)}", gates)


# Reloads


@STEPS
@pytest.mark.parametrize("keeps", [False, True], ids=["with nothing", "with what it had"])
def test_a_page_reloaded_in_mid_run_goes_on_with_it(scene: Scene, steps: str, *, keeps: bool) -> None:
    with Transport(scene.config(steps)) as page:
        page.step("append", text="half")
        for answers in (1, 2, 3) if steps == "one step" else (1, 3, 5):
            if answers > 1:
                page.step("reload", keep=keeps)
                page.step("resume")
            until(page, {"all": [HALF, "running", {"heads": answers}]})
        scene.gate("half").set()
        page.step(**IDLE)
        report = scene.told(page)

    assert texts(report) == ["half", "half and half"]
    replay, live = cut(report.responses[-1])
    assert ('"half"' in replay) == (steps == "one step")
    assert " and half" in live
    assert '"path":[],"value"' not in live
    assert (report.loading[0]["isLoading"], report.loading[-1]["isLoading"]) == (True, False)
    [first, *_, last] = [response["headers"].get("statecast-run-id") for response in report.responses]
    assert first == last
    if steps == "two steps":
        [state, resume] = report.requests[1:3]
        assert (state["url"], state["body"]) == (f"{scene.url}/initial-state", {"threadId": scene.thread_id})
        assert "state" not in resume["body"]
        assert resume["body"]["runId"] == json.loads(report.responses[1]["body"])["runId"]


def test_tabs_that_take_their_two_steps_at_different_times_lose_and_double_nothing(scene: Scene) -> None:
    names = [f"{scene.thread_id} {tab}" for tab in ("first", "second")]
    configs = [scene.config("two steps", headers={"x-hold": name}) for name in names]
    with Transport(scene.config()) as sender, Transport(configs[0]) as first, Transport(configs[1]) as second:
        sender.step("append", text="count")
        for tab, name, counted in ((first, names[0], "one"), (second, names[1], "one two")):
            until(sender, {"path": TEXT, "equals": counted})
            tab.step("resume")
            assert scene.gates[f"{name} reached"].wait(PATIENCE)
            scene.gate("two").set()
        scene.gates[names[1]].set()
        until(second, {"path": TEXT, "equals": "one two"})
        scene.gates[names[0]].set()
        until(first, {"path": TEXT, "equals": "one two"})
        scene.gate("three").set()
        for page in (sender, first, second):
            page.step(**IDLE)
            report = scene.told(page)
            assert texts(report) == ["count", "one two three"]
            assert '"path":[],"value"' not in report.responses[-1]["body"]


# What is over, unknown, or another's


@STEPS
@pytest.mark.parametrize("keeps", [False, True], ids=["with nothing", "with what it had"])
def test_resuming_a_finished_run_loses_nothing(scene: Scene, steps: str, *, keeps: bool) -> None:
    with Transport(scene.config(steps)) as page:
        page.step("append", text="short")
        page.step(**IDLE)
        page.step("reload", keep=keeps)
        page.step("resume")
        resumed = page.step(**IDLE)["state"]
        page.step("append", text="short")
        page.step(**IDLE)
        report = scene.told(page)

    assert texts(report) == ["short", "whole", "short", "whole"]
    answer = report.responses[1]
    if steps == "two steps":
        assert (answer["status"], answer["body"]) == (204, "")
        assert len(resumed.get("messages", [])) == 2 * keeps
    else:
        assert answer["headers"]["x-stream-status"] == "completed"
        assert ("whole" in answer["body"]) == (not keeps)
        assert len(resumed["messages"]) == 2


def test_a_run_that_ends_between_the_two_steps_is_shown_to_its_end(scene: Scene) -> None:
    with Transport(scene.config("two steps")) as page:
        page.step("append", text="half")
        until(page, HALF)
        page.step("reload", config={"headers": {"x-hold": scene.thread_id}})
        page.step("resume")
        assert scene.gates[f"{scene.thread_id} reached"].wait(PATIENCE)
        scene.gate("half").set()
        while scene.status()["status"] != "completed":
            pass
        scene.gates[scene.thread_id].set()
        page.step(**IDLE)
        report = scene.told(page)

    assert texts(report) == ["half", "half and half"]
    answer = report.responses[-1]
    assert answer["headers"]["x-stream-status"] == "completed"
    assert '"path":[],"value"' not in answer["body"]


@STEPS
def test_an_unknown_thread_leaves_the_page_as_it_is(scene: Scene, steps: str) -> None:
    with Transport(scene.config(steps, initialState={"mine": 1})) as page:
        page.step("resume")
        assert page.step(**IDLE)["state"] == {"mine": 1}
        page.step("append", text="short")
        page.step(**IDLE)
        report = scene.told(page)

    assert (report.final_state["mine"], texts(report)) == (1, ["short", "whole"])
    answer = report.responses[0]
    assert answer["status"] == (204 if steps == "two steps" else 200)
    assert steps == "two steps" or answer["headers"]["x-stream-status"] == "not_found"


def test_a_run_that_another_has_followed_meanwhile_is_refused_and_the_next_resume_finds_it(scene: Scene) -> None:
    with Transport(scene.config("two steps")) as page:
        page.step("append", text="half")
        until(page, HALF)
        page.step("reload", config={"headers": {"x-hold": scene.thread_id}})
        page.step("resume")
        assert scene.gates[f"{scene.thread_id} reached"].wait(PATIENCE)
        assert scene.post("/cancel").json()["cancelled"] is True
        with scene.said_elsewhere("half"):
            scene.gates[scene.thread_id].set()
            until(page, {"errors": 1})
            page.step("resume")
            until(page, {"path": ["messages", 3, "parts", 0, "text"], "equals": "half"})
            scene.gate("half").set()
            page.step(**IDLE)
            report = scene.told(page, errors=1)

    code, _, body = report.errors[0]["message"].partition(": ")
    assert (code, json.loads(body)["error"]["code"]) == ("Status 409", "run_mismatch")
    refused = next(response for response in report.responses if response["status"] == 409)
    assert refused["headers"]["x-stream-status"] == "run_mismatch"
    assert texts(report) == ["half", "half", "half", "half and half"]


# Runs that wait


def test_what_is_sent_while_a_run_waits_is_done_after_it(scene: Scene) -> None:
    with Transport(scene.config()) as page:
        page.step("append", text="wait")
        page.step(**IDLE)
        assert scene.status()["status"] == "waiting"
        page.step("command", commands=[{"type": "note", "text": "one"}, {"type": "note", "text": "two"}])
        page.step(**IDLE)
        assert (scene.status()["status"], len(scene.status()["queued"])) == ("waiting", 1)
        page.step("reload")
        page.step("resume")
        page.step(**IDLE)
        page.step("command", command={"type": "go"})
        page.step(**IDLE)
        page.step("resume")
        page.step(**IDLE)
        report = scene.told(page)

    first, second, *others = [response["headers"]["statecast-run-id"] for response in report.responses]
    assert others == [first, first, second]
    assert report.final_state["notes"] == [["one", "half and half"], ["two", "half and half"]]


@STEPS
def test_what_is_typed_while_a_page_resumes_is_sent_when_the_run_has_ended(scene: Scene, steps: str) -> None:
    with Transport(scene.config(steps)) as page:
        page.step("append", text="half")
        until(page, HALF)
        page.step("reload")
        page.step("resume")
        until(page, {"all": [HALF, "running"]})
        typed = page.step("command", command={"type": "note", "text": "typed"})
        assert typed["pending"] == 1
        scene.gate("half").set()
        page.step(**IDLE)
        report = scene.told(page)

    assert report.final_state["notes"] == [["typed", "half and half"]]


def test_a_run_goes_on_with_what_the_pages_tool_returned(scene: Scene) -> None:
    with Transport(scene.config(tools=BY_ITSELF)) as page:
        page.step("append", text="add")
        until(page, {"path": ["messages", 1, "parts", 1], "exists": True})
        page.step(**IDLE)
        report = scene.told(page)

    assert texts(report) == ["add", 'got {"sum": 3}']
    assert [command["type"] for command in report.commands] == ["add-message", "add-tool-result"]
    assert len({response["headers"]["statecast-run-id"] for response in report.responses}) == 1


def test_what_a_run_waits_for_is_done_by_a_page_that_is_reloaded(scene: Scene) -> None:
    with Transport(scene.config(tools=NEVER)) as page:
        page.step("append", text="add")
        until(page, {"all": ["tool-call", {"responses": 1}]})
        page.step("reload", config={"tools": BY_ITSELF})
        page.step("resume")
        until(page, {"path": ["messages", 1, "parts", 1], "exists": True})
        page.step(**IDLE)
        report = scene.told(page)

    assert texts(report) == ["add", 'got {"sum": 3}']


def test_a_page_that_asks_first_is_told_of_a_waiting_run_with_its_next_request(scene: Scene) -> None:
    with Transport(scene.config("two steps", tools=NEVER)) as page:
        page.step("append", text="add")
        until(page, {"all": ["tool-call", {"responses": 1}]})
        page.step("reload", config={"tools": BY_ITSELF})
        page.step("resume")
        assert page.step(**IDLE)["state"] == {}
        page.step("command", command={"type": "note", "text": "next"})
        until(page, {"path": ["messages", 1, "parts", 1], "exists": True})
        page.step(**IDLE)
        page.step("command", command={"type": "note", "text": "last"})
        page.step(**IDLE)
        report = scene.told(page)

    assert report.responses[1]["status"] == 204
    assert [note for note, _ in report.final_state["notes"]] == ["next", "last"]
    assert texts(report) == ["add", 'got {"sum": 3}']


@STEPS
def test_what_a_run_asks_beside_its_work_is_done_by_a_page_that_is_reloaded(scene: Scene, steps: str) -> None:
    with Transport(scene.config(steps, tools=NEVER)) as page:
        page.step("append", text="add_beside")
        until(page, "tool-call")
        page.step("reload", config={"tools": BY_ITSELF})
        page.step("resume")
        until(page, {"all": ["tool-call", "running"]})
        scene.gate("beside").set()
        until(page, {"path": ["messages", 1, "parts", 1], "exists": True})
        page.step(**IDLE)
        report = scene.told(page)

    assert texts(report) == ["add_beside", 'got {"sum": 3}']
    assert "settled" not in report.final_state


@STEPS
@pytest.mark.parametrize("later", ["over", "in a later run"])
def test_a_call_of_a_run_that_was_stopped_is_history(scene: Scene, steps: str, later: str) -> None:
    with Transport(scene.config(steps, tools=NEVER)) as page:
        page.step("append", text="add")
        until(page, {"all": ["tool-call", {"responses": 1}]})
        assert scene.post("/cancel").json()["cancelled"] is True
        if later == "over":
            page.step("reload", config={"tools": BY_ITSELF})
            page.step("resume")
            page.step(**IDLE)
            report = page.told()
        else:
            with scene.said_elsewhere("half"):
                page.step("reload", config={"tools": BY_ITSELF})
                page.step("resume")
                until(page, {"path": ["messages", 3, "parts", 0, "text"], "equals": "half"})
                scene.gate("half").set()
                page.step(**IDLE)
                report = scene.told(page)

    assert [command["type"] for command in report.commands] == ["add-message"]
    assert (report.errors, report.complaints) == ([], [])


@pytest.mark.parametrize(("answer", "end"), [({"approved": True}, "deleted"), ({"approved": False}, "kept")])
def test_a_question_is_answered_in_another_tab(scene: Scene, answer: Json, end: str) -> None:
    with Transport(scene.config()) as page, Transport(scene.config()) as tab:
        page.step("append", text="ask")
        page.step(**IDLE)
        assert (scene.status()["status"], scene.status()["isRunning"]) == ("waiting", False)
        tab.step("resume")
        until(tab, "tool-call")
        tab.step(**IDLE)
        tab.step("tool-result", toolName="approval", result=answer)
        tab.step(**IDLE)
        page.step("resume")
        page.step(**IDLE)
        for one in (page, tab):
            report = scene.told(one)
            assert texts(report) == ["ask", end]
            assert len({response["headers"]["statecast-run-id"] for response in report.responses}) == 1


# Stops


@STEPS
def test_a_stop_in_the_second_tab_ends_the_first_ones_stream(scene: Scene, steps: str) -> None:
    config = scene.config(steps, cancelApi=f"{scene.url}/cancel")
    with Transport(config) as one, Transport(config) as other:
        one.step("append", text="half")
        until(one, HALF)
        other.step("resume")
        until(other, {"all": [HALF, "running"]})
        other.step("cancel")
        one.step(**IDLE)
        stopped, stopping = scene.told(one), scene.told(other)

    assert stopped.responses[0]["end"] in {"complete", "left"}
    assert (stopped.cancels, stopping.cancels) == ([], [{"commands": [], "error": None}])
    assert (texts(stopped), scene.status()["status"]) == (["half", "half"], "cancelled")


# Restarts


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restarting]:
    folder = tmp_path_factory.mktemp("restarting")
    (folder / "restarting_agent.py").write_text(MODULE)
    store = f"sqlite:///{folder / 'threads.db'}"
    with Restarting("serve", "restarting_agent:agent", "--store", store, folder=folder) as running:
        yield running


@STEPS
@pytest.mark.parametrize("reloads", [False, True], ids=["as it is", "reloaded"])
def test_after_a_power_cut_the_page_resumes_and_the_conversation_goes_on(
    protocol: Protocol, process: Restarting, steps: str, *, reloads: bool
) -> None:
    scene = Scene(process.url, protocol, f"thread-{next(_numbers)}")
    with Transport(scene.config(steps)) as page:
        page.step("append", text="half")
        until(page, HALF)
        process.kill()
        until(page, {"errors": 1})
        process.start()
        if reloads:
            page.step("reload")
        page.step("resume")
        page.step(**IDLE)
        assert (scene.status()["status"], scene.status()["isRunning"]) == ("interrupted", False)
        page.step("append", text="short")
        page.step(**IDLE)
        report = scene.told(page, errors=1)

    assert texts(report) == ["half", "half", "short", "whole"]
    answer = report.responses[1]
    if steps == "two steps":
        assert answer["status"] == 204
    else:
        assert answer["headers"]["x-stream-status"] == "interrupted"
