"""`useDataStreamRuntime`, as published, against `/chat`, in both of the protocols that it accepts.

Whatever a test is about, the page has nothing to complain of and shows what the agent's state holds, as far as the
protocol can say it: over a UI message stream the runtime takes data parts for data beside the message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import uuid4

import httpx
import pytest

from statecast import Agent, create_app
from tests.clients.chat import state_of
from tests.clients.conversing_agent import EMITTED, PIXEL, Json, Said, held, joined
from tests.clients.data_stream import Pages, PagesReport, checked, shown
from tests.clients.node import need_node
from tests.clients.scenes import Gates
from tests.clients.serving import served
from tests.clients.transport_checks import PATIENCE
from tests.clients.versions import names_new_threads

IDLE = {"do": "wait", "for": "idle"}


@pytest.fixture(params=["data-stream", "ui-message-stream"], autouse=True, scope="module")
def protocol(request: pytest.FixtureRequest) -> str:
    need_node()
    return str(request.param)


@contextmanager
def paging(
    url: str, protocol: str, query: str = "", *, named: bool = True, truncate: bool = False, **settings: Json
) -> Iterator[Pages]:
    body = {**({"threadId": f"page-{uuid4().hex[:12]}"} if named else {}), **({"truncate": True} if truncate else {})}
    api = f"{url}/chat?protocol={protocol}{query}"
    with Pages({"api": api, "body": body, **settings}) as pages:
        yield pages


def play(url: str, protocol: str, *steps: Mapping[str, Json], **settings: Json) -> PagesReport:
    """Play steps in which nothing goes wrong, and check what is shown at the end."""
    with paging(url, protocol, **settings) as pages:
        for step in steps:
            pages.step(**step)
        report = checked(pages.told())
    if settings.get("named", True):
        agrees(report, url)
    return report


def append(text: str, **more: Json) -> Json:
    return {"do": "append", "text": text, "for": "idle", **more}


def agrees(report: PagesReport, url: str, page: str = "main") -> Said:
    """Check that a page shows what its thread's state holds, and return it."""
    said = shown(report.pages[page]["messages"])
    ours = held(state_of(url, report.thread_id))
    if "ui-message-stream" in report.requests[0]["url"]:
        ours = joined((role, [part for part in parts if part[0] != "data"]) for role, parts in ours)
    assert said == ours
    return said


@pytest.mark.parametrize("text", ["text", "think", "look", "show", "title", "several", "rename", "delegate"])
def test_what_the_page_shows_is_what_the_state_holds(url: str, protocol: str, text: str) -> None:
    report = play(url, protocol, append(text), append("text"))

    assert len(report.requests) == 2
    assert [message["status"]["type"] for message in report.main["messages"] if message["role"] == "assistant"] == [
        "complete",
        "complete",
    ]


#: A tool of the page, as the hook is given it.
ADD = {
    "description": "Add two numbers.",
    "parameters": {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}},
}
ADDS = {"add": {**ADD, "execute": "async ({a, b}) => ({sum: a + b})"}}


def test_the_protocol_is_known_by_the_responses_headers(url: str, protocol: str) -> None:
    report = play(url, protocol, append("text"))

    known = report.responses[0]["headers"]
    assert ("x-vercel-ai-data-stream" in known, "x-vercel-ai-ui-message-stream" in known) == (
        protocol == "data-stream",
        protocol == "ui-message-stream",
    )


@pytest.mark.parametrize("named", [True, False], ids=["named", "unnamed"])
@pytest.mark.parametrize("text", ["ask", "both"])
def test_a_tool_of_the_page_runs_there_and_its_result_comes_back(
    url: str, protocol: str, text: str, named: bool
) -> None:
    report = play(url, protocol, append(text), tools=ADDS, named=named)

    assert len(report.requests) == 2
    assert report.requests[0]["body"]["tools"]["add"]["parameters"] == ADD["parameters"]
    assert agrees(report, url)[1][1][-2:] == [
        ("tool-call", "add", {"a": 1, "b": 2}, {"sum": 3}, False),
        ("text", 'add gave {"sum":3}'),
    ]


def test_a_tool_of_the_page_that_throws_is_an_error_for_the_agent(url: str, protocol: str) -> None:
    tools = {"add": {**ADD, "execute": "async () => { throw new Error('out of paper') }"}}
    report = play(url, protocol, append("ask"), tools=tools)

    assert agrees(report, url)[1][1][-1] == ("text", 'add failed with "Error: out of paper"')


def test_a_run_that_waits_for_a_tool_goes_on_with_its_result(url: str, protocol: str) -> None:
    report = play(url, protocol, append("wait"), tools=ADDS)

    assert len({response["headers"]["statecast-run-id"] for response in report.responses}) == 1
    assert agrees(report, url)[1][1][-1] == ("text", 'It is {"sum":3}.')


@pytest.mark.parametrize("approved", [True, False])
def test_the_user_answers_a_call(url: str, protocol: str, approved: bool) -> None:
    answer = {"do": "tool-result", "toolName": "approval", "result": {"approved": approved}}
    report = play(url, protocol, append("approve"), answer, {"do": "wait", "for": {"requests": 2}}, IDLE)

    assert agrees(report, url)[1][1][-1] == ("text", "Deleted." if approved else "Kept.")


def test_a_call_that_nobody_has_answered_stays_open(url: str, protocol: str) -> None:
    with paging(url, protocol) as pages:
        pages.step(**append("ask"))
        pages.step(**append("text"))
        report = checked(pages.told())

    assert report.requests[1]["body"]["messages"][2]["content"][0]["output"]["type"] == "error-json"
    call = state_of(url, report.thread_id)["messages"][1]["parts"][1]
    assert "result" not in call
    agrees(report, url)


def test_data_parts_come_as_the_protocol_has_them(url: str, protocol: str) -> None:
    with paging(url, protocol) as pages:
        pages.step(**append("progress"))
        report = checked(pages.told())

    data = report.main["messages"][1]["metadata"]["unstable_data"]
    if protocol == "data-stream":
        assert shown(report.main["messages"])[1][1][0] == ("data", "progress", {"percent": 0})
        assert data == [{"name": "progress", "data": {"percent": percent}} for percent in (50, 100)]
    else:
        assert data == [{"name": "progress", "data": {"percent": percent}} for percent in (0, 50, 100)]


def test_the_state_beside_the_messages_is_told(url: str, protocol: str) -> None:
    report = play(url, protocol, append("title"), append("title"), append("text"))

    whole = {"title": "Bees and honey", "count": 2}
    assert {key: state_of(url, report.thread_id)[key] for key in whole} == whole
    if protocol == "data-stream":
        states = [message["metadata"].get("unstable_state") for message in report.main["messages"][1::2]]
        assert states == [{**whole, "count": 1}, whole, whole]
        assert report.requests[1]["body"]["state"] == {**whole, "count": 1}
    else:
        first = next(part for part in report.main["data"] if part["name"] == "state")
        assert first["data"] == {"title": "Untitled"}
        assert len([part for part in report.main["data"] if part["name"] == "state-operations"]) > 1


def test_steps_are_told_with_their_usage(url: str, protocol: str) -> None:
    report = play(url, protocol, append("steps"))

    steps = report.main["messages"][1]["metadata"]["steps"]
    assert [(step["finishReason"], step["usage"]) for step in steps] == [
        ("tool-calls", {"inputTokens": 10, "outputTokens": 2}),
        ("stop", {"inputTokens": 20, "outputTokens": 3}),
    ]


def test_parts_outside_the_state_are_shown(url: str, protocol: str) -> None:
    with paging(url, protocol) as pages:
        pages.step(**append("parts"))
        report = checked(pages.told())

    emitted = [part for part in EMITTED if protocol == "data-stream" or part[0] != "data"]
    assert shown(report.main["messages"])[1] == ("assistant", emitted)


@pytest.mark.parametrize(
    ("text", "error"),
    [("fail", "The library is closed."), ("crash", "The agent failed. The reason is in the server's log.")],
)
def test_a_failed_run_is_a_failed_message(url: str, protocol: str, text: str, error: str) -> None:
    with paging(url, protocol) as pages:
        pages.step(**append(text))
        report = checked(pages.told())

    status = report.main["messages"][1]["status"]
    assert (status["type"], status["reason"], status["error"]["message"]) == ("incomplete", "error", error)
    assert "hunter2" not in report.responses[0]["body"]
    agrees(report, url)


def test_a_request_that_is_refused_is_an_error(url: str, protocol: str) -> None:
    with paging(url, protocol, "&agent=nobody") as pages:
        pages.step(**append("text"))
        report = pages.told()

    assert report.main["errors"][0].startswith("Status 404: ")
    assert "unknown_agent" in report.main["errors"][0]


def test_a_run_goes_on_when_its_page_gives_it_up(url: str, protocol: str, gates: Gates) -> None:
    with paging(url, protocol) as pages:
        pages.step("append", text="hold")
        pages.step("cancel", when={"text": "half"})
        report = checked(pages.told())
        gates[f"{report.thread_id}/half"].set()
        httpx.post(f"{url}/resume", json={"threadId": report.thread_id}, timeout=PATIENCE)

    assert report.main["cancels"] == 1
    assert shown(report.main["messages"])[1][1] == [("text", "half")]
    assert held(state_of(url, report.thread_id))[1][1] == [("text", "half and half")]


def test_a_run_ends_with_its_connection_where_the_page_says_so(url: str, protocol: str) -> None:
    with paging(url, protocol, "&onDisconnect=cancel") as pages:
        pages.step("append", text="hold")
        pages.step("cancel", when={"text": "half"})
        report = checked(pages.told())
        httpx.post(f"{url}/resume", json={"threadId": report.thread_id}, timeout=PATIENCE)

    assert httpx.get(f"{url}/status/{report.thread_id}").json()["status"] == "cancelled"
    agrees(report, url)


def test_a_run_that_another_client_cancels_is_incomplete_but_no_error(url: str, protocol: str) -> None:
    with paging(url, protocol) as pages:
        pages.step("append", text="hold")
        pages.step("wait", **{"for": {"text": "half"}})
        httpx.post(f"{url}/cancel", json={"threadId": pages.told().thread_id})
        pages.step(**IDLE)
        report = checked(pages.told())

    assert report.main["messages"][1]["status"] == {"type": "incomplete", "reason": "other"}
    agrees(report, url)


@pytest.mark.parametrize("extra", [True, False], ids=["ids", "no ids"])
@pytest.mark.parametrize("named", [True, False], ids=["named", "unnamed"])
@pytest.mark.parametrize("index", [1, 3], ids=["an earlier", "the last"])
def test_an_answer_is_made_anew(url: str, protocol: str, index: int, named: bool, extra: bool) -> None:
    steps = [append("title"), append("title"), {"do": "reload", "index": index, "for": "idle"}]
    report = play(url, protocol, *steps, named=named, sendExtraMessageFields=extra)

    assert len(agrees(report, url)) == index + 1
    assert len({response["headers"]["statecast-run-id"] for response in report.responses}) == 3


@pytest.mark.parametrize("extra", [True, False], ids=["ids", "no ids"])
@pytest.mark.parametrize("named", [True, False], ids=["named", "unnamed"])
@pytest.mark.parametrize("index", [0, 2], ids=["the first", "the last"])
def test_an_edit_drops_what_followed(url: str, protocol: str, index: int, named: bool, extra: bool) -> None:
    edit = {"do": "edit", "index": index, "text": "think", "for": "idle"}
    with paging(url, protocol, named=named, truncate=named, sendExtraMessageFields=extra) as pages:
        for step in (append("text"), append("look"), edit, append("title")):
            pages.step(**step)
        report = checked(pages.told())

    said = [parts[0][1] for role, parts in agrees(report, url) if role == "user"]
    assert said == (["think", "title"] if index == 0 else ["text", "think", "title"])


def test_an_edit_loses_nothing_where_the_page_does_not_say_that_it_drops(url: str, protocol: str) -> None:
    edit = {"do": "edit", "index": 0, "text": "think", "for": "idle"}
    with paging(url, protocol) as pages:
        for step in (append("text"), append("title"), edit):
            pages.step(**step)
        report = checked(pages.told())

    ours = held(state_of(url, report.thread_id))
    assert [parts[0][1] for role, parts in ours if role == "user"] == ["text", "title", "think"]
    assert shown(report.main["messages"]) == ours[-2:]


@pytest.mark.parametrize("words", ["think", "text"], ids=["other words", "the same words"])
def test_a_stale_tab_never_loses_what_it_has_not_seen(url: str, protocol: str, words: str) -> None:
    with paging(url, protocol) as pages:
        pages.step("open", page="other")
        pages.step(**append("text"))
        pages.step(**append(words, page="other"))
        pages.step(**append("look"))
        pages.step("reload", page="other", index=1, **{"for": "idle"})
        report = checked(pages.told())

    said = [parts[0][1] for role, parts in held(state_of(url, report.thread_id)) if role == "user"]
    assert said == ["text", words]  # what the other tab dropped by asking for another answer was its own to drop


def test_a_thread_that_the_page_names_itself_begins_with_what_the_page_has(url: str, protocol: str) -> None:
    report = play(url, protocol, append("text"), append("title"), append("think"), named=False)

    first, second, third = (response["headers"]["statecast-thread-id"] for response in report.responses)
    assert (second[:10], third) == ("__LOCALID_", second)
    assert first == second if names_new_threads() else first.startswith("thr_")
    said = agrees(report, url)
    assert len(said) == 6


def test_messages_of_the_page_carry_their_ids_where_it_sends_them(url: str, protocol: str) -> None:
    report = play(url, protocol, append("text"), append("think"), sendExtraMessageFields=True)

    ours = [message["id"] for message in report.main["messages"] if message["role"] == "user"]
    kept = [message["id"] for message in state_of(url, report.thread_id)["messages"] if message["role"] == "user"]
    assert kept == ours
    assert report.requests[1]["body"]["messages"][0]["unstable_id"] == ours[0]


def test_an_image_reaches_the_agent_in_the_shape_of_the_state(url: str, protocol: str) -> None:
    image = {"type": "image", "image": f"data:image/png;base64,{PIXEL}"}
    with paging(url, protocol) as pages:
        pages.step("append", parts=[{"type": "text", "text": "text"}, image], **{"for": "idle"})
        pages.step(**append("think"))
        report = checked(pages.told())

    assert state_of(url, report.thread_id)["messages"][0]["parts"] == [{"type": "text", "text": "text"}, image]
    assert len(agrees(report, url)) == 4


def test_what_the_page_sends_beside_its_messages_reaches_the_agent(protocol: str) -> None:
    agent = Agent()

    @agent.batch
    async def asked(run: Json) -> None:
        request = run.request
        settings = [request.call_settings.temperature, request.config.model_name, request.config.base_url]
        run.state["asked"] = [request.system, *settings, request.extra["tenant"], sorted(request.tools)]

    context = {"callSettings": {"temperature": 0.5}, "config": {"modelName": "small", "baseUrl": "http://evil"}}
    body = {"threadId": f"page-{uuid4().hex[:12]}", "tenant": "north"}
    with served(create_app(agent)) as url:
        report = play(url, protocol, append("hello"), body=body, system="Be brief.", tools=ADDS, **context)

        assert state_of(url, report.thread_id)["asked"] == ["Be brief.", 0.5, "small", None, "north", ["add"]]
