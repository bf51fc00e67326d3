"""Keys of issuers: fetched seldom, whoever asks; kept while the issuer is away; and no key stands for another."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from typing import Any, Final

import jwt
import pytest
from anyio import to_thread
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from statecast import Cloud, Issuer, create_app
from statecast.http.cloud import issuers
from statecast.http.cloud.issuers import PublishedKeys
from statecast.protocol.errors import RequestError
from statecast.testing import TestClient
from tests.ids import stable
from tests.transport.held_agent import held, until

pytestmark = pytest.mark.anyio

PRIVATE: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC: Final = PRIVATE.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def published(*kids: str) -> dict[str, Any]:
    fields = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(PRIVATE.public_key()))
    return {"keys": [{**fields, "kid": kid, "alg": "RS256", "use": "sig"} for kid in kids]}


class Away(Exception):
    """The issuer cannot be reached."""


class Issuing:
    """An issuer, and a clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *kids: str) -> None:
        self.kids: tuple[str, ...] | None = kids
        self.fetches = 0
        self.now = 1_000.0
        self.slow: asyncio.Event | None = None
        self.keys = PublishedKeys("https://issuer.example/keys", clock=lambda: self.now)
        loop = asyncio.get_running_loop()

        def fetch_data(client: Any) -> Any:
            self.fetches += 1
            if self.slow is not None:
                asyncio.run_coroutine_threadsafe(self.slow.wait(), loop).result(10)
            if self.kids is None:
                raise Away
            return published(*self.kids)

        monkeypatch.setattr(jwt.PyJWKClient, "fetch_data", fetch_data)

    async def outcome(self, kid: object) -> str:
        try:
            return (await self.keys.key(kid)).key_id or ""
        except jwt.PyJWKClientError:
            return "unknown"
        except RequestError as refusal:
            return refusal.code


async def test_keys_are_fetched_once_and_anew_when_they_are_old(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = Issuing(monkeypatch, "one")
    assert [await issuer.outcome("one") for _ in range(5)] == ["one"] * 5
    assert issuer.fetches == 1

    issuer.now += issuers.FRESH
    assert await issuer.outcome("one") == "one"  # at once: the fetch is for those who come later
    assert issuer.keys._fetching is not None
    await issuer.keys._fetching
    assert issuer.fetches == 2


async def test_unknown_key_ids_cause_one_fetch_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = Issuing(monkeypatch, "one")
    assert await issuer.outcome("one") == "one"
    issuer.kids = ("one", "two")
    assert {await issuer.outcome(f"k{n}") for n in range(50)} == {"unknown"}
    assert issuer.fetches == 1

    issuer.now += issuers.COOLDOWN
    assert await issuer.outcome("two") == "two"
    assert {await issuer.outcome(kid) for kid in ("three", None, 7, "", "x" * 10_000)} == {"unknown"}
    assert issuer.fetches == 2


async def test_a_crowd_with_unknown_key_ids_shares_one_fetch_and_holds_no_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    issuer = Issuing(monkeypatch, "one")
    assert await issuer.outcome("one") == "one"
    issuer.now += issuers.COOLDOWN
    issuer.slow = asyncio.Event()
    crowd = [asyncio.ensure_future(issuer.outcome(f"k{n}")) for n in range(200)]
    await until(lambda: issuer.fetches == 2)
    known = await issuer.outcome("one")
    borrowed = to_thread.current_default_thread_limiter().borrowed_tokens
    issuer.slow.set()

    assert known == "one"
    assert borrowed == 0
    assert set(await asyncio.gather(*crowd)) == {"unknown"}
    assert issuer.fetches == 2


async def test_keys_are_kept_while_the_issuer_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = Issuing(monkeypatch, "one")
    assert await issuer.outcome("one") == "one"
    issuer.kids = None
    outcomes: list[str] = []
    while issuer.now < 1_000 + issuers.KEPT:
        outcomes.append(await issuer.outcome("one"))
        if issuer.keys._fetching is not None:
            await issuer.keys._fetching
        issuer.now += 3600
    assert set(outcomes) == {"one"}
    assert await issuer.outcome("one") == "issuer_unavailable"

    issuer.kids = ("one",)
    issuer.now += issuers.AGAIN
    assert await issuer.outcome("one") == "one"


async def test_an_issuer_that_was_never_reached_is_tried_again_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = Issuing(monkeypatch)
    issuer.kids = None
    assert {await issuer.outcome(f"k{n}") for n in range(20)} == {"issuer_unavailable"}
    assert issuer.fetches == 1

    issuer.now += issuers.AGAIN
    issuer.kids = ("one",)
    assert await issuer.outcome("one") == "one"


async def test_who_gives_up_waiting_takes_the_keys_from_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = Issuing(monkeypatch, "one")
    issuer.slow = asyncio.Event()
    first, second = (asyncio.ensure_future(issuer.outcome("one")) for _ in range(2))
    await until(lambda: issuer.fetches == 1)
    first.cancel()
    issuer.slow.set()

    assert await second == "one"
    assert issuer.fetches == 1


# Tokens

NAME: Final = "https://issuer.example"


def signed(key: Any = PRIVATE, algorithm: str = "RS256", headers: Any = None, **claims: Any) -> str:
    now = time.time()
    fields = {"iss": NAME, "sub": "ann", "iat": int(now), "exp": int(now) + 600, **claims}
    return jwt.encode({k: v for k, v in fields.items() if v is not None}, key, algorithm, headers=headers)


async def status_with(token: str, issuer: Issuer) -> int:
    async with TestClient(create_app(held()[0], cloud=Cloud(issuers=[issuer]))) as client:
        return (await client.get("/v1/threads", headers={"authorization": f"Bearer {token}"})).status


WITH_KEY: Final = Issuer(name=NAME, key=PUBLIC.decode())


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({}, 200),
        ({"exp": -1}, 401),
        ({"exp": 0}, 401),
        ({"nbf": 20}, 200),  # a clock that is a little ahead
        ({"iat": 20}, 200),
        ({"nbf": 120}, 401),
        ({"iat": 120}, 401),
        ({"exp": None}, 401),
        ({"exp": "soon"}, 401),
        ({"exp": float("inf")}, 401),
        ({"nbf": float("inf")}, 401),
        ({"sub": None}, 401),
        ({"sub": ""}, 401),
        ({"sub": 7}, 401),
        ({"aud": "another service"}, 200),
    ],
    ids=repr,
)
async def test_the_times_of_a_token_count_with_a_clock_that_is_a_little_ahead(claims: Any, status: int) -> None:
    at: dict[str, Any] = {
        name: int(time.time()) + value if isinstance(value, int) and name != "sub" else value
        for name, value in claims.items()
    }

    assert await status_with(signed(**at), WITH_KEY) == status


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


async def test_a_public_key_signs_nothing() -> None:
    """Algorithm confusion: a token that is signed with the text of the public key as a shared secret."""
    payload = signed().split(".")[1]
    made = f"{encoded(json.dumps({'alg': 'HS256', 'typ': 'JWT'}).encode())}.{payload}"
    unsigned = f"{encoded(json.dumps({'alg': 'none', 'typ': 'JWT'}).encode())}.{payload}."
    signature = encoded(hmac.new(PUBLIC, made.encode(), hashlib.sha256).digest())

    assert await status_with(f"{made}.{signature}", WITH_KEY) == 401
    assert await status_with(unsigned, WITH_KEY) == 401


@pytest.mark.parametrize(
    "fields",
    [
        {"key": PUBLIC.decode(), "algorithms": ["RS256", "HS256"]},
        {"key": "a shared secret that is long enough", "algorithms": ["none"]},
        {"key": "a shared secret that is long enough", "algorithms": []},
        {"key": "a shared secret that is long enough", "algorithms": ["HS257"]},
        {"key": "short", "algorithms": ["HS256"]},
        {"key": PUBLIC.decode(), "algorithms": ["HS256"]},
        {"jwks_url": "https://issuer.example/keys", "algorithms": ["HS256"]},
        {"jwks_url": "file:///etc/passwd"},
        {"jwks_url": "issuer.example/keys"},
    ],
    ids=stable,
)
def test_an_issuer_whose_tokens_anybody_could_make_is_refused(fields: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        Issuer(name=NAME, **fields)
