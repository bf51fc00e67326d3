"""Agents in the web frameworks: below a prefix, with the framework's own pages, sign-in, start and end."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from statecast import Agent, create_app
from statecast.testing import TestClient
from tests.transport.held_agent import HOLD, held
from tests.web.hosts import HOSTS, agents

pytestmark = pytest.mark.anyio

ADA = {"x-user": "ada"}
HELLO = {"type": "add-message", "message": {"role": "user", "parts": [{"type": "text", "text": "hi"}]}}


@pytest.fixture(params=HOSTS)
def framework(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def hosted(framework: str) -> TestClient:
    return TestClient(HOSTS[framework](agents()), headers=ADA)


async def test_the_frameworks_user_is_the_runs_user(framework: str) -> None:
    async with hosted(framework) as client:
        result = await client.run("hi", path="/agents/assistant", thread_id="t")
        assert result.state["messages"][-1]["parts"][0]["text"] == "Hello Ada"
        assert (await client.get("/agents/threads/t/state")).status == 200
        other = await client.get("/agents/threads/t/state", headers={"x-user": "ben"})
        assert (other.status, other.json()["error"]["code"]) == (404, "unknown_thread")


async def test_the_frameworks_own_pages_are_there_as_before(framework: str) -> None:
    async with hosted(framework) as client:
        assert (await client.get("/")).content == b"home"
        assert (await client.get("/agentsmith")).status == 404


@pytest.mark.parametrize("path", ["/agents/health", "/agents/threads/t/state", "/agents/agents"])
async def test_a_path_below_the_prefix_is_the_apps(framework: str, path: str) -> None:
    async with hosted(framework) as client:
        await client.run("hi", path="/agents/assistant", thread_id="t")
        response = await client.get(path)
    assert response.status == 200
    assert response.headers["content-type"] == "application/json"


async def test_what_is_not_there_is_the_apps_error(framework: str) -> None:
    async with hosted(framework) as client:
        unknown = await client.get("/agents/nothing")
        wrong = await client.get("/agents/assistant")
        bad = await client.post("/agents/assistant", content=b"x", headers={"content-type": "application/json"})
    assert (unknown.status, unknown.json()["error"]["code"]) == (404, "not_found")
    assert "/agents/openapi.json" in unknown.json()["error"]["message"]
    assert (wrong.status, wrong.json()["error"]["code"], wrong.headers["allow"]) == (405, "method_not_allowed", "POST")
    assert (bad.status, bad.json()["error"]["code"]) == (400, "malformed_json")


async def test_a_files_address_has_the_prefix(framework: str) -> None:
    async with hosted(framework) as client:
        text = {"content-type": "text/plain"}
        made = await client.post("/agents/attachments?name=a.txt", content=b"bees", headers=text)
        url = made.json()["url"]
        assert url == f"http://127.0.0.1/agents/attachments/{made.json()['id']}"
        assert (await client.get(url.removeprefix("http://127.0.0.1"))).content == b"bees"


async def test_the_agents_start_and_end_with_the_framework(framework: str) -> None:
    app = agents()
    async with TestClient(HOSTS[framework](app), headers=ADA) as client:
        assert (await client.get("/agents/health/ready")).status == 200
        assert not app.hub.stopping
    assert app.hub.stopping


async def test_a_stream_flows_and_a_lost_connection_is_noticed(framework: str) -> None:
    agent, _ = held()

    async def identify(connection: Any) -> str:
        return str(connection.scope["user"].id)

    app = create_app(agent, identify=identify, on_disconnect="cancel")
    async with TestClient(HOSTS[framework](app), headers=ADA) as client:
        async with client.stream("POST", "/agents/assistant", json={"threadId": "t", "commands": [HOLD]}) as response:
            await response.read_until(b"held")
        async with client.stream("GET", "/agents/threads/t/events") as events:
            await events.read_until(b"cancelled")


@pytest.mark.parametrize("framework", [name for name in HOSTS if name != "fastapi-route"])
async def test_a_websocket_below_the_prefix_connects(framework: str) -> None:
    app = HOSTS[framework](agents())
    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/agents/threads/t/ws",
        "raw_path": b"/agents/threads/t/ws",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1"), (b"x-user", b"ada")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "subprotocols": [],
        "state": {},
    }
    sent: list[str] = []
    messages = iter([{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}])

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async with TestClient(app, headers=ADA) as client:
        await client.run("hi", path="/agents/assistant", thread_id="t")
        await app(scope, receive, send)
    assert sent[0] == "websocket.accept"


async def test_a_request_without_a_user_is_refused_by_the_frameworks_dependency() -> None:
    from fastapi import APIRouter, Depends, FastAPI, HTTPException

    async def nobody() -> None:
        raise HTTPException(401, "sign in first")

    app = agents()
    router = APIRouter(dependencies=[Depends(nobody)])

    @router.post("/agents/assistant")
    async def assistant() -> Response:
        return app.response("/agents")

    outer = FastAPI(lifespan=app.lifespan)
    outer.include_router(router)
    async with TestClient(outer) as client:
        assert (await client.post("/agents/assistant", json={"commands": [HELLO]})).status == 401
    assert app.hub.threads == 0


async def test_an_identify_without_a_user_lets_nobody_in() -> None:
    from fastapi import FastAPI

    app = agents()
    outer = FastAPI(lifespan=app.lifespan)
    outer.mount("/agents", app)
    async with TestClient(outer, raise_app_exceptions=False) as client:
        assert (await client.post("/agents/assistant", json={"commands": [HELLO]})).status == 500
    assert app.hub.threads == 0


async def test_a_servers_root_path_stays_in_front_of_the_prefix(framework: str) -> None:
    """As uvicorn does it: the path has the root path in front."""
    app = HOSTS[framework](agents())

    async def below_api(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "root_path": "/api", "path": f"/api{scope['path']}"}
        await app(scope, receive, send)

    async with TestClient(below_api, headers=ADA) as client:
        result = await client.run("hi", path="/agents/assistant")
        assert result.state["messages"][-1]["parts"][0]["text"] == "Hello Ada"


@pytest.mark.parametrize("prefix", ["agents", "/agents/", "/", "", None])
def test_a_prefix_that_is_none_is_refused(prefix: Any) -> None:
    app = create_app(Agent())
    for mount in (app.with_prefix, app.response, lambda prefix: app.in_front_of(app, prefix)):
        with pytest.raises(ValueError, match='expected a prefix such as "/agents"'):
            mount(prefix)


class Other:
    """An ASGI app whose lifespan goes as is said.

    Args:
        startup: What it does at the startup: answers with this, or raises it.
        shutdown: Likewise at the shutdown.
    """

    def __init__(self, startup: str | Exception = "complete", shutdown: str | Exception = "complete") -> None:
        self.answers = [("startup", startup), ("shutdown", shutdown)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for kind, answer in self.answers:
            assert (await receive())["type"] == f"lifespan.{kind}"
            if isinstance(answer, Exception):
                raise answer
            await send({"type": f"lifespan.{kind}.{answer}", "message": "for a reason"})
            if answer == "failed":
                return


async def lives(app: ASGIApp) -> list[str]:
    """Return what a server hears when it runs an app's lifespan."""
    heard: list[str] = []
    asked = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> dict[str, Any]:
        return {"type": next(asked)}

    async def send(message: Any) -> None:
        heard.append(message["type"].removeprefix("lifespan."))

    try:
        await app({"type": "lifespan"}, receive, send)
    except Exception as error:  # as a server does
        heard.append(str(error))
    return heard


@pytest.mark.parametrize(
    ("other", "heard"),
    [
        (Other(), ["startup.complete", "shutdown.complete"]),
        (Other("failed"), ["startup.failed"]),
        (Other(ValueError("no lifespan")), ["startup.complete", "shutdown.complete"]),
        (Other("complete", "failed"), ["startup.complete", "shutdown.failed"]),
        (Other("complete", ValueError("broken")), ["startup.complete", "shutdown.failed", "broken"]),
    ],
    ids=["both live", "the other fails to start", "the other has none", "the other fails to end", "the other breaks"],
)
async def test_the_lifespans_of_two_apps_are_one(other: Other, heard: list[str]) -> None:
    app = create_app(Agent())
    assert await lives(app.in_front_of(other, "/agents")) == heard
    assert app.hub.stopping


async def test_an_app_that_cannot_start_says_so_to_the_server(tmp_path: Any) -> None:
    app = create_app(Agent(), store=f"sqlite:///{tmp_path / 'nowhere' / 'threads.db'}")
    heard = await lives(app.in_front_of(Other(), "/agents"))
    assert heard[0] == "startup.failed"
    assert "threads.db" in heard[1]
