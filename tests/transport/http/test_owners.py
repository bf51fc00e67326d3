"""Nobody reads or writes a thread that is not theirs, over any endpoint."""

from __future__ import annotations

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from statecast import App, create_app
from statecast.testing import TestClient
from tests.transport.held_agent import HOLD, NOTE, held

pytestmark = pytest.mark.anyio

ANN, BOB = {"authorization": "ann"}, {"authorization": "bob"}


async def who(request: HTTPConnection) -> str | None:
    name = request.headers.get("authorization")
    if name is None:
        raise HTTPException(401, "who are you?", {"www-authenticate": "Bearer"})
    return name


def app_of_owners() -> App:
    return create_app(held()[0], identify=who)


async def test_a_thread_is_unknown_to_everyone_else() -> None:
    async with TestClient(app_of_owners()) as client:
        body = {"commands": [HOLD], "threadId": "t", "state": {"secret": 1}}
        async with client.stream("POST", "/assistant", json=body, headers=ANN) as response:
            await response.read_until(b"held")

            assert (await client.get("/status/t", headers=BOB)).json()["error"]["code"] == "unknown_thread"
            assert (await client.get("/threads/t/state", headers=BOB)).status == 404
            assert (await client.post("/cancel", json={"threadId": "t"}, headers=BOB)).status == 404
            assert (await client.post("/initial-state", json={"threadId": "t"}, headers=BOB)).status == 204
            resumed = await client.post("/resume", json={"threadId": "t"}, headers=BOB)
            assert (resumed.content, resumed.headers["x-stream-status"]) == (b"", "not_found")

            assert (await client.get("/status/t", headers=ANN)).json()["status"] == "running"


async def test_the_same_id_is_another_thread_for_another_owner() -> None:
    async with TestClient(app_of_owners()) as client:
        for owner, state in ((ANN, {"who": "ann"}), (BOB, {"who": "bob"})):
            body = {"commands": [NOTE], "threadId": "t", "state": state}
            await client.post("/assistant", json=body, headers=owner)
        await client.post("/assistant", json={"commands": [NOTE], "threadId": "t"}, headers=ANN)
        states = [(await client.get("/threads/t/state", headers=owner)).json()["state"] for owner in (ANN, BOB)]

    assert states == [{"who": "ann", "notes": ["noted", "noted"]}, {"who": "bob", "notes": ["noted"]}]


async def test_a_command_id_of_another_owner_is_free() -> None:
    async with TestClient(app_of_owners()) as client:
        for owner in (ANN, BOB):
            body = {"commands": [{**NOTE, "id": "n", "text": owner["authorization"]}], "threadId": "t"}
            assert (await client.post("/assistant", json=body, headers=owner)).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/assistant"),
        ("POST", "/resume"),
        ("POST", "/cancel"),
        ("POST", "/initial-state"),
        ("GET", "/status/t"),
        ("GET", "/threads/t/state"),
    ],
)
async def test_who_is_not_known_is_refused_everywhere(method: str, path: str) -> None:
    async with TestClient(app_of_owners()) as client:
        body = b'{"threadId":"t"}' if method == "POST" else b""
        refused = await client.request(method, path, content=body, headers={"content-type": "application/json"})

    assert (refused.status, refused.json()["error"]["message"]) == (401, "who are you?")
    assert refused.headers["www-authenticate"] == "Bearer"


async def test_no_header_of_one_caller_reaches_another() -> None:
    secret = {**ANN, "x-secret": "s3cret"}
    async with TestClient(app_of_owners()) as client:
        body = {"commands": [HOLD], "threadId": "t", "config": {"apiKey": "k3y"}}
        async with client.stream("POST", "/assistant", json=body, headers=secret) as response:
            await response.read_until(b"held")
            async with client.stream("POST", "/resume", json={"threadId": "t"}, headers=ANN) as resumed:
                await resumed.read_until(b"held")
                told = f"{resumed.headers} {resumed.content!r}"
    assert "s3cret" not in told
    assert "k3y" not in told
