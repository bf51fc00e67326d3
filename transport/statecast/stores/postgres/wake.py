"""Hints by NOTIFY: see `PostgresWake`.

Rule 1: nothing that is written is notified in the same transaction: all transactions that notify are committed one
after the other, in the whole cluster.
Rule 2: nothing but LISTEN happens on the connection that listens: a transaction there would delay all hints.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Final

import psycopg

from statecast.stores.wake import OnHint, OnLost

from . import statements
from .connections import Connection, connect, cut_off_after, is_direct

__all__ = ["PostgresWake"]

#: Channels that the topics are spread over. Few: the server looks at all of them for each hint.
CHANNELS: Final = 32

#: Characters of a topic's digest, which is what is sent of it; and bytes of a notification, of which 7,999 are allowed.
DIGEST: Final = 16
PAYLOAD: Final = 7_984

#: Seconds from one sending to the next, at least.
GAP: Final = 0.001

#: Seconds without a notification after which the connection is tried, and that a statement may take.
QUIET: Final = 15.0
PATIENCE: Final = 5.0

#: Seconds between tries to connect, at first and at most; and to listen behind a pooler that passes nothing on.
RETRY: Final = (0.1, 2.0)
RETRY_POOLED: Final = 60.0

#: Seconds within which a hint to oneself comes back, behind a pooler.
ECHO: Final = 2.0

_log: Final = logging.getLogger("statecast")


class _Deaf(Exception):
    """What is notified does not come back."""


class PostgresWake:
    """Sends and receives hints, on two connections of its own.

    Args:
        conninfo: Of the server, past any pooler that lends a connection for a transaction only.
        channels: What the names of the channels begin with.
    """

    def __init__(self, conninfo: str, *, channels: str) -> None:
        self.live = False
        self._conninfo = conninfo
        self._channels = channels
        self._followed: dict[str, dict[str, set[str]]] = {}  #: by channel and digest
        self._listening: set[str] = set()
        self._unsent: set[str] = set()
        self._woken = asyncio.Event()  #: by a notification, the end of the connection, or another channel to listen to
        self._sending: asyncio.Task[None] | None = None
        self._receiving: asyncio.Task[None] | None = None
        self._sender: Connection | None = None
        self._on_hint: OnHint = lambda topics: None
        self._on_lost: OnLost = lambda: None

    async def open(self, on_hint: OnHint, on_lost: OnLost) -> None:
        """Begin to connect."""
        self._on_hint, self._on_lost = on_hint, on_lost
        self._woken = asyncio.Event()
        self._receiving = asyncio.get_running_loop().create_task(self._receive())

    async def aclose(self) -> None:
        """Send what was not sent yet, and close both connections."""
        if self._sending is not None:
            await asyncio.wait({self._sending})
        if self._receiving is not None:
            self._receiving.cancel()
            await asyncio.wait({self._receiving})
        if self._sender is not None:
            await self._sender.close()
        self._sending = self._receiving = self._sender = None

    def send(self, topics: Collection[str]) -> None:
        """Hint at topics: at once, or with the next sending."""
        self._unsent.update(topics)
        if self._unsent and (self._sending is None or self._sending.done()):
            self._sending = asyncio.get_running_loop().create_task(self._send())

    def follow(self, topic: str) -> None:
        """Receive hints at a topic."""
        channel, digest = self._place(topic)
        self._followed.setdefault(channel, {}).setdefault(digest, set()).add(topic)
        if channel not in self._listening:
            self._woken.set()

    def unfollow(self, topic: str) -> None:
        """Receive no more hints at a topic; the channel is listened to until the connection ends."""
        channel, digest = self._place(topic)
        digests = self._followed.get(channel, {})
        topics = digests.get(digest, set())
        topics.discard(topic)
        if not topics:
            digests.pop(digest, None)

    def _place(self, topic: str) -> tuple[str, str]:
        """Return the channel of a topic, and its digest."""
        digest = _digest_of(topic)
        return f"{self._channels}_{int(digest[:2], 16) % CHANNELS}", digest

    async def _send(self) -> None:
        """Send what there is, until there is nothing. What fails is lost: followers look from time to time."""
        clock = asyncio.get_running_loop().time
        while self._unsent:
            topics, self._unsent = self._unsent, set()
            started = clock()
            try:
                await self._notify(topics)
            except (psycopg.Error, OSError) as error:
                _log.debug("%d hints were not sent: %s", len(topics), error)
                if self._sender is not None:
                    await self._sender.close()
                    self._sender = None
                await asyncio.sleep(RETRY[0])
                self._unsent.clear()
            await asyncio.sleep(max(0.0, started + GAP - clock()))

    async def _notify(self, topics: Iterable[str]) -> None:
        digests: dict[str, list[str]] = {}
        for topic in topics:
            channel, digest = self._place(topic)
            digests.setdefault(channel, []).append(digest)
        notes = [(channel, payload) for channel, some in digests.items() for payload in _payloads(some)]
        if self._sender is None or self._sender.closed:
            self._sender = await connect(self._conninfo, PATIENCE)
            self._sender.prepare_threshold = None
        with cut_off_after(self._sender, PATIENCE):
            values = ([channel for channel, _ in notes], [payload for _, payload in notes])
            await self._sender.execute(statements.NOTIFY, values)

    async def _receive(self) -> None:
        """Listen for ever, again after each loss."""
        pause, reported = RETRY[0], False
        while True:
            try:
                connection = await connect(self._conninfo, PATIENCE)
                try:
                    with cut_off_after(connection, PATIENCE):
                        await self._listen(connection)
                    self.live = True
                    pause, reported = RETRY[0], False
                    self._on_lost()
                    await self._stay(connection)
                finally:
                    self.live = False
                    self._listening = set()
                    await connection.close()
            except _Deaf:
                if not reported:
                    _log.warning(
                        "the pooler in front of PostgreSQL passes no notifications on, so changes by other processes "
                        "are looked for every second; name the server itself with ?wake=postgresql://… in the store's "
                        "URL, and they are seen at once"
                    )
                reported, pause = True, RETRY_POOLED
            except (psycopg.Error, OSError) as error:
                if not reported:
                    _log.warning(
                        "notifications of other processes do not arrive, so this process polls for changes: %s", error
                    )
                reported = True
            await asyncio.sleep(pause)
            pause = max(pause, min(2 * pause, RETRY[1]))

    async def _listen(self, connection: Connection) -> None:
        """Listen to what is followed, and find out whether anything arrives.

        Raises:
            _Deaf: A pooler passes nothing on.
        """
        connection.add_notify_handler(lambda note: self._hear(note.channel, note.payload))
        if not await is_direct(connection):
            await self._hear_oneself(connection)
        await self._listen_to_all(connection)

    async def _hear_oneself(self, connection: Connection) -> None:
        """Send a hint to oneself, on another connection, and wait for it."""
        channel = f"{self._channels}_echo"
        heard = asyncio.Event()
        connection.add_notify_handler(lambda note: heard.set() if note.channel == channel else None)
        await connection.execute(f"LISTEN {channel}".encode())
        other = await connect(self._conninfo, PATIENCE)
        try:
            await other.execute(statements.NOTIFY, ([channel], [""]))
        finally:
            await other.close()
        until = asyncio.get_running_loop().time() + ECHO
        while not heard.is_set():
            if asyncio.get_running_loop().time() > until:
                raise _Deaf
            await connection.execute(statements.BACKEND)  # what has arrived is heard with its answer
            await asyncio.sleep(0.05)

    async def _listen_to_all(self, connection: Connection) -> None:
        channels = self._followed.keys() - self._listening
        if channels:
            await connection.execute("; ".join(f"LISTEN {channel}" for channel in sorted(channels)).encode())
            self._listening |= channels

    async def _stay(self, connection: Connection) -> None:
        """Receive hints until the connection ends, and listen to what is followed meanwhile."""
        loop = asyncio.get_running_loop()
        while True:
            self._woken.clear()
            descriptor = connection.fileno()
            loop.add_reader(descriptor, self._read, connection, descriptor)
            try:
                if not self._followed.keys() - self._listening:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(QUIET):
                            await self._woken.wait()
            finally:
                if not connection.closed:
                    loop.remove_reader(descriptor)
            with cut_off_after(connection, PATIENCE):
                fresh = self._followed.keys() - self._listening
                await self._listen_to_all(connection)
                if not fresh:
                    await connection.execute(statements.BACKEND)  # is the other side still there?
                else:
                    self._on_lost()

    def _read(self, connection: Connection, descriptor: int) -> None:
        """Hear what has arrived."""
        try:
            connection.pgconn.consume_input()
            while (note := connection.pgconn.notifies()) is not None:
                self._hear(note.relname.decode(), note.extra.decode())
        except psycopg.Error:
            # libpq has closed the socket, and the next one may get its number.
            asyncio.get_running_loop().remove_reader(descriptor)
            self._woken.set()

    def _hear(self, channel: str, payload: str) -> None:
        digests = self._followed.get(channel)
        if digests:
            heard: set[str] = set()
            for start in range(0, len(payload), DIGEST):
                heard |= digests.get(payload[start : start + DIGEST], set())
            if heard:
                self._on_hint(heard)


@lru_cache(maxsize=50_000)
def _digest_of(topic: str) -> str:
    return hashlib.blake2b(topic.encode(errors="surrogatepass"), digest_size=DIGEST // 2).hexdigest()


def _payloads(digests: list[str]) -> list[str]:
    most = PAYLOAD // DIGEST
    return ["".join(digests[start : start + most]) for start in range(0, len(digests), most)]
