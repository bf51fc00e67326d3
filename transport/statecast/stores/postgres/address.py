"""Where a PostgreSQL store is: libpq's URL, with options of ours in its query."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict

from .schema import is_name

__all__ = ["Address", "is_postgres"]

#: Names in the query that are not libpq's.
OPTIONS: Final = ("schema", "pool", "wake", "synchronous_commit")

#: Levels of `synchronous_commit` under which a commit survives the loss of power. `off` is none of them.
LEVELS: Final = ("local", "remote_write", "on", "remote_apply")

EXAMPLE: Final = "postgresql://user@host/database?schema=statecast&pool=10"


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where a store is."""

    conninfo: str  #: for libpq
    schema: str = "statecast"
    pool: int = 10  #: connections at most, beside the two for hints
    wake: str = ""  #: where hints go: the URL of an engine, "none", or "" for the store's own server
    synchronous_commit: str | None = None  #: None: as the server is configured

    @classmethod
    def of(cls, url: str) -> Address:
        """Return the address that a URL names.

        Raises:
            ValueError: It names none.
        """
        place, _, query = url.partition("?")
        pairs = [pair.partition("=") for pair in query.split("&")]
        ours = {name: unquote(value) for name, _, value in pairs if name in OPTIONS}
        theirs = "&".join("".join(pair) for pair in pairs if pair[0] not in OPTIONS)
        conninfo = f"{place}?{theirs}" if theirs else place
        _check(conninfo)
        schema, pool, level = ours.get("schema", "statecast"), ours.get("pool", "10"), ours.get("synchronous_commit")
        if not is_name(schema):
            raise ValueError(f'expected a schema of at most 48 lower-case letters, digits and "_", got "{schema}"')
        if not pool.isascii() or not pool.isdecimal() or not 2 <= int(pool) <= 1_000:
            raise ValueError(f'expected a pool of 2 to 1000 connections, got "{pool}"')
        if level is not None and level not in LEVELS:
            raise ValueError(f'expected synchronous_commit to be one of {", ".join(LEVELS)}, got "{level}"')
        wake = ours.get("wake", "")
        if wake not in ("", "none") and not is_postgres(wake) and not wake.startswith("redis"):
            raise ValueError(f'expected wake to be a URL of PostgreSQL or Redis, or "none", got "{_shown(wake)}"')
        return cls(conninfo=conninfo, schema=schema, pool=int(pool), wake=wake, synchronous_commit=level)

    @property
    def name(self) -> str:
        """Return how the store is called in messages: no password is in it."""
        known = conninfo_to_dict(self.conninfo)
        return f"{known.get('host', 'localhost')}/{known.get('dbname', '')} ({self.schema})"


def _check(url: str) -> None:
    """Check that libpq understands a URL.

    Raises:
        ValueError: It does not; no part of a password is in the message, as it may be in libpq's own.
    """
    known = _shown(url)
    try:
        conninfo_to_dict(known)
    except psycopg.Error as error:
        raise ValueError(f'expected a URL of PostgreSQL such as "{EXAMPLE}": {str(error).strip()}') from None
    try:
        wrong = url.partition("?")[0].count("@") > 1 or "@" in known.partition("?")[0]
        conninfo_to_dict(url)
    except psycopg.Error:
        wrong = True
    if wrong:
        raise ValueError(
            f'expected a URL of PostgreSQL such as "{EXAMPLE}", in which "%", "/", "@" and spaces in the user or the '
            "password are written as %25, %2F, %40 and %20"
        )


def _shown(url: str) -> str:
    """Return a URL without its user and password."""
    scheme, mark, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return scheme + mark + authority.rpartition("@")[2] + slash + path


def is_postgres(url: str) -> bool:
    """Return whether a URL is one of PostgreSQL."""
    return url.startswith(("postgresql://", "postgres://"))
