"""Whose a request of Assistant Cloud's client is: a guest's, or known by an API key or an app's own tokens."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from statecast import AddMessage, Agent, Cloud, Issuer, Run, create_app
from tests.clients.cloud import CloudClient, CloudFailed
from tests.clients.node import Json
from tests.clients.serving import served

SECRET = "a secret of the server, kept in a safe place"
API_KEY = "an-api-key-of-the-app"
SHARED = "a key that the app shares with this server, and with nobody else on earth"
ISSUER = "https://app.example"

PRIVATE = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def bees() -> Agent:
    agent = Agent("bees")

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text(f"You said: {command.message.text}")

    return agent


def serving(**settings: Any) -> Any:
    return served(create_app(bees(), cloud=Cloud(secret=SECRET, **settings)))


@pytest.fixture
def url() -> Iterator[str]:
    with serving() as base:
        yield base


def paths(client: CloudClient) -> list[str]:
    return [request["path"] for request in client.requests]


def refused(call: Callable[[], object]) -> CloudFailed:
    with pytest.raises(CloudFailed) as raised:
        call()
    return raised.value


# Anonymous


def test_an_anonymous_page_has_an_identity_that_nobody_else_has(url: str) -> None:
    ann, bob = CloudClient(url), CloudClient(url)
    thread_id = ann.create(title="Bees")

    assert [thread["id"] for thread in ann.call("threads.list")["threads"]] == [thread_id]
    assert bob.call("threads.list") == {"threads": []}


def test_a_page_that_is_reloaded_is_the_same_identity(url: str) -> None:
    before = CloudClient(url, storage="reloaded")
    thread_id = before.create()
    after = CloudClient(url, storage="reloaded")

    assert after.call("threads.get", thread_id)["id"] == thread_id
    assert paths(after) == ["/v1/auth/tokens/refresh", f"/v1/threads/{thread_id}"]


def test_a_refresh_token_that_is_none_of_this_servers_leads_to_a_new_identity(url: str) -> None:
    with served(create_app(bees(), cloud=Cloud(secret="another secret, of the server before it"))) as old:
        token = httpx.post(f"{old}/v1/auth/tokens/anonymous").json()["refresh_token"]
    answer = httpx.post(f"{url}/v1/auth/tokens/refresh", json={"refresh_token": token["token"]})

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


def test_tokens_that_are_about_to_expire_are_renewed_without_a_word() -> None:
    with serving(access_seconds=25.0) as url:  # the client takes 30 seconds for about to expire
        client = CloudClient(url, storage="short-lived")
        first = client.create()
        second = client.create()

        assert paths(client) == ["/v1/auth/tokens/refresh", "/v1/threads"]
        assert {thread["id"] for thread in client.call("threads.list")["threads"]} == {first, second}


def test_without_anonymous_identities_a_page_gets_none() -> None:
    with serving(anonymous=False) as url:
        client = CloudClient(url)
        failed = refused(lambda: client.call("threads.list"))

        assert failed.message == "Authorization failed"
        assert client.requests == [{"method": "POST", "path": "/v1/auth/tokens/anonymous", "status": 403}]


def test_a_refresh_token_opens_no_threads_and_an_access_token_refreshes_nothing(url: str) -> None:
    tokens = httpx.post(f"{url}/v1/auth/tokens/anonymous").json()
    refresh = tokens["refresh_token"]["token"]
    failed = refused(lambda: CloudClient(url, tokens=[refresh]).call("threads.list"))

    assert (failed.name, failed.status, failed.code) == ("CloudAPIError", 401, "invalid_token")
    answer = httpx.post(f"{url}/v1/auth/tokens/refresh", json={"refresh_token": tokens["access_token"]})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


# API keys


def test_an_api_key_speaks_for_a_workspace_and_a_user() -> None:
    with serving(api_keys=[API_KEY]) as url:
        ann = CloudClient(url, apiKey=API_KEY, userId="ann", workspaceId="hive")
        ben = CloudClient(url, apiKey=API_KEY, userId="ben", workspaceId="hive")
        cat = CloudClient(url, apiKey=API_KEY, userId="cat", workspaceId="den")
        thread_id = ann.create()

        assert ben.call("threads.get", thread_id)["workspace_id"] == "hive"
        assert refused(lambda: cat.call("threads.get", thread_id)).status == 404


def test_a_key_that_is_none_is_refused() -> None:
    with serving(api_keys=[API_KEY]) as url:
        client = CloudClient(url, apiKey="sk-a-key-for-something-else", userId="ann", workspaceId="hive")
        failed = refused(lambda: client.call("threads.list"))

        assert (failed.status, failed.code) == (401, "unauthorized")
        nameless = httpx.get(f"{url}/v1/threads", headers={"authorization": f"Bearer {API_KEY}"})
        assert (nameless.status_code, nameless.json()["error"]) == (401, "unauthorized")


def test_an_apps_server_makes_tokens_for_its_pages() -> None:
    with serving(api_keys=[API_KEY]) as url:
        server = CloudClient(url, apiKey=API_KEY, userId="ann", workspaceId="hive")
        thread_id = server.create()
        token = server.call("auth.tokens.create")["token"]
        page = CloudClient(url, tokens=[token])

        assert page.call("threads.get", thread_id)["id"] == thread_id
        failed = refused(lambda: page.call("auth.tokens.create"))
        assert (failed.status, failed.code) == (403, "api_key_required")


# The app's own issuer


def signed(key: Any = SHARED, algorithm: str = "HS256", headers: Json = None, **claims: Json) -> str:
    fields = {"iss": ISSUER, "sub": "ann", "exp": int(time.time()) + 600, **claims}
    return jwt.encode({name: value for name, value in fields.items() if value is not None}, key, algorithm, headers)


HS256 = Issuer(name=ISSUER, key=SHARED, algorithms=["HS256"])


def test_a_token_of_the_apps_own_issuer_opens_the_workspace_that_it_names() -> None:
    issuer = Issuer(name=ISSUER, key=SHARED, algorithms=["HS256"], workspace="org", user="sub")
    with serving(issuers=[issuer]) as url:
        ann = CloudClient(url, tokens=[signed(org="hive")])
        ben = CloudClient(url, tokens=[signed(org="hive", sub="ben")])
        cat = CloudClient(url, tokens=[signed(org="den")])
        thread_id = ann.create()

        assert ben.call("threads.get", thread_id)["workspace_id"] == "hive"
        assert refused(lambda: cat.call("threads.get", thread_id)).code == "unknown_thread"


def test_a_public_key_is_enough_to_know_an_issuers_tokens() -> None:
    with serving(issuers=[Issuer(name=ISSUER, key=PUBLIC)]) as url:
        client = CloudClient(url, tokens=[signed(PRIVATE, "RS256")])

        assert client.call("threads.get", client.create())["workspace_id"] == "ann"


def test_an_issuers_keys_are_read_from_where_it_publishes_them() -> None:
    numbers = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(PRIVATE.public_key()))
    asked: list[str] = []

    async def keys(request: Request) -> Response:
        asked.append(request.url.path)
        return JSONResponse({"keys": [{**numbers, "kid": "one", "use": "sig", "alg": "RS256"}]})

    with served(Starlette(routes=[Route("/jwks.json", keys)])) as issuer:
        with serving(issuers=[Issuer(name=ISSUER, jwks_url=f"{issuer}/jwks.json")]) as url:
            client = CloudClient(url, tokens=[signed(PRIVATE, "RS256", {"kid": "one"})])
            thread_id = client.create()

            assert client.call("threads.get", thread_id)["workspace_id"] == "ann"
            forged = CloudClient(url, tokens=[signed(OTHER, "RS256", {"kid": "one"})])
            assert refused(lambda: forged.call("threads.get", thread_id)).code == "invalid_token"
            unknown = CloudClient(url, tokens=[signed(OTHER, "RS256", {"kid": "two"})])
            assert refused(lambda: unknown.call("threads.get", thread_id)).code == "invalid_token"
    assert set(asked) == {"/jwks.json"}


@pytest.mark.parametrize("body", ["<html>", '{"keys": 5}', '{"keys": []}', "[]", None])
def test_an_issuer_whose_keys_cannot_be_read_is_a_failure_that_passes(body: str | None) -> None:
    async def keys(request: Request) -> Response:
        return Response(body, status_code=404 if body is None else 200)

    with served(Starlette(routes=[Route("/jwks.json", keys)])) as issuer:
        with serving(issuers=[Issuer(name=ISSUER, jwks_url=f"{issuer}/jwks.json")]) as url:
            client = CloudClient(url, tokens=[signed(PRIVATE, "RS256", {"kid": "one"})])
            failed = refused(lambda: client.call("threads.list"))

            assert (failed.status, failed.code) == (503, "issuer_unavailable")
            headers = {"authorization": f"Bearer {signed(PRIVATE, 'RS256', {'kid': 'one'})}"}
            assert "retry-after" in httpx.get(f"{url}/v1/threads", headers=headers).headers


def unsigned(**claims: Json) -> str:
    _, body, _ = signed(**claims).split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    return f"{none}.{body}."


def tampered() -> str:
    head, body, signature = signed().split(".")
    fields = json.loads(base64.urlsafe_b64decode(body + "=="))
    other = base64.urlsafe_b64encode(json.dumps({**fields, "sub": "ben"}).encode()).rstrip(b"=").decode()
    return f"{head}.{other}.{signature}"


AUDIENCE = Issuer(name=ISSUER, key=SHARED, algorithms=["HS256"], audience="bees")

BAD: dict[str, tuple[Callable[[], str], Issuer, str]] = {
    "another audience": (lambda: signed(aud="wasps"), AUDIENCE, "invalid_token"),
    "no audience": (signed, AUDIENCE, "invalid_token"),
    "another issuer": (lambda: signed(iss="https://other.example"), HS256, "unauthorized"),
    "no issuer": (lambda: signed(iss=None), HS256, "unauthorized"),
    "expired": (lambda: signed(exp=int(time.time()) - 60), HS256, "invalid_token"),
    "no algorithm": (unsigned, HS256, "invalid_token"),
    "another key": (lambda: signed(SHARED.upper()), HS256, "invalid_token"),
    "another algorithm": (lambda: signed(algorithm="HS512"), HS256, "invalid_token"),
    "tampered": (tampered, HS256, "invalid_token"),
    "no workspace": (lambda: signed(sub=None), HS256, "invalid_token"),
    "an empty workspace": (lambda: signed(sub=""), HS256, "invalid_token"),
    "ours, signed by someone else": (lambda: signed(iss="statecast", use="access"), HS256, "invalid_token"),
    "ours, and unsigned": (lambda: unsigned(iss="statecast", use="access"), HS256, "invalid_token"),
    "no more than a name": (lambda: f"x.{base64.urlsafe_b64encode(b'[1]').decode()}.y", HS256, "unauthorized"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_token_that_is_not_good_is_refused_and_says_why(name: str) -> None:
    make, issuer, code = BAD[name]
    token = make()
    with serving(issuers=[issuer]) as url:
        answer = httpx.get(f"{url}/v1/threads", headers={"authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["error"]) == (401, code)
        assert answer.json()["message"]
        if '"exp"' in base64.urlsafe_b64decode(token.split(".")[1] + "==").decode():  # else the client asks nothing
            failed = refused(lambda: CloudClient(url, tokens=[token]).call("threads.list"))
            assert (failed.name, failed.status, failed.code) == ("CloudAPIError", 401, code)
            assert failed.message == answer.json()["message"]
        for path in ("/threads", "/threads/t/state"):  # what is judged once is judged so everywhere
            if code == "invalid_token":
                assert httpx.get(url + path, headers={"authorization": f"Bearer {token}"}).status_code == 401


def test_a_public_key_is_no_shared_secret() -> None:
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (
        {"alg": "HS256", "typ": "JWT"}, {"iss": ISSUER, "sub": "ann", "exp": int(time.time()) + 600}
    ))  # fmt: skip
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    made = algorithm.sign(f"{head}.{body}".encode(), PUBLIC.encode())
    token = f"{head}.{body}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"
    with serving(issuers=[Issuer(name=ISSUER, key=PUBLIC)]) as url:
        assert refused(lambda: CloudClient(url, tokens=[token]).call("threads.list")).code == "invalid_token"


def test_a_key_for_another_service_is_refused_and_other_endpoints_let_it_be(url: str) -> None:
    headers = {"authorization": "Bearer sk-proj-abcdefghijklmnopqrstuvwxyz"}

    assert httpx.get(f"{url}/v1/threads", headers=headers).status_code == 401
    body = {"model": "bees", "messages": [{"role": "user", "content": "Hello"}]}
    answer = httpx.post(f"{url}/v1/chat/completions", headers=headers, json=body)
    assert answer.json()["choices"][0]["message"]["content"] == "You said: Hello"
