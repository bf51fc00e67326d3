"""Every limit, at it and one step beyond."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import anyio
import httpx
import pytest
from starlette.requests import HTTPConnection

from statecast import Agent, Limits, Run, UntypedCommand, create_app
from statecast.state import Json
from statecast.testing import Response, TestClient
from statecast.threads.log.log import Log
from statecast.threads.supervisor import SLICE
from tests.clients.serving import served
from tests.transport.held_agent import HOLD, NOTE, held, until

pytestmark = pytest.mark.anyio

PATH = "/assistant?protocol=assistant-transport"
MEBIBYTE = 2**20


def error_of(response: Response) -> tuple[int, str, Json]:
    error = response.json()["error"]
    return response.status, error["code"], error.get("limit")


def padded(size: int) -> bytes:
    """Return a request of that many bytes."""
    frame = b'{"commands":[],"filling":"%b"}'
    return frame % (b"x" * (size - len(frame) + 2))


def test_the_defaults() -> None:
    limits = Limits()
    assert (limits.body, limits.state) == (16 * MEBIBYTE, 12 * MEBIBYTE)
    assert (limits.values, limits.nesting, limits.commands) == (200_000, 128, 64)
    assert (limits.body_seconds, limits.heartbeat_seconds, limits.run_seconds) == (30, 15, 3_600)
    assert (limits.runs, limits.runs_per_owner) == (1_000, 16)


async def test_the_size_of_a_body() -> None:
    async with TestClient(held()[0]) as client:
        headers = {"content-type": "application/json"}
        allowed = await client.post("/assistant", content=padded(16 * MEBIBYTE), headers=headers)
        refused = await client.post("/assistant", content=padded(16 * MEBIBYTE + 1), headers=headers)

    assert allowed.status == 200
    assert error_of(refused) == (413, "body_too_large", 16 * MEBIBYTE)


ENDPOINTS = [
    ("POST", "/assistant"),
    ("POST", "/resume"),
    ("POST", "/initial-state"),
    ("POST", "/cancel"),
    ("POST", "/chat"),
    ("POST", "/ag-ui"),
    ("POST", "/text"),
    ("POST", "/sse"),
    ("POST", "/json"),
    ("POST", "/v1/chat/completions"),
    ("PATCH", "/threads/t/state"),
    ("POST", "/threads"),
    ("PATCH", "/threads/t"),
    ("POST", "/threads/t/title"),
    ("POST", "/threads/t/suggestions"),
    ("POST", "/threads/t/messages"),
    ("PUT", "/threads/t/messages/m"),
    ("POST", "/threads/t/messages/m/feedback"),
]


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_the_number_of_values_in_a_body_at_every_endpoint(method: str, path: str) -> None:
    async with TestClient(create_app(held()[0], limits=Limits(values=50), open_list=True)) as client:
        await client.run(thread_id="t")
        allowed = await client.request(method, path, json={"filling": [0] * 48})
        refused = await client.request(method, path, json={"filling": [0] * 49})

    assert allowed.status < 300 or error_of(allowed)[1] != "too_many_values"
    assert error_of(refused)[:2] == (413, "too_many_values")


@pytest.mark.parametrize("value", [[], {}, "", "[,", 0, None, [[]], {"a": []}])
async def test_every_kind_of_value_counts_as_one(value: Json) -> None:
    inner = 1 if value in ([[]], {"a": []}) else 0
    async with TestClient(create_app(held()[0], limits=Limits(values=9 + inner * 5))) as client:
        allowed = await client.post("/assistant", json={"commands": [], "filling": [value] * 5, "more": 1})
        refused = await client.post("/assistant", json={"commands": [], "filling": [value] * 5, "more": 1, "x": 1})

    assert allowed.status == 200
    assert error_of(refused) == (413, "too_many_values", 9 + inner * 5)


async def test_a_body_in_pieces_has_one_size() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b" " * 100

    async with TestClient(create_app(held()[0], limits=Limits(body=1_000))) as client:
        refused = await client.post("/assistant", content=pieces(), headers={"content-type": "application/json"})
    assert error_of(refused) == (413, "body_too_large", 1_000)


async def test_a_body_that_is_too_large_is_read_to_its_end_before_the_answer() -> None:
    read = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(30):
            read += 100
            yield b" " * 100

    async with TestClient(create_app(held()[0], limits=Limits(body=1_000))) as client:
        refused = await client.post("/assistant", content=pieces(), headers={"content-type": "application/json"})
    assert (refused.status, read) == (413, 3_000)


async def test_a_body_without_end_is_read_up_to_a_bound() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 100
            yield b" " * 100

    async with TestClient(create_app(held()[0], limits=Limits(body=1_000))) as client:
        refused = await client.post("/assistant", content=endless(), headers={"content-type": "application/json"})
    assert error_of(refused)[0] == 413
    assert read <= 5_000


def test_who_sends_too_much_can_still_read_the_answer() -> None:
    with served(create_app(held()[0])) as url, httpx.Client() as client:
        for size in (16 * MEBIBYTE + 1, 40 * MEBIBYTE):
            headers = {"content-type": "application/json"}
            refused = client.post(f"{url}/assistant", content=padded(size), headers=headers)
            assert (refused.status_code, refused.json()["error"]["code"]) == (413, "body_too_large")
        assert client.get(f"{url}/health").status_code == 200


async def test_the_nesting_of_a_body() -> None:
    def nested(field: bytes, depth: int) -> bytes:
        return b'{"%b":%b}' % (field, b"[" * (depth - 1) + b"]" * (depth - 1))

    async with TestClient(held()[0]) as client:
        headers = {"content-type": "application/json"}
        allowed = await client.post("/assistant", content=nested(b"mine", 128), headers=headers)
        assert allowed.status == 200
        for field in (b"mine", b"state", b"commands", b"threadId"):
            refused = await client.post("/assistant", content=nested(field, 129), headers=headers)
            assert error_of(refused) == (422, "too_deep", 120 if field == b"state" else 128)


async def test_a_state_nests_less_deep_than_a_body() -> None:
    async with TestClient(Agent()) as client:
        for depth, status in [(120, 200), (121, 422)]:
            state: Json = []
            for _ in range(depth - 1):
                state = [state]
            result = await client.run(state=state)
            assert result.status == status
    assert (result.code, (result.error or {})["limit"]) == ("too_deep", 120)


async def test_commands_in_one_request() -> None:
    async with TestClient(held()[0]) as client:
        allowed = await client.run(*[NOTE] * 64, thread_id="t")
        refused = await client.post("/assistant", json={"commands": [NOTE] * 65, "threadId": "t"})
        state = (await client.get("/threads/t/state")).json()["state"]

    assert len(allowed.state["notes"]) == 64
    assert error_of(refused) == (422, "too_many_commands", 64)
    assert state == allowed.state


async def test_the_size_of_a_posted_state() -> None:
    async with TestClient(create_app(held()[0], limits=Limits(state=1_000))) as client:
        frame = len(b'{"x":""}')
        allowed = await client.run(state={"x": "y" * (1_000 - frame)})
        refused = await client.post("/assistant", json={"commands": [], "state": {"x": "y" * (1_001 - frame)}})
    assert allowed.error is None
    assert error_of(refused) == (413, "state_too_large", 1_000)


async def test_a_body_that_arrives_too_slowly() -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b'{"commands":'
        await anyio.sleep_forever()

    async with TestClient(create_app(held()[0], limits=Limits(body_seconds=0.01))) as client:
        refused = await client.post("/assistant", content=slow(), headers={"content-type": "application/json"})
    assert error_of(refused) == (408, "body_timeout", 0.01)


@pytest.mark.parametrize(("protocol", "heartbeat"), [("assistant-transport", b": \n\n"), ("data-stream", b"\n")])
async def test_an_idle_stream_beats(protocol: str, heartbeat: bytes) -> None:
    agent, release = held()
    app = create_app(agent, limits=Limits(heartbeat_seconds=0.01))
    body = {"commands": [HOLD]}
    async with (
        TestClient(app) as client,
        client.stream("POST", f"/assistant?protocol={protocol}", json=body) as response,
    ):
        await response.read_until(b"held")
        assert [await anext(response) for _ in range(3)] == [heartbeat] * 3
        release.set()
        assert b"went on" in await response.read()


async def test_heartbeats_reach_the_streams_of_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(held()[0], limits=Limits(heartbeat_seconds=0.02))
    async with TestClient(app) as client:
        for number in range(2 * SLICE + 1):
            await client.run(NOTE, state=None, thread_id=f"t{number}")
        logs = {thread.log for thread in app.hub.registry}
        assert len(logs) == 2 * SLICE + 1
        beaten: set[Log] = set()
        monkeypatch.setattr(Log, "beat", lambda log: beaten.add(log))
        await until(lambda: beaten == logs)


async def test_runs_on_one_server() -> None:
    agent, release = held()
    app = create_app(agent, limits=Limits(runs=2))
    async with TestClient(app) as client, AsyncExitStack() as stack:
        for number in range(2):
            body = {"commands": [HOLD], "threadId": f"t{number}"}
            await (await stack.enter_async_context(client.stream("POST", PATH, json=body))).read_until(b"held")
        refused = [
            await client.post("/assistant", json={"commands": [NOTE]}),
            await client.post("/assistant", json={"commands": [NOTE], "threadId": "t0"}),
        ]
        watching = await client.post("/assistant", json={"commands": [], "threadId": "t0"})
        release.set()
        await until(lambda: not app.hub.runs)
        assert (await client.run(NOTE)).error is None

    for response in refused:
        assert error_of(response) == (503, "server_full", 2)
        assert int(response.headers["retry-after"]) > 0
    assert watching.status == 200


async def test_runs_of_one_owner() -> None:
    async def who(request: HTTPConnection) -> str | None:
        return request.headers["x-user"]

    agent, release = held()
    app = create_app(agent, limits=Limits(runs_per_owner=2), identify=who)
    ann, bob = {"x-user": "ann"}, {"x-user": "bob"}
    async with TestClient(app) as client, AsyncExitStack() as stack:
        for number in range(2):
            body = {"commands": [HOLD], "threadId": f"t{number}"}
            held_up = client.stream("POST", PATH, json=body, headers=ann)
            await (await stack.enter_async_context(held_up)).read_until(b"held")
        refused = await client.post("/assistant", json={"commands": [NOTE]}, headers=ann)
        others = await client.post("/assistant", json={"commands": [NOTE]}, headers=bob)
        release.set()

    assert error_of(refused) == (429, "too_many_runs", 2)
    assert int(refused.headers["retry-after"]) > 0
    assert others.status == 200


async def test_the_log_of_a_thread() -> None:
    agent = Agent()

    @agent.on("grow")
    async def grow(run: Run, command: UntypedCommand) -> None:
        run.state = {"text": ""}
        for _ in range(200):
            run.state["text"] += "x" * 50
            run.flush()

    app = create_app(agent, limits=Limits(keep_entries=10, keep_bytes=2_000))
    async with TestClient(app) as client:
        await client.run({"type": "grow"}, thread_id="t")
        log = (await app.hub.find("t")).log
    assert log.revision > 200
    assert log.revision - log.start <= 20


async def test_a_thread_that_nobody_named_is_let_go() -> None:
    app = create_app(held()[0], limits=Limits(heartbeat_seconds=0.002, resume_seconds=0, idle_seconds=3_600))
    async with TestClient(app) as client:
        unnamed = await client.run(NOTE)
        await client.run(NOTE, thread_id="named")
        await until(lambda: app.hub.threads == 1)
        assert (await client.get("/status/named")).status == 200
        assert (await client.get(f"/status/{unnamed.thread_id}")).status == 404


async def test_a_thread_with_a_run_or_a_reader_stays() -> None:
    agent, release = held()
    app = create_app(agent, limits=Limits(heartbeat_seconds=0.002, resume_seconds=0, idle_seconds=0))
    async with TestClient(app) as client:
        async with client.stream("POST", PATH, json={"commands": [HOLD]}) as response:
            await response.read_until(b": \n\n")
            assert app.hub.threads == 1
        release.set()
        await until(lambda: app.hub.threads == 0)
