"""A deleted thread takes the files along that its messages name, wherever they are kept; and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest

from statecast import App, Cloud, Limits, Uploads, create_app
from statecast.files import Files, FolderFiles, fresh_name
from statecast.files.names import names_among
from statecast.stores import MemoryStore, StoreUnavailable
from statecast.testing import TestClient
from tests.transport.file_places import PLACES, place
from tests.transport.history_app import ANN, BOB, echoing, store, who

__all__ = ["store"]

pytestmark = pytest.mark.anyio

KEY: Final = "an-api-key-of-the-app"


async def upload(client: TestClient, name: str = "bee.txt", headers: Any = ANN) -> str:
    answer = await client.request(
        "POST", f"/attachments?name={quote(name)}", content=b"a bee", headers={**headers, "content-type": "text/plain"}
    )
    assert answer.status == 201, answer.content
    url: str = answer.json()["url"]
    return url.replace("http://testserver", "")


async def there(client: TestClient, url: str) -> bool:
    path = "/" + url.split("/", 3)[3] if "://" in url else url
    return (await client.get(path)).status == 200


def saying(url: str, thread_id: str = "t") -> dict[str, Any]:
    parts = [{"type": "text", "text": f"Look at {url}."}, {"type": "image", "image": url}]
    return {"threadId": thread_id, "commands": [{"type": "add-message", "message": {"role": "user", "parts": parts}}]}


@pytest.mark.parametrize("kind", PLACES)
async def test_a_file_goes_with_the_thread_whose_message_names_it(kind: str, tmp_path: Path) -> None:
    async with place(kind, tmp_path) as files:
        app = create_app(echoing(), identify=who, uploads=Uploads(where=files))
        async with TestClient(app) as client:
            urls = [await upload(client, name) for name in ("bee.txt", "Biene mit Ä.txt", "ü.txt")]
            other = await upload(client)
            for url in urls:
                await client.post("/assistant", json=saying(url), headers=ANN)
            before = [await there_in(files, url) for url in (*urls, other)]
            await client.request("DELETE", "/threads/t", headers=ANN)
            after = [await there_in(files, url) for url in (*urls, other)]

    assert before == [True] * 4
    assert after == [False, False, False, True]


async def there_in(files: Files, url: str) -> bool:
    (name,) = set(names_among(url))
    return await files.find(name) is not None


@pytest.mark.parametrize("format", ["aui/v0", "ai-sdk/v6"])
async def test_a_file_goes_that_only_a_branch_of_the_history_names(store: str, format: str) -> None:
    async with TestClient(create_app(echoing(), store=store, identify=who)) as client:
        url = await upload(client)
        await client.post("/threads", json={"threadId": "t"}, headers=ANN)
        part = {"type": "file", "url": url, "mediaType": "text/plain"}
        body = {"message": {"id": "m", "role": "user", "content": [part], "parts": [part]}}
        written = await client.post(f"/threads/t/messages?format={format}", json=body, headers=ANN)
        before = await there(client, url)
        await client.request("DELETE", "/threads/t", headers=ANN)

        assert written.status == 200
        assert [before, await there(client, url)] == [True, False]


async def test_what_others_have_uploaded_stays(store: str) -> None:
    async with TestClient(create_app(echoing(), store=store, identify=who)) as client:
        anns = await upload(client)
        await client.post("/assistant", json=saying(anns), headers=BOB)
        await client.request("DELETE", "/threads/t", headers=BOB)

        assert await there(client, anns)


async def test_a_file_goes_with_a_thread_that_was_claimed(store: str) -> None:
    app = create_app(echoing(), store=store, cloud=Cloud(api_keys=[KEY]))
    hive = {"authorization": f"Bearer {KEY}", "aui-user-id": "ann", "aui-workspace-id": "hive"}
    async with TestClient(app) as client:
        tokens = (await client.post("/v1/auth/tokens/anonymous", json={})).json()
        guest = {"authorization": f"Bearer {tokens['access_token']}"}
        url = await upload(client, headers=guest)
        await client.post("/assistant", json=saying(url), headers=guest)
        token = tokens["refresh_token"]["token"]
        await client.post("/v1/threads/claim", json={"refresh_token": token}, headers=hive)
        before = await there(client, url)
        deleted = await client.request("DELETE", "/v1/threads/t", headers=hive)

        assert [before, deleted.status, await there(client, url)] == [True, 204, False]


async def test_a_file_goes_with_a_thread_whose_time_is_over(tmp_path: Path) -> None:
    def app(**limits: Any) -> App:
        store = f"sqlite:///{tmp_path / 'threads.db'}"
        uploads = Uploads(where=FolderFiles(tmp_path / "files"))
        return create_app(echoing(), identify=who, store=store, uploads=uploads, limits=Limits(**limits))

    async with TestClient(app()) as client:
        url = await upload(client)
        await client.post("/assistant", json=saying(url), headers=ANN)
    swept = app(keep_seconds=0.001)
    async with TestClient(swept) as client:
        await swept.hub.registry.sweep()
        await swept.hub.registry.wait_stored()

        assert not await there(client, url)
        assert (await client.get("/threads/t/state", headers=ANN)).status == 404


async def test_a_thread_stays_while_its_files_cannot_go(tmp_path: Path) -> None:
    class Stuck(FolderFiles):
        stuck = True

        async def delete(self, name: str) -> None:
            if self.stuck:
                raise StoreUnavailable("the disk is read-only")
            await super().delete(name)

    files = Stuck(tmp_path / "files")
    app = create_app(echoing(), store=MemoryStore(), identify=who, uploads=Uploads(where=files))
    async with TestClient(app) as client:
        url = await upload(client)
        await client.post("/assistant", json=saying(url), headers=ANN)
        refused = await client.request("DELETE", "/threads/t", headers=ANN)
        kept = await client.get("/threads/t/state", headers=ANN)
        files.stuck = False
        deleted = await client.request("DELETE", "/threads/t", headers=ANN)

        assert [refused.status, kept.status, deleted.status] == [503, 200, 204]
        assert not await there(client, url)


@pytest.mark.parametrize("around", ["{}", "see {}.", "({})", '"{}"', "http://x/attachments/{}?a=b", "{},{}", "{}\n"])
@pytest.mark.parametrize("filename", ["a.txt", "Ä ö.pdf", "no-ending", "..", "x" * 300 + ".png"])
def test_names_are_found_in_any_text(around: str, filename: str) -> None:
    name = fresh_name(filename)

    assert set(names_among(around.format(name, name))) == {name}
    assert set(names_among(around.format(quote(name, safe=""), name))) == {name}
