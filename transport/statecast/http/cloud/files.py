"""`/v1/files`: attachments of the cloud's client, uploaded and read through signed, expiring URLs.

The URL names the file's owner, because the upload request carries nothing else.
Source: docs/protocol/files.md, "Attachments".
"""

from __future__ import annotations

import time
from typing import Final
from urllib.parse import quote, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from statecast.files import Found, Uploads, disposition, filename_of, fresh_name, name_in
from statecast.http.attachments import Attachments, check_filename
from statecast.http.errors import UnknownFile
from statecast.http.operation import ANY_FILE, FILE, Operation, Reply
from statecast.http.request.body import read_json
from statecast.http.request.incoming import UploadBody
from statecast.http.response.errors import json_response
from statecast.http.service import Service
from statecast.http.summaries import timestamp
from statecast.protocol.errors import InvalidRequest, RequestError

from .authenticator import Authenticator
from .errors import FileExists, InvalidSignature, UrlExpired
from .form import cloud_form, cloud_operation

__all__ = ["file_operations"]

#: What a signature is for, so that none stands for another.
UPLOAD: Final = "upload"
DOWNLOAD: Final = "download"


class UploadUrlRequest(msgspec.Struct):
    """The name of a file to upload."""

    filename: str


class DownloadUrlRequest(msgspec.Struct):
    """A file: by its key, or by a URL with the key in it."""

    key: str | msgspec.UnsetType = msgspec.UNSET
    url: str | msgspec.UnsetType = msgspec.UNSET


class UploadUrl(msgspec.Struct, rename="camel"):
    """Where to put a file, until when, and where it will be."""

    success: bool
    signed_url: str
    expires_at: str
    public_url: str
    key: str


class DownloadUrl(msgspec.Struct, rename="camel"):
    """Where to get a file, and until when."""

    signed_url: str
    expires_at: str
    key: str


class StoredFile(msgspec.Struct, rename="camel"):
    """A file that was uploaded."""

    key: str
    public_url: str
    content_type: str
    size: int


def file_operations(service: Service, authenticator: Authenticator, uploads: Uploads) -> list[Operation]:
    """Return the operations on files, and those of the URLs that they return."""
    files, signing = _CloudFiles(service, authenticator, uploads), "/v1/files/attachments/generate-presigned-"
    signature, upload = {"expires": int, "owner": str, "signature": str}, "/v1/files/uploads/{name}"
    up, down, stored = Reply(UploadUrl), Reply(DownloadUrl), Reply(StoredFile)
    upload_url, download_url = f"{signing}upload-url", f"{signing}download-url"
    return [
        cloud_operation("POST", upload_url, files.upload_url, "A URL to upload a file to", up, UploadUrlRequest),
        cloud_operation("POST", download_url, files.download_url, "A URL of a file", down, DownloadUrlRequest),
        cloud_operation("PUT", upload, files.upload, "Upload a file to a signed URL", stored, ANY_FILE, signature),
        Operation("GET", "/v1/files/{name}", files.get, "A file", FILE, form=cloud_form),
    ]


class _CloudFiles:
    def __init__(self, service: Service, authenticator: Authenticator, uploads: Uploads) -> None:
        self._limits = service.hub.limits
        self._authenticator = authenticator
        self._uploads = uploads
        self._attachments = Attachments(service, uploads)
        self._coming: set[str] = set()  #: names of files that are under way

    async def upload_url(self, request: Request) -> Response:
        """Return the URL to upload a file to, and the URL that it will have."""
        principal = await self._authenticator.require(request.scope)
        posted: UploadUrlRequest = await read_json(request.scope, request.receive, self._limits, UploadUrlRequest)
        check_filename(posted.filename)
        name = fresh_name(posted.filename)
        query = await self._signed(UPLOAD, name, principal.workspace)
        base = f"{self._attachments.base(request)}/v1/files"
        return json_response(
            UploadUrl(
                success=True,
                signed_url=f"{base}/uploads/{_quoted(name)}?{urlencode({**query, 'owner': principal.workspace})}",
                expires_at=timestamp(int(query["expires"])),
                public_url=f"{base}/{_quoted(name)}",
                key=name,
            )
        )

    async def download_url(self, request: Request) -> Response:
        """Return a URL to download one of the caller's files."""
        principal = await self._authenticator.require(request.scope)
        posted: DownloadUrlRequest = await read_json(request.scope, request.receive, self._limits, DownloadUrlRequest)
        found = await self._attachments.owned(_name_of(posted), principal.workspace)
        query = await self._signed(DOWNLOAD, found.name, None)
        url, expires_at = self._link(found, query, request), timestamp(int(query["expires"]))
        return json_response(DownloadUrl(signed_url=url, expires_at=expires_at, key=found.name))

    async def upload(self, request: Request) -> Response:
        """Store the body as a file, if the URL's signature is valid."""
        name, owner = request.path_params["name"], request.query_params.get("owner")
        incoming = self._attachments.incoming(request)
        try:
            await self._check(request, UPLOAD, name, owner)
            stored = await self._store(name, owner, incoming, request)
        except RequestError:
            await incoming.drain()
            raise
        url = f"{self._attachments.base(request)}/v1/files/{_quoted(name)}"
        return json_response(StoredFile(name, url, stored.type, stored.size))

    async def get(self, request: Request) -> Response:
        """Serve a file to anyone who knows its name; a signed URL only until it expires."""
        name = request.path_params["name"]
        if "signature" in request.query_params:
            await self._check(request, DOWNLOAD, name, None)
        return await self._attachments.serve(request, name)

    async def _store(self, name: str, owner: str | None, incoming: UploadBody, request: Request) -> Found:
        used = FileExists("expected a signed URL without a file, got a used one; request a new one")
        if name in self._coming:
            raise used
        self._coming.add(name)
        try:
            if await self._attachments.has(name):
                raise used
            return await self._attachments.store(name, filename_of(name), owner, incoming, request)
        finally:
            self._coming.discard(name)

    def _link(self, found: Found, query: dict[str, str], request: Request) -> str:
        if callable(found.content):
            return found.content(disposition(found.type, filename_of(found.name)), self._uploads.expires)
        return f"{self._attachments.base(request)}/v1/files/{_quoted(found.name)}?{urlencode(query)}"

    async def _signed(self, use: str, name: str, owner: str | None) -> dict[str, str]:
        """Return the signature and expiry parameters of a URL."""
        expires = int(time.time()) + self._uploads.expires
        signer = await self._attachments.signer()
        signature = signer.sign(use, name, expires, owner, self._uploads.limit)
        return {"expires": str(expires), "signature": signature}

    async def _check(self, request: Request, use: str, name: str, owner: str | None) -> None:
        """Check a URL's signature and expiry.

        Raises:
            RequestError: `invalid_signature` or `url_expired`.
        """
        given, expires = request.query_params.get("signature", ""), request.query_params.get("expires", "")
        signer = await self._attachments.signer()
        until = int(expires) if expires.isascii() and expires.isdigit() and len(expires) < 16 else -1
        if not signer.agrees(given, use, name, until, owner, self._uploads.limit):
            raise InvalidSignature("expected a URL that this server signed, got a changed one")
        if time.time() >= until:
            raise UrlExpired("the URL has expired; request a new one")


def _name_of(posted: DownloadUrlRequest) -> str:
    """Return the name of the file that is asked for; that of a URL is in it."""
    if isinstance(posted.key, str) and isinstance(posted.url, msgspec.UnsetType):
        return posted.key
    if isinstance(posted.url, str) and isinstance(posted.key, msgspec.UnsetType):
        name = name_in(posted.url)
        if name is None:
            raise UnknownFile()
        return name
    raise InvalidRequest('expected either a "key" or a "url"')


def _quoted(name: str) -> str:
    return quote(name, safe="")
