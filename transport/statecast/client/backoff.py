"""`Backoff`: when the client tries again, and when it gives up."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Final

import anyio

from .errors import ClientError, ConnectionLost, Refused

__all__ = ["Backoff"]

FIRST_DELAY: Final = 0.1  #: seconds before the first further try; each wait doubles, less up to half of it by chance
LAST_DELAY: Final = 5.0  #: seconds that no wait exceeds, unless the server asks for more

#: Statuses worth another try: a slow upload, too many runs, a full or stopping server, a proxy without its server.
TRANSIENT: Final = frozenset({408, 429, 502, 503, 504})

_log: Final = logging.getLogger("statecast.client")


class Backoff:
    """Waits between tries, longer each time, and gives up when the patience is over.

    Args:
        patience: Seconds without a sign of the server; None: for ever.
        on_trouble: Called with each new error, and with None when the trouble is over.
    """

    def __init__(self, patience: float | None, on_trouble: Callable[[ClientError | None], None] | None) -> None:
        self._patience = patience
        self._on_trouble = on_trouble
        self._reported: ClientError | None = None
        self.reset()

    def reset(self) -> None:
        """Start over: the server has sent something."""
        self._delay = FIRST_DELAY
        self._since = time.monotonic()

    def succeeded(self) -> None:
        """Report that the trouble is over."""
        self._report(None)

    async def wait(self, error: Refused | ConnectionLost, *, at_most: float | None = None) -> None:
        """Wait before the next try, or raise `error` to give up.

        Args:
            error: What went wrong.
            at_most: Seconds at most, if the server answers and only what the client asks for is missing.
        """
        delay = self._delay * random.uniform(0.5, 1)  # so that not all clients come back at once
        self._delay = min(2 * self._delay, LAST_DELAY)
        if at_most is not None:
            delay = min(delay, at_most)
            self._since = time.monotonic()
        elif isinstance(error, Refused):
            if error.status not in TRANSIENT:
                raise error
            delay = max(delay, error.retry_after)
        if self._patience is not None and time.monotonic() + delay - self._since > self._patience:
            raise error
        # A script that nobody watches would wait without a word for a server that is not there.
        is_news = self._on_trouble is None and str(error) != str(self._reported)
        _log.log(logging.WARNING if is_news else logging.INFO, "%s; trying again in %.1f s", error, delay)
        self._report(error)
        await anyio.sleep(delay)

    def _report(self, error: ClientError | None) -> None:
        if self._on_trouble is not None and str(error) != str(self._reported):
            self._on_trouble(error)
        self._reported = error
