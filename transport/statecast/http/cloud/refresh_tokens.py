"""Refresh tokens: which one of an identity is valid, so that each works once and a stolen one is detected.

A refresh token names its generation. Using it makes the next one, and it counts no more. But a page may never have got
the answer, because it was closed or reloaded meanwhile: as long as nothing of the next generation was used, the one
before may be used again, and leads to the same. Otherwise somebody has a copy, and all tokens of the identity end.

Where several processes share the store, each reads what it remembers again after a moment. Generations change under
the store's lock for the identity, and are read anew there.
Source: docs/protocol/cloud.md, "Refresh tokens".
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import msgspec

from statecast.threads import Directory

__all__ = ["RefreshTokens", "Revoked"]

KIND: Final = "renewal"  #: of what is kept of an owner

REMEMBERED: Final = 4_096  #: identities of which it is in memory

FRESH: Final = 1.0  #: seconds after which it is read again, where another process may have changed it


class Revoked(Exception):
    """A token that is no longer valid."""


class _Standing(msgspec.Struct, frozen=True):
    generation: int = 0
    received: bool = True  #: whether something of the generation was used
    revoked: float | None = None  #: when all tokens that there were ended, in seconds since the epoch


_decode: Final = msgspec.json.Decoder(_Standing).decode
_encode: Final = msgspec.json.Encoder().encode


class RefreshTokens:
    """The valid generation of each identity's tokens.

    Everything may raise `StoreUnavailable`.

    Args:
        directory: Where their records are.
        ended: Called with an identity whose tokens have all ended.
        shared: Whether other processes change the same records.
    """

    def __init__(self, directory: Directory, ended: Callable[[str], None], *, shared: bool = False) -> None:
        self._directory = directory
        self._ended = ended
        self._shared = shared
        self._known: OrderedDict[str, tuple[_Standing, float]] = OrderedDict()  #: and when it was read

    async def check(self, workspace: str, made: float, generation: int | None) -> None:
        """Check that an access token is valid, and record that it was used.

        Args:
            workspace: Whose it is.
            made: When, in seconds since the epoch.
            generation: With which refresh token; None: with none.

        Raises:
            Revoked: It ended early.
        """
        standing = await self._of(workspace)
        _check(standing, made)
        if generation == standing.generation and not standing.received:
            async with self._directory.alone(workspace, KIND):
                standing = await self._read(workspace)
                if generation == standing.generation:
                    await self._keep(workspace, msgspec.structs.replace(standing, received=True))

    async def current(self, workspace: str, made: float, generation: int) -> None:
        """Check that a refresh token is valid.

        Raises:
            Revoked: It was used before, or ended early.
        """
        standing = await self._read(workspace)
        _check(standing, made)
        again = generation == standing.generation - 1 and not standing.received
        if generation != standing.generation and not again:
            raise Revoked("it was used before")

    async def renew(self, workspace: str, made: float, generation: int) -> int:
        """Use a refresh token, and return the next generation.

        Raises:
            Revoked: It was used before, and now all tokens have ended; or it ended early.
        """
        async with self._directory.alone(workspace, KIND):
            try:
                await self.current(workspace, made, generation)
            except Revoked:
                standing = await self._read(workspace)
                if standing.revoked is None or made >= standing.revoked:
                    await self._revoke(workspace, standing)
                raise
            standing = await self._read(workspace)
            if generation == standing.generation:
                standing = msgspec.structs.replace(standing, generation=generation + 1, received=False)
                await self._keep(workspace, standing)
            return standing.generation

    async def revoke(self, workspace: str) -> None:
        """Revoke all tokens of an identity."""
        async with self._directory.alone(workspace, KIND):
            await self._revoke(workspace, await self._read(workspace))

    async def revoked_at(self, workspace: str) -> float | None:
        """Return when all tokens of an identity ended that there were; None: never."""
        return (await self._read(workspace)).revoked

    async def _revoke(self, workspace: str, standing: _Standing) -> None:
        await self._keep(workspace, msgspec.structs.replace(standing, revoked=time.time()))
        self._ended(workspace)

    async def _of(self, workspace: str) -> _Standing:
        """Return the standing of an identity, as it was a moment ago."""
        known = self._known.get(workspace)
        if known is None or (self._shared and time.monotonic() - known[1] > FRESH):
            return await self._read(workspace)
        self._known.move_to_end(workspace)
        return known[0]

    async def _read(self, workspace: str) -> _Standing:
        """Return the standing of an identity, as it is."""
        known = self._known.get(workspace)
        if known is None or self._shared:
            asked = time.monotonic()
            data = await self._directory.recall(workspace, KIND)
            known = self._known.get(workspace)
            if known is None or known[1] < asked:  # else this process has changed or read it meanwhile
                known = self._remember(workspace, _Standing() if data is None else _decode(data), asked)
        return known[0]

    async def _keep(self, workspace: str, standing: _Standing) -> None:
        await self._directory.remember(workspace, KIND, _encode(standing))
        self._remember(workspace, standing, time.monotonic())

    def _remember(self, workspace: str, standing: _Standing, at: float) -> tuple[_Standing, float]:
        known = self._known[workspace] = standing, at
        self._known.move_to_end(workspace)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return known


def _check(standing: _Standing, made: float) -> None:
    if standing.revoked is not None and made < standing.revoked:
        raise Revoked("it was revoked")
