"""What HTTP allows at the edge of every endpoint: HEAD, unknown paths, odd targets, content types, caches."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Route

from statecast import AddMessage, Agent, App, Cloud, Run, create_app
from statecast.http.endpoints.client_module import FILES
from statecast.http.request.content_type import is_json
from statecast.testing import TestClient
from tests.transport.followers import served
from tests.transport.held_agent import HOLD, held
from tests.transport.raw_connection import Reply, connection

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

TEXT: Final = [{"type": "text", "text": "Hello"}]
SAID: Final = {"type": "add-message", "message": {"role": "user", "parts": TEXT}}
TOLD: Final = {"messages": [{"role": "user", "content": "Hello"}]}
METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]

#: Every request that is answered with a stream: path, and body.
STREAMS: Final[list[tuple[str, dict[str, Any] | None]]] = [
    ("/assistant", {"threadId": "t", "commands": [SAID]}),
    ("/assistant?protocol=assistant-transport", {"threadId": "t", "commands": []}),
    ("/resume", {"threadId": "t"}),
    ("/resume?protocol=assistant-transport", {"threadId": "unknown"}),
    ("/chat", {"id": "c", "messages": [{"id": "u", "role": "user", "parts": TEXT}]}),
    ("/chat?protocol=data-stream", TOLD),
    (
        "/ag-ui",
        {
            "threadId": "a",
            "runId": "r",
            "messages": [{"id": "u", "role": "user", "content": "Hi"}],
            "tools": [],
            "context": [],
        },
    ),
    ("/ag-ui", {"threadId": "new", "runId": "r", "messages": [], "tools": [], "context": []}),
    ("/text", TOLD),
    ("/sse", TOLD),
    ("/sse?form=events", TOLD),
    ("/v1/chat/completions", {"model": "agent", "stream": True, **TOLD}),
    ("/threads/t/title", {}),
    ("/threads/t/suggestions", {}),
    ("/threads/t/events", None),
    ("/threads/t/events?format=json-patch", None),
    ("/threads/t/events?format=snapshot", None),
]


def echo() -> Agent:
    agent = Agent(initial={"messages": []})

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text(f"You said: {command.message.text}")

    @agent.title
    async def title(about: Any) -> str:
        return "A title"

    @agent.suggest
    async def suggest(about: Any) -> list[str]:
        return ["More"]

    return agent


def site(folder: Path) -> App:
    """Return an app with everything that there is to serve: a page, and the cloud API."""
    (folder / "index.html").write_text("<h1>hello</h1>")
    (folder / "docs").mkdir()
    (folder / "docs" / "index.html").write_text("<h1>docs</h1>")
    return create_app(echo(), cloud=Cloud(secret="s" * 32), page=folder)


def paths(app: App, method: str | None = None) -> Iterator[str]:
    """Return each path that is served once, with names filled in."""
    routes = [route for route in app.router.routes if isinstance(route, Route)]
    found = {route.path_format for route in routes if method is None or method in (route.methods or ())}
    names = {"{thread_id}": "t", "{model}": "agent"}
    yield from (re.sub(r"{\w+}", lambda name: names.get(name[0], "x"), path) for path in sorted(found))


# Streams


@pytest.mark.parametrize(("path", "body"), STREAMS, ids=[path for path, _ in STREAMS])
async def test_every_stream_asks_proxies_to_pass_it_on_as_it_comes(path: str, body: dict[str, Any] | None) -> None:
    async with TestClient(echo()) as client:
        await client.run(SAID, thread_id="t")
        asking = client.stream("GET", path) if body is None else client.stream("POST", path, json=body)
        async with asking as response:
            assert response.status == 200
            assert response.headers["cache-control"] == "no-cache, no-transform"
            assert response.headers["x-accel-buffering"] == "no"
            assert "Authorization" in response.headers["vary"]


# Caches


@pytest.mark.parametrize("method", METHODS)
async def test_no_cache_may_store_what_depends_on_who_asks(method: str, tmp_path: Path) -> None:
    app = site(tmp_path)
    async with TestClient(app, headers={"origin": "http://127.0.0.1"}) as client:
        await client.run(SAID, thread_id="t")
        anonymous = (await client.post("/v1/auth/tokens/anonymous")).json()["access_token"]
        for headers in ({}, {"authorization": f"Bearer {anonymous}"}):
            for path in (*paths(app), "/nothing", "/v1/nothing"):
                async with client.stream(method, path, headers=headers) as response:
                    kept, status = response.headers["cache-control"], response.status
                    public = path.lstrip("/") in {*FILES, "react.tgz"} and status == 200
                    stream = path.endswith("/events") and status == 200
                    expected = "no-cache" if public else "no-cache, no-transform" if stream else "no-store"
                    assert kept == expected, (path, status)
                    assert {"Authorization", "Cookie"} <= set(response.headers["vary"].split(", ")), path


async def test_a_preflight_a_refused_origin_and_an_unknown_host_are_not_stored_either() -> None:
    async with TestClient(create_app(echo(), cors_origins=["https://good.example"])) as client:
        for origin in ("https://good.example", "https://bad.example"):
            asked = {"origin": origin, "access-control-request-method": "POST"}
            preflight = await client.request("OPTIONS", "/assistant", headers=asked)
            assert (preflight.headers["cache-control"], "Origin" in preflight.headers["vary"]) == ("no-store", True)
        unknown = await client.get("/threads", headers={"host": "bad.example"})
        assert (unknown.status, unknown.headers["cache-control"]) == (421, "no-store")


# Unknown paths, and methods


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["alone", "with a page and the cloud API"])
async def test_an_unknown_path_is_404_for_every_method(kind: str, method: str, tmp_path: Path) -> None:
    app = create_app(echo()) if kind == "alone" else site(tmp_path)
    unknown = [
        "/nothing",
        "/assistant/",
        "//assistant",
        "/threads/t/",
        "/docs/nothing",
        "/v1",
        "/v1/nothing",
        "/%00",
        "/..",
        "/a" * 2000,
    ]
    async with TestClient(app) as client:
        for path in unknown:
            refused = await client.request(method, path)
            assert (refused.status, "location" in refused.headers) == (404, False), path
            error = refused.json().get("error", refused.json())
            assert error["code"] == "not_found"
            assert len(error["message"]) < 300


@pytest.mark.parametrize("kind", ["alone", "with a page and the cloud API"])
async def test_a_known_path_names_all_of_its_methods_where_it_has_not_the_one_asked_for(
    kind: str, tmp_path: Path
) -> None:
    app = create_app(echo()) if kind == "alone" else site(tmp_path)
    async with TestClient(app) as client:
        for path in paths(app):
            refused = await client.request("PROPFIND", path)
            assert refused.status == 405, path
            assert set(refused.headers["allow"].split(", ")) >= {it for it in METHODS if path in paths(app, it)}, path


async def test_a_file_of_the_page_has_no_method_but_get_and_head(tmp_path: Path) -> None:
    async with TestClient(site(tmp_path)) as client:
        refused = await client.post("/index.html")
        assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("asked", "location"), [("/docs", "./docs/"), ("/docs?a=%2F", "./docs/?a=%2F"), ("//docs", "./docs/")]
)
async def test_the_redirect_to_a_folder_of_the_page_is_relative(asked: str, location: str, tmp_path: Path) -> None:
    async with TestClient(site(tmp_path)) as client:
        answer = await client.get(asked, headers={"host": "localhost:1", "x-forwarded-host": "evil.example"})
    assert (answer.status, answer.headers["location"]) == (307, location)


# HEAD, and what else comes on a connection


async def test_head_ends_at_every_path_and_the_connection_goes_on(tmp_path: Path) -> None:
    app = site(tmp_path)
    async with served(app) as server, TestClient(app, lifespan=False) as client, connection(server) as raw:
        await client.run(SAID, thread_id="t")
        for path in (*paths(app), "/threads/t/events?format=snapshot", "/", "/docs/", "/docs", "/nothing"):
            head = await raw.ask(path, "Host: 127.0.0.1", method="HEAD")
            assert head.body == b"", path
            assert head.status in (200, 204, 307, 401, 403, 404, 405), path
            assert (await raw.ask("/health")).status == 200, path


async def test_head_of_a_stream_leaves_its_run_alone() -> None:
    agent, release = held()
    app = create_app(agent, on_disconnect="cancel")
    async with served(app) as server, TestClient(app, lifespan=False) as client, connection(server) as raw:
        async with client.stream("POST", "/assistant", json={"commands": [HOLD], "threadId": "t"}) as running:
            await running.read_until(b"held")
            for path in ("/threads/t/events", "/chat/t/stream"):
                head = await raw.ask(path, method="HEAD")
                assert (head.status, head.headers["cache-control"]) == (200, "no-cache, no-transform")
            thread = app.hub.loaded("t")
            assert thread is not None
            assert (thread.readers, thread.run and thread.run.status) == (1, "running")
            release.set()
            await running.read()


BODY: Final = json.dumps({"commands": [SAID]}).encode()
POSTED: Final = ("Host: 127.0.0.1", "Content-Type: application/json", f"Content-Length: {len(BODY)}")


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("http://127.0.0.1/health", ("Host: 127.0.0.1",), 200),
        ("/%68ealth", ("Host: 127.0.0.1",), 200),
        ("/health?", ("Host: 127.0.0.1",), 200),
        ("//health", ("Host: 127.0.0.1",), 404),
        ("/health/", ("Host: 127.0.0.1",), 404),
        ("/./health", ("Host: 127.0.0.1",), 404),
        ("/health", (), 200),
        ("/health", ("X-No-Host: 1",), 421),
        ("/health", ("Host: evil.example",), 421),
        ("*", ("Host: 127.0.0.1",), 404),
        ("/health%0A", ("Host: 127.0.0.1",), 404),
        ("/status/t%0a", ("Host: 127.0.0.1",), 404),
        ("/threads/%00/state", ("Host: 127.0.0.1",), 422),
        ("/threads/%FF/state", ("Host: 127.0.0.1",), 422),
        ("/threads/a%2Fb/state", ("Host: 127.0.0.1",), 404),
    ],
)
@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_an_odd_target_has_one_answer(target: str, headers: tuple[str, ...], status: int, version: str) -> None:
    async with served(create_app(echo())) as server, connection(server) as raw:
        assert (await raw.ask(target, *headers, version=version)).status == status


async def test_a_client_that_asks_before_it_sends_a_body_is_answered() -> None:
    async with served(create_app(echo())) as server, connection(server) as raw:
        await raw.send("\r\n".join(["POST /assistant HTTP/1.1", *POSTED, "Expect: 100-continue", "", ""]).encode())
        await raw.send(BODY)
        said: Reply = await raw.reply("POST")
        assert (said.status, b"You said: Hello" in said.body) == (200, True)
        assert (await raw.ask("/health")).status == 200


async def test_a_client_that_would_rather_speak_http_2_is_answered_in_http_1() -> None:
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
    async with served(create_app(echo())) as server:
        async with connection(server) as raw:
            said = await raw.ask("/assistant", *POSTED, *upgrade, method="POST", body=BODY)
            assert (said.status, b"You said: Hello" in said.body) == (200, True)
        async with connection(server) as raw:
            assert (await raw.ask("/health", "Host: 127.0.0.1", *upgrade)).status == 200


@pytest.mark.parametrize(("version", "close"), [("1.1", ("Connection: close",)), ("1.0", ())])
async def test_a_stream_for_a_client_that_wants_the_connection_closed_ends_and_closes_it(
    version: str, close: tuple[str, ...]
) -> None:
    async with served(create_app(echo())) as server, connection(server) as raw:
        said = await raw.ask("/assistant", *POSTED, *close, method="POST", body=BODY, version=version)
        assert (said.status, said.headers["connection"], b"You said: Hello" in said.body) == (200, "close", True)
        assert await raw.until_closed() == b""


# Content types

PARAMETERS: Final = st.lists(
    st.sampled_from(
        [
            "charset=utf-8",
            "charset=UTF-8",
            'charset="utf-8"',
            "charset=utf8",
            "Charset=utf-8",
            "v=1",
            'p="a;b=c\\""',
            "odata.metadata=minimal",
            "",
        ]
    ),
    max_size=4,
)


@given(
    kind=st.sampled_from(
        ["application/json", "Application/JSON", "application/problem+json", "application/vnd.api.v1+json"]
    ),
    parameters=PARAMETERS,
    space=st.sampled_from(["", " ", "\t"]),
)
def test_parameters_that_mean_nothing_do_no_harm(kind: str, parameters: list[str], space: str) -> None:
    assert is_json(space + f"{space};{space}".join([kind, *parameters]) + space)


@given(
    kind=st.sampled_from(["application/json"]),
    before=PARAMETERS,
    after=PARAMETERS,
    charset=st.sampled_from(["latin-1", "utf-16", "utf-16le", "utf-32", '"utf-7"', "iso-8859-1"]),
)
def test_another_charset_is_refused_wherever_it_stands(
    kind: str, before: list[str], after: list[str], charset: str
) -> None:
    assert not is_json(";".join([kind, *before, f"charset={charset}", *after]))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "text/json",
        "application/jsonp",
        "application/x-json",
        "json",
        "application/json, text/plain",
        "application/json; charset",
        "application/json; =1",
        'application/json; a="b',
        "multipart/form-data; boundary=application/json",
    ],
)
def test_what_is_no_json_is_refused(header: str) -> None:
    assert not is_json(header)
