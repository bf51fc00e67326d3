"""Requests of the cloud API that mean nothing: each gets its 4xx in its form, and none has an effect."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statecast import AddMessage, Agent, App, Cloud, Issuer, Limits, Run, create_app
from statecast.state import Json
from statecast.testing import Response, TestClient

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

KEY: Final = "an-api-key-of-the-app"
ANN: Final = {"authorization": f"Bearer {KEY}", "aui-user-id": "ann", "aui-workspace-id": "hive"}
JSON: Final = {"content-type": "application/json"}
SECRET: Final = "a secret of the server, kept in a safe place"

MESSAGE: Final[Json] = {"role": "user", "content": [{"type": "text", "text": "Hello"}], "metadata": {"custom": {}}}

#: Each route with a body: the method, the path, a body that it takes. `THREAD` and `MESSAGE` are ids.
ROUTES: Final[dict[str, tuple[str, str, Json]]] = {
    "create": ("POST", "/v1/threads", {"last_message_at": "2026-01-02T03:04:05.678Z", "title": "x", "metadata": {}}),
    "update": ("PUT", "/v1/threads/THREAD", {"title": "x", "is_archived": True, "metadata": {"a": 1}}),
    "claim": ("POST", "/v1/threads/claim", {"refresh_token": "TOKEN"}),
    "write": ("POST", "/v1/threads/THREAD/messages", {"parent_id": None, "format": "aui/v0", "content": MESSAGE}),
    "rewrite": ("PUT", "/v1/threads/THREAD/messages/MESSAGE", {"content": MESSAGE}),
    "feedback": ("POST", "/v1/threads/THREAD/messages/MESSAGE/feedback", {"type": "positive", "comment": "x"}),
    "title": (
        "POST",
        "/v1/runs/stream",
        {"thread_id": "THREAD", "assistant_id": "system/thread_title", "messages": [MESSAGE]},
    ),
    "run": (
        "POST",
        "/v1/runs/stream",
        {
            "thread_id": "unstable_todo",
            "assistant_id": "bees",
            "response_format": "vercel-ai-data-stream/v1",
            "messages": [MESSAGE],
        },
    ),
    "report": ("POST", "/v1/runs", {"thread_id": "THREAD", "status": "completed", "total_steps": 1}),
    "events": ("POST", "/v1/events", {"events": [{"kind": "message_sent", "thread_id": "THREAD"}]}),
    "score": ("POST", "/v1/scores", {"name": "q", "data_type": "numeric", "value": 1, "thread_id": "THREAD"}),
    "upload": ("POST", "/v1/files/attachments/generate-presigned-upload-url", {"filename": "bee.png"}),
    "download": ("POST", "/v1/files/attachments/generate-presigned-download-url", {"key": "file_x"}),
    "refresh": ("POST", "/v1/auth/tokens/refresh", {"refresh_token": "TOKEN"}),
}

#: Those without.
READING: Final = [
    ("GET", "/v1/threads"),
    ("GET", "/v1/threads/THREAD"),
    ("DELETE", "/v1/threads/THREAD"),
    ("GET", "/v1/threads/THREAD/messages"),
    ("POST", "/v1/auth/tokens"),
]


def app() -> App:
    agent = Agent("bees")

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text("Hi")

    issuer = Issuer(name="https://app.example", key=SECRET, algorithms=["HS256"])
    cloud = Cloud(api_keys=[KEY], secret=SECRET, issuers=[issuer])
    return create_app(agent, cloud=cloud, limits=Limits(body=100_000))


@dataclass
class Known:
    """A server, and what there is on it: Ann's thread with a message."""

    client: TestClient
    ids: Mapping[str, str]

    def filled(self, text: str) -> str:
        for name, id in self.ids.items():
            text = text.replace(name, id)
        return text

    async def ask(self, method: str, path: str, body: Json = None, **headers: str) -> Response:
        content = b"" if body is None else self.filled(json.dumps(body)).encode()
        return await self.client.request(method, self.filled(path), content=content, headers={**ANN, **JSON, **headers})

    async def all(self) -> Json:
        """Return all that there is."""
        listed = [
            (await self.ask("GET", f"/v1/threads?is_archived={archived}")).json() for archived in ("true", "false")
        ]
        messages = await self.ask("GET", "/v1/threads/THREAD/messages")
        return listed, messages.json()


@asynccontextmanager
async def knowing() -> AsyncIterator[Known]:
    async with TestClient(app()) as client:
        known = Known(client, {})
        thread = (await known.ask("POST", "/v1/threads", {"title": "Mine"})).json()["thread_id"]
        written = await known.ask("POST", f"/v1/threads/{thread}/messages", ROUTES["write"][2])
        tokens = (await client.post("/v1/auth/tokens/anonymous", json={})).json()
        token = tokens["refresh_token"]["token"]
        known.ids = {"THREAD": thread, "MESSAGE": written.json()["message_id"], "TOKEN": token}
        yield known


@pytest.fixture(autouse=True)
def _no_traceback(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def check(response: Response) -> str:
    """Check that a response is a refusal in the cloud's form, and return its code."""
    assert 400 <= response.status < 500, (response.status, response.content)
    fields = response.json()
    assert isinstance(fields["message"], str)
    assert fields["message"]
    assert isinstance(fields["error"], str)
    return f"{response.status} {fields['error']}"


@pytest.mark.parametrize("name", ROUTES)
async def test_every_route_takes_what_it_is_for(name: str) -> None:
    async with knowing() as known:
        response = await known.ask(*ROUTES[name])

        if name == "download":
            assert check(response) == "404 unknown_file"
        else:
            assert response.status in (200, 204), response.content


#: A body, or a header, and what it is refused with.
ILL_FORMED: Final[dict[str, tuple[bytes, Mapping[str, str], str]]] = {
    "nothing": (b"", JSON, "400 malformed_json"),
    "half": (b'{"title": "x"', JSON, "400 malformed_json"),
    "not JSON": (b"title=x", {"content-type": "application/x-www-form-urlencoded"}, "415 unsupported_media_type"),
    "a list": (b"[]", JSON, "422 invalid_request"),
    "a text": (b'"x"', JSON, "422 invalid_request"),
    "null": (b"null", JSON, "422 invalid_request"),
    "not UTF-8": (b'{"title": "\xff"}', JSON, "400 malformed_json"),
    "too deep": (b'{"metadata": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", JSON, "422 too_deep"),
    "too large": (b'{"title": "' + b"x" * 100_000 + b'"}', JSON, "413 body_too_large"),
    "NaN": (b'{"metadata": NaN}', JSON, "400 malformed_json"),
    "a lone surrogate": (b'{"title": "\\ud800"}', JSON, "400 malformed_json"),
}


@pytest.mark.parametrize("what", ILL_FORMED)
@pytest.mark.parametrize("name", ROUTES)
async def test_a_body_that_is_none_is_refused(name: str, what: str) -> None:
    body, headers, code = ILL_FORMED[what]
    async with knowing() as known:
        before = await known.all()
        method, path, _ = ROUTES[name]
        response = await known.client.request(method, known.filled(path), content=body, headers={**ANN, **headers})

        assert check(response) == code
        assert await known.all() == before


WRONG: Final[list[tuple[str, Json, str]]] = [
    ("create", {"title": 5}, "422 invalid_request"),
    ("create", {"title": "x" * 2_000}, "422 invalid_request"),
    ("create", {"external_id": "x" * 2_000}, "422 invalid_request"),
    ("create", {"last_message_at": "yesterday"}, "422 invalid_request"),
    ("create", {"last_message_at": "2026-01-02"}, "422 invalid_request"),
    ("create", {"last_message_at": "0001-01-01T00:00:00+23:59"}, "422 invalid_request"),
    ("update", {"is_archived": "yes"}, "422 invalid_request"),
    ("update", {"is_archived": None}, "422 invalid_request"),
    ("claim", {}, "422 invalid_request"),
    ("claim", {"refresh_token": "x.y.z"}, "401 invalid_token"),
    ("write", {"format": "aui/v0"}, "422 invalid_request"),
    ("write", {"format": "aui/v0", "content": "Hello"}, "422 invalid_request"),
    ("write", {"format": 1, "content": {}}, "422 invalid_request"),
    ("write", {"format": "aui/v0", "content": {}, "parent_id": "x" * 200}, "422 invalid_request"),
    ("write", {"format": "aui/v0", "content": {}, "parent_id": ""}, "422 invalid_request"),
    ("write", {"format": "aui/v0", "content": {}, "parent_id": 5}, "422 invalid_request"),
    ("write", {"format": "x" * 2_000, "content": {}}, "422 invalid_request"),
    ("write", {"format": "", "content": {}}, "422 invalid_request"),
    ("rewrite", {"content": None}, "422 invalid_request"),
    ("feedback", {"type": "so so"}, "422 invalid_request"),
    ("feedback", {"type": "positive", "comment": 5}, "422 invalid_request"),
    ("title", {"thread_id": "thr_none", "assistant_id": "system/thread_title"}, "404 unknown_thread"),
    ("title", {"thread_id": "no id", "assistant_id": "system/thread_title"}, "422 invalid_thread_id"),
    ("title", {"thread_id": "THREAD", "assistant_id": "system/other"}, "422 invalid_request"),
    ("title", {"thread_id": "THREAD"}, "422 invalid_request"),
    ("run", {**ROUTES["run"][2], "response_format": "other"}, "422 invalid_request"),
    ("run", {**ROUTES["run"][2], "assistant_id": "wasps"}, "404 unknown_agent"),
    ("run", {**ROUTES["run"][2], "messages": []}, "422 invalid_request"),
    ("report", {"thread_id": "THREAD", "status": "odd"}, "422 invalid_request"),
    ("report", {"thread_id": 5, "status": "completed"}, "422 invalid_request"),
    ("events", {"events": [{"kind": "message_sent"}] * 51}, "422 invalid_request"),
    ("events", {"events": {}}, "422 invalid_request"),
    ("score", {"name": "q", "data_type": "odd", "thread_id": "THREAD"}, "422 invalid_request"),
    ("score", {"name": "q", "data_type": "numeric"}, "422 invalid_request"),
    ("upload", {"filename": "x" * 2_000}, "422 invalid_request"),
    ("upload", {"filename": 5}, "422 invalid_request"),
    ("download", {}, "422 invalid_request"),
    ("download", {"key": "a", "url": "b"}, "422 invalid_request"),
    ("download", {"url": "http://["}, "404 unknown_file"),
    ("refresh", {"refresh_token": 5}, "422 invalid_request"),
    ("refresh", {"refresh_token": ""}, "401 invalid_token"),
]


@pytest.mark.parametrize(("name", "body", "code"), WRONG, ids=[f"{name} {body!s:.40}" for name, body, _ in WRONG])
async def test_what_is_wrong_with_a_body_is_named_and_changes_nothing(name: str, body: Json, code: str) -> None:
    async with knowing() as known:
        before = await known.all()
        response = await known.ask(*ROUTES[name][:2], body)

        assert check(response) == code
        assert await known.all() == before


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=-1", "limit=x", "limit=1.5", "limit=100000", "limit=", "limit=%D9%A3", f"limit={9**500}"],
)
@pytest.mark.parametrize("path", ["/v1/threads", "/v1/threads/THREAD/messages"])
async def test_a_limit_that_is_none_is_refused(path: str, query: str) -> None:
    async with knowing() as known:
        assert check(await known.ask("GET", f"{path}?{query}")) == "422 invalid_request"


async def test_a_place_in_a_list_that_is_not_there_is_its_beginning() -> None:
    async with knowing() as known:
        for path in ("/v1/threads", "/v1/threads/THREAD/messages"):
            whole = (await known.ask("GET", path)).json()
            assert (await known.ask("GET", f"{path}?after=thr_none")).json() == whole
        assert check(await known.ask("GET", "/v1/threads?after=no%20id")) == "422 invalid_thread_id"
        assert check(await known.ask("GET", "/v1/threads?is_archived=maybe")) == "422 invalid_request"


EVERY: Final = [*((method, path) for method, path, _ in ROUTES.values()), *READING]


@pytest.mark.parametrize(("method", "path"), sorted(set(EVERY)))
async def test_nobody_in_particular_is_refused(method: str, path: str) -> None:
    async with knowing() as known:
        bodies = {(one, where): body for one, where, body in ROUTES.values()}
        for headers in (
            {},
            {"authorization": "Bearer x"},
            {"authorization": "Basic eDp5"},
            {"authorization": "Bearer"},
        ):
            content = json.dumps(bodies.get((method, path))).encode()
            answer = await known.client.request(
                method, known.filled(path), content=content, headers={**JSON, **headers}
            )
            if path == "/v1/auth/tokens/refresh":
                assert check(answer) == "422 invalid_request" or answer.status == 401
            else:
                assert check(answer) == "401 unauthorized"


@pytest.mark.parametrize("path", ["/v1/threads/THREAD", "/v1/runs", "/v1/threads/claim", "/v1/auth/tokens/anonymous"])
async def test_a_method_that_is_none_is_refused_in_the_clouds_form(path: str) -> None:
    async with knowing() as known:
        response = await known.ask("PATCH", path)

        assert check(response) == "405 method_not_allowed"
        assert response.headers["allow"]


@pytest.mark.parametrize("path", ["/v1/projects/threads", "/v1/projects/threads/x/messages", "/v1/nothing"])
async def test_a_path_that_is_none_is_refused_in_a_form_that_the_client_reads(path: str) -> None:
    async with knowing() as known:
        response = await known.ask("GET", path)

        assert response.status == 404
        assert path in response.json()["message"]


# Whatever comes

TEXT = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["THREAD", "MESSAGE", "TOKEN", "aui/v0", "ai-sdk/v6", "user", "assistant", "bees", "unstable_todo", "__proto__"]
    ),
    st.sampled_from(["2026-01-02T03:04:05Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59", "x" * 300, "\0"]),
)
NUMBER = st.one_of(st.integers(-(10**400), 10**400), st.floats(allow_nan=False, allow_infinity=False))
ANY = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBER, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=12,
)


def _places(value: Json, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, item in inner for place in _places(item, (*at, key)))]


@st.composite
def bodies(draw: st.DrawFn, valid: Json) -> Json:
    """Draw a body that may be taken: a valid one with something else in it, somewhere."""
    if draw(st.integers(0, 5)) == 0:
        return draw(ANY)
    body = {"": copy.deepcopy(valid)}
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(_places(body)[1:]))
        inner: Any = body
        for key in place[:-1]:
            inner = inner[key]
        if isinstance(inner, dict) and len(place) > 1 and draw(st.integers(0, 3)) == 0:
            del inner[place[-1]]
        else:
            inner[place[-1]] = draw(ANY)
    return body[""]


@pytest.mark.parametrize("name", ROUTES)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_any_body_is_taken_or_refused(name: str, data: st.DataObject) -> None:
    method, path, valid = ROUTES[name]
    tried = data.draw(st.lists(bodies(valid), min_size=1, max_size=20))

    async def scenario() -> None:
        async with knowing() as known:
            for body in tried:
                before = await known.all()
                response = await known.ask(method, path, body)
                if response.status not in (200, 204):
                    check(response)
                    assert await known.all() == before

    asyncio.run(scenario())


IDS = st.one_of(
    st.text(min_size=1, max_size=8), st.sampled_from(["THREAD", "MESSAGE", "..", "x" * 200, "claim", "%2F", "\0"])
)
QUERY = st.dictionaries(st.sampled_from(["after", "limit", "format", "is_archived"]), IDS)


@settings(max_examples=40, deadline=None)
@given(
    tried=st.lists(
        st.tuples(
            st.sampled_from(EVERY), IDS, IDS, st.dictionaries(st.sampled_from(["after", "limit", "format"]), IDS)
        ),
        max_size=12,
    )
)
def test_any_path_and_query_is_taken_or_refused(tried: list[Any]) -> None:
    async def scenario() -> None:
        async with knowing() as known:
            for (method, path), thread, message, query in tried:
                if method == "DELETE":
                    continue  # it may hit
                named = path.replace("THREAD", quote(thread, safe="")).replace("MESSAGE", quote(message, safe=""))
                response = await known.ask(method, f"{named}?{urlencode(query)}", {})
                if response.status not in (200, 204):
                    assert 400 <= response.status < 500, response.content

    asyncio.run(scenario())


def _coded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


@settings(max_examples=100, deadline=None)
@given(
    head=st.one_of(ANY, st.fixed_dictionaries({"alg": ANY, "kid": ANY})),
    claims=st.one_of(
        ANY,
        st.fixed_dictionaries(
            {"iss": st.sampled_from(["statecast", "https://app.example"]), "exp": ANY, "sub": ANY, "use": ANY}
        ),
    ),
    signature=st.binary(max_size=40),
)
def test_any_token_is_refused(head: Json, claims: Json, signature: bytes) -> None:
    token = ".".join(map(_coded, (json.dumps(head).encode(), json.dumps(claims).encode(), signature)))

    async def scenario() -> None:
        async with TestClient(app()) as client:
            for path in ("/v1/threads", "/threads", "/threads/t/state"):
                answer = await client.get(path, headers={"authorization": f"Bearer {token}"})
                # What is none of ours to judge is let be where nobody has to be known.
                assert 400 <= answer.status < 500
                assert answer.status == 401 or path != "/v1/threads"

    asyncio.run(scenario())


async def test_a_token_as_deep_as_a_header_can_be_is_refused() -> None:
    token = ".".join((_coded(b'{"alg":"HS256"}'), _coded(b"[" * 40_000), ""))
    async with TestClient(app()) as client:
        answer = await client.get("/v1/threads", headers={"authorization": f"Bearer {token}"})

        assert check(answer) == "401 unauthorized"
