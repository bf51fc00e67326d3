"""What a request may look like: content types, routes, hosts, origins, ids, and the app inside another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from statecast import Agent, Run, UntypedCommand, create_app
from statecast.testing import Response, TestClient
from tests.transport.held_agent import NOTE, held

pytestmark = pytest.mark.anyio

ASK = b'{"commands":[{"type":"note"}]}'


def code_of(response: Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert error["message"]
    return response.status, error["code"]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON;charset="UTF-8"',
        "application/vnd.x+json",
    ],
)
async def test_json_is_accepted(content_type: str) -> None:
    async with TestClient(held()[0]) as client:
        response = await client.post("/assistant", content=ASK, headers={"content-type": content_type})
    assert response.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": ""},
        {"content-type": "text/plain"},
        {"content-type": "text/json"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": "application/jsonp"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/assistant", "/resume", "/cancel", "/initial-state"])
async def test_anything_else_is_refused(path: str, headers: dict[str, str]) -> None:
    async with TestClient(held()[0]) as client:
        refused = await client.post(path, content=ASK, headers=headers)
    assert code_of(refused) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("POST", "/assistants", 404, "not_found"),
        ("GET", "/threads/t/nothing", 404, "not_found"),
        ("GET", "/assistant", 405, "method_not_allowed"),
        ("DELETE", "/cancel", 405, "method_not_allowed"),
        ("POST", "/health", 405, "method_not_allowed"),
        ("BREW", "/status/t", 405, "method_not_allowed"),
    ],
)
async def test_unknown_routes_and_methods_have_the_shape_of_every_error(
    method: str, path: str, status: int, code: str
) -> None:
    async with TestClient(held()[0]) as client:
        refused = await client.request(method, path)
    assert code_of(refused) == (status, code)
    assert status == 404 or refused.headers["allow"]


@pytest.mark.parametrize("raised", [LookupError("hunter2"), SystemExit("hunter2"), KeyboardInterrupt("hunter2")])
async def test_a_failure_of_the_apps_own_code_has_it_too(raised: BaseException) -> None:
    async def broken(request: Any) -> str:
        raise raised

    async with TestClient(create_app(Agent(), identify=broken), raise_app_exceptions=False) as client:
        failed = await client.post("/assistant", json={"commands": []})
    assert code_of(failed) == (500, "internal_error")
    assert b"hunter2" not in failed.content


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("localhost", True),
        ("LOCALHOST:8000", True),
        ("app.localhost", True),
        ("127.0.0.1:8000", True),
        ("192.168.1.5", True),
        ("[::1]:8000", True),
        ("good.example", True),
        ("good.example.:443", True),
        ("x.wild.example", True),
        ("wild.example", False),
        ("evilwild.example", False),
        ("evil.example", False),
        ("good.example.evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
    ],
)
async def test_a_host_that_is_not_known_is_refused(host: str, known: bool) -> None:
    app = create_app(held()[0], allowed_hosts=["good.example", "*.wild.example"])
    async with TestClient(app, headers={"host": host}) as client:
        for response in [await client.get("/health"), await client.post("/assistant", json={"commands": [NOTE]})]:
            assert response.status == 200 if known else code_of(response) == (421, "unknown_host")


async def test_any_host_may_be_let_in() -> None:
    async with TestClient(create_app(held()[0], allowed_hosts=["*"]), headers={"host": "evil.example"}) as client:
        assert (await client.get("/health")).status == 200


PREFLIGHT = {
    "origin": "https://page.example",
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type,x-app",
}


async def test_pages_of_other_origins_are_kept_out() -> None:
    async with TestClient(held()[0]) as client:
        preflight = await client.request("OPTIONS", "/assistant", headers=PREFLIGHT)
        answer = await client.post("/assistant", json={"commands": []}, headers={"origin": "https://page.example"})

    assert preflight.status >= 400
    for response in (preflight, answer):
        assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    "origins", [["https://page.example"], ["https://other.example", "https://page.example"], ["*"]]
)
async def test_pages_of_the_origins_that_were_named_are_let_in(origins: list[str]) -> None:
    async with TestClient(create_app(held()[0], cors_origins=origins)) as client:
        preflight = await client.request("OPTIONS", "/assistant", headers=PREFLIGHT)
        answer = await client.post("/assistant", json={"commands": []}, headers={"origin": "https://page.example"})
        refused = await client.post(
            "/assistant", content=b"{", headers={**PREFLIGHT, "content-type": "application/json"}
        )
        stranger = await client.get("/health", headers={"origin": "https://evil.example"})

    expected = "*" if origins == ["*"] else "https://page.example"
    for response in (preflight, answer, refused):
        assert response.headers["access-control-allow-origin"] == expected
    assert preflight.status == 200
    assert {"content-type", "x-app"} <= set(preflight.headers["access-control-allow-headers"].lower().split(","))
    assert "POST" in preflight.headers["access-control-allow-methods"]
    exposed = {name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert exposed >= {
        "aui-replay-content-length",
        "retry-after",
        "statecast-cursor",
        "statecast-run-id",
        "statecast-thread-id",
        "x-stream-status",
        "x-vercel-ai-data-stream",
        "x-vercel-ai-ui-message-stream",
    }
    assert stranger.headers.get("access-control-allow-origin") == ("*" if origins == ["*"] else None)


@pytest.mark.parametrize(
    "thread_id", ["a", "__LOCALID_x7Yz", "A-Z.a:z~0_9", "x" * 128, "-", "run_1:2"], ids=lambda text: text[:12]
)
async def test_thread_ids(thread_id: str) -> None:
    async with TestClient(held()[0]) as client:
        result = await client.run(NOTE, thread_id=thread_id)
        assert (result.status, result.thread_id) == (200, thread_id)
        assert (await client.get(f"/threads/{thread_id}/state")).json()["state"] == result.state


@pytest.mark.parametrize("thread_id", ["", "x" * 129, "a b", "a/b", "ä", "a\n", "a%20b", "{}", "a\x00"], ids=ascii)
async def test_what_is_no_thread_id(thread_id: str) -> None:
    async with TestClient(held()[0]) as client:
        for path in ("/assistant", "/resume", "/cancel", "/initial-state"):
            refused = await client.post(path, json={"threadId": thread_id})
            assert code_of(refused) == (422, "invalid_thread_id")


@pytest.mark.parametrize("path", ["/status/a%20b", "/status/" + "x" * 129, "/threads/%C3%A4/state"])
async def test_what_is_no_thread_id_in_a_path(path: str) -> None:
    async with TestClient(held()[0]) as client:
        assert code_of(await client.get(path)) == (422, "invalid_thread_id")


async def test_the_protocol_is_named_by_the_query_or_the_body() -> None:
    types = {}
    async with TestClient(held()[0]) as client:
        for query, field in [("", None), ("", "assistant-transport"), ("?protocol=assistant-transport", "data-stream")]:
            fields = {} if field is None else {"protocol": field}
            response = await client.post(f"/assistant{query}", json={"commands": [], **fields})
            types[query, field] = response.headers["content-type"]
        lines = await client.post("/assistant", json={"commands": []})

    assert list(types.values()) == [
        "text/plain; charset=utf-8",
        "text/event-stream; charset=utf-8",
        "text/event-stream; charset=utf-8",
    ]
    assert lines.headers["x-vercel-ai-data-stream"] == "v1"


@pytest.mark.parametrize("path", ["/assistant", "/resume"])
async def test_an_unknown_protocol_is_refused(path: str) -> None:
    async with TestClient(held()[0]) as client:
        for query, body in [("?protocol=smoke", {}), ("", {"protocol": "smoke"})]:
            refused = await client.post(path + query, json={"threadId": "t", **body})
            assert code_of(refused) == (422, "unknown_protocol")
            assert '"data-stream"' in refused.json()["error"]["message"]


def agents() -> list[Agent]:
    made = [Agent("one"), Agent("two")]
    for agent in made:

        @agent.on("note")
        async def note(run: Run, command: UntypedCommand, name: str = agent.name) -> None:
            run.state = name

    return made


async def test_several_agents_share_an_app() -> None:
    async with TestClient(create_app(agents())) as client:
        assert (await client.run(NOTE)).state == "one"
        assert (await client.run(NOTE, path="/assistant?agent=two")).state == "two"
        assert (await client.run(NOTE, agent="two")).state == "two"
        assert [agent["name"] for agent in (await client.get("/agents")).json()["agents"]] == ["one", "two"]

        refused = await client.run(NOTE, agent="three")
        assert (refused.status, refused.code) == (404, "unknown_agent")

        await client.run(NOTE, thread_id="t")
        mismatch = await client.run(NOTE, thread_id="t", agent="two")
        assert (mismatch.status, mismatch.code) == (409, "agent_mismatch")


@pytest.mark.parametrize("given", [[], [Agent("same"), Agent("same")]])
def test_agents_need_names_of_their_own(given: list[Agent]) -> None:
    with pytest.raises(ValueError, match="different names"):
        create_app(given)


async def test_what_a_request_carries_beside_its_commands() -> None:
    agent = Agent()
    kept: list[Any] = []

    @agent.on("note")
    async def note(run: Run, command: UntypedCommand) -> None:
        kept.append(run.request)

    async with TestClient(agent) as client:
        await client.run(
            NOTE,
            system="Be kind.",
            tools={"look": {"parameters": {}}},
            callSettings={"maxTokens": 5, "topP": 0.5, "unheard": 1},
            config={"apiKey": "k", "modelName": "m", "baseUrl": "http://evil.example"},
            maxTokens=5,
            apiKey="k",
            parentId="p",
            runId="r",
            mine={"a": [1]},
        )
    (request,) = kept
    assert (request.system, request.tools, request.parent_id) == ("Be kind.", {"look": {"parameters": {}}}, "p")
    assert (request.call_settings.max_tokens, request.call_settings.top_p) == (5, 0.5)
    assert (request.config.api_key, request.config.model_name, request.config.base_url) == ("k", "m", None)
    assert request.extra == {"mine": {"a": [1]}}


async def test_health() -> None:
    async with TestClient(held()[0]) as client:
        await client.run(NOTE)
        health = (await client.get("/health")).json()
    assert (health["status"], health["threads"], health["runs"]) == ("ok", 1, 0)
    assert health["version"]


async def test_a_page_is_served_beside_the_endpoints(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<h1>hello</h1>")
    async with TestClient(create_app(held()[0], page=tmp_path)) as client:
        assert (await client.get("/")).content == b"<h1>hello</h1>"
        assert (await client.get("/health")).json()["status"] == "ok"
        assert (await client.run(NOTE)).state == {"notes": ["noted"]}
        assert code_of(await client.get("/nothing")) == (404, "not_found")
        assert code_of(await client.get("/../secret")) == (404, "not_found")


async def test_an_app_inside_another_under_a_prefix_and_without_a_lifespan() -> None:
    app = create_app(held()[0])
    outer = Starlette(routes=[Mount("/api/agent", app)])
    async with TestClient(outer) as client:
        result = await client.run(NOTE, path="/api/agent/assistant", thread_id="t")
        again = await client.run(NOTE, path="/api/agent/assistant", thread_id="t", state=result.state)
        assert again.state == {"notes": ["noted", "noted"]}
        assert (await client.get("/api/agent/status/t")).json()["status"] == "completed"
        assert code_of(await client.get("/api/agent/nothing")) == (404, "not_found")
        assert code_of(await client.post("/api/agent/assistant", content=b"x")) == (415, "unsupported_media_type")
    await app.hub.aclose()
