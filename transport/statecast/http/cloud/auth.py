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

from .authenticator import Authenticator
from .form import CloudRoute

__all__ = ["auth_routes"]


class _Refresh(msgspec.Struct):
    refresh_token: str


class _Revoked(msgspec.Struct):
    refresh_token: str | None = None


def auth_routes(authenticator: Authenticator, limits: Limits) -> list[Route]:
    """Return the routes that hand out tokens."""

    async def anonymous(request: Request) -> Response:
        if not authenticator.cloud.anonymous:
            raise Refusal(403, "anonymous_not_allowed", "this server gives no identity to whoever asks; sign in")
        return json_response(await authenticator.new_user())

    async def refresh(request: Request) -> Response:
        asked: _Refresh = await read_json(request.scope, request.receive, limits, _Refresh)
        return json_response(await authenticator.refresh(asked.refresh_token))

    async def revoke(request: Request) -> Response:
        asked: _Revoked = await read_json(request.scope, request.receive, limits, _Revoked)
        if asked.refresh_token is None:
            workspace = await _workspace_of_key(request)
        else:
            workspace = await authenticator.workspace_in(asked.refresh_token)
        await authenticator.revoke(workspace)
        return Response(status_code=204)

    async def _workspace_of_key(request: Request) -> str:
        principal = await authenticator.require(request.scope)
        if principal.by != "key":
            message = "expected a refresh_token, or an API key, with Aui-User-Id and Aui-Workspace-Id"
            raise Refusal(403, "api_key_required", message)
        return principal.workspace

    async def create(request: Request) -> Response:
        principal = await authenticator.require(request.scope)
        if principal.by != "key":
            message = "expected an API key, with Aui-User-Id and Aui-Workspace-Id: the app's own server makes tokens"
            raise Refusal(403, "api_key_required", message)
        return json_response({"token": await authenticator.access_token(principal.workspace, principal.user.id)})

    return [
        CloudRoute("/v1/auth/tokens/anonymous", anonymous, methods=["POST"]),
        CloudRoute("/v1/auth/tokens/refresh", refresh, methods=["POST"]),
        CloudRoute("/v1/auth/tokens/revoke", revoke, methods=["POST"]),
        CloudRoute("/v1/auth/tokens", create, methods=["POST"]),
    ]
