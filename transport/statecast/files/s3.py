"""Files in S3, or storage that is compatible with it; needs the extra `s3`.

What is uploaded passes through the server, so that its limits hold; what is downloaded comes from the bucket.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from typing import IO, Any, Final, TypeVar
from urllib.parse import quote, unquote

import anyio.to_thread

from statecast.stores import StoreUnavailable

from .base import Found

__all__ = ["S3Files"]

_T = TypeVar("_T")

#: What the storage says of an object that is not there; the answer to HEAD has no more than its status.
_NO_OBJECT: Final = ("404", "NoSuchKey")


class S3Files:
    """Stores files in a bucket.

    Args:
        bucket: Its name. It need not be public, and should not be.
        prefix: What the objects' keys start with, such as `attachments/`.
        client: boto3's, for credentials, a region or an endpoint of one's own; default: what boto3 finds by itself.

    Raises:
        ImportError: boto3 is not installed.
    """

    def __init__(self, bucket: str, *, prefix: str = "", client: Any = None) -> None:
        self.bucket = bucket
        self.prefix = prefix
        self._client = _client() if client is None else client

    async def write(self, name: str, type: str, owner: str | None, pieces: AsyncIterator[bytes]) -> int:
        """Write a file, through a temporary one until it is complete."""
        metadata = {} if owner is None else {"owner": quote(owner)}  # which must be ASCII
        spool: IO[bytes] = await anyio.to_thread.run_sync(tempfile.TemporaryFile)
        with spool:
            size = 0
            async for piece in pieces:
                size += len(piece)
                await anyio.to_thread.run_sync(spool.write, piece)
            spool.seek(0)
            await self._do(
                lambda: self._client.put_object(
                    **self._object(name), Body=spool, ContentLength=size, ContentType=type, Metadata=metadata
                )
            )
        return size

    async def find(self, name: str) -> Found | None:
        """Return a file."""
        head = await self._do(lambda: self._client.head_object(**self._object(name)))
        if head is None:
            return None
        owner = head["Metadata"].get("owner")
        owner = None if owner is None else unquote(owner)
        return Found(name, head["ContentType"], owner, head["ContentLength"], lambda *how: self._link(name, *how))

    async def read(self, name: str) -> bytes | None:
        """Return the bytes of a file."""
        return await self._do(lambda: _body(self._client.get_object(**self._object(name))))

    async def delete(self, name: str) -> None:
        """Delete a file."""
        await self._do(lambda: self._client.delete_object(**self._object(name)))

    def _object(self, name: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.prefix + name}

    def _link(self, name: str, disposition: str, seconds: int) -> str:
        asked = {**self._object(name), "ResponseContentDisposition": disposition}
        link: str = self._client.generate_presigned_url("get_object", Params=asked, ExpiresIn=seconds)
        return link

    async def _do(self, function: Callable[[], _T]) -> _T | None:
        """Send a request to the storage; return None if it has no such object."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return await anyio.to_thread.run_sync(function)
        except ClientError as error:
            if error.response["Error"]["Code"] in _NO_OBJECT:
                return None
            raise self._failed(error) from error
        except (BotoCoreError, OSError) as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(f"the bucket {self.bucket} failed: {error}")


def _body(answer: Any) -> bytes:
    with answer["Body"] as body:
        data: bytes = body.read()
    return data


def _client() -> Any:
    try:
        import boto3
        from botocore.config import Config
    except ImportError:
        raise ImportError('S3Files needs boto3: pip install "statecast[s3]"') from None
    # Otherwise links are signed as many other storages no longer accept.
    return boto3.client("s3", config=Config(signature_version="s3v4"))
