"""A stream, or a socket, shows nothing more once its caller's credentials have expired; the run goes on."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import anyio
import pytest
from starlette.requests import HTTPConnection

from statecast import AddMessage, Agent, App, Cloud, Run, create_app
from statecast.client import Client as Following
from statecast.http.endpoints import socket
from statecast.http.request.caller import EXPIRED
from statecast.testing import TestClient
from tests.transport.followers import connected, served
from tests.transport.held_agent import said, until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SOON: Final = 0.3  #: seconds until credentials expire

MESSAGE: Final = {"id": "m", "role": "user", "parts": [{"type": "text", "text": "hi"}]}
TEXT: Final = {"messages": [{"role": "user", "content": "hi"}], "threadId": "t"}


class Session:
    def __init__(self, expires_at: Any) -> None:
        self.id = "ann"
        self.expires_at = expires_at


def soon() -> Session:
    return Session(time.time() + SOON)


def app_of(session: Any = soon) -> tuple[App, anyio.Event]:
    """Return an app whose agent says something, and then goes on until it is let go."""
    agent, release = Agent("slow", initial={"messages": []}), anyio.Event()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        message.append_text("begun")
        await release.wait()
        message.append_text(" and went on")

    async def identify(connection: HTTPConnection) -> Any:
        return session() if "lasting" not in connection.headers else "ann"

    return create_app(agent, identify=identify), release


#: Every stream of a run: its path, its body, and how it says that it ends early.
STREAMS: Final[dict[str, tuple[str, Any, bytes]]] = {
    "assistant-transport": (
        "/assistant?protocol=assistant-transport",
        {"threadId": "t", "commands": [said("hi")]},
        b'"code":"token_expired"}\n\ndata: [DONE]\n\n',
    ),
    "data stream": ("/assistant", {"threadId": "t", "commands": [said("hi")]}, b'\n3:"The credentials of this'),
    "UI message stream": ("/chat", {"id": "t", "messages": [MESSAGE]}, b'{"type":"error","errorText":"The credentials'),
    "data stream of messages": (
        "/chat?protocol=data-stream",
        {"id": "t", "messages": [MESSAGE]},
        b'\n3:"The credentials of this',
    ),
    "AG-UI": (
        "/ag-ui",
        {"threadId": "t", "runId": "r", "messages": [{"id": "m", "role": "user", "content": "hi"}]},
        b'"code":"token_expired"',
    ),
    "chat completions": (
        "/v1/chat/completions?thread=t",
        {"model": "slow", "stream": True, "messages": TEXT["messages"]},
        b'"code":"token_expired"}}\n\ndata: [DONE]',
    ),
    "SSE": ("/sse", TEXT, b'{"type":"error","code":"token_expired"'),
    "SSE of contents": ("/sse?form=content", TEXT, b'"code":"token_expired"'),
}


@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_ends_with_its_callers_credentials_and_says_why(name: str) -> None:
    path, body, last = STREAMS[name]
    app, release = app_of()
    async with TestClient(app) as client:
        async with client.stream("POST", path, json=body) as response:
            shown = await response.read_until(last)
            try:
                shown = await response.read()
            except EOFError:
                pass  # cut off, as such a protocol says that something went wrong
        status = (await client.get("/status/t", headers={"lasting": "1"})).json()["status"]
        release.set()
        await until(lambda: app.hub.runs == 0)
        state = (await client.get("/threads/t/state", headers={"lasting": "1"})).json()

    assert b"begun" in shown
    assert b"went on" not in shown
    assert status == "running"
    assert state["run"]["status"] == "completed"


async def test_plain_text_is_cut_off_when_its_callers_credentials_expire() -> None:
    app, _ = app_of()
    async with TestClient(app) as client, client.stream("POST", "/text", json=TEXT) as response:
        await response.read_until(b"begun")
        with pytest.raises(EOFError):
            await response.read()


@pytest.mark.parametrize(
    ("path", "body"),
    [("/json", TEXT), ("/v1/chat/completions?thread=t", {"model": "slow", "messages": TEXT["messages"]})],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_an_answer_that_is_given_whole_is_refused_when_it_comes_too_late(path: str, body: Any) -> None:
    app, release = app_of()
    async with TestClient(app) as client:
        refused = await client.post(path, json=body)
        status = (await client.get("/status/t", headers={"lasting": "1"})).json()["status"]
        release.set()

    assert refused.status == 401
    assert refused.json()["error"]["code"] == "token_expired"
    assert status == "running"


@pytest.mark.parametrize(
    "path", ["/resume", "/chat/t/stream", "/threads/t/events", "/threads/t/events?format=snapshot"]
)
async def test_a_stream_that_joins_ends_likewise(path: str) -> None:
    app, release = app_of()
    async with TestClient(app) as client:
        body = {"threadId": "t", "commands": [said("hi")]}
        async with client.stream("POST", "/assistant", json=body, headers={"lasting": "1"}) as first:
            await first.read_until(b"begun")
            how = {"json": {"threadId": "t"}} if path == "/resume" else {}
            async with client.stream("POST" if how else "GET", path, **how) as response:  # type: ignore[arg-type]  # the body
                shown = await response.read()
            release.set()
            followed = await first.read()

    assert b"The credentials of this connection have expired" in shown
    assert b"went on" not in shown
    assert b"went on" in followed


async def test_the_last_event_of_a_thread_has_a_name_and_no_cursor() -> None:
    app, _ = app_of()
    async with TestClient(app) as client:
        await client.post("/threads", json={"threadId": "t"}, headers={"lasting": "1"})
        async with client.stream("POST", "/assistant", json={"threadId": "t", "commands": [said("hi")]}) as posted:
            await posted.read_until(b"begun")
            async with client.stream("GET", "/threads/t/events") as response:
                events = (await response.read()).split(b"\n\n")

    assert events[-1] == b""
    assert events[-2].startswith(b'event: end\ndata: {"code":"token_expired","message":"')
    assert all(event.startswith((b"id: ", b": ")) for event in events[:-2])


async def test_a_socket_closes_with_its_callers_credentials_and_takes_no_commands() -> None:
    app, release = app_of()
    async with served(app) as server:
        async with connected(server) as lasting_less:
            await lasting_less.ask({"type": "commands", "commands": [said("hi")]})
            code = await lasting_less.until_closed()
        release.set()
        await until(lambda: app.hub.runs == 0)

    assert code == socket.EXPIRED == 4401
    assert "went on" not in str(lasting_less.frames)


async def test_a_socket_of_a_thread_that_is_not_there_closes_as_well() -> None:
    app, _ = app_of()
    async with served(app) as server, connected(server, "unknown") as quiet:
        assert await quiet.until_closed() == socket.EXPIRED


async def test_our_own_client_goes_on_with_new_credentials() -> None:
    asked: list[Session] = []

    def session() -> Session:
        asked.append(soon())
        return asked[-1]

    app, release = app_of(session)
    async with served(app) as server, Following(f"http://127.0.0.1:{server.port}") as client:  # type: ignore[attr-defined]  # for tests
        thread = client.thread("t")
        await thread.send("hi")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_released, release, lambda: len(asked) > 3)
            async for change in thread.follow():
                if "went on" in str(change.state):
                    break

    assert len(asked) > 3


async def _released(release: anyio.Event, when: Any) -> None:
    await until(when)
    release.set()


#: What `expires_at` may be: that of an hour ago, and in an hour.
FORMS: Final = [
    lambda hours: time.time() + 3600 * hours,
    lambda hours: int(time.time()) + 3600 * hours,
    lambda hours: datetime.now(UTC) + timedelta(hours=hours),
]


@pytest.mark.parametrize("form", FORMS)
async def test_credentials_that_have_expired_open_nothing(form: Any) -> None:
    statuses = []
    for hours in (-1, 1):
        app, _ = app_of(lambda hours=hours: Session(form(hours)))
        async with TestClient(app) as client:
            answer = await client.get("/threads")
            statuses.append(answer.status)
            if hours < 0:
                assert answer.json()["error"]["code"] == "token_expired"

    assert statuses == [401, 200]


@pytest.mark.parametrize("wrong", ["2026-01-01", True, datetime(2030, 1, 1), b"1"])
async def test_an_expiry_that_is_none_is_the_apps_own_fault(wrong: Any, caplog: pytest.LogCaptureFixture) -> None:
    app, _ = app_of(lambda: Session(wrong))
    async with TestClient(app) as client:
        refused = await client.get("/threads")
    assert (refused.status, refused.json()["error"]["code"]) == (403, "identify_failed")
    assert "expires_at" in caplog.text


async def test_a_mapping_may_have_an_expiry_as_well() -> None:
    app, _ = app_of(lambda: {"id": "ann", "expires_at": time.time() - 1})
    async with TestClient(app) as client:
        assert (await client.get("/threads")).status == 401


async def test_tokens_of_the_cloud_api_end_their_streams() -> None:
    """What only it can find: that the time in a token of ours is the stream's. It takes a second or two."""
    agent = Agent("echo", initial={"messages": []})

    @agent.on(AddMessage)
    def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text("begun")

    async with TestClient(create_app(agent, cloud=Cloud(access_seconds=2))) as client:
        token = (await client.post("/v1/auth/tokens/anonymous", json={})).json()["access_token"]
        headers = {"authorization": f"Bearer {token}"}
        await client.post("/assistant", json={"threadId": "t", "commands": [said("hi")]}, headers=headers)
        async with client.stream("GET", "/threads/t/events", headers=headers) as response:
            shown = await response.read()
        refused = await client.get("/threads/t/state", headers=headers)

    assert EXPIRED.message.encode() in shown
    assert (refused.status, refused.json()["error"]["code"]) == (401, "invalid_token")
