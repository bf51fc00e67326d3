"""`/attachments`: upload a file, serve it, delete it. For attachment adapters that someone has written by hand.

Source: docs/protocol.md, "Attachments".
"""

from __future__ import annotations

from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from statecast.files import Uploads, fresh_name
from statecast.http.attachments import Attachments, check_filename
from statecast.http.middleware.cors import is_welcome
from statecast.http.response.errors import json_response
from statecast.http.service import Service
from statecast.protocol.errors import Refusal

__all__ = ["file_routes"]


def file_routes(service: Service, uploads: Uploads, origins: frozenset[str] = frozenset()) -> list[Route]:
    """Return what an adapter asks for.

    Args:
        service: What is served.
        uploads: What may be uploaded, and where it is kept.
        origins: Whose pages may upload, beside this server's own; `*` for any.
    """
    files = _Files(service, uploads, origins)
    return [
        Route("/attachments", files.upload, methods=["POST"]),
        Route("/attachments/{name}", files.get, methods=["GET"]),
        Route("/attachments/{name}", files.delete, methods=["DELETE"]),
    ]


class _Files:
    def __init__(self, service: Service, uploads: Uploads, origins: frozenset[str]) -> None:
        self._service = service
        self._origins = origins
        self._attachments = Attachments(service, uploads)

    async def upload(self, request: Request) -> Response:
        """Keep the body as a file."""
        incoming = self._attachments.incoming(request)
        try:
            # Browsers let any page post text and forms without asking first.
            if not is_welcome(request.headers, self._origins):
                origin = request.headers["origin"][:100]
                message = (
                    f'expected a page that may use this server, got one of "{origin}"; allow it with --cors-origin'
                )
                raise Refusal(403, "origin_not_allowed", message)
            filename = request.query_params.get("name", "")
            check_filename(filename)
            owner = await self._service.owner(request.scope)
            taken = await self._attachments.take(fresh_name(filename), filename, owner, incoming, request)
        except (Refusal, HTTPException):
            await incoming.drain()
            raise
        url = f"{self._attachments.base(request)}/attachments/{quote(taken.name, safe='')}"
        fields = {"id": taken.name, "url": url, "name": filename, "contentType": taken.type, "size": taken.size}
        return json_response(fields, status=201, headers={"location": url})

    async def get(self, request: Request) -> Response:
        """Serve a file to whoever has its name: pages load it as an image, which says nothing of who asks."""
        return await self._attachments.serve(request, request.path_params["name"])

    async def delete(self, request: Request) -> Response:
        """Keep a file no longer."""
        owner = await self._service.owner(request.scope)
        await self._attachments.drop(request.path_params["name"], owner)
        return Response(status_code=204)
