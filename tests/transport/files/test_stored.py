"""Every place where files are kept does the same."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import pytest

from statecast.files import Files, FolderFiles, Found, S3Files, StoreFiles, fresh_name
from statecast.stores import SqliteStore, StoreUnavailable
from tests.transport.file_places import NAME, PLACES, in_pieces, place, storage

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture(params=PLACES)
async def files(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Files]:
    async with place(request.param, tmp_path) as files:
        yield files


async def content_of(found: Found | None) -> bytes:
    assert found is not None
    if isinstance(found.content, bytes):
        return found.content
    if isinstance(found.content, Path):
        return found.content.read_bytes()
    if callable(found.content):
        return fetched(found.content("inline", 60))[1]
    return await found.content.part(0, found.size)


def fetched(url: str) -> tuple[Mapping[str, str], bytes]:
    with urllib.request.urlopen(url, timeout=10) as response:
        return httpx.Headers(dict(response.headers)), response.read()


@pytest.mark.parametrize("owner", [None, "ann", "ann & bøb/…\n"])
async def test_what_was_kept_is_found(files: Files, owner: str | None) -> None:
    size = await files.write(NAME, "text/plain; charset=utf-8", owner, in_pieces(b"Good ", b"morning"))
    found = await files.find(NAME)

    assert found is not None
    assert (found.name, found.type, found.owner, found.size) == (NAME, "text/plain; charset=utf-8", owner, 12)
    assert (size, await content_of(found)) == (12, b"Good morning")
    assert await files.read(NAME) == b"Good morning"


async def test_what_was_dropped_is_gone(files: Files) -> None:
    await files.write(NAME, "text/plain", None, in_pieces(b"x"))
    await files.delete(NAME)
    await files.delete(NAME)

    assert await files.find(NAME) is None
    assert await files.read(NAME) is None


async def test_names_are_kept_apart(files: Files) -> None:
    names = [fresh_name(name) for name in ("a.txt", "a.txt", "Blüten 花.txt", "")]
    for name in names:
        await files.write(name, "text/plain", None, in_pieces(name.encode()))
    await files.delete(names[0])

    assert [(await content_of(await files.find(name))).decode() for name in names[1:]] == names[1:]


async def test_what_does_not_come_to_its_end_leaves_nothing(files: Files, tmp_path: Path) -> None:
    async def cut() -> AsyncIterator[bytes]:
        yield b"x" * 100_000
        raise ValueError("cut")

    with pytest.raises(ValueError, match="cut"):
        await files.write(NAME, "text/plain", None, cut())

    assert await files.find(NAME) is None
    if isinstance(files, FolderFiles):
        assert list(files.path.iterdir()) == []


async def test_a_file_of_megabytes_is_kept_as_it_is(files: Files) -> None:
    data = os.urandom(3 * 2**20 + 1)
    await files.write(
        NAME, "image/png", "ann", in_pieces(*(data[at : at + 65_536] for at in range(0, len(data), 65_536)))
    )

    assert await content_of(await files.find(NAME)) == data


# A folder


@pytest.mark.parametrize("name", ["../secret", "..", ".", "", "/etc/passwd", "a/b", f"{NAME}/data", f"../files/{NAME}"])
async def test_nothing_outside_its_folder_is_found_or_dropped(tmp_path: Path, name: str) -> None:
    files = FolderFiles(tmp_path / "files")
    await files.write(NAME, "text/plain", None, in_pieces(b"x"))
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "data").write_bytes(b"s3cret")
    (tmp_path / "secret" / "about.json").write_bytes(b'{"type":"text/plain","owner":null}')
    await files.delete(name)

    assert await files.find(name) is None
    assert await files.read(name) is None
    assert (tmp_path / "secret" / "data").read_bytes() == b"s3cret"
    assert await files.find(NAME) is not None


async def test_files_are_their_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        await FolderFiles(tmp_path / "all" / "up").write(NAME, "text/plain", None, in_pieces(b"hi"))
    finally:
        os.umask(before)
    modes = {path.relative_to(tmp_path).as_posix(): path.stat().st_mode for path in (tmp_path / "all").rglob("*")}

    assert len(modes) == 4
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


async def test_what_a_process_left_behind_is_taken_away_in_time(tmp_path: Path) -> None:
    old, young = tmp_path / ".part-0", tmp_path / ".gone-1"
    for part in (old, young):
        part.mkdir()
        (part / "data").write_bytes(b"x")
    os.utime(old, (0, 0))
    await FolderFiles(tmp_path).write(NAME, "text/plain", None, in_pieces(b"x"))

    assert {path.name for path in tmp_path.iterdir()} == {NAME, ".gone-1"}


async def test_a_folder_that_cannot_be_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(StoreUnavailable, match="file"):
        await FolderFiles(tmp_path / "file").write(NAME, "text/plain", None, in_pieces(b"x"))


# The store


async def test_a_file_outlives_the_server(tmp_path: Path) -> None:
    for number in range(2):
        store = SqliteStore(tmp_path / "bees.db")
        await store.open()
        if number == 0:
            await StoreFiles(store).write(NAME, "text/plain", "ann", in_pieces(b"x"))
        else:
            assert await content_of(await StoreFiles(store).find(NAME)) == b"x"
        await store.aclose()


# S3


async def test_a_bucket_that_is_not_there_is_unavailable() -> None:
    with storage() as client:
        files = S3Files("wasps", client=client)
        with pytest.raises(StoreUnavailable, match="wasps"):
            await files.write(NAME, "text/plain", None, in_pieces(b"x"))
    with pytest.raises(StoreUnavailable, match="wasps"):  # now the whole storage is away
        await files.find(NAME)


async def test_a_link_serves_the_file_with_its_type_and_name_until_it_expires() -> None:
    with storage() as client:
        files = S3Files("bees", prefix="files/", client=client)
        await files.write(NAME, "image/png", None, in_pieces(b"x"))
        found = await files.find(NAME)
        assert found is not None
        assert callable(found.content)
        link = found.content("inline; filename*=UTF-8''bees.png", 60)
        headers, content = fetched(link)

    assert content == b"x"
    assert headers["Content-Type"] == "image/png"
    assert headers["Content-Disposition"] == "inline; filename*=UTF-8''bees.png"
    assert "X-Amz-Expires=60" in link
    assert f"files/{NAME}" in link
