"""Settings of the cloud API: what they refuse, and whose threads two issuers' users have."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest

from statecast import Agent, Cloud, Issuer, create_app
from statecast.testing import TestClient

pytestmark = pytest.mark.anyio

SECRET = "a secret of at least 32 characters"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"secret": "short"}, "secret of at least 32"),
        ({"api_keys": ["short"]}, "API keys of at least 16"),
        ({"issuers": [Issuer(name=name, key=SECRET, algorithms=["HS256"]) for name in "ab"]}, "different prefixes"),
    ],
)
def test_settings_that_would_not_keep_users_apart_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Cloud(**settings)


@pytest.mark.parametrize(
    "fields", [{"name": "a"}, {"name": "a", "key": SECRET, "jwks_url": "u"}, {"name": "statecast", "key": SECRET}]
)
def test_an_issuer_has_one_way_to_its_keys_and_is_not_ourselves(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="either a key or a jwks_url"):
        Issuer(**fields)


async def test_users_of_the_same_name_of_two_issuers_have_their_own_threads() -> None:
    issuers = [
        Issuer(name=name, key=SECRET, algorithms=["HS256"], prefix=f"{name}:") for name in ("https://a", "https://b")
    ]
    async with TestClient(create_app(Agent(), cloud=Cloud(issuers=issuers))) as client:
        threads = {}
        for name in ("https://a", "https://b"):
            claims = {"iss": name, "sub": "ann", "exp": int(time.time()) + 60}
            headers = {"Authorization": f"Bearer {jwt.encode(claims, SECRET, 'HS256')}"}
            await client.post("/v1/threads", json={"title": name}, headers=headers)
            threads[name] = (await client.get("/v1/threads", headers=headers)).json()["threads"]

    for name, listed in threads.items():
        assert [(thread["title"], thread["workspace_id"]) for thread in listed] == [(name, f"{name}:ann")]
