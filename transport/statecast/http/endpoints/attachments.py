"""`/attachments`: upload, serve and delete files, for hand-written attachment adapters.

Source: docs/protocol/files.md, "Attachments".
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from statecast.files import Uploads, fresh_name
from statecast.http.attachments import Attachments, check_filename
from statecast.http.errors import OriginNotAllowed
from statecast.http.middleware.cors import is_welcome
from statecast.http.operation import ANY_FILE, DONE, FILE, Operation, Reply
from statecast.http.response.errors import json_response
from statecast.http.service import Service
from statecast.protocol.errors import RequestError

__all__ = ["file_operations"]


class Uploaded(msgspec.Struct, rename="camel"):
    """A file that was uploaded."""

    id: str
    url: str
    name: str
    content_type: str
    size: int


def file_operations(service: Service, uploads: Uploads, origins: frozenset[str] = frozenset()) -> list[Operation]:
    """Return the operations that an attachment adapter needs.

    Args:
        service: For the owner of a file, and the store.
        uploads: What may be uploaded, and where it is stored.
        origins: Whose pages may upload, beside this server's own; `*` for any.
    """
    files, path = _Files(service, uploads, origins), "/attachments/{name}"
    upload = files.upload
    return [
        Operation("POST", "/attachments", upload, "Upload a file", {201: Reply(Uploaded)}, ANY_FILE, {"name": str}),
        Operation("GET", path, files.get, "A file", FILE),
        Operation("DELETE", path, files.delete, "Delete a file of one's own", {204: DONE}),
    ]


class _Files:
    def __init__(self, service: Service, uploads: Uploads, origins: frozenset[str]) -> None:
        self._service = service
        self._origins = origins
        self._attachments = Attachments(service, uploads)

    async def upload(self, request: Request) -> Response:
        """Store the body as a file."""
        incoming = self._attachments.incoming(request)
        try:
            # Browsers let any page post text and forms without asking first.
            if not is_welcome(request.headers, self._origins):
                origin = request.headers["origin"][:100]
                message = (
                    f'expected a page that may use this server, got one of "{origin}"; allow it with --cors-origin'
                )
                raise OriginNotAllowed(message)
            filename = request.query_params.get("name", "")
            check_filename(filename)
            owner = await self._service.owner(request.scope)
            stored = await self._attachments.store(fresh_name(filename), filename, owner, incoming, request)
        except (RequestError, HTTPException):
            await incoming.drain()
            raise
        url = f"{self._attachments.base(request)}/attachments/{quote(stored.name, safe='')}"
        uploaded = Uploaded(stored.name, url, filename, stored.type, stored.size)
        return json_response(uploaded, status=201, headers={"location": url})

    async def get(self, request: Request) -> Response:
        """Serve a file to anyone who knows its name: a page's image requests carry no credentials."""
        return await self._attachments.serve(request, request.path_params["name"])

    async def delete(self, request: Request) -> Response:
        """Delete a file."""
        owner = await self._service.owner(request.scope)
        await self._attachments.delete(request.path_params["name"], owner)
        return Response(status_code=204)
