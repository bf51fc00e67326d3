"""`Service.caller`: who sends a request, by the app's `identify` or by the tokens of the cloud API."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import HTTPConnection

from statecast import Agent, Cloud
from statecast.http.cloud.authenticator import Authenticator, sign_in_required
from statecast.http.request.caller import EXPIRES, AppUsers, Authenticate, Caller
from statecast.http.request.open_requests import OpenRequests
from statecast.http.service import Service
from statecast.protocol.errors import RequestError
from statecast.stores import MemoryStore
from statecast.threads import Hub

pytestmark = pytest.mark.anyio

KEY = "a-key-of-the-app"
USER = {"Aui-User-Id": "ann", "Aui-Workspace-Id": "team"}


class By:
    """Knows requests with a header `x-by` of its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, scope: Any, *, key_alone: bool = False) -> Caller | None:
        known = HTTPConnection(scope).headers.get("x-by") == self.name
        return Caller(owner=self.name, expires_at=7.0) if known else None


@pytest.fixture
async def hub() -> Any:
    hub = Hub({"echo": Agent("echo")}, store=MemoryStore())
    await hub.start()
    yield hub
    await hub.aclose()


def scope_of(hub: Hub, **headers: str) -> dict[str, Any]:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": raw, "client": None}
    OpenRequests(hub.limits).begin(scope)
    return scope


def service_of(hub: Hub, *known: Authenticate) -> Service:
    return Service(hub=hub, on_disconnect="continue", authenticate=known)


async def nobody(connection: HTTPConnection) -> object:
    return None


@pytest.mark.parametrize(("by", "owner"), [("first", "first"), ("second", "second"), ("third", None)])
async def test_the_first_that_knows_a_caller_decides(hub: Hub, by: str, owner: str | None) -> None:
    scope = scope_of(hub, **{"x-by": by})
    caller = await service_of(hub, By("first"), By("second"), By("second")).caller(scope)

    assert caller.owner == owner
    assert scope[EXPIRES] == (None if owner is None else 7.0)


async def test_credentials_of_the_cloud_come_before_the_apps_identify(hub: Hub) -> None:
    async def identify(connection: HTTPConnection) -> str:
        return "by-cookie"

    service = service_of(hub, Authenticator(Cloud(api_keys=[KEY]), hub), AppUsers(identify))

    assert await service.owner(scope_of(hub, Authorization=f"Bearer {KEY}", **USER)) == "team"
    assert await service.owner(scope_of(hub, Authorization="Bearer another")) == "by-cookie"
    assert await service.owner(scope_of(hub)) == "by-cookie"


async def test_the_apps_identify_may_know_nobody(hub: Hub) -> None:
    service = service_of(hub, AppUsers(nobody), By("never asked"))

    assert await service.caller(scope_of(hub, **{"x-by": "never asked"})) == Caller()


async def test_where_everybody_signs_in_a_request_without_credentials_is_refused(hub: Hub) -> None:
    service = service_of(hub, Authenticator(Cloud(api_keys=[KEY], anonymous=False), hub), sign_in_required)

    assert await service.owner(scope_of(hub, Authorization=f"Bearer {KEY}", **USER)) == "team"
    with pytest.raises(RequestError) as refused:
        await service.owner(scope_of(hub))
    assert refused.value.code == "unauthorized"
