"""`Authenticator`: tells who sends a request by a token of this server, an API key, or a token of a trusted issuer.

The owner of a thread is called a workspace here. Needs the extra `cloud` (PyJWT).
Source: docs/protocol/cloud.md, "The cloud API".
"""

from __future__ import annotations

import contextlib
import hmac
import secrets
import time
from collections.abc import Iterator
from typing import Any, Final, Literal, NoReturn

import jwt
from starlette.datastructures import Headers
from starlette.types import Scope

from statecast.http.errors import InvalidToken
from statecast.http.request.caller import Caller
from statecast.http.request.open_requests import open_request_of
from statecast.http.summaries import timestamp
from statecast.protocol.errors import InvalidRequest, RequestError, Unauthorized
from statecast.threads import Hub

from .issuers import PublishedKeys
from .refresh_tokens import RefreshTokens, Revoked
from .settings import OURS, Cloud, CloudUser, Issuer

__all__ = ["Authenticator", "Principal", "sign_in_required"]

#: Characters of a workspace's or a user's name.
MAX_NAME: Final = 200

#: Seconds by which an issuer's clock may be ahead of ours.
LEEWAY: Final = 30.0

_ALGORITHM: Final = "HS256"


class Principal(Caller, frozen=True, kw_only=True):
    """A caller with credentials of the cloud API; `owner` is the user's workspace."""

    user: CloudUser
    by: Literal["token", "key", "issuer"]  #: the kind of the credentials

    @property
    def workspace(self) -> str:
        """The owner of their threads."""
        return self.user.workspace


class Authenticator:
    """Makes tokens and checks credentials. It is an `Authenticate`.

    Args:
        cloud: The settings.
        hub: Stores the key that signs our tokens, and which tokens are revoked; ends the streams of those.
    """

    def __init__(self, cloud: Cloud, hub: Hub) -> None:
        self.cloud = cloud
        self._directory = hub.directory
        self._key: str | None = cloud.secret
        self._refresh_tokens = RefreshTokens(hub.directory, hub.end_streams, shared=hub.shared)
        hub.watch_owners(self._refresh_tokens.revoked_at)
        self._published = {issuer.name: PublishedKeys(issuer.jwks_url) for issuer in cloud.issuers if issuer.jwks_url}

    async def __call__(self, scope: Scope, *, key_alone: bool = False) -> Principal | None:
        """Return who sends a request; None if it has no API key and no token of ours or of a trusted issuer.

        Args:
            scope: The request's.
            key_alone: Whether an API key may come without a user; the request is then nobody's.

        Raises:
            RequestError: `invalid_token` for a token of ours or of a trusted issuer that is forged, expired or revoked;
                `unauthorized` for an API key without a user; `invalid_request` for names that are too long.
        """
        headers = Headers(scope=scope)
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        if any(hmac.compare_digest(token.encode(), key.encode()) for key in self.cloud.api_keys):
            user, workspace = headers.get("aui-user-id"), headers.get("aui-workspace-id")
            if not user or not workspace:
                if key_alone:
                    return None
                raise _unauthorized()
            return _principal(CloudUser(id=_name(user), workspace=_name(workspace)), "key")
        name = _issuer_of(token)
        if name == OURS:
            claims = await self._check_ours(token, "access")
            with _revoked_is_invalid():
                await self._refresh_tokens.check(claims["sub"], claims["iat"], claims.get("gen"))
            user_id = claims.get("user", claims["sub"])
            return _principal(CloudUser(id=user_id, workspace=claims["sub"]), "token", claims["exp"])
        issuer = next((issuer for issuer in self.cloud.issuers if issuer.name == name), None)
        return None if issuer is None else await self._check_issued(token, issuer)

    async def require(self, scope: Scope) -> Principal:
        """Return who sends a request, at the endpoints of the cloud API.

        Raises:
            RequestError: `unauthorized` for a request without credentials; `too_many_requests`; as `__call__`.
        """
        principal = await self(scope)
        if principal is None:
            raise _unauthorized()
        open_request_of(scope).belong_to(principal.owner)
        return principal

    async def access_token(self, workspace: str, user: str) -> str:
        """Return an access token for a user of a workspace, valid for `Cloud.access_seconds`."""
        return await self._sign("access", self.cloud.access_seconds, sub=workspace, user=user)

    async def new_user(self) -> dict[str, Any]:
        """Return the tokens of a new anonymous user, who has a workspace alone."""
        return await self._tokens(f"anon_{secrets.token_hex(16)}", 0)

    async def refresh(self, token: str) -> dict[str, Any]:
        """Return new tokens in exchange for a refresh token, which is used up by that.

        Raises:
            RequestError: `invalid_token`; if it was used before, all tokens of the workspace are revoked.
        """
        claims = await self._check_ours(token, "refresh")
        with _revoked_is_invalid():
            generation = await self._refresh_tokens.renew(claims["sub"], claims["iat"], claims.get("gen", 0))
        return await self._tokens(claims["sub"], generation)

    async def workspace_of(self, token: str) -> str:
        """Return the workspace of a valid refresh token.

        Raises:
            RequestError: `invalid_token`.
        """
        claims = await self._check_ours(token, "refresh")
        with _revoked_is_invalid():
            await self._refresh_tokens.current(claims["sub"], claims["iat"], claims.get("gen", 0))
        workspace: str = claims["sub"]
        return workspace

    async def workspace_in(self, token: str) -> str:
        """Return the workspace that a refresh token names, even if it is used up or revoked.

        Raises:
            RequestError: `invalid_token` for an expired token, or one of another issuer.
        """
        workspace: str = (await self._check_ours(token, "refresh"))["sub"]
        return workspace

    async def revoke(self, workspace: str) -> None:
        """Revoke all tokens of this server for a workspace, and end the streams that were opened with them."""
        await self._refresh_tokens.revoke(workspace)

    async def _tokens(self, workspace: str, generation: int) -> dict[str, Any]:
        seconds = self.cloud.refresh_seconds
        fields = {"sub": workspace, "gen": generation}
        return {
            "access_token": await self._sign("access", self.cloud.access_seconds, user=workspace, **fields),
            "refresh_token": {
                "token": await self._sign("refresh", seconds, **fields),
                "expires_at": timestamp(time.time() + seconds),
            },
        }

    async def _signing_key(self) -> str:
        if self._key is None:
            self._key = (await self._directory.secret("tokens", secrets.token_hex(32).encode())).decode()
        return self._key

    async def _sign(self, use: str, seconds: float, **claims: Any) -> str:
        now = time.time()
        fields = {"iss": OURS, "use": use, "iat": now, "exp": int(now + seconds), **claims}
        return jwt.encode(fields, await self._signing_key(), _ALGORITHM)

    async def _check_ours(self, token: str, use: str) -> dict[str, Any]:
        try:
            key = await self._signing_key()
            claims = jwt.decode(token, key, [_ALGORITHM], issuer=OURS, options={"require": ["exp", "iat", "sub"]})
        except jwt.InvalidTokenError as error:
            raise _invalid(error) from None
        if claims.get("use") != use:
            raise _invalid(f"it is a token for {claims.get('use')!r:.20}, not for {use!r}")
        return claims

    async def _check_issued(self, token: str, issuer: Issuer) -> Principal:
        try:
            key: Any = issuer.key
            if key is None:
                key = await self._published[issuer.name].key(jwt.get_unverified_header(token).get("kid"))
            claims = jwt.decode(
                token,
                key,
                list(issuer.algorithms),
                issuer=issuer.name,
                audience=issuer.audience,
                leeway=LEEWAY,
                options={"require": ["exp"], "verify_aud": issuer.audience is not None},
            )
            if float(claims["exp"]) <= time.time():  # the leeway is for tokens that are too young
                raise jwt.ExpiredSignatureError("Signature has expired")
        except (jwt.PyJWTError, OverflowError) as error:  # a number of seconds may be any that JSON has
            raise _invalid(error) from None
        workspace, user = claims.get(issuer.workspace), claims.get(issuer.user)
        if not isinstance(workspace, str) or not isinstance(user, str) or not workspace or not user:
            raise _invalid(f'it names no workspace in "{issuer.workspace}", or no user in "{issuer.user}"')
        known = CloudUser(id=_name(user), workspace=_name(issuer.prefix + workspace), claims=claims)
        return _principal(known, "issuer", claims["exp"])


def _issuer_of(token: str) -> str | None:
    """Return the issuer that a token names; None for what is no token. The signature is not checked yet."""
    try:
        name = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except (jwt.InvalidTokenError, RecursionError):
        return None
    return name if isinstance(name, str) else None


def _name(name: str) -> str:
    if len(name) > MAX_NAME:
        message = f"expected names of workspaces and users of at most {MAX_NAME} characters, got {len(name)}"
        raise InvalidRequest(message, limit=MAX_NAME)
    return name


async def sign_in_required(scope: Scope, *, key_alone: bool = False) -> NoReturn:
    """Refuse a request without credentials. It is an `Authenticate`, the last one where every user has to sign in.

    Raises:
        RequestError: `unauthorized`.
    """
    raise _unauthorized()


def _principal(user: CloudUser, by: Literal["token", "key", "issuer"], expires_at: float | None = None) -> Principal:
    expires_at = None if expires_at is None else float(expires_at)
    return Principal(owner=user.workspace, user=user, by=by, expires_at=expires_at)


def _unauthorized() -> RequestError:
    """Return the error for a request without credentials."""
    message = (
        "expected an Authorization header with a token of this server or of an issuer that it trusts, or with "
        "an API key and the headers Aui-User-Id and Aui-Workspace-Id"
    )
    return Unauthorized(message)


@contextlib.contextmanager
def _revoked_is_invalid() -> Iterator[None]:
    try:
        yield
    except Revoked as error:
        raise _invalid(error) from None


def _invalid(reason: object) -> RequestError:
    return InvalidToken(f"expected a valid token: {reason}")
