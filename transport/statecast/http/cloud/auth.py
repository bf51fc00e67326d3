"""`/v1/auth/tokens`: anonymous identities, and tokens for signed-in users."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from statecast.http.operation import DONE, Operation
from statecast.http.request.body import read_json
from statecast.http.response.errors import json_response
from statecast.threads import Limits

from .authenticator import Authenticator
from .errors import AnonymousNotAllowed, ApiKeyRequired
from .form import OBJECT, cloud_operation

__all__ = ["auth_operations"]


class RefreshRequest(msgspec.Struct):
    """A refresh token to exchange for new tokens."""

    refresh_token: str


class RevokeRequest(msgspec.Struct):
    """A refresh token whose workspace's tokens to revoke; with an API key, none is needed."""

    refresh_token: str | None = None


def auth_operations(authenticator: Authenticator, limits: Limits) -> list[Operation]:
    """Return the operations on tokens."""

    async def anonymous(request: Request) -> Response:
        if not authenticator.cloud.anonymous:
            raise AnonymousNotAllowed("this server issues no anonymous identities; sign in")
        return json_response(await authenticator.new_user())

    async def refresh(request: Request) -> Response:
        posted: RefreshRequest = await read_json(request.scope, request.receive, limits, RefreshRequest)
        return json_response(await authenticator.refresh(posted.refresh_token))

    async def revoke(request: Request) -> Response:
        posted: RevokeRequest = await read_json(request.scope, request.receive, limits, RevokeRequest)
        if posted.refresh_token is None:
            workspace = await _workspace_of_key(request)
        else:
            workspace = await authenticator.workspace_in(posted.refresh_token)
        await authenticator.revoke(workspace)
        return Response(status_code=204)

    async def _workspace_of_key(request: Request) -> str:
        principal = await authenticator.require(request.scope)
        if principal.by != "key":
            message = "expected a refresh_token, or an API key, with Aui-User-Id and Aui-Workspace-Id"
            raise ApiKeyRequired(message)
        return principal.workspace

    async def create(request: Request) -> Response:
        principal = await authenticator.require(request.scope)
        if principal.by != "key":
            message = "expected an API key, with Aui-User-Id and Aui-Workspace-Id: the app's own server makes tokens"
            raise ApiKeyRequired(message)
        return json_response({"token": await authenticator.access_token(principal.workspace, principal.user.id)})

    return [
        cloud_operation("POST", "/v1/auth/tokens/anonymous", anonymous, "Tokens for a new anonymous user", OBJECT),
        cloud_operation("POST", "/v1/auth/tokens/refresh", refresh, "Refresh the tokens", OBJECT, RefreshRequest),
        cloud_operation("POST", "/v1/auth/tokens/revoke", revoke, "Revoke all tokens of a user", DONE, RevokeRequest),
        cloud_operation("POST", "/v1/auth/tokens", create, "A token for a user of the app", OBJECT),
    ]
