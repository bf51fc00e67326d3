"""Run leases: a client that generates an answer itself holds a lease of its message and renews it until the end.

A message has at most one lease, the last one opened. It never expires: readers see the age of its last heartbeat.
Source: docs/protocol/cloud.md, "Run leases".
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any, Final, Literal

import msgspec

from statecast.stores import Key
from statecast.threads import LEASE, Directory
from statecast_agents import new_id

from .errors import LeaseEnded, LeaseMismatch, UnknownLease

__all__ = ["EndReason", "Leases"]

#: Milliseconds between two beats. The client takes a run for stale after 30 seconds: two may be lost.
BEAT_MS: Final = 10_000

EndReason = Literal["done", "cancelled", "error"]


class _Lease(msgspec.Struct, frozen=True):
    id: str
    message_id: str
    beat: float  #: seconds since the epoch, of the last sign of life
    ended: EndReason | None = None


_decode: Final = msgspec.json.Decoder(_Lease).decode
_encode: Final = msgspec.json.Encoder().encode


class Leases:
    """The leases of all threads: a record under the id of the message that has one.

    Args:
        directory: Where their records are.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def open(self, key: Key, message_id: str) -> dict[str, Any]:
        """Open a lease of a message, replacing any other, and return its id and heartbeat interval.

        Raises:
            RequestError: `unknown_thread`; `store_unavailable`.
        """
        lease = _Lease(new_id("lease"), message_id, time.time())
        async with self._alone(key):
            await self._write(key, lease)
        return {"lease_id": lease.id, "heartbeat_interval_ms": BEAT_MS}

    @contextlib.asynccontextmanager
    async def held(self, key: Key, lease_id: str, message_id: str | None) -> AsyncIterator[None]:
        """Let the holder of a message's lease write the message; this renews the lease.

        Raises:
            RequestError: `run_ended` or `lease_mismatch`; `store_unavailable`.
        """
        async with self._alone(key):
            lease = await self._find(key, lease_id)
            if lease is None or lease.message_id != message_id:
                text = "expected the lease of this message, got another; a client may have replaced it since"
                raise LeaseMismatch(text)
            _check_running(lease)
            yield
            await self._write(key, msgspec.structs.replace(lease, beat=time.time()))

    async def beat(self, key: Key, lease_id: str) -> dict[str, Any]:
        """Renew a lease, and return the heartbeat interval.

        Raises:
            RequestError: `unknown_lease`; `run_ended`; `store_unavailable`.
        """
        async with self._alone(key):
            lease = await self._known(key, lease_id)
            _check_running(lease)
            await self._write(key, msgspec.structs.replace(lease, beat=time.time()))
        return {"heartbeat_interval_ms": BEAT_MS}

    async def end(self, key: Key, lease_id: str, reason: EndReason) -> None:
        """End a lease; one that has ended keeps its reason.

        Raises:
            RequestError: `unknown_lease`; `store_unavailable`.
        """
        async with self._alone(key):
            lease = await self._known(key, lease_id)
            if lease.ended is None:
                await self._write(key, msgspec.structs.replace(lease, beat=time.time(), ended=reason))

    async def states(self, key: Key) -> dict[str, dict[str, Any]]:
        """Return the lease status of a thread's messages, by the message's id.

        Raises:
            RequestError: `store_unavailable`.
        """
        now = time.time()
        leases = [lease for _, lease in await self._directory.read(key, LEASE, _decode)]
        return {
            lease.message_id: {
                "status": "running" if lease.ended is None else "ended",
                "last_heartbeat_ms_ago": max(0, int((now - lease.beat) * 1000)),
            }
            for lease in leases
        }

    def _alone(self, key: Key) -> contextlib.AbstractAsyncContextManager[None]:
        return self._directory.alone(key.owner, f"{LEASE} {key.thread_id}")

    async def _find(self, key: Key, lease_id: str) -> _Lease | None:
        leases = (lease for _, lease in await self._directory.read(key, LEASE, _decode))
        return next((lease for lease in leases if lease.id == lease_id), None)

    async def _known(self, key: Key, lease_id: str) -> _Lease:
        lease = await self._find(key, lease_id)
        if lease is None:
            text = f'expected the id of a lease of this thread, got "{lease_id[:60]}"'
            raise UnknownLease(text)
        return lease

    async def _write(self, key: Key, lease: _Lease) -> None:
        await self._directory.write(key, LEASE, lease.message_id, _encode(lease))


def _check_running(lease: _Lease) -> None:
    if lease.ended is not None:
        raise LeaseEnded("the run of this message has ended; write the message without a lease")
