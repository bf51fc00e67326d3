"""Addresses of Redis: what a URL says of one server, of a cluster, or of what Sentinels watch."""

from __future__ import annotations

from typing import Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

__all__ = ["SCHEMES", "Address", "address_of"]

Way = Literal["server", "cluster", "sentinel"]

#: The schemes, what each is reached by, and whether through TLS.
SCHEMES: Final[dict[str, tuple[Way, bool]]] = {
    "redis": ("server", False),
    "rediss": ("server", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
}

_PORTS: Final[dict[Way, int]] = {"server": 6379, "cluster": 6379, "sentinel": 26379}


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where Redis is, and how the store uses it."""

    way: Way
    hosts: tuple[tuple[str, int], ...]  #: the server, some nodes of the cluster, or the Sentinels
    tls: bool = False
    username: str | None = None
    password: str | None = None
    service: str = ""  #: the name of what Sentinels watch
    database: int = 0
    prefix: str = "sc"  #: what all keys begin with
    durable: bool = False  #: whether a write waits until the disk has it
    replicas: int = 0  #: how many replicas a write waits for

    @property
    def text(self) -> str:
        """Return it for people, without the password."""
        return f"{self.way} {', '.join(f'{host}:{port}' for host, port in self.hosts)}"


def address_of(url: str, *, durable: bool = False) -> Address:
    """Return what a URL says.

    `redis://[user:password@]host:port/database`, `redis+cluster://host:port,host:port`, or
    `redis+sentinel://host:port,host:port/service/database`; each with `rediss` for TLS, and with the options
    `durable=true`, `replicas=1` and `prefix=name`.

    Args:
        url: The URL.
        durable: The same as the option.

    Raises:
        ValueError: It says something else.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ValueError(f"expected a URL of one of {', '.join(SCHEMES)}, got {_shown(url)!r}")
    way, tls = SCHEMES[parts.scheme]
    user, _, places = parts.netloc.rpartition("@")
    username, _, password = user.partition(":")
    hosts = tuple(_host(place, _PORTS[way], url) for place in places.split(","))
    if way == "server" and len(hosts) > 1:
        raise ValueError(f'expected one server, or "redis+cluster" or "redis+sentinel", got {_shown(url)!r}')
    path = [unquote(part) for part in parts.path.split("/") if part]
    service = path.pop(0) if way == "sentinel" and path else ""
    database = path.pop(0) if path else "0"
    if (
        path
        or not database.isdecimal()
        or (way == "cluster" and database != "0")
        or (way == "sentinel") != bool(service)
    ):
        expected = {
            "server": "a path that is the number of a database, or none",
            "cluster": "no path: a cluster has one database",
            "sentinel": "a path that is the name of a service that the Sentinels watch",
        }
        raise ValueError(f"expected {expected[way]}, got {_shown(url)!r}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    address = Address(
        way=way,
        hosts=hosts,
        tls=tls,
        username=unquote(username) or None,
        password=unquote(password) or None,
        service=service,
        database=int(database),
        prefix=options.pop("prefix", "sc"),
        durable=_flag(options.pop("durable", "false"), url) or durable,
        replicas=_number(options.pop("replicas", "0"), url),
    )
    if options or not address.prefix or set(address.prefix) & set("{}"):
        raise ValueError(
            f"expected no options but durable, replicas and prefix, which is a name without braces, got {_shown(url)!r}"
        )
    return address


def _host(place: str, port: int, url: str) -> tuple[str, int]:
    parts = urlsplit(f"//{place}")
    try:
        number = parts.port
    except ValueError:
        number = None
        place = ""
    if not place or parts.hostname is None:
        raise ValueError(f"expected hosts as in redis://localhost:6379, got {_shown(url)!r}")
    return parts.hostname, number or port


def _flag(value: str, url: str) -> bool:
    if value not in ("true", "false"):
        raise ValueError(f"expected durable=true or durable=false, got {_shown(url)!r}")
    return value == "true"


def _number(value: str, url: str) -> int:
    if not value.isdecimal():
        raise ValueError(f"expected replicas=1 or another number, got {_shown(url)!r}")
    return int(value)


def _shown(url: str) -> str:
    """Return a URL without its user and password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
