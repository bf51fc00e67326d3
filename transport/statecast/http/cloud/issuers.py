"""Published keys of issuers: fetched seldom, by few threads, and kept while the issuer is unavailable.

Rule: what a stranger sends never decides how often an issuer is asked. A token with an unknown key id causes at most
one request to the issuer in `COOLDOWN` seconds, and everyone else goes on with the keys that are known.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

import anyio
import jwt
from anyio import to_thread

from .errors import IssuerUnavailable

__all__ = ["PublishedKeys"]

FRESH: Final = 300.0  #: seconds after which keys are fetched anew
COOLDOWN: Final = 30.0  #: seconds between two fetches, unless nothing is known yet
AGAIN: Final = 2.0  #: the same where the last one failed and nothing is known yet
KEPT: Final = 86_400.0  #: seconds that keys count while the issuer cannot be reached
TIMEOUT: Final = 5.0  #: seconds for each step of a fetch
LONGEST: Final = 15.0  #: seconds for all of it
PATIENCE: Final = 10.0  #: seconds that a request waits for one

_log: Final = logging.getLogger("statecast")


class PublishedKeys:
    """The keys of one issuer.

    Args:
        url: Where it publishes them.
        clock: Returns seconds; for tests.

    Raises:
        PyJWKClientError: It is no http(s) URL.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=TIMEOUT)
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = -KEPT  #: when they were
        self._tried: float | None = None  #: when they were to be fetched last
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, kid: object) -> jwt.PyJWK:
        """Return the key of an id.

        Raises:
            PyJWKClientError: The issuer has none, as far as is known.
            RequestError: `issuer_unavailable`, if nothing is known of its keys.
        """
        now = self._clock()
        known = self._keys.get(kid) if isinstance(kid, str) else None
        if known is not None and now - self._fetched < KEPT:
            if now - self._fetched >= FRESH and self._may_fetch(now):
                self._fetch()  # for those who come later
            return known
        if self._fetching is not None or self._may_fetch(now):
            await self._fetched_now()
            known = self._keys.get(kid) if isinstance(kid, str) else None
        if self._clock() - self._fetched >= KEPT:
            message = "the issuer's keys cannot be fetched; try again soon"
            raise IssuerUnavailable(message, retry_after=2)
        if known is None:
            raise jwt.PyJWKClientError("its key is not among those that the issuer publishes")
        return known

    def _may_fetch(self, now: float) -> bool:
        pause = COOLDOWN if now - self._fetched < KEPT else AGAIN
        return self._fetching is None and (self._tried is None or now - self._tried >= pause)

    async def _fetched_now(self) -> None:
        """Wait for a fetch that all waiters share; it continues if some of them are cancelled."""
        task = self._fetching
        if task is None or task.get_loop() is not asyncio.get_running_loop():
            task = self._fetch()
        await asyncio.wait({task}, timeout=PATIENCE)

    def _fetch(self) -> asyncio.Task[None]:
        self._tried = self._clock()
        self._fetching = asyncio.get_running_loop().create_task(self._do_fetch())
        return self._fetching

    async def _do_fetch(self) -> None:
        try:
            async with asyncio.timeout(LONGEST):
                # A thread of its own: those that agents and files need are not for a slow issuer to hold.
                keys = await to_thread.run_sync(self._read, limiter=anyio.CapacityLimiter(1), abandon_on_cancel=True)
        except Exception as error:  # whatever the issuer's server answers: what is known stays known
            _log.warning("the keys of an issuer cannot be fetched from %s: %s", self._client.uri, error)
            return
        finally:
            self._fetching = None
        self._keys, self._fetched = keys, self._clock()

    def _read(self) -> dict[str, Any]:
        keys = jwt.PyJWKSet.from_dict(self._client.fetch_data()).keys
        return {key.key_id: key for key in keys if key.key_id and key.public_key_use in ("sig", None)}
