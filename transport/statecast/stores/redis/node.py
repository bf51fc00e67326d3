"""`Node`: one server, and the connections to it.

Commands go out together, on one connection, and their replies come back in order. Nothing is retried here: whether what
was sent has been done, when a connection breaks, only who sent it can find out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final

import hiredis
from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from statecast.stores.errors import StoreUnavailable

from .address import Address
from .scripts import Command

__all__ = ["Host", "Node", "NotSent", "Reply", "connected", "send"]

#: What a command is answered with: bytes, numbers, lists of them, or none; a `ResponseError` if the server has not done
#: it; `StoreUnavailable` if nobody knows whether it has.
Reply = Any

Host = tuple[str, int]


class NotSent(StoreUnavailable):
    """There is no connection: the server was sent nothing."""


#: Seconds to connect, and to wait for all replies to what was sent together.
CONNECT: Final = 2.0
ANSWER: Final = 5.0

#: Connections that are in use at once.
AT_ONCE: Final = 16


async def connected(address: Address, host: Host) -> Connection:
    """Return a connection to a server.

    Raises:
        RedisError: The server refuses it.
        OSError: There is none, or it does not answer.
    """
    options: dict[str, Any] = {
        "host": host[0],
        "port": host[1],
        "db": address.database,
        "username": address.username,
        "password": address.password,
        "socket_timeout": None,  # who sends or reads has a time-out for all of it
        "socket_connect_timeout": CONNECT,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    connection = SSLConnection(**options) if address.tls else Connection(**options)
    try:
        async with asyncio.timeout(2 * CONNECT):
            await connection.connect()  # type: ignore[no-untyped-call]  # redis-py's
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    return connection


class Node:
    """One server.

    Args:
        address: How to reach it.
        find: Returns where it is: another server may take its place.
    """

    def __init__(self, address: Address, find: Callable[[], Awaitable[Host]]) -> None:
        self._address = address
        self._find = find
        self._idle: list[Connection] = []
        self._generation = 0  #: connections of an earlier one are not used again
        self._closed = False  #: whether a connection that is still made is closed after its use
        self._room = asyncio.Semaphore(AT_ONCE)

    async def exchange(self, commands: Sequence[Command]) -> list[Reply]:
        """Send commands together, and return their replies in order.

        Raises:
            NotSent: There is no connection to the server.
            StoreUnavailable: The connection failed; the server may have done all, some or none of them.
        """
        await self._enter()
        try:
            return await self._exchange(commands)
        finally:
            self._room.release()

    async def _enter(self) -> None:
        """Wait for room, as long as for an answer: a server that is silent is not waited for by one after the other."""
        try:
            async with asyncio.timeout(ANSWER if self._room.locked() else None):
                await self._room.acquire()
        except TimeoutError:
            raise NotSent(f"Redis has not answered {AT_ONCE} others for {ANSWER:g} seconds") from None

    async def _exchange(self, commands: Sequence[Command]) -> list[Reply]:
        generation = self._generation
        try:
            connection = self._idle.pop() if self._idle else await self._connect()
            try:
                replies = await _exchange(connection, commands)
            except BaseException:
                await connection.disconnect(nowait=True)
                raise
        except (RedisError, OSError, TimeoutError) as error:
            await self.reset()  # the others lead to the same server
            raise StoreUnavailable(f"Redis failed: {str(error) or type(error).__name__}") from error
        if generation == self._generation and not self._closed:
            self._idle.append(connection)
        else:
            await connection.disconnect(nowait=True)
        return replies

    async def _connect(self) -> Connection:
        try:
            return await connected(self._address, await self._find())
        except (RedisError, OSError) as error:
            raise NotSent(f"Redis cannot be reached: {str(error) or type(error).__name__}") from error

    async def aclose(self) -> None:
        """Close the connections, and keep none that is made later."""
        self._closed = True
        await self.reset()

    async def reset(self) -> None:
        """Close the connections, so that the next ones are made to whatever server is there then."""
        self._generation += 1
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.disconnect(nowait=True)


async def send(connection: Connection, commands: Iterable[Command]) -> None:
    """Send commands on a connection.

    Raises:
        OSError, RedisError: The connection was lost.
    """
    packed: list[bytes] = [hiredis.pack_command(command) for command in commands]  # type: ignore[arg-type]  # of any size
    try:
        await connection.send_packed_command(b"".join(packed), check_health=False)
    except RuntimeError as error:  # uvloop's word for a connection that has ended since it was used last
        raise ConnectionResetError(str(error)) from error


async def _exchange(connection: Connection, commands: Sequence[Command]) -> list[Reply]:
    replies: list[Reply] = []
    async with asyncio.timeout(ANSWER):
        await send(connection, commands)
        for _ in commands:
            try:
                replies.append(await connection.read_response(disable_decoding=True))
            except ResponseError as error:
                replies.append(error)
    return replies
