"""`/attachments`: upload, serve, delete, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.routing import Mount

from statecast import Agent, App, create_app
from statecast.files import TYPES, FolderFiles, Uploads
from statecast.http.errors import RangeNotSatisfiable
from statecast.http.response.file import POLICY, range_of
from statecast.protocol.errors import RequestError
from statecast.stores import Damaged, File, MemoryStore, StoreUnavailable
from statecast.testing import Response, TestClient
from tests.transport.file_places import PLACES, place

pytestmark = pytest.mark.anyio

ANN, BOB = {"authorization": "ann"}, {"authorization": "bob"}
PNG = {"content-type": "image/png"}
TEXT = {"content-type": "text/plain"}
LIMIT = 1_000


async def who(request: HTTPConnection) -> str | None:
    name = request.headers.get("authorization")
    if name == "nobody":
        raise HTTPException(401, "who are you?")
    return name


def app_of(**settings: Any) -> App:
    return create_app(Agent(), uploads=Uploads(**{"limit": LIMIT, **settings}), identify=who)


async def upload(client: TestClient, content: Any = b"bees", name: str = "bees.png", headers: Any = PNG) -> Response:
    return await client.post(f"/attachments?name={name}", content=content, headers=headers)


def path_of(response: Response) -> str:
    return urlsplit(response.json()["url"]).path


# Upload, serve, delete


@pytest.mark.parametrize("kind", PLACES)
async def test_what_was_uploaded_is_served_and_deleted(kind: str, tmp_path: Path) -> None:
    async with place(kind, tmp_path) as files, TestClient(app_of(where=files)) as client:
        taken = await upload(client, headers={**PNG, **ANN})
        body = taken.json()
        served = await client.get(path_of(taken))
        head = await client.request("HEAD", path_of(taken))
        not_his = await client.request("DELETE", path_of(taken), headers=BOB)
        deleted = await client.request("DELETE", path_of(taken), headers=ANN)
        gone = await client.get(path_of(taken))

    assert (taken.status, taken.headers["location"]) == (201, body["url"])
    assert body["url"] == f"http://127.0.0.1/attachments/{body['id']}"
    assert {**body, "id": "", "url": ""} == {
        "id": "",
        "url": "",
        "name": "bees.png",
        "contentType": "image/png",
        "size": 4,
    }
    assert body["id"].endswith("-bees.png")
    assert (head.status, head.headers["content-length"], head.content) == (200, "4", b"")
    if kind == "s3":
        assert (served.status, served.headers["cache-control"]) == (302, "private, max-age=300")
        assert f"/bees/files/{body['id']}?" in served.headers["location"]
    else:
        assert (served.status, served.content) == (200, b"bees")
        assert head.headers == {
            "vary": "Origin",
            "content-length": "4",
            "content-type": "image/png",
            "content-disposition": "inline; filename*=UTF-8''bees.png",
            "content-security-policy": f"{POLICY}; sandbox",
            "x-content-type-options": "nosniff",
            "cross-origin-resource-policy": "cross-origin",
            "cache-control": "private, max-age=31536000, immutable",
            "etag": f'"{body["id"]}"',
            "accept-ranges": "bytes",
        }
    assert (not_his.status, not_his.json()["error"]["code"]) == (404, "unknown_file")
    assert (deleted.status, deleted.content) == (204, b"")
    assert (gone.status, gone.json()["error"]["code"]) == (404, "unknown_file")


async def test_without_owners_everybody_deletes_what_nobody_owns() -> None:
    async with TestClient(create_app(Agent())) as client:
        taken = await upload(client)

        assert (await client.request("DELETE", path_of(taken))).status == 204


async def test_the_app_keeps_files_in_its_store_unless_told_otherwise() -> None:
    store = MemoryStore()
    async with TestClient(create_app(Agent(), store=store), lifespan=False) as client:
        taken = (await upload(client)).json()
        await client.app.hub.aclose()  # type: ignore[attr-defined]  # the app is one

    assert await store.file(taken["id"]) == File(taken["id"], "image/png", None, 4)
    assert await store.read_file(taken["id"], 0, 4) == b"bees"


@pytest.mark.parametrize(
    ("kind", "shown"), [("image/svg+xml", "attachment"), ("text/html", "attachment"), ("application/pdf", "inline")]
)
async def test_what_could_run_scripts_is_not_shown_by_itself(kind: str, shown: str) -> None:
    async with TestClient(app_of()) as client:
        served = await client.get(path_of(await upload(client, headers={"content-type": kind})))

    assert served.headers["content-type"] == kind
    assert served.headers["content-disposition"].startswith(f"{shown};")
    assert ("sandbox" in served.headers["content-security-policy"]) == (kind != "application/pdf")


async def test_a_name_in_any_script_is_kept_and_is_safe_in_the_url() -> None:
    async with TestClient(app_of()) as client:
        taken = await upload(client, name="Bl%C3%BCten%20%E8%8A%B1.txt", headers=TEXT)
        served = await client.get(urlsplit(taken.json()["url"]).path)

    assert taken.json()["name"] == "Blüten 花.txt"
    assert taken.json()["url"].isascii()
    assert served.content == b"bees"
    assert served.headers["content-disposition"] == "inline; filename*=UTF-8''Bl%C3%BCten_%E8%8A%B1.txt"


async def test_a_file_without_a_name_or_type_gets_both() -> None:
    async with TestClient(app_of(types=["*/*"])) as client:
        taken = (await client.post("/attachments", content=b"x")).json()
        named = (await client.post("/attachments?name=notes.md", content=b"x")).json()

    assert (taken["name"], taken["contentType"]) == ("", "application/octet-stream")
    assert taken["id"].endswith("-file")
    assert named["contentType"] == "text/markdown"


@pytest.mark.parametrize("root", ["http://127.0.0.1/agents", "https://bees.example/api"])
async def test_urls_are_those_of_where_the_app_is(root: str) -> None:
    settings = {} if "agents" in root else {"public_url": root + "/"}
    mounted = Starlette(routes=[Mount("/agents", app_of(**settings))])
    async with TestClient(mounted) as client:
        response = await client.post("/agents/attachments?name=bees.png", content=b"bees", headers=PNG)
        served = await client.get(f"/agents/attachments/{response.json()['id']}")

    assert response.json()["url"] == f"{root}/attachments/{response.json()['id']}"
    assert served.content == b"bees"


# Parts of a file

RANGES = [
    ("bytes=0-0", 206, b"b", "bytes 0-0/4"),
    ("bytes=1-2", 206, b"ee", "bytes 1-2/4"),
    ("bytes=2-", 206, b"es", "bytes 2-3/4"),
    ("bytes=-1", 206, b"s", "bytes 3-3/4"),
    ("bytes=2-99", 206, b"es", "bytes 2-3/4"),
    ("bytes=0-3", 200, b"bees", None),
    ("bytes=-99", 200, b"bees", None),
    ("bytes=0-0,2-2", 200, b"bees", None),
    ("bytes=2-1", 200, b"bees", None),
    ("bytes=-", 200, b"bees", None),
    ("lines=1-2", 200, b"bees", None),
    ("bytes=4-", 416, None, "bytes */4"),
    ("bytes=-0", 416, None, "bytes */4"),
]


@pytest.mark.parametrize("kind", ["memory", "folder"])
@pytest.mark.parametrize(("asked", "status", "part", "content_range"), RANGES)
async def test_a_part_is_served_to_who_asks_for_one(
    kind: str, tmp_path: Path, asked: str, status: int, part: bytes | None, content_range: str | None
) -> None:
    async with place(kind, tmp_path) as files, TestClient(app_of(where=files)) as client:
        path = path_of(await upload(client))
        served = await client.get(path, headers={"range": asked})

    assert (served.status, served.headers.get("content-range")) == (status, content_range)
    assert part is None or (served.content, served.headers["content-length"]) == (part, str(len(part)))


@given(header=st.text("bytes=-,0123456789 x"), size=st.integers(1, 200))
def test_whatever_is_asked_for_is_a_part_of_the_file(header: str, size: int) -> None:
    try:
        start, end = range_of(header, size)
    except RequestError as refusal:
        assert isinstance(refusal, RangeNotSatisfiable)
    else:
        assert 0 <= start < end <= size


async def test_a_part_of_another_file_is_none_of_this_one_and_the_same_file_is_not_sent_again() -> None:
    async with TestClient(app_of()) as client:
        path = path_of(await upload(client))
        etag = (await client.get(path)).headers["etag"]
        other = await client.get(path, headers={"range": "bytes=0-0", "if-range": '"another"'})
        same = await client.get(path, headers={"range": "bytes=0-0", "if-range": etag})
        known = await client.get(path, headers={"if-none-match": etag})

    assert (other.status, other.content) == (200, b"bees")
    assert (same.status, same.content) == (206, b"b")
    assert (known.status, known.content) == (304, b"")


@pytest.mark.parametrize("kind", ["memory", "folder"])
async def test_a_large_file_comes_in_pieces(kind: str, tmp_path: Path) -> None:
    data = bytes(range(256)) * 4_000
    async with place(kind, tmp_path) as files, TestClient(app_of(where=files, limit=2**20)) as client:
        path = path_of(await upload(client, content=data))
        async with client.stream("GET", path) as response:
            pieces = [piece async for piece in response]

    assert b"".join(pieces) == data
    assert len(pieces) > 3


# What is refused

REFUSED: list[tuple[str, Any, dict[str, str], int, str]] = [
    ("too large", b"x" * (LIMIT + 1), {}, 413, "body_too_large"),
    ("too large, and says so", b"", {"content-length": str(LIMIT + 1)}, 413, "body_too_large"),
    ("empty", b"", {}, 422, "empty_file"),
    ("another type", b"x", {"content-type": "application/x-msdownload"}, 415, "unsupported_media_type"),
    ("no type", b"x", {"content-type": "image"}, 415, "unsupported_media_type"),
    ("two types", b"x", {"content-type": "image/png, image/png"}, 415, "unsupported_media_type"),
    ("a form", b"x", {"content-type": "multipart/form-data; boundary=x"}, 415, "unsupported_media_type"),
    ("compressed", b"x", {"content-encoding": "gzip"}, 415, "unsupported_media_type"),
    ("a page from elsewhere", b"x", {"origin": "https://wasps.example"}, 403, "origin_not_allowed"),
    ("no page", b"x", {"origin": "null"}, 403, "origin_not_allowed"),
    ("someone unknown", b"x", {"authorization": "nobody"}, 401, "http_error"),
]


@pytest.mark.parametrize("kind", ["memory", "folder"])
@pytest.mark.parametrize(
    ("content", "headers", "status", "code"), [row[1:] for row in REFUSED], ids=[r[0] for r in REFUSED]
)
async def test_what_is_wrong_is_refused_and_leaves_nothing(
    kind: str, tmp_path: Path, content: Any, headers: dict[str, str], status: int, code: str
) -> None:
    types = [*TYPES, "multipart/form-data"]
    async with place(kind, tmp_path) as files, TestClient(app_of(where=files, types=types)) as client:
        refused = await upload(client, content=content, headers={**PNG, **headers})
        kept = list(files.path.iterdir()) if isinstance(files, FolderFiles) and files.path.exists() else []

    assert (refused.status, refused.json()["error"]["code"]) == (status, code)
    assert kept == []
    if status == 413:
        assert refused.json()["error"]["limit"] == LIMIT


async def test_a_name_that_is_too_long_is_refused() -> None:
    async with TestClient(app_of()) as client:
        refused = await upload(client, name="x" * 1_025)

    assert (refused.status, refused.json()["error"]["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("origin", ["http://127.0.0.1", "https://bees.example"])
async def test_a_page_that_may_use_the_server_may_upload(origin: str) -> None:
    app = create_app(Agent(), cors_origins=["https://bees.example"])
    async with TestClient(app) as client:
        assert (await upload(client, headers={**TEXT, "origin": origin})).status == 201


async def test_a_body_that_is_refused_is_read_a_few_times_the_limit_so_that_the_answer_is_seen() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 500
            yield b"x" * 500

    async with TestClient(app_of()) as client:
        refused = await upload(client, content=endless())

    assert refused.status == 413
    assert LIMIT < read <= 5 * LIMIT


async def test_a_body_that_stays_out_is_given_up() -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    async with TestClient(app_of(seconds=0.01)) as client:
        refused = await upload(client, content=slow())

    assert (refused.status, refused.json()["error"]["code"]) == (408, "body_timeout")


@pytest.mark.parametrize("kind", ["memory", "folder"])
async def test_a_connection_that_is_lost_leaves_nothing(kind: str, tmp_path: Path) -> None:

    messages = [{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}]

    async with place(kind, tmp_path) as files:
        app = app_of(where=files)
        async with TestClient(app) as client:
            answered: list[Any] = []

            async def receive() -> Any:
                return messages.pop(0)

            async def send(message: Any) -> None:
                answered.append(message)

            await client.get("/health")
            scope = {
                "type": "http",
                "method": "POST",
                "path": "/attachments",
                "query_string": b"",
                "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"image/png")],
            }
            await app(scope, receive, send)
        kept = list(files.path.iterdir()) if isinstance(files, FolderFiles) else []

    assert answered[0]["status"] == 400
    assert kept == []


@pytest.mark.parametrize(
    "name", ["x", "..", "%2e%2e%2fsecret", "..%2Fsecret", "file_x", "%00", "%F0%9F", "file_" + "x" * 5_000]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
async def test_a_name_that_is_none_is_unknown(name: str, method: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"s3cret")
    async with TestClient(app_of(where=FolderFiles(tmp_path / "files"))) as client:
        answer = await client.request(method, f"/attachments/{name}")

    assert answer.status == 404
    assert b"s3cret" not in answer.content


async def test_a_store_that_is_away_is_said_to_be() -> None:
    class Away(MemoryStore):
        async def write_file(self, name: str, type: str, owner: str | None, pieces: AsyncIterator[bytes]) -> int:
            raise StoreUnavailable("away")

        async def file(self, name: str) -> File | None:
            raise StoreUnavailable("away")

    async with TestClient(create_app(Agent(), store=Away())) as client:
        kept = await upload(client)
        found = await client.get(f"/attachments/file_{'x' * 32}-bees.png")

    assert [(answer.status, answer.json()["error"]["code"]) for answer in (kept, found)] == [
        (503, "store_unavailable"),
        (503, "store_unavailable"),
    ]


async def test_a_preflight_of_an_upload_from_an_allowed_page_is_answered() -> None:
    asked = {
        "origin": "https://bees.example",
        "access-control-request-method": "PUT",
        "access-control-request-headers": "content-type",
    }
    async with TestClient(create_app(Agent(), cors_origins=["https://bees.example"])) as client:
        answers = [
            await client.request("OPTIONS", path, headers=asked) for path in ("/attachments", "/v1/files/uploads/x")
        ]

    for answer in answers:
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == "https://bees.example"
        assert "PUT" in answer.headers["access-control-allow-methods"]
        assert answer.headers["access-control-allow-headers"] == "content-type"


async def test_a_range_of_a_file_in_the_store_reads_only_that_range() -> None:
    class Counting(MemoryStore):
        read = 0

        async def read_file(self, name: str, start: int, end: int) -> bytes:
            self.read += end - start
            return await super().read_file(name, start, end)

    store = Counting()
    data = bytes(range(256)) * 10_000
    async with TestClient(create_app(Agent(), store=store)) as client:
        taken = (await client.post("/attachments?name=a.txt", content=data, headers=TEXT)).json()
        path = f"/attachments/{taken['id']}"
        part = await client.get(path, headers={"range": "bytes=1000000-1000099"})
        assert (part.status, part.content, store.read) == (206, data[1_000_000:1_000_100], 100)
        assert (await client.get(path)).content == data
        assert store.read == 100 + len(data)


async def test_a_file_that_is_damaged_says_so() -> None:
    class Damaging(MemoryStore):
        async def read_file(self, name: str, start: int, end: int) -> bytes:
            raise Damaged(name)

    async with TestClient(create_app(Agent(), store=Damaging())) as client:
        taken = (await client.post("/attachments?name=a.txt", content=b"bees", headers=TEXT)).json()
        answer = await client.get(f"/attachments/{taken['id']}")
        assert (answer.status, answer.json()["error"]["code"]) == (409, "file_damaged")


TEXT = {"content-type": "text/plain"}
