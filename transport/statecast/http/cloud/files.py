"""`/v1/files`: attachments as the cloud's client uploads them, with a signed URL that works for a while.

The URL says whose file it will be, since the request that brings the bytes carries nothing else.
Source: docs/protocol.md, "Attachments".
"""

from __future__ import annotations

import time
from typing import Final
from urllib.parse import quote, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from statecast.files import Found, Uploads, disposition, filename_of, fresh_name, name_in
from statecast.http.attachments import Attachments, check_filename
from statecast.http.request.body import read_json
from statecast.http.request.incoming import UploadBody
from statecast.http.response.errors import json_response
from statecast.http.response.file import unknown_file
from statecast.http.service import Service
from statecast.http.summaries import timestamp
from statecast.protocol.errors import Refusal

from .authenticator import Authenticator
from .form import CloudRoute

__all__ = ["cloud_file_routes"]

#: What a signature is for, so that none stands for another.
UPLOAD: Final = "upload"
DOWNLOAD: Final = "download"


def cloud_file_routes(service: Service, authenticator: Authenticator, uploads: Uploads) -> list[Route]:
    """Return what the cloud's client asks for, and the URLs that it is given."""
    files = _CloudFiles(service, authenticator, uploads)
    signing = "/v1/files/attachments/generate-presigned-"
    return [
        CloudRoute(f"{signing}upload-url", files.upload_url, methods=["POST"]),
        CloudRoute(f"{signing}download-url", files.download_url, methods=["POST"]),
        CloudRoute("/v1/files/uploads/{name}", files.upload, methods=["PUT"]),
        CloudRoute("/v1/files/{name}", files.get, methods=["GET"]),
    ]


class _UploadAsked(msgspec.Struct):
    filename: str


class _DownloadAsked(msgspec.Struct):
    key: str | msgspec.UnsetType = msgspec.UNSET
    url: str | msgspec.UnsetType = msgspec.UNSET


class _CloudFiles:
    def __init__(self, service: Service, authenticator: Authenticator, uploads: Uploads) -> None:
        self._limits = service.hub.limits
        self._authenticator = authenticator
        self._uploads = uploads
        self._attachments = Attachments(service, uploads)
        self._coming: set[str] = set()  #: names of files that are under way

    async def upload_url(self, request: Request) -> Response:
        """Return where to put a file, and where it will be."""
        principal = await self._authenticator.require(request.scope)
        asked: _UploadAsked = await read_json(request.scope, request.receive, self._limits, _UploadAsked)
        check_filename(asked.filename)
        name = fresh_name(asked.filename)
        query = await self._signed(UPLOAD, name, principal.workspace)
        base = f"{self._attachments.base(request)}/v1/files"
        return json_response(
            {
                "success": True,
                "signedUrl": f"{base}/uploads/{_quoted(name)}?{urlencode({**query, 'owner': principal.workspace})}",
                "expiresAt": timestamp(int(query["expires"])),
                "publicUrl": f"{base}/{_quoted(name)}",
                "key": name,
            }
        )

    async def download_url(self, request: Request) -> Response:
        """Return where to get a file of one's own."""
        principal = await self._authenticator.require(request.scope)
        asked: _DownloadAsked = await read_json(request.scope, request.receive, self._limits, _DownloadAsked)
        found = await self._attachments.owned(_name_of(asked), principal.workspace)
        query = await self._signed(DOWNLOAD, found.name, None)
        return json_response(
            {
                "signedUrl": self._link(found, query, request),
                "expiresAt": timestamp(int(query["expires"])),
                "key": found.name,
            }
        )

    async def upload(self, request: Request) -> Response:
        """Keep the body as a file, if the URL is one that was given out."""
        name, owner = request.path_params["name"], request.query_params.get("owner")
        incoming = self._attachments.incoming(request)
        try:
            await self._check(request, UPLOAD, name, owner)
            taken = await self._take(name, owner, incoming, request)
        except Refusal:
            await incoming.drain()
            raise
        url = f"{self._attachments.base(request)}/v1/files/{_quoted(name)}"
        return json_response({"key": name, "publicUrl": url, "contentType": taken.type, "size": taken.size})

    async def get(self, request: Request) -> Response:
        """Serve a file to whoever has its name; by a URL with a signature, as long as that holds."""
        name = request.path_params["name"]
        if "signature" in request.query_params:
            await self._check(request, DOWNLOAD, name, None)
        return await self._attachments.serve(request, name)

    async def _take(self, name: str, owner: str | None, incoming: UploadBody, request: Request) -> Found:
        used = Refusal(
            409, "file_exists", "expected a URL that nothing was put to, got one that was used; ask for another"
        )
        if name in self._coming:
            raise used
        self._coming.add(name)
        try:
            if await self._attachments.has(name):
                raise used
            return await self._attachments.take(name, filename_of(name), owner, incoming, request)
        finally:
            self._coming.discard(name)

    def _link(self, found: Found, query: dict[str, str], request: Request) -> str:
        if callable(found.content):
            return found.content(disposition(found.type, filename_of(found.name)), self._uploads.expires)
        return f"{self._attachments.base(request)}/v1/files/{_quoted(found.name)}?{urlencode(query)}"

    async def _signed(self, use: str, name: str, owner: str | None) -> dict[str, str]:
        """Return what a URL carries so that it works until it expires."""
        expires = int(time.time()) + self._uploads.expires
        signer = await self._attachments.signer()
        signature = signer.sign(use, name, expires, owner, self._uploads.limit)
        return {"expires": str(expires), "signature": signature}

    async def _check(self, request: Request, use: str, name: str, owner: str | None) -> None:
        """Check that a URL is one that was given out, and still works.

        Raises:
            Refusal: 403 `invalid_signature` or `url_expired`.
        """
        given, expires = request.query_params.get("signature", ""), request.query_params.get("expires", "")
        signer = await self._attachments.signer()
        until = int(expires) if expires.isascii() and expires.isdigit() and len(expires) < 16 else -1
        if not signer.agrees(given, use, name, until, owner, self._uploads.limit):
            raise Refusal(403, "invalid_signature", "expected a URL as this server has signed it, got another")
        if time.time() >= until:
            raise Refusal(403, "url_expired", "the URL has expired; ask for another")


def _name_of(asked: _DownloadAsked) -> str:
    """Return the name of the file that is asked for; that of a URL is in it."""
    if isinstance(asked.key, str) and isinstance(asked.url, msgspec.UnsetType):
        return asked.key
    if isinstance(asked.url, str) and isinstance(asked.key, msgspec.UnsetType):
        name = name_in(asked.url)
        if name is None:
            raise unknown_file()
        return name
    raise Refusal(422, "invalid_request", 'expected either a "key" or a "url"')


def _quoted(name: str) -> str:
    return quote(name, safe="")
