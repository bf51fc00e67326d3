"""What the store asks of an engine before it uses it, and how durable its writes are."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from typing import Final

from redis.exceptions import ResponseError

from statecast.stores.errors import StoreUnavailable
from statecast.stores.shared import Durability

from .address import Address
from .engine import Confirm, Engine, value_of
from .node import Reply
from .scripts import Command

__all__ = ["OLDEST", "check", "durability_of", "identity_of"]

OLDEST: Final = (7, 0)  #: Valkey says 7.2 or later here, whatever its own version is

#: Milliseconds in which a write is to be confirmed.
PATIENCE: Final = 2_000

_log: Final = logging.getLogger("statecast")


async def check(engine: Engine) -> None:
    """Check that servers are new enough, and keep what they are given.

    Raises:
        StoreUnavailable: One is not, or does not answer.
    """
    commands: Sequence[Command] = [("INFO", "server"), ("CONFIG", "GET", "maxmemory-policy"), ("INFO", "persistence")]
    for info, policy, persistence in await engine.everywhere(commands):
        server = _fields(value_of(info))
        version = server.get("redis_version", "")
        if tuple(map(int, version.split(".")[:2])) < OLDEST:
            raise StoreUnavailable(f"the store needs Redis 7.0 or newer, or Valkey, and found Redis {version}")
        if "dragonfly_version" in server:
            _log.warning("Dragonfly has no append-only file: a stop loses writes since the last snapshot")
        if isinstance(policy, ResponseError):
            _log.warning("cannot read maxmemory-policy from Redis, which must be noeviction: %s", policy)
        elif policy and policy[1] != b"noeviction":
            raise StoreUnavailable(
                f"Redis deletes keys when its memory is full, and threads with them: its maxmemory-policy is "
                f"{policy[1].decode()}, and the store needs noeviction (CONFIG SET maxmemory-policy noeviction, "
                "or the same line in redis.conf)"
            )
        if _fields(value_of(persistence)).get("aof_enabled") == "0":
            _log.warning("Redis has no append-only file (appendonly no): a stop loses writes since the last snapshot")


async def durability_of(engine: Engine) -> tuple[Durability, Confirm | None]:
    """Return what writes survive as the address asks for, and as the engine is configured, and what confirms them.

    Raises:
        StoreUnavailable: An engine does not answer, or cannot do what is asked for.
    """
    address = engine.address
    always, waits = True, True
    for settings, waiting in await engine.everywhere([("CONFIG", "GET", "append*"), ("WAITAOF", 0, 0, 1)]):
        found = {} if isinstance(settings, ResponseError) else dict(zip(settings[::2], settings[1::2], strict=True))
        always = always and (found.get(b"appendonly"), found.get(b"appendfsync")) == (b"yes", b"always")
        waits = waits and not isinstance(waiting, ResponseError) and found.get(b"appendonly", b"yes") == b"yes"
    if address.durable and not always and not waits:
        raise StoreUnavailable(
            "a durable store needs an append-only file: appendonly yes, and appendfsync always, or else Valkey or "
            "Redis 7.2, which can wait for the disk"
        )
    level: Durability = "disk" if always or address.durable else "process"
    if address.replicas:
        level = "replica"
    if address.durable and not always:
        commands: Sequence[Command] = [("WAITAOF", 1, address.replicas, PATIENCE)]
    elif address.replicas:
        commands = [("WAIT", address.replicas, PATIENCE)]
    else:
        return level, None
    return level, (commands, lambda replies: _missing(replies[0], address))


def _missing(reply: Reply, address: Address) -> str | None:
    if isinstance(reply, ResponseError):
        return f"Redis does not confirm writes: {reply}"
    disk, replicas = reply if isinstance(reply, list) else (1, reply)
    if disk < int(address.durable):
        return f"the disk did not confirm a write within {PATIENCE / 1000} seconds"
    if replicas < address.replicas:
        return f"{replicas} of {address.replicas} replicas confirmed a write within {PATIENCE / 1000} seconds"
    return None


async def identity_of(engine: Engine) -> str:
    """Return what changes when a server starts again, or another one takes its place.

    Raises:
        StoreUnavailable: One does not answer.
    """
    parts = []
    for replies in await engine.everywhere([("INFO", "server"), ("INFO", "replication")]):
        fields = _fields(value_of(replies[0])) | _fields(value_of(replies[1]))
        parts.append(f"{fields.get('run_id')} {fields.get('master_replid')}")
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:16]


def _fields(info: Reply) -> dict[str, str]:
    lines = (line.partition(":") for line in info.decode().splitlines() if ":" in line)
    return {name: value for name, _, value in lines}
