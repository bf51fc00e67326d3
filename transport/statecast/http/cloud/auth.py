"""`/v1/auth/tokens`: identities for pages without a sign-in, and tokens for those with one."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from statecast.http.request.body import read_json
from statecast.http.response.errors import json_response
from statecast.protocol.errors import Refusal
from statecast.threads import Limits

from .form import CloudRoute
from .identity import Identity

__all__ = ["auth_routes"]


class _Refresh(msgspec.Struct):
    refresh_token: str


class _Revoked(msgspec.Struct):
    refresh_token: str | None = None


def auth_routes(identity: Identity, limits: Limits) -> list[Route]:
    """Return the routes that hand out tokens."""

    async def anonymous(request: Request) -> Response:
        if not identity.cloud.anonymous:
            raise Refusal(403, "anonymous_not_allowed", "this server gives no identity to whoever asks; sign in")
        return json_response(await identity.anonymous())

    async def refresh(request: Request) -> Response:
        asked: _Refresh = await read_json(request.scope, request.receive, limits, _Refresh)
        return json_response(await identity.renewed(asked.refresh_token))

    async def revoke(request: Request) -> Response:
        asked: _Revoked = await read_json(request.scope, request.receive, limits, _Revoked)
        if asked.refresh_token is None:
            workspace = await _spoken_for(request)
        else:
            workspace = await identity.holder_of(asked.refresh_token)
        await identity.revoke(workspace)
        return Response(status_code=204)

    async def _spoken_for(request: Request) -> str:
        who = await identity.required(request.scope)
        if who.by != "key":
            message = "expected a refresh_token, or an API key, with Aui-User-Id and Aui-Workspace-Id"
            raise Refusal(403, "api_key_required", message)
        return who.workspace

    async def create(request: Request) -> Response:
        who = await identity.required(request.scope)
        if who.by != "key":
            message = "expected an API key, with Aui-User-Id and Aui-Workspace-Id: the app's own server makes tokens"
            raise Refusal(403, "api_key_required", message)
        return json_response({"token": await identity.access(who.workspace, who.user.id)})

    return [
        CloudRoute("/v1/auth/tokens/anonymous", anonymous, methods=["POST"]),
        CloudRoute("/v1/auth/tokens/refresh", refresh, methods=["POST"]),
        CloudRoute("/v1/auth/tokens/revoke", revoke, methods=["POST"]),
        CloudRoute("/v1/auth/tokens", create, methods=["POST"]),
    ]
