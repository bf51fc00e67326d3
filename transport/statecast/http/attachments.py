"""`Attachments`: receiving, finding and serving files, for all clients' endpoints."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncGenerator, Awaitable, Collection, Iterable
from secrets import token_bytes
from typing import Final, TypeVar
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from statecast.files import (
    MAX_NAME,
    SECRET_BYTES,
    Found,
    Signer,
    StoreFiles,
    Uploads,
    is_among,
    is_name,
    media_type,
    names_among,
)
from statecast.protocol.errors import InvalidRequest
from statecast.stores import Damaged

from .errors import FileDamaged, UnknownFile, UnsupportedMediaType
from .request.incoming import UploadBody
from .response.file import serve
from .service import Service

__all__ = ["Attachments", "check_filename"]

_T = TypeVar("_T")

#: Files that go with a thread.
MOST: Final = 1_000

#: The name of the secret that signs URLs.
SECRET: Final = "uploads"


class Attachments:
    """Receive, find and serve uploaded files.

    Args:
        service: For the store.
        uploads: What may be uploaded, and where it is kept.
    """

    def __init__(self, service: Service, uploads: Uploads) -> None:
        self.uploads = uploads
        self._directory = service.hub.directory
        self._files = uploads.where or StoreFiles(service.hub.registry.store)

    async def signer(self) -> Signer:
        """Return the signer of URLs.

        Raises:
            RequestError: `store_unavailable`.
        """
        return Signer(await self._directory.secret(SECRET, token_bytes(SECRET_BYTES)))

    async def store(self, name: str, filename: str, owner: str | None, incoming: UploadBody, request: Request) -> Found:
        """Store the file in a request's body, and return its description.

        Raises:
            RequestError: `unsupported_media_type`; `store_unavailable`; as `UploadBody`.
        """
        kind = self._type_of(request, filename)
        incoming.check()
        await self.signer()  # opens the store, where nobody has yet
        size = await _checked(self._files.write(name, kind, owner, incoming))
        return Found(name, kind, owner, size, b"")

    async def find(self, name: str) -> Found:
        """Return a file without checking its owner.

        Raises:
            RequestError: `unknown_file`; `store_unavailable`.
        """
        await self.signer()
        found = await _checked(self._files.find(name)) if is_name(name) else None
        if found is None:
            raise UnknownFile()
        return found

    async def has(self, name: str) -> bool:
        """Return whether there is a file of that name.

        Raises:
            RequestError: `store_unavailable`.
        """
        await self.signer()
        return is_name(name) and await _checked(self._files.find(name)) is not None

    async def owned(self, name: str, owner: str | None) -> Found:
        """Return a file of an owner.

        Raises:
            RequestError: As `find`; somebody else's is unknown.
        """
        found = await self.find(name)
        if found.owner != owner:
            raise UnknownFile()
        return found

    async def delete(self, name: str, owner: str | None) -> None:
        """Delete a file of an owner's.

        Raises:
            RequestError: As `owned`.
        """
        await self.owned(name, owner)
        await _checked(self._files.delete(name))

    async def delete_named(
        self, texts: Iterable[bytes], owners: Collection[str | None], spared: AsyncGenerator[bytes, None]
    ) -> None:
        """Delete the files that these texts name and one of these owners has, but not those that spared texts name.

        Up to a limit of files. Spared texts are read only as long as there is a file to delete.

        Raises:
            StoreUnavailable: Some are not deleted.
        """
        found = dict.fromkeys(name for text in texts for name in names_among(text.decode(errors="replace")))
        async with contextlib.aclosing(spared):
            while found and (text := await anext(spared, None)) is not None:
                for name in names_among(text.decode(errors="replace")):
                    found.pop(name, None)
        for name in itertools.islice(found, MOST):
            file = await self._files.find(name)
            if file is not None and file.owner in owners:
                await self._files.delete(name)

    async def serve(self, request: Request, name: str) -> Response:
        """Return the response with a file.

        Raises:
            RequestError: As `find`; `range_not_satisfiable`.
        """
        return serve(await self.find(name), request.scope, seconds=self.uploads.expires)

    def incoming(self, request: Request) -> UploadBody:
        """Return a request's body as a file."""
        limit, seconds, held = self.uploads.limit, self.uploads.seconds, self.uploads.where is None
        return UploadBody(request.scope, request.receive, limit=limit, seconds=seconds, held=held)

    def base(self, request: Request) -> str:
        """Return the URL under which clients reach this app, without a trailing slash."""
        if self.uploads.public_url is not None:
            return self.uploads.public_url.rstrip("/")
        return f"{request.url.scheme}://{request.url.netloc}{quote(request.scope.get('root_path', ''))}"

    def _type_of(self, request: Request, filename: str) -> str:
        given = request.headers.get("content-type", "")
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding != "identity":
            message = f'expected an uncompressed file, got one encoded as "{encoding[:40]}"'
            raise UnsupportedMediaType(message)
        kind = media_type(given, filename)
        if kind is None or kind.startswith("multipart/") or not is_among(kind, self.uploads.types):
            expected = ", ".join(self.uploads.types)
            got = kind or given[:80]
            message = f'expected the bytes of a file as the body, with one of the types {expected}; got "{got}"'
            raise UnsupportedMediaType(message, types=list(self.uploads.types))
        return kind


def check_filename(filename: str) -> None:
    """Check the length of a file's name. Unsafe characters in it are replaced later.

    Raises:
        RequestError: `invalid_request`.
    """
    if len(filename) > MAX_NAME:
        message = f"expected a file's name of at most {MAX_NAME} characters, got {len(filename)}"
        raise InvalidRequest(message, limit=MAX_NAME)


async def _checked(doing: Awaitable[_T]) -> _T:
    try:
        return await doing
    except Damaged:
        raise FileDamaged() from None
