"""What the tests of attachments have in common: places to keep files, and a real server of an S3-compatible storage."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from moto.server import ThreadedMotoServer

from statecast.files import Files, FolderFiles, S3Files, StoreFiles
from statecast.stores import MemoryStore, SqliteStore

PLACES = ["memory", "sqlite", "folder", "s3"]

NAME = f"file_{'x' * 32}-bees.txt"


@contextlib.contextmanager
def storage() -> Iterator[Any]:
    """Yield boto3's client of a storage in which the bucket `bees` is."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        client = boto3.client(
            "s3",
            endpoint_url=f"http://{host}:{port}",
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            config=Config(signature_version="s3v4", retries={"max_attempts": 0}),
        )
        client.create_bucket(Bucket="bees")
        yield client
        client.close()
    finally:
        server.stop()


@contextlib.asynccontextmanager
async def place(kind: str, folder: Path) -> AsyncIterator[Files]:
    """Yield somewhere to keep files."""
    if kind == "folder":
        yield FolderFiles(folder / "files")
    elif kind == "s3":
        with storage() as client:
            yield S3Files("bees", prefix="files/", client=client)
    else:
        store = MemoryStore() if kind == "memory" else SqliteStore(folder / "bees.db")
        await store.open()
        yield StoreFiles(store)
        await store.aclose()


async def in_pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    """Yield pieces."""
    for piece in pieces:
        yield piece


@contextlib.contextmanager
def placed(kind: str, folder: Path) -> Iterator[Files | None]:
    """Yield the same for an app that opens its store itself; None: that store, in memory."""
    if kind == "s3":
        with storage() as client:
            yield S3Files("bees", prefix="files/", client=client)
    else:
        yield FolderFiles(folder / "files") if kind == "folder" else None
