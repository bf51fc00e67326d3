"""`GET /client.js`, `/adapters.js`, `/react.js`, `/react.tgz` and types: what is served, who keeps it, and for whom."""

from __future__ import annotations

import io
import tarfile

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from statecast import Agent, create_app
from statecast.http.endpoints.client_module import BROWSER
from statecast.http.npm_package import react_package
from statecast.testing import TestClient
from tests.transport.http.test_requests import code_of

pytestmark = pytest.mark.anyio

FILES = {
    "/client.js": "text/javascript; charset=utf-8",
    "/client.d.ts": "application/typescript; charset=utf-8",
    "/adapters.js": "text/javascript; charset=utf-8",
    "/adapters.d.ts": "application/typescript; charset=utf-8",
    "/react.js": "text/javascript; charset=utf-8",
    "/react.d.ts": "application/typescript; charset=utf-8",
}


@pytest.mark.parametrize(("path", "media"), FILES.items())
async def test_the_file_is_served_as_it_is(path: str, media: str) -> None:
    async with TestClient(create_app(Agent())) as client:
        response = await client.get(path)
        head = await client.request("HEAD", path)

    assert response.status == 200
    assert response.content == (BROWSER / path[1:]).read_bytes()
    for answer in (response, head):
        assert answer.headers["content-type"] == media
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["etag"] == response.headers["etag"]


async def test_the_package_has_every_file_and_is_the_same_each_time() -> None:
    async with TestClient(create_app(Agent())) as client:
        response = await client.get("/react.tgz")
        head = await client.request("HEAD", "/react.tgz")
    react_package.cache_clear()  # as in another process
    with tarfile.open(fileobj=io.BytesIO(response.content), mode="r:gz") as package:
        files = {name: extracted.read() for name in package.getnames() if (extracted := package.extractfile(name))}

    assert files == {f"package/{file.name}": file.read_bytes() for file in BROWSER.iterdir()}
    assert {f"package{path}" for path in FILES} | {"package/package.json", "package/README.md"} == set(files)
    assert response.content == react_package()
    for answer in (response, head):
        assert answer.headers["content-type"] == "application/gzip"
        assert answer.headers["content-length"] == str(len(response.content))
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["etag"] == response.headers["etag"]


@pytest.mark.parametrize("path", [*FILES, "/react.tgz"])
@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
async def test_who_has_it_is_told_so(path: str, form: str) -> None:
    async with TestClient(create_app(Agent())) as client:
        etag = (await client.get(path)).headers["etag"]
        response = await client.get(path, headers={"if-none-match": form.format(etag)})
        other = await client.get(path, headers={"if-none-match": '"other"'})

    assert (response.status, response.content) == (304, b"")
    assert response.headers["etag"] == etag
    assert other.status == 200


async def test_the_files_are_told_apart_by_their_etags() -> None:
    async with TestClient(create_app(Agent())) as client:
        etags = {(await client.get(path)).headers["etag"] for path in [*FILES, "/react.tgz"]}

    assert len(etags) == len(FILES) + 1


@pytest.mark.parametrize("asked", ["x", "bytes=", "bytes=-", "bytes=5-2", "bytes=0-1,3-4", "lines=0-1"])
async def test_a_range_that_makes_no_sense_is_ignored(asked: str) -> None:
    async with TestClient(create_app(Agent())) as client:
        response = await client.get("/client.js", headers={"range": asked})

    assert (response.status, response.content) == (200, (BROWSER / "client.js").read_bytes())


async def test_a_range_is_served_to_whoever_has_this_version_and_refused_behind_the_end() -> None:
    async with TestClient(create_app(Agent())) as client:
        part = await client.get("/client.js", headers={"range": "bytes=2-4"})
        behind = await client.get("/client.js", headers={"range": "bytes=99999999-"})
        other = await client.get("/client.js", headers={"range": "bytes=99999999-", "if-range": '"other"'})

    assert (part.status, part.content) == (206, (BROWSER / "client.js").read_bytes()[2:5])
    assert code_of(behind) == (416, "range_not_satisfiable")
    assert other.status == 200


async def test_it_is_there_for_the_pages_that_may_use_the_server() -> None:
    async with TestClient(create_app(Agent(), cors_origins=["https://page.example"])) as client:
        page = await client.get("/client.js", headers={"origin": "https://page.example"})
        other = await client.get("/client.js", headers={"origin": "https://evil.example"})

    assert page.headers["access-control-allow-origin"] == "https://page.example"
    assert "access-control-allow-origin" not in other.headers
    assert "Origin" in page.headers["vary"]


async def test_it_is_there_where_the_app_is_mounted() -> None:
    app = Starlette(routes=[Mount("/agents", create_app(Agent()))])
    async with TestClient(app) as client:
        assert (await client.get("/agents/client.js")).status == 200


async def test_another_method_is_refused() -> None:
    async with TestClient(create_app(Agent())) as client:
        assert code_of(await client.post("/client.js", json={})) == (405, "method_not_allowed")
