"""Settings of the cloud API: how it identifies users."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from statecast_agents import Json
from statecast_agents.settings import check_function, check_numbers, check_texts

__all__ = ["OURS", "Cloud", "CloudReport", "CloudUser", "Issuer"]

#: Algorithms of tokens that are signed with a private key, and those with a secret that both sides know. An issuer has
#: one kind: else whoever knows a public key could take it for the secret, and sign with it.
PUBLIC: Final = frozenset(
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA"]
)
SHARED: Final = frozenset(["HS256", "HS384", "HS512"])

MIN_SECRET: Final = 32  #: characters of a secret that signs tokens

#: The issuer of our own tokens.
OURS: Final = "statecast"


class CloudUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user of the cloud API, as runs have it in `run.user`."""

    id: str
    workspace: str  #: which owns the threads
    claims: dict[str, Any] = {}  #: of an issuer's token, all that it says


class CloudReport(msgspec.Struct, frozen=True, kw_only=True):
    """A client's report: the outcome of its run, a user event, or a score."""

    kind: Literal["run", "event", "score"]
    id: str  #: made for it; the client gets that of a run or a score
    thread_id: str
    user: CloudUser  #: who reports
    fields: Mapping[str, Json]  #: as the client sends them, which adds fields with its versions


class Issuer(msgspec.Struct, frozen=True, kw_only=True):
    """An issuer of accepted tokens (JWT): the app's own sign-in, or a service that it uses."""

    name: str  #: as in the claim `iss`
    key: str | None = None  #: the shared secret, or the public key as PEM
    jwks_url: str | None = None  #: where its public keys are, in place of `key`
    algorithms: Sequence[str] = ("RS256", "ES256")
    audience: str | None = None  #: as in the claim `aud`; None: the token has none, or it does not matter
    workspace: str = "sub"  #: the claim that names the workspace
    user: str = "sub"  #: the claim that names the user
    prefix: str = ""  #: put before the workspace's name: two issuers may have users of the same name

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            TypeError: A setting is of the wrong kind.
            ValueError: It has no key or two, a key is too short or not for its algorithms, or a name is empty.
        """
        for name in ("name", "key", "jwks_url", "audience", "workspace", "user", "prefix"):
            value = getattr(self, name)
            if not isinstance(value, str) and not (value is None and name in ("key", "jwks_url", "audience")):
                raise TypeError(f"expected Issuer.{name} to be a text, got {value!r}")
            if not value and name in ("name", "workspace", "user"):
                raise ValueError(f"expected Issuer.{name} to be a text, got an empty one")
        check_texts("Issuer.algorithms", self.algorithms)
        if (self.key is None) == (self.jwks_url is None) or self.name == OURS:
            raise ValueError(f'expected an issuer with either a key or a jwks_url, got "{self.name}"')
        _check_keys(self)


class Cloud(msgspec.Struct, frozen=True, kw_only=True):
    """How the cloud API identifies its users.

    The lives of tokens are seconds; the published client wants more than thirty of an access token.
    """

    anonymous: bool = True  #: whether anybody who asks gets an identity of their own
    api_keys: Sequence[str] = ()  #: of the app's own servers, which say for whom they speak
    issuers: Sequence[Issuer] = ()
    secret: str | None = None  #: that signs our tokens; None: one that is made once, and kept in the store
    access_seconds: float = 900.0
    refresh_seconds: float = 90 * 86_400.0
    #: Called with each report, before the client gets its answer; None: reports are checked and answered only.
    report: Callable[[CloudReport], Awaitable[None] | None] | None = None

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            TypeError: A setting is of the wrong kind.
            ValueError: A secret or a key is too short, a life makes no sense, or issuers are none or overlap.
        """
        check_numbers(self)
        check_texts("api_keys", self.api_keys)
        if self.report is not None:
            check_function("Cloud.report", self.report)
        if self.secret is not None and not isinstance(self.secret, str):
            raise TypeError("expected Cloud.secret to be a text")
        if self.secret is not None and len(self.secret) < MIN_SECRET:
            raise ValueError(f"expected a secret of at least {MIN_SECRET} characters, got a shorter one")
        if any(len(key) < 16 for key in self.api_keys):
            raise ValueError("expected API keys of at least 16 characters, got a shorter one")
        if not isinstance(self.issuers, Sequence) or not all(isinstance(issuer, Issuer) for issuer in self.issuers):
            raise TypeError(f"expected Cloud.issuers to be a list of Issuer(…), got {type(self.issuers).__name__}")
        for one, other in itertools.permutations(self.issuers, 2):
            if one.prefix.startswith(other.prefix):
                raise ValueError(
                    "expected issuers with different prefixes, none of which begins with another, or a user of one "
                    f"could have the other's threads; got {other.prefix!r} and {one.prefix!r}"
                )


def _check_keys(issuer: Issuer) -> None:
    """Check that an issuer has either keys or a shared secret, and algorithms of that kind."""
    algorithms = set(issuer.algorithms)
    if not algorithms or not (algorithms <= PUBLIC or algorithms <= SHARED):
        known = f"{', '.join(sorted(PUBLIC))}, or of {', '.join(sorted(SHARED))}"
        raise ValueError(f"expected algorithms out of {known}, got {list(issuer.algorithms)}")
    if issuer.jwks_url is not None and (algorithms <= SHARED or not issuer.jwks_url.startswith(("https:", "http:"))):
        raise ValueError(
            f'expected a jwks_url such as "https://id.example.com/keys", and algorithms of public keys, got '
            f'"{issuer.jwks_url}" and {list(issuer.algorithms)}'
        )
    if issuer.key is not None and issuer.key.lstrip().startswith("-----BEGIN") != (algorithms <= PUBLIC):
        raise ValueError(
            f"expected a public key as PEM, or a shared secret, as the algorithms {list(issuer.algorithms)} need it"
        )
    if issuer.key is not None and len(issuer.key) < MIN_SECRET:
        raise ValueError(f"expected a shared secret of at least {MIN_SECRET} characters, got a shorter one")
