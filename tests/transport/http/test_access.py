"""Who may: nothing is open because a request looks local, nor to whoever has not signed in where everybody must."""

from __future__ import annotations

from typing import Any, Final

import anyio
import pytest
from starlette.requests import HTTPConnection

from statecast import Cloud, create_app
from statecast.cli.commands import parser
from statecast.cli.settings import app_of
from statecast.testing import Response, TestClient
from tests.transport.followers import connected, served
from tests.transport.held_agent import said
from tests.transport.history_app import echoing, store

__all__ = ["store"]

pytestmark = pytest.mark.anyio

KEY: Final = "an-api-key-of-the-app"
MESSAGE: Final = {"id": "m", "role": "user", "parts": [{"type": "text", "text": "hi"}]}

#: Every request that is about somebody's threads or files: the method, the path, the body.
ABOUT: Final[list[tuple[str, str, Any]]] = [
    ("POST", "/assistant", {"threadId": "t", "commands": [said("hi")]}),
    ("POST", "/assistant", {"commands": [said("hi")]}),
    ("POST", "/resume", {"threadId": "t"}),
    ("POST", "/initial-state", {"threadId": "t"}),
    ("POST", "/cancel", {"threadId": "t"}),
    ("POST", "/chat", {"id": "t", "messages": [MESSAGE]}),
    ("GET", "/chat/t/stream", None),
    ("POST", "/ag-ui", {"threadId": "t", "runId": "r", "messages": [{"id": "m", "role": "user", "content": "hi"}]}),
    ("POST", "/text", {"messages": [{"role": "user", "content": "hi"}]}),
    ("POST", "/sse", {"messages": [{"role": "user", "content": "hi"}]}),
    ("POST", "/json", {"messages": [{"role": "user", "content": "hi"}]}),
    ("GET", "/status/t", None),
    ("GET", "/threads", None),
    ("POST", "/threads", {"threadId": "t"}),
    ("GET", "/threads/t", None),
    ("PATCH", "/threads/t", {"title": "x"}),
    ("DELETE", "/threads/t", None),
    ("GET", "/threads/t/state", None),
    ("PATCH", "/threads/t/state", [{"op": "add", "path": "/a", "value": 1}]),
    ("GET", "/threads/t/events", None),
    ("POST", "/threads/t/title", {}),
    ("POST", "/threads/t/suggestions", {}),
    ("GET", "/threads/t/messages", None),
    ("POST", "/threads/t/messages", {"message": {"role": "user", "content": []}}),
    ("POST", "/threads/t/messages/m/feedback", {"type": "positive"}),
    ("DELETE", "/threads/t/messages/m", None),
    ("POST", "/attachments?name=a.txt", "a file"),
    ("DELETE", "/attachments/file_" + "x" * 32 + "-a.txt", None),
    ("GET", "/v1/threads", None),
    ("POST", "/v1/threads", {}),
    ("GET", "/v1/threads/t/messages", None),
    ("POST", "/v1/runs/stream", {"assistant_id": "echo", "thread_id": "t", "messages": [MESSAGE]}),
]
COMPLETIONS: Final = (
    "POST",
    "/v1/chat/completions",
    {"model": "echo", "messages": [{"role": "user", "content": "hi"}]},
)

NOBODY: Final = {
    "no token": {},
    "nonsense": {"authorization": "Bearer nonsense"},
    "another scheme": {"authorization": "Basic YTpi"},
    "the API key alone": {"authorization": f"Bearer {KEY}"},
    "the API key with half a user": {"authorization": f"Bearer {KEY}", "aui-user-id": "ann"},
}


async def ask(client: TestClient, method: str, path: str, body: Any, headers: dict[str, str]) -> Response:
    if isinstance(body, str):
        return await client.request(
            method, path, content=body.encode(), headers={**headers, "content-type": "text/plain"}
        )
    if body is None:
        return await client.request(method, path, headers=headers)
    return await client.request(method, path, json=body, headers=headers)


@pytest.mark.parametrize("who", NOBODY)
async def test_where_everybody_signs_in_nobody_in_particular_gets_anything(who: str) -> None:
    app = create_app(echoing(), cloud=Cloud(anonymous=False, api_keys=[KEY]), open_list=True)
    async with TestClient(app) as client:
        answers = {(method, path): await ask(client, method, path, body, NOBODY[who]) for method, path, body in ABOUT}
        answers[COMPLETIONS[:2]] = await ask(client, *COMPLETIONS, NOBODY[who])

    assert {route: answer.status for route, answer in answers.items() if answer.status != 401} == {}
    assert all(answer.headers["www-authenticate"] == "Bearer" for answer in answers.values())
    assert app.hub.threads == 0


async def test_where_everybody_signs_in_no_socket_is_opened_for_nobody_in_particular() -> None:
    app = create_app(echoing(), cloud=Cloud(anonymous=False, api_keys=[KEY]))
    async with served(app) as server:
        for headers in NOBODY.values():
            async with connected(server, headers=headers) as socket:
                assert socket.status == 401


@pytest.mark.parametrize("who", ["the API key alone", "the API key with half a user"])
async def test_an_api_key_without_a_user_opens_chat_completions_alone(who: str) -> None:
    app = create_app(echoing(), cloud=Cloud(api_keys=[KEY]))
    async with TestClient(app) as client:
        statuses = {(await ask(client, *about, NOBODY[who])).status for about in ABOUT}
        completed = await ask(client, *COMPLETIONS, NOBODY[who])

    assert statuses == {401}
    assert completed.status == 200


async def test_an_app_that_identifies_its_users_itself_decides_who_is_nobody() -> None:
    async def identify(connection: HTTPConnection) -> str | None:
        return connection.headers.get("x-session")

    app = create_app(echoing(), identify=identify, cloud=Cloud(anonymous=False))
    async with TestClient(app) as client:
        answers = [await ask(client, *ABOUT[0], headers) for headers in ({"x-session": "ann"}, {})]

    assert answers[0].status == 200
    assert answers[1].status == 401  # there, `t` is Ann's
    assert answers[1].json()["error"]["code"] == "unauthorized"


# A thread of the same id

#: What makes a thread that a page has named.
MAKES: Final = [
    about for about in ABOUT if isinstance(about[2], dict) and about[1] in ("/assistant", "/chat", "/ag-ui", "/threads")
]


@pytest.mark.parametrize("makes", [about for about in MAKES if "threadId" in about[2] or "id" in about[2]], ids=str)
async def test_a_page_that_has_lost_its_token_makes_no_other_thread_of_the_same_id(
    store: str, makes: tuple[str, str, Any]
) -> None:
    app = create_app(echoing(), store=store, cloud=Cloud(api_keys=[KEY]))
    ann = {**NOBODY["the API key alone"], "aui-user-id": "ann", "aui-workspace-id": "ann"}
    async with TestClient(app) as client:
        assert (await ask(client, *ABOUT[0], ann)).status == 200
        lost = await ask(client, *makes, {})
        new = {"threadId": "new", "commands": [said("hi")]}
        other = await ask(client, "POST", "/assistant", new, {})
        found = await client.get("/threads/t/state")

    assert (lost.status, lost.json()["error"]["code"]) == (401, "unauthorized")
    assert other.status == 200
    assert found.status == 404


# The list of everybody's threads

#: What proxies, load balancers, tunnels and CDNs add to the requests that they pass on.
PASSED_ON: Final = [
    {"x-forwarded-for": "203.0.113.9"},
    {"x-forwarded-host": "chat.example.com"},
    {"X-Forwarded-Proto": "https"},
    {"x-forwarded-server": "proxy"},
    {"forwarded": "for=203.0.113.9"},
    {"via": "1.1 proxy"},
    {"x-real-ip": "203.0.113.9"},
    {"cf-connecting-ip": "203.0.113.9"},
    {"true-client-ip": "203.0.113.9"},
    {"fly-client-ip": "203.0.113.9"},
    {"x-original-forwarded-for": "203.0.113.9"},
    {"x-amzn-trace-id": "Root=1"},
    {"x-envoy-external-address": "203.0.113.9"},
    {"tailscale-user-login": "ada@example.com"},
]


@pytest.mark.parametrize("headers", PASSED_ON, ids=lambda headers: next(iter(headers)))
async def test_a_request_that_a_proxy_has_passed_on_gets_no_open_list(headers: dict[str, str]) -> None:
    async with TestClient(create_app(echoing(), open_list=True)) as client:
        await ask(client, *ABOUT[0], {})
        direct = await client.get("/threads")
        refused = await client.get("/threads", headers=headers)

    assert [thread["remoteId"] for thread in direct.json()["threads"]] == ["t"]
    assert (refused.status, refused.json()["error"]["code"]) == (403, "owner_required")


async def test_a_request_as_nginx_passes_it_on_by_its_default_gets_no_open_list() -> None:
    async with served(create_app(echoing(), open_list=True)) as server:
        answers: list[bytes] = []
        for version in (b"1.0", b"1.1"):
            stream = await anyio.connect_tcp("127.0.0.1", server.port)  # type: ignore[attr-defined]  # for tests
            async with stream:
                await stream.send(b"GET /threads HTTP/%b\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n" % version)
                answers.append((await stream.receive()).split(b"\r\n")[0])

    assert [answer.split()[1] for answer in answers] == [b"403", b"200"]


async def test_an_owner_has_their_list_behind_a_proxy_too() -> None:
    async def identify(connection: HTTPConnection) -> str:
        return "ann"

    async with TestClient(create_app(echoing(), identify=identify)) as client:
        await ask(client, *ABOUT[0], {})
        listed = await client.get("/threads", headers=PASSED_ON[0])

    assert [thread["remoteId"] for thread in listed.json()["threads"]] == ["t"]


@pytest.mark.parametrize(
    ("line", "opened"),
    [
        ("serve statecast.demo:agent", False),
        ("serve statecast.demo:agent --host localhost", False),
        ("serve statecast.demo:agent --open-list", True),
        ("dev statecast.demo:agent", True),
        ("dev statecast.demo:agent --host 0.0.0.0", False),
        ("demo --host 0.0.0.0", False),
        ("demo --host 0.0.0.0 --open-list", True),
    ],
)
async def test_the_list_is_open_by_its_option_and_to_whoever_develops_on_this_machine(line: str, opened: bool) -> None:
    app = app_of(parser().parse_args([*line.split(), "--store", "memory"]))
    async with TestClient(app) as client:
        listed = await client.get("/threads")

    assert listed.status == (200 if opened else 403)
