"""`/v1/files`: signed URLs for the cloud's client, what is put there, and what is refused."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from urllib.request import urlopen

import pytest

from statecast import Agent, App, create_app
from statecast.files import FolderFiles, Uploads
from statecast.http.cloud import Cloud
from statecast.testing import Response, TestClient
from tests.transport.file_places import PLACES, place

pytestmark = pytest.mark.anyio

UPLOAD_URL = "/v1/files/attachments/generate-presigned-upload-url"
DOWNLOAD_URL = "/v1/files/attachments/generate-presigned-download-url"
PNG = {"content-type": "image/png"}
LIMIT = 1_000
KEY = "0123456789abcdef"
ANN = {"authorization": f"Bearer {KEY}", "aui-user-id": "ann", "aui-workspace-id": "ann & sons"}
BOB = {**ANN, "aui-workspace-id": "bob"}


def app_of(**settings: Any) -> App:
    uploads = Uploads(**{"limit": LIMIT, **settings})
    return create_app(Agent(), uploads=uploads, cloud=Cloud(api_keys=[KEY]))


async def signed(client: TestClient, filename: str = "bees.png", headers: Any = ANN) -> Any:
    response = await client.post(UPLOAD_URL, json={"filename": filename}, headers=headers)
    assert response.status == 200, response.content
    return response.json()


async def put(client: TestClient, url: str, content: Any = b"bees", headers: Any = PNG) -> Response:
    return await client.request("PUT", local(url), content=content, headers=headers)


def local(url: str) -> str:
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def code_of(response: Response) -> Any:
    body = response.json()
    assert isinstance(body["message"], str)
    return response.status, body["error"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Return what says how much later it is."""
    later = {"by": 0.0}
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + later["by"])
    return later


# Upload and download


@pytest.mark.parametrize("kind", PLACES)
async def test_a_file_is_put_to_its_url_and_served_to_who_has_the_other(kind: str, tmp_path: Path) -> None:
    async with place(kind, tmp_path) as files, TestClient(app_of(where=files)) as client:
        urls = await signed(client)
        before = await client.get(local(urls["publicUrl"]))
        taken = await put(client, urls["signedUrl"])
        served = await client.get(local(urls["publicUrl"]))
        head = await client.request("HEAD", local(urls["publicUrl"]))
        body = served.content
        if served.status == 302:
            body = await asyncio.to_thread(fetched, served.headers["location"])

    assert code_of(before) == (404, "unknown_file")
    assert (taken.status, taken.json()["contentType"], taken.json()["size"]) == (200, "image/png", 4)
    assert taken.json()["publicUrl"] == urls["publicUrl"]
    assert body == b"bees"
    assert (head.status, head.headers["content-type"], head.headers["content-length"]) == (200, "image/png", "4")


def fetched(url: str) -> bytes:
    with urlopen(url, timeout=10) as response:
        data: bytes = response.read()
        return data


async def test_the_urls_are_as_the_client_takes_them() -> None:
    async with TestClient(app_of(expires=60)) as client:
        urls = await signed(client, "Blüten.png")

    assert urls["success"] is True
    assert urls["key"].endswith("-Blüten.png")
    assert urls["publicUrl"] == f"http://127.0.0.1/v1/files/{quote(urls['key'])}"
    assert urls["signedUrl"].startswith(f"http://127.0.0.1/v1/files/uploads/{quote(urls['key'])}?")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", urls["expiresAt"])
    assert 50 < datetime.fromisoformat(urls["expiresAt"]).timestamp() - time.time() <= 60


async def test_a_file_is_its_owners_to_download_by_key_or_url() -> None:
    async with TestClient(app_of()) as client:
        urls = await signed(client)
        await put(client, urls["signedUrl"])
        for asked in ({"key": urls["key"]}, {"url": urls["publicUrl"]}):
            mine = await client.post(DOWNLOAD_URL, json=asked, headers=ANN)
            his = await client.post(DOWNLOAD_URL, json=asked, headers=BOB)
            served = await client.get(local(mine.json()["signedUrl"]))

            assert (mine.status, mine.json()["key"]) == (200, urls["key"])
            assert served.content == b"bees"
            assert code_of(his) == (404, "unknown_file")


async def test_a_file_of_the_cloud_and_one_without_are_the_same() -> None:
    async with TestClient(app_of()) as client:
        urls = await signed(client)
        await put(client, urls["signedUrl"])
        served = await client.get(f"/attachments/{urls['key']}")
        not_his = await client.request("DELETE", f"/attachments/{urls['key']}", headers=BOB)
        mine = await client.request("DELETE", f"/attachments/{urls['key']}", headers=ANN)
        gone = await client.get(local(urls["publicUrl"]))

    assert served.content == b"bees"
    assert [not_his.status, mine.status, gone.status] == [404, 204, 404]


async def test_a_download_from_a_bucket_comes_from_there(tmp_path: Path) -> None:
    async with place("s3", tmp_path) as files, TestClient(app_of(where=files)) as client:
        urls = await signed(client)
        await put(client, urls["signedUrl"])
        link = (await client.post(DOWNLOAD_URL, json={"key": urls["key"]}, headers=ANN)).json()["signedUrl"]

        assert await asyncio.to_thread(fetched, link) == b"bees"
    assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == ["600"]


async def test_signed_urls_outlive_the_server(tmp_path: Path) -> None:
    served = []
    for number in range(2):
        app = create_app(Agent(), store=f"sqlite:///{tmp_path}/bees.db", cloud=Cloud(api_keys=[KEY]))
        async with TestClient(app) as client:
            if number == 0:
                urls = await signed(client)
            else:
                await put(client, urls["signedUrl"])
                served.append(await client.get(local(urls["publicUrl"])))

    assert served[0].content == b"bees"


# URLs that do not work

TAMPERED: list[tuple[str, str, str]] = [
    ("the name", r"-bees\.png", "-wasps.png"),
    ("one letter of it", r"/file_.", "/file_~"),
    ("when it expires", r"expires=(\d)", r"expires=1\1"),
    ("that it expires", r"expires=\d+", "expires=never"),
    ("digits of another kind", r"expires=\d+", "expires=%D9%A1"),
    ("whose it is", r"owner=[^&]*", "owner=bob"),
    ("that it is someone's", r"&owner=[^&]*", ""),
    ("the signature", r"signature=..", "signature=AA"),
    ("its end", r"(signature=[^&]*).(?=&|$)", r"\1"),
    ("that there is one", r"signature=[^&]*", ""),
    ("everything", r"\?.*", ""),
]


@pytest.mark.parametrize(("what", "old", "new"), TAMPERED, ids=[row[0] for row in TAMPERED])
async def test_a_url_in_which_something_was_changed_takes_nothing(what: str, old: str, new: str) -> None:
    async with TestClient(app_of()) as client:
        urls = await signed(client)
        changed, count = re.subn(old, new, urls["signedUrl"])
        refused = await put(client, changed)

        assert count == 1
        assert changed != urls["signedUrl"]
        assert code_of(refused) == (403, "invalid_signature")
        assert (await client.get(local(urls["publicUrl"]))).status == 404
        assert (await put(client, urls["signedUrl"])).status == 200


async def test_a_url_that_has_expired_takes_nothing(clock: Any) -> None:
    async with TestClient(app_of(expires=60)) as client:
        urls = await signed(client)
        clock["by"] = 60
        refused = await put(client, urls["signedUrl"])
        clock["by"] = 0
        await put(client, urls["signedUrl"])
        download = (await client.post(DOWNLOAD_URL, json={"key": urls["key"]}, headers=ANN)).json()["signedUrl"]
        clock["by"] = 60
        late = await client.get(local(download))
        public = await client.get(local(urls["publicUrl"]))

    assert code_of(refused) == (403, "url_expired")
    assert code_of(late) == (403, "url_expired")
    assert public.content == b"bees"


async def test_a_url_for_one_thing_is_none_for_another() -> None:
    async with TestClient(app_of()) as client:
        urls = await signed(client)
        await put(client, urls["signedUrl"])
        download = (await client.post(DOWNLOAD_URL, json={"key": urls["key"]}, headers=ANN)).json()["signedUrl"]
        upload_query = urlsplit(urls["signedUrl"]).query
        download_query = urlsplit(download).query
        got = await client.get(f"{local(urls['publicUrl'])}?{upload_query}")
        was_put = await put(client, f"{urlsplit(urls['signedUrl']).path}?{download_query}")

    assert code_of(got) == code_of(was_put) == (403, "invalid_signature")


async def test_a_url_of_another_server_takes_nothing() -> None:
    async with TestClient(app_of()) as one, TestClient(app_of()) as other:
        urls = await signed(one)

        assert code_of(await put(other, urls["signedUrl"])) == (403, "invalid_signature")


async def test_a_url_takes_one_file() -> None:
    async with TestClient(app_of()) as client:
        urls = await signed(client)
        await put(client, urls["signedUrl"])
        again = await put(client, urls["signedUrl"], b"wasps")
        served = await client.get(local(urls["publicUrl"]))

    assert code_of(again) == (409, "file_exists")
    assert served.content == b"bees"


async def test_of_two_that_put_a_file_at_once_the_first_does() -> None:
    coming, gate = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"be"
        coming.set()
        await gate.wait()
        yield b"es"

    async with TestClient(app_of()) as client:
        urls = await signed(client)
        first = asyncio.create_task(put(client, urls["signedUrl"], slow()))
        await coming.wait()
        second = await put(client, urls["signedUrl"], b"wasps")
        gate.set()
        await first
        served = await client.get(local(urls["publicUrl"]))

    assert code_of(second) == (409, "file_exists")
    assert served.content == b"bees"


async def test_after_an_upload_that_failed_the_url_still_works() -> None:
    async with TestClient(app_of()) as client:
        urls = await signed(client)
        refused = await put(client, urls["signedUrl"], b"x" * (LIMIT + 1))

        assert code_of(refused) == (413, "body_too_large")
        assert (await put(client, urls["signedUrl"])).status == 200


# What is refused

PUT_REFUSED: list[tuple[str, Any, dict[str, str], int, str]] = [
    ("too large", b"x" * (LIMIT + 1), {}, 413, "body_too_large"),
    ("too large, and says so", b"", {"content-length": str(LIMIT + 1)}, 413, "body_too_large"),
    ("empty", b"", {}, 422, "empty_file"),
    ("another type", b"x", {"content-type": "application/x-msdownload"}, 415, "unsupported_media_type"),
    ("a form", b"x", {"content-type": "multipart/form-data; boundary=x"}, 415, "unsupported_media_type"),
]


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"), [row[1:] for row in PUT_REFUSED], ids=[row[0] for row in PUT_REFUSED]
)
async def test_a_file_that_is_not_wanted_is_refused_in_the_clouds_form(
    tmp_path: Path, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    files = FolderFiles(tmp_path / "files")
    async with TestClient(app_of(where=files)) as client:
        urls = await signed(client)
        refused = await put(client, urls["signedUrl"], content, {**PNG, **headers})

    assert code_of(refused) == (status, code)
    assert not files.path.exists() or list(files.path.iterdir()) == []


BODIES: list[tuple[str, bytes, int, str]] = [
    (UPLOAD_URL, b"{", 400, "malformed_json"),
    (UPLOAD_URL, b"[]", 422, "invalid_request"),
    (UPLOAD_URL, b"{}", 422, "invalid_request"),
    (UPLOAD_URL, b'{"filename": 5}', 422, "invalid_request"),
    (UPLOAD_URL, b'{"filename": null}', 422, "invalid_request"),
    (UPLOAD_URL, b'{"filename": "' + b"x" * 1_025 + b'"}', 422, "invalid_request"),
    (UPLOAD_URL, b'{"filename": "\\ud800"}', 400, "malformed_json"),
    (DOWNLOAD_URL, b"{}", 422, "invalid_request"),
    (DOWNLOAD_URL, b'{"key": 5}', 422, "invalid_request"),
    (DOWNLOAD_URL, b'{"key": "a", "url": "b"}', 422, "invalid_request"),
    (DOWNLOAD_URL, b'{"key": "../../etc/passwd"}', 404, "unknown_file"),
    (DOWNLOAD_URL, b'{"key": ""}', 404, "unknown_file"),
    (DOWNLOAD_URL, b'{"url": "http://[bad"}', 404, "unknown_file"),
    (DOWNLOAD_URL, b'{"url": "https://elsewhere.example/"}', 404, "unknown_file"),
]


@pytest.mark.parametrize(("path", "body", "status", "code"), BODIES)
async def test_a_body_that_is_wrong_is_refused(path: str, body: bytes, status: int, code: str) -> None:
    async with TestClient(app_of()) as client:
        refused = await client.post(path, content=body, headers={**ANN, "content-type": "application/json"})

    assert code_of(refused) == (status, code)


@pytest.mark.parametrize("path", [UPLOAD_URL, DOWNLOAD_URL])
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer nonsense"}])
async def test_nobody_gets_a_url_without_being_known(path: str, headers: dict[str, str]) -> None:
    async with TestClient(app_of()) as client:
        refused = await client.post(path, json={"filename": "x", "key": "x"}, headers=headers)

    assert code_of(refused) == (401, "unauthorized")


@pytest.mark.parametrize("filename", ["../../x", "..\\..\\x", "/etc/passwd", "a/../b.png", "\u0000", "..", ".ssh/id"])
async def test_a_name_with_folders_in_it_is_a_name(filename: str, tmp_path: Path) -> None:
    async with TestClient(app_of(where=FolderFiles(tmp_path / "files"))) as client:
        urls = await signed(client, filename)
        await put(client, urls["signedUrl"])
        served = await client.get(local(urls["publicUrl"]))

    assert served.content == b"bees"
    assert [path.name for path in tmp_path.iterdir()] == ["files"]
    assert [path.name for path in (tmp_path / "files").iterdir()] == [urls["key"]]


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
async def test_what_is_not_served_is_refused_in_the_clouds_form(method: str) -> None:
    async with TestClient(app_of()) as client:
        assert code_of(await client.request(method, "/v1/files/pdf-to-images")) == (405, "method_not_allowed")
