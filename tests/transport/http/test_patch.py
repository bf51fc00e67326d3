"""Clients edit the parts of a state that the agent lets them, with RFC 6902 patches: all of one, or nothing."""

from __future__ import annotations

from typing import Any, TypedDict

import anyio
import jsonpatch
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import HTTPConnection

from statecast import Agent, Limits, Run, UntypedCommand, create_app
from statecast.state import Json
from statecast.testing import Response, TestClient
from tests.transport.failing_store import Failing
from tests.transport.followers import PATH, following, posted, state_of
from tests.transport.held_agent import HOLD, NOTE, held, until

pytestmark = pytest.mark.anyio

FIRST: dict[str, Any] = {"title": "a", "settings": {"theme": "dark", "list": [1, 2, 3]}, "secret": {"x": 1}, "a/b~c": 0}
WRITABLE = ["/title", "/settings", "/a~1b~0c"]


def editable(**more: Any) -> Agent:
    return held(**{"initial": FIRST, "writable": WRITABLE, **more})[0]


async def patch(client: TestClient, *steps: Any, thread_id: str = "t", **body: Any) -> Response:
    given = body or {"json": list(steps)}
    return await client.request("PATCH", f"/threads/{thread_id}/state", **given)


async def patched(*steps: Any, agent: Agent | None = None) -> tuple[Response, Json]:
    """Return the answer to a patch of the first state, and the state then."""
    async with TestClient(agent or editable()) as client:
        await client.run(thread_id="t")
        return await patch(client, *steps), await state_of(client)


def code_of(response: Response) -> str:
    return str(response.json()["error"]["code"])


FITTING: list[list[dict[str, Json]]] = [
    [{"op": "replace", "path": "/title", "value": "b"}],
    [{"op": "add", "path": "/title", "value": {"any": ["thing"]}}],
    [{"op": "remove", "path": "/title"}],
    [{"op": "remove", "path": "/title"}, {"op": "add", "path": "/title", "value": 1}],
    [{"op": "add", "path": "/settings/size", "value": 12}],
    [{"op": "replace", "path": "/settings/theme", "value": "dark blue"}],
    [{"op": "add", "path": "/settings/list/-", "value": 4}],
    [{"op": "add", "path": "/settings/list/0", "value": 0}],
    [{"op": "remove", "path": "/settings/list/1"}],
    [{"op": "move", "from": "/settings/list/0", "path": "/settings/list/2"}],
    [{"op": "copy", "from": "/settings/theme", "path": "/title"}],
    [{"op": "move", "from": "/title", "path": "/settings/title"}],
    [{"op": "replace", "path": "/a~1b~0c", "value": True}],
    [{"op": "replace", "path": "/settings", "value": {}}],
    [{"op": "test", "path": "/secret/x", "value": 1}, {"op": "replace", "path": "/title", "value": "b"}],
    [{"op": "test", "path": "/settings", "value": FIRST["settings"]}, {"op": "remove", "path": "/settings/list"}],
    [{"op": "test", "path": "", "value": FIRST}],
    [{"op": "replace", "path": "/title", "value": "a"}],
    [{"op": "replace", "path": "/title", "value": "b", "mine": 1}],
    [],
]


@pytest.mark.parametrize("steps", FITTING)
async def test_a_patch_does_what_the_standard_says(steps: list[dict[str, Json]]) -> None:
    answer, state = await patched(*steps)

    assert answer.status == 200, answer.content
    assert state == jsonpatch.apply_patch(FIRST, steps)


async def test_the_answer_says_where_the_log_is() -> None:
    async with TestClient(editable()) as client:
        await client.run(NOTE, thread_id="t")
        before = (await client.get("/status/t")).json()
        answer = await patch(client, {"op": "replace", "path": "/title", "value": "b"})
        after = (await client.get("/status/t")).json()
        nothing = await patch(client, {"op": "test", "path": "/title", "value": "b"})

    assert answer.json() == {"threadId": "t", "revision": before["revision"] + 1, "cursor": after["cursor"]}
    assert after["revision"] == before["revision"] + 1
    assert nothing.json() == answer.json()


async def test_followers_see_what_was_patched() -> None:
    async with TestClient(editable()) as client:
        await client.run(thread_id="t")
        async with following(client) as follower, following(client, query="?format=json-patch") as other:
            answer = await patch(
                client,
                {"op": "replace", "path": "/title", "value": "b"},
                {"op": "add", "path": "/settings/size", "value": 12},
            )
            for view in (follower, other):
                await view.until(lambda view: view.state and view.state["title"] == "b")
            state = await state_of(client)
            cursor = answer.json()["cursor"]
            async with following(client, cursor=cursor, state=state) as third:
                await patch(client, {"op": "replace", "path": "/title", "value": "c"})
                await third.until(lambda view: view.frames)

    assert follower.state == other.state == state
    assert follower.cursor == other.cursor == cursor
    assert follower.kinds == ["snapshot", "update-state"]
    assert third.kinds == ["update-state"]
    assert third.state == {**state, "title": "c"}


async def test_a_run_sees_what_was_patched() -> None:
    async with TestClient(editable()) as client:
        await client.run(thread_id="t")
        await patch(client, {"op": "replace", "path": "/title", "value": "b"})
        assert (await client.run(NOTE, thread_id="t")).state == {**FIRST, "title": "b", "notes": ["noted"]}


UNWRITABLE: list[dict[str, Json]] = [
    {"op": "replace", "path": "/secret/x", "value": 2},
    {"op": "remove", "path": "/secret"},
    {"op": "add", "path": "/new", "value": 1},
    {"op": "replace", "path": "", "value": {}},
    {"op": "remove", "path": ""},
    {"op": "add", "path": "/", "value": 1},
    {"op": "add", "path": "/titles", "value": 1},
    {"op": "add", "path": "/settings~1x", "value": 1},
    {"op": "add", "path": "/a~1b", "value": 1},
    {"op": "add", "path": "title", "value": 1},
    {"op": "move", "from": "/secret/x", "path": "/title"},
    {"op": "move", "from": "/title", "path": "/secret/x"},
    {"op": "copy", "from": "/secret", "path": "/title"},
    {"op": "copy", "from": "", "path": "/title"},
    {"op": "copy", "from": "/title", "path": "/secret/x"},
]


@pytest.mark.parametrize("step", UNWRITABLE)
async def test_what_the_agent_does_not_open_stays_as_it_is(step: dict[str, Json]) -> None:
    first = {"op": "replace", "path": "/title", "value": "b"}
    refused, state = await patched(first, step)

    assert (refused.status, code_of(refused)) == (403, "not_writable")
    assert state == FIRST


async def test_by_default_nothing_is_writable() -> None:
    refused, state = await patched({"op": "replace", "path": "/title", "value": "b"}, agent=editable(writable=()))

    assert (refused.status, code_of(refused)) == (403, "not_writable")
    assert state == FIRST


@pytest.mark.parametrize("path", ["", "/title", "/secret/x", "/new"])
async def test_an_agent_may_open_the_whole_state(path: str) -> None:
    step = {"op": "add", "path": path, "value": {"a": 1}}
    answer, state = await patched(step, agent=editable(writable=[""]))

    assert answer.status == 200
    assert state == jsonpatch.apply_patch(FIRST, [step])


FAILING: list[dict[str, Json]] = [
    {"op": "test", "path": "/title", "value": "b"},
    {"op": "test", "path": "/secret/x", "value": True},
    {"op": "test", "path": "/nothing", "value": None},
    {"op": "test", "path": "/title/x", "value": 1},
    {"op": "test", "path": "/title"},
    {"op": "remove", "path": "/settings/nothing"},
    {"op": "replace", "path": "/settings/nothing", "value": 1},
    {"op": "replace", "path": "/title/x", "value": 1},
    {"op": "add", "path": "/title/x", "value": 1},
    {"op": "add", "path": "/settings/theme/0", "value": 1},
    {"op": "add", "path": "/settings/list/4", "value": 1},
    {"op": "add", "path": "/settings/list/01", "value": 1},
    {"op": "add", "path": "/settings/list/-1", "value": 1},
    {"op": "add", "path": "/settings/list/x", "value": 1},
    {"op": "add", "path": "/settings/list/1e0", "value": 1},
    {"op": "remove", "path": "/settings/list/-"},
    {"op": "remove", "path": "/settings/list/3"},
    {"op": "move", "from": "/settings", "path": "/settings/inside"},
    {"op": "copy", "from": "/settings/nothing", "path": "/title"},
]


@pytest.mark.parametrize("step", FAILING)
async def test_a_patch_that_does_not_fit_changes_nothing(step: dict[str, Json]) -> None:
    first = {"op": "replace", "path": "/a~1b~0c", "value": 7}
    last = {"op": "replace", "path": "/title", "value": "b"}
    refused, state = await patched(first, step, last)

    assert (refused.status, code_of(refused)) == (409, "patch_failed")
    assert state == FIRST


MALFORMED: list[Any] = [
    {},
    {"op": "replace"},
    {"path": "/title"},
    {"op": "change", "path": "/title", "value": 1},
    {"op": None, "path": "/title", "value": 1},
    {"op": ["add"], "path": "/title", "value": 1},
    {"op": "add", "path": 1, "value": 1},
    {"op": "add", "path": ["title"], "value": 1},
    {"op": "add", "path": None, "value": 1},
    {"op": "test", "path": None, "value": 1},
    {"op": "test", "path": "title", "value": 1},
    {"op": "test", "path": "/a~2b", "value": 1},
    {"op": "add", "path": "/title"},
    {"op": "replace", "path": "/title"},
    {"op": "move", "path": "/title"},
    {"op": "copy", "path": "/title"},
    {"op": "move", "path": "/title", "from": None},
    {"op": "copy", "path": "/title", "from": 3},
]


@pytest.mark.parametrize("step", MALFORMED)
async def test_a_patch_that_is_none_changes_nothing(step: Any) -> None:
    refused, state = await patched({"op": "replace", "path": "/a~1b~0c", "value": 7}, step)

    assert (refused.status, code_of(refused)) in [(422, "invalid_patch"), (409, "patch_failed")]
    assert state == FIRST


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"json": {}}, 422, "invalid_request"),
        ({"json": None}, 422, "invalid_request"),
        ({"json": "x"}, 422, "invalid_request"),
        ({"json": [1]}, 422, "invalid_request"),
        ({"json": [[]]}, 422, "invalid_request"),
        ({"content": b"[", "headers": {"content-type": "application/json-patch+json"}}, 400, "malformed_json"),
        ({"content": b"", "headers": {"content-type": "application/json"}}, 400, "malformed_json"),
        ({"content": b"[]", "headers": {"content-type": "text/plain"}}, 415, "unsupported_media_type"),
        ({"json": [{"op": "test", "path": "/title", "value": 1}] * 65}, 422, "too_many_operations"),
        ({"json": [{"op": "add", "path": "/title", "value": 2**53 + 1}]}, 422, "number_out_of_range"),
        ({"json": [{"op": "add", "path": "/title", "value": {"__proto__": 1}}]}, 422, "forbidden_key"),
        ({"content": b"[" * 300 + b"]" * 300, "headers": {"content-type": "application/json"}}, 422, "too_deep"),
    ],
)
async def test_a_body_that_is_none_changes_nothing(body: dict[str, Any], status: int, code: str) -> None:
    async with TestClient(editable()) as client:
        await client.run(thread_id="t")
        refused = await patch(client, **body)
        assert (refused.status, code_of(refused)) == (status, code)
        assert await state_of(client) == FIRST


async def test_the_standards_media_type_is_taken_too() -> None:
    steps = msgspec.json.encode([{"op": "replace", "path": "/title", "value": "b"}])
    async with TestClient(editable()) as client:
        await client.run(thread_id="t")
        answer = await patch(client, content=steps, headers={"content-type": "application/json-patch+json"})
    assert answer.status == 200


@pytest.mark.parametrize("key", ["__proto__", "constructor", "prototype"])
async def test_what_the_clients_refuse_cannot_be_patched_in(key: str) -> None:
    refused, state = await patched({"op": "add", "path": f"/settings/{key}", "value": 1})

    assert 400 <= refused.status < 500
    assert state == FIRST


class Typed(TypedDict, total=False):
    title: str
    size: int


async def test_a_patch_keeps_the_states_type() -> None:
    agent = Agent(state=Typed, initial={"title": "a", "size": 1}, writable=["/title", "/size"])
    async with TestClient(agent) as client:
        await client.run(thread_id="t")
        good = await patch(client, {"op": "replace", "path": "/size", "value": 2})
        bad = await patch(
            client,
            {"op": "replace", "path": "/title", "value": "b"},
            {"op": "replace", "path": "/size", "value": "large"},
        )
        assert good.status == 200
        assert (bad.status, code_of(bad)) == (422, "invalid_state")
        assert await state_of(client) == {"title": "a", "size": 2}


async def test_while_a_run_is_under_way_nothing_is_patched() -> None:
    agent, release = held(initial=FIRST, writable=WRITABLE)
    step = {"op": "replace", "path": "/title", "value": "b"}
    async with TestClient(agent) as client, client.stream("POST", PATH, json=posted(HOLD)) as first:
        await first.read_until(b"held")
        refused = await patch(client, step)
        assert (refused.status, code_of(refused)) == (409, "run_active")
        release.set()
        await first.read()
        assert (await patch(client, step)).status == 200
        assert (await state_of(client))["title"] == "b"


async def test_while_a_run_waits_nothing_is_patched() -> None:
    agent = Agent(initial=FIRST, writable=WRITABLE, commands=["go"])

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        await run.wait_for("go")

    async with TestClient(agent) as client:
        await client.run({"type": "work"}, thread_id="t")
        refused = await patch(client, {"op": "replace", "path": "/title", "value": "b"})
        assert (refused.status, code_of(refused)) == (409, "run_active")


async def test_while_a_run_is_about_to_begin_nothing_is_patched() -> None:
    store = Failing()
    app = create_app(editable(), store=store)
    async with TestClient(app) as client:
        await client.run(thread_id="t")
        store.go = anyio.Event()
        thread = app.hub.loaded("t")
        assert thread
        store.go = anyio.Event()

        async def post() -> None:
            await client.run(NOTE, thread_id="t")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(post)
            await until(lambda: thread.inbox)
            refused = await patch(client, {"op": "replace", "path": "/title", "value": "b"})
            store.go.set()
        assert (refused.status, code_of(refused)) == (409, "run_active")


async def test_an_unknown_thread_cannot_be_patched() -> None:
    async with TestClient(editable()) as client:
        refused = await patch(client, {"op": "replace", "path": "/title", "value": "b"}, thread_id="unknown")
        invalid = await patch(client, thread_id="a%20b")
    assert (refused.status, code_of(refused)) == (404, "unknown_thread")
    assert (invalid.status, code_of(invalid)) == (422, "invalid_thread_id")


async def test_nobody_patches_a_thread_of_another_owner() -> None:
    async def who(request: HTTPConnection) -> str | None:
        return request.headers["authorization"]

    ann, bob = {"authorization": "ann"}, {"authorization": "bob"}
    async with TestClient(create_app(editable(), identify=who)) as client:
        await client.post(PATH, json=posted(), headers=ann)
        step = {"op": "replace", "path": "/title", "value": "b"}
        refused = await patch(client, json=[step], headers=bob)
        state = (await client.get("/threads/t/state", headers=ann)).json()["state"]
    assert (refused.status, code_of(refused), state) == (404, "unknown_thread", FIRST)


async def test_a_patch_is_confirmed_when_it_is_kept_and_until_then_there_are_no_others() -> None:
    store = Failing()
    app = create_app(editable(), store=store)
    step = {"op": "add", "path": "/settings/list/-", "value": 4}
    async with TestClient(app) as client:
        await client.run(thread_id="t")
        store.broken = True
        async with anyio.create_task_group() as tasks:
            answers: list[Response] = []

            async def patch_it() -> None:
                answers.append(await patch(client, step))

            tasks.start_soon(patch_it)
            await until(lambda: app.hub.registry.journal.failing)
            refused = await patch(client, step)
            assert answers == []
            store.broken = False
        assert (await state_of(client))["settings"]["list"] == [1, 2, 3, 4]
    assert (refused.status, code_of(refused)) == (503, "store_unavailable")
    assert [answer.status for answer in answers] == [200]


async def test_a_large_patch_is_refused() -> None:
    app = create_app(editable(), limits=Limits(body=1_000))
    async with TestClient(app) as client:
        await client.run(thread_id="t")
        refused = await patch(client, {"op": "add", "path": "/title", "value": "x" * 1_000})
        assert (refused.status, code_of(refused)) == (413, "body_too_large")


def rows(*more: Json) -> Agent:
    return held(initial={"rows": [*more], "beside": ["x" * 1_000]}, writable=["/rows"])[0]


async def test_a_patch_that_outgrows_the_limit_of_the_state_is_refused() -> None:
    step = {"op": "add", "path": "/rows/-", "value": "x" * 300}
    copy = {"op": "copy", "from": "/rows/0", "path": "/rows/-"}
    async with TestClient(create_app(rows(), limits=Limits(state=2_000))) as client:
        await client.run(thread_id="t")
        answers = [await patch(client, one) for one in (step, step, step, step, copy)]
        smaller = await patch(client, {"op": "remove", "path": "/rows/0"}, step)
        state = await state_of(client)

    assert [answer.status for answer in answers] == [200, 200, 200, 413, 413]
    assert (code_of(answers[3]), answers[3].json()["error"]["limit"]) == ("state_too_large", 2_000)
    assert smaller.status == 200
    assert state["rows"] == ["x" * 300] * 3


DOUBLING: dict[str, Json] = {"op": "copy", "from": "/rows", "path": "/rows/-"}
MOVING: dict[str, Json] = {"op": "move", "from": "/rows/0", "path": "/rows/-"}


@pytest.mark.parametrize("steps", [[DOUBLING] * 64, [MOVING] * 64])
async def test_what_a_patch_copies_and_moves_is_counted_before_it_is_built(steps: list[dict[str, Json]]) -> None:
    async with TestClient(create_app(rows(["x" * 500]), limits=Limits(state=20_000))) as client:
        await client.run(thread_id="t")
        refused = await patch(client, *steps)
        state = await state_of(client)

    assert (refused.status, code_of(refused)) == (413, "patch_too_large")
    assert state["rows"] == [["x" * 500]]


async def test_the_values_that_a_patch_copies_are_bounded() -> None:
    steps = [{"op": "copy", "from": "/rows/0", "path": "/rows/-"}] * 4
    async with TestClient(create_app(rows([0] * 100), limits=Limits(values=320))) as client:
        await client.run(thread_id="t")
        refused = await patch(client, *steps)
        fine = await patch(client, *steps[:3])

    assert (refused.status, code_of(refused)) == (413, "patch_too_large")
    assert fine.status == 200


async def test_a_patch_that_replaces_a_list_is_one_operation() -> None:
    async with TestClient(rows(*[0] * 100)) as client:
        await client.run(thread_id="t")
        async with following(client) as follower:
            await patch(client, {"op": "add", "path": "/rows", "value": [1] * 100})
            await follower.until(lambda view: view.state and view.state["rows"][0] == 1)
            state = await state_of(client)

    assert follower.state == state
    assert len(follower.frames[-1]["operations"]) == 1


async def test_a_copy_changes_apart_from_what_it_was_copied_from() -> None:
    steps: list[dict[str, Json]] = [
        {"op": "add", "path": "/rows/-", "value": [1, [2]]},
        {"op": "copy", "from": "/rows/0", "path": "/rows/-"},
        {"op": "add", "path": "/rows/0/1/-", "value": 3},
        {"op": "copy", "from": "/rows/0/1", "path": "/rows/1/0"},
        {"op": "add", "path": "/rows/1/0/-", "value": 4},
        {"op": "remove", "path": "/rows/0/1/0"},
    ]
    async with TestClient(rows()) as client:
        await client.run(thread_id="t")
        answer = await patch(client, *steps)
        state = await state_of(client)

    assert answer.status == 200
    assert state["rows"] == jsonpatch.apply_patch({"rows": []}, steps)["rows"] == [[1, [3]], [[2, 3, 4], 1, [2]]]


SCALARS = st.sampled_from([None, True, 1, 0.5, "", "text", "text and more"])
SMALL = SCALARS | st.lists(SCALARS, max_size=2)
POINTERS = st.sampled_from(["", "/", "/a", "/a/b", "/l", "/l/0", "/l/1", "/l/-", "/l/9", "/l/00", "/t", "/t/0", "/~0"])
STEPS = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), "path": POINTERS},
        optional={
            "from": POINTERS,
            "value": SMALL | st.dictionaries(st.sampled_from("ab"), SMALL, max_size=2),
        },
    ),
    max_size=5,
)
OPEN: dict[str, Any] = {"a": {"b": 1}, "l": [1, {"b": 2}], "t": "text"}


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(patches=st.lists(STEPS, max_size=4))
def test_whatever_is_patched_the_standard_is_the_judge(patches: list[list[dict[str, Json]]]) -> None:
    anyio.run(_judge, patches)


async def _judge(patches: list[list[dict[str, Json]]]) -> None:
    expected: Json = OPEN
    async with TestClient(held(initial=OPEN, writable=[""])[0]) as client:
        await client.run(thread_id="t")
        async with following(client) as follower:
            for steps in patches:
                answer = await patch(client, *steps)
                if answer.status == 200:
                    expected = jsonpatch.apply_patch(expected, steps)
                else:
                    assert answer.status in (409, 422), answer.content
                    with pytest.raises((jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError)):
                        jsonpatch.apply_patch(expected, steps)
                assert await state_of(client) == expected
            await follower.until(lambda view: view.frames and view.state == expected)


async def test_a_patch_that_is_sent_again_under_its_key_is_applied_once() -> None:
    longer = [{"op": "add", "path": "/settings/list/-", "value": 4}]
    agent, release = held(initial=FIRST, writable=WRITABLE)
    async with TestClient(agent) as client, anyio.create_task_group() as tasks:
        await client.run(thread_id="t")
        key = {"idempotency-key": "k"}
        first = await patch(client, json=longer, headers=key)
        tasks.start_soon(lambda: client.run(HOLD, thread_id="t"))
        await until(lambda: (thread := client.app.hub.loaded("t")) is not None and thread.active)  # type: ignore[attr-defined]
        again = await patch(client, json=longer, headers=key)
        other = await patch(client, json=[*longer, *longer], headers=key)
        wrong = await patch(client, json=longer, headers={"idempotency-key": "k" * 121})
        release.set()
        assert [first.status, again.status, other.status, wrong.status] == [200, 200, 409, 422]
        assert (code_of(other), code_of(wrong)) == ("command_id_reused", "invalid_idempotency_key")
        assert again.json()["revision"] >= first.json()["revision"]
        assert (await state_of(client))["settings"]["list"] == [1, 2, 3, 4]
