"""Whose a request of the cloud API is: by a token of this server, an API key, or a token of the app's own issuer.

A workspace is an owner of threads. Needs the extra `cloud` (PyJWT).
Source: docs/protocol.md, "The cloud API".
"""

from __future__ import annotations

import contextlib
import hmac
import secrets
import time
from collections.abc import Iterator
from typing import Any, Final, Literal

import jwt
import msgspec
from starlette.datastructures import Headers
from starlette.types import Scope

from statecast.http.middleware.open_requests import open_request_of
from statecast.http.summaries import timestamp
from statecast.protocol.errors import Refusal
from statecast.threads import Hub

from .issuers import PublishedKeys
from .refresh_tokens import RefreshTokens, Revoked
from .settings import OURS, Cloud, CloudUser, Issuer

__all__ = ["Identity", "Who", "unauthorized"]

#: Characters of a workspace's or a user's name.
MAX_NAME: Final = 200

#: Seconds by which an issuer's clock may be ahead of ours.
LEEWAY: Final = 30.0

_ALGORITHM: Final = "HS256"


class Who(msgspec.Struct, frozen=True):
    """Who asks."""

    user: CloudUser
    by: Literal["token", "key", "issuer"]  #: how that is known
    expires_at: float | None = None  #: until when, in seconds since the epoch

    @property
    def workspace(self) -> str:
        """The owner of their threads."""
        return self.user.workspace


class Identity:
    """Makes tokens, and tells whose a request is.

    Args:
        cloud: How.
        hub: Keeps the key that signs our tokens, and which of them have ended early; it then ends their streams.
    """

    def __init__(self, cloud: Cloud, hub: Hub) -> None:
        self.cloud = cloud
        self._shelf = hub.directory
        self._key: str | None = cloud.secret
        self._renewals = RefreshTokens(hub.directory, hub.end_streams)
        self._published = {issuer.name: PublishedKeys(issuer.jwks_url) for issuer in cloud.issuers if issuer.jwks_url}

    async def of(self, scope: Scope, *, key_alone: bool = False) -> Who | None:
        """Return who asks; None for a request without credentials that are ours to judge.

        Args:
            scope: The request's.
            key_alone: Whether an API key may come without a user: it is nobody in particular then.

        Raises:
            Refusal: 401 `invalid_token`, for a token of ours or of a known issuer that is not, or not any more, good;
                401 `unauthorized`, for an API key without a user; 422 `invalid_request`, for names that cannot be.
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
                raise unauthorized()
            return Who(CloudUser(id=_name(user), workspace=_name(workspace)), "key")
        name = _issuer_of(token)
        if name == OURS:
            claims = await self._ours(token, "access")
            with _revoked_is_invalid():
                await self._renewals.check(claims["sub"], claims["iat"], claims.get("gen"))
            who = CloudUser(id=claims.get("user", claims["sub"]), workspace=claims["sub"])
            return Who(who, "token", float(claims["exp"]))
        issuer = next((issuer for issuer in self.cloud.issuers if issuer.name == name), None)
        return None if issuer is None else await self._theirs(token, issuer)

    async def required(self, scope: Scope) -> Who:
        """Return who asks.

        Raises:
            Refusal: 401 `unauthorized`, if that is not known; 429 `too_many_requests`; as `of`.
        """
        who = await self.of(scope)
        if who is None:
            raise unauthorized()
        open_request_of(scope).belong_to(who.workspace)
        return who

    def check_open(self) -> None:
        """Check that a request may be nobody's in particular.

        Raises:
            Refusal: 401 `unauthorized`, where everybody has to sign in.
        """
        if not self.cloud.anonymous:
            raise unauthorized()

    async def access(self, workspace: str, user: str) -> str:
        """Return a token that opens a workspace's threads for a while."""
        return await self._sign("access", self.cloud.access_seconds, sub=workspace, user=user)

    async def anonymous(self) -> dict[str, Any]:
        """Return the tokens of a new identity, which nobody else has."""
        return await self._tokens(f"anon_{secrets.token_hex(16)}", 0)

    async def renewed(self, token: str) -> dict[str, Any]:
        """Return fresh tokens of the identity that a refresh token stands for, which counts no more.

        Raises:
            Refusal: 401 `invalid_token`; if it was used before, all tokens of the identity end.
        """
        claims = await self._ours(token, "refresh")
        with _revoked_is_invalid():
            generation = await self._renewals.renew(claims["sub"], claims["iat"], claims.get("gen", 0))
        return await self._tokens(claims["sub"], generation)

    async def identity_of(self, token: str) -> str:
        """Return the identity that a refresh token stands for.

        Raises:
            Refusal: 401 `invalid_token`.
        """
        claims = await self._ours(token, "refresh")
        with _revoked_is_invalid():
            await self._renewals.current(claims["sub"], claims["iat"], claims.get("gen", 0))
        workspace: str = claims["sub"]
        return workspace

    async def holder_of(self, token: str) -> str:
        """Return the identity that a refresh token was made for, whether or not it still counts.

        Raises:
            Refusal: 401 `invalid_token`, for one that is none of this server's, or has expired.
        """
        workspace: str = (await self._ours(token, "refresh"))["sub"]
        return workspace

    async def revoke(self, workspace: str) -> None:
        """End all tokens of a workspace that this server has made, and the streams that were opened with them."""
        await self._renewals.revoke(workspace)

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
            self._key = (await self._shelf.secret("tokens", secrets.token_hex(32).encode())).decode()
        return self._key

    async def _sign(self, use: str, seconds: float, **claims: Any) -> str:
        now = time.time()
        fields = {"iss": OURS, "use": use, "iat": now, "exp": int(now + seconds), **claims}
        return jwt.encode(fields, await self._signing_key(), _ALGORITHM)

    async def _ours(self, token: str, use: str) -> dict[str, Any]:
        try:
            key = await self._signing_key()
            claims = jwt.decode(token, key, [_ALGORITHM], issuer=OURS, options={"require": ["exp", "iat", "sub"]})
        except jwt.InvalidTokenError as error:
            raise _invalid(error) from None
        if claims.get("use") != use:
            raise _invalid(f"it is a token for {claims.get('use')!r:.20}, not for {use!r}")
        return claims

    async def _theirs(self, token: str, issuer: Issuer) -> Who:
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
        who = CloudUser(id=_name(user), workspace=_name(issuer.prefix + workspace), claims=claims)
        return Who(who, "issuer", float(claims["exp"]))


def _issuer_of(token: str) -> str | None:
    """Return who says to have issued a token; None for what is no token. Nothing of it is believed yet."""
    try:
        name = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except (jwt.InvalidTokenError, RecursionError):
        return None
    return name if isinstance(name, str) else None


def _name(name: str) -> str:
    if len(name) > MAX_NAME:
        message = f"expected names of workspaces and users of at most {MAX_NAME} characters, got {len(name)}"
        raise Refusal(422, "invalid_request", message, limit=MAX_NAME)
    return name


def unauthorized() -> Refusal:
    """Return that it must be known who asks, and is not."""
    message = (
        "expected an Authorization header with a token of this server or of an issuer that it trusts, or with "
        "an API key and the headers Aui-User-Id and Aui-Workspace-Id"
    )
    return Refusal(401, "unauthorized", message, headers={"www-authenticate": "Bearer"})


@contextlib.contextmanager
def _revoked_is_invalid() -> Iterator[None]:
    try:
        yield
    except Revoked as error:
        raise _invalid(error) from None


def _invalid(reason: object) -> Refusal:
    headers = {"www-authenticate": 'Bearer error="invalid_token"'}
    return Refusal(401, "invalid_token", f"the token is not good: {reason}", headers=headers)
