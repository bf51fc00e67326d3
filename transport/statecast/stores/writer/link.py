"""`Link`: a process's connection to the writer, made again whenever it is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

import msgspec

from statecast.stores.errors import StoreUnavailable

from .calls import VERSION, decode_reply, encode
from .frames import Frames, FramesBroken

__all__ = ["Link"]

#: Seconds between tries to connect again; the last one goes on.
RETRY: Final = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5)

#: Seconds in which the writer has to answer the first call of a connection: it may be reading what a crash left.
ANSWER: Final = 60.0


class _Connection(Frames):
    """One connection, and the calls on it that wait for their replies."""

    def __init__(self, on_hint: Callable[[Collection[str]], None]) -> None:
        super().__init__()
        self.over: asyncio.Future[None] = self._loop.create_future()
        self._on_hint = on_hint
        self._number = 0
        self._methods: dict[int, str] = {}
        self._replies: dict[int, asyncio.Future[Any]] = {}

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the store, and return what it returns."""
        if self.over.done():
            raise _lost()
        self._number = number = self._number + 1
        self._methods[number] = method
        self._replies[number] = reply = self._loop.create_future()
        self.send(encode((number, method, arguments)))
        return await reply

    def tell(self, method: str, *arguments: Any) -> None:
        """Call a method that does not reply."""
        self.send(encode((0, method, arguments)))

    def hints(self, topics: Collection[str]) -> bytes:
        """Return hints as the writer expects them."""
        return encode((0, "hints", (list(topics),)))

    def receive(self, frame: bytes) -> None:
        """Receive a reply, or hints."""
        try:
            number, error, result = decode_reply(frame, self._methods)
        except msgspec.DecodeError as reason:
            raise FramesBroken(f"expected a reply: {reason}") from reason
        if number == 0:
            self._on_hint(result)
            return
        self._methods.pop(number, None)
        reply = self._replies.pop(number, None)
        if reply is None or reply.done():
            return  # whoever called was cancelled
        if error is None:
            reply.set_result(result)
        else:
            reply.set_exception(error)

    def lost(self) -> None:
        """Fail the calls that have no reply."""
        replies, self._replies = self._replies, {}
        for reply in replies.values():
            if not reply.done():
                reply.set_exception(_lost())
        if not self.over.done():
            self.over.set_result(None)


class Link:
    """Keeps a connection to the writer.

    Args:
        place: Returns the path of the writer's socket, once it listens; raises StoreUnavailable.
        patience: Seconds that a call waits for a connection.
        on_hint: Called with topics of which there may be something new.
        on_connected: Called with each new connection, before any call.
    """

    def __init__(
        self,
        place: Callable[[], Awaitable[str]],
        *,
        patience: float,
        on_hint: Callable[[Collection[str]], None],
        on_connected: Callable[[], None],
    ) -> None:
        self._place = place
        self._patience = patience
        self._on_hint = on_hint
        self._on_connected = on_connected
        self._connection: _Connection | None = None
        self._connected = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    @property
    def live(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None

    async def open(self) -> None:
        """Connect.

        Raises:
            StoreUnavailable: There is no writer.
        """
        if self._keeping is None:
            self._connected = asyncio.Event()
            path = await self._place()
            connection = await self._connect(path)
            self._keeping = asyncio.get_running_loop().create_task(
                self._keep(path, connection), name="statecast writer"
            )

    async def aclose(self) -> None:
        """Close the connection."""
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping
            self._keeping = None

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the store, and return what it returns.

        Raises:
            StoreUnavailable: There is no connection, or it was lost before the reply.
        """
        connection = self._connection
        if connection is None:
            connection = await self._wait()
        return await connection.call(method, *arguments)

    def tell(self, method: str, *arguments: Any) -> None:
        """Call a method that does not reply; without a connection, do nothing."""
        if self._connection is not None:
            self._connection.tell(method, *arguments)

    def hint(self, topics: Collection[str]) -> None:
        """Hint at topics; without a connection, do nothing."""
        if self._connection is not None:
            self._connection.hint(topics)

    async def _wait(self) -> _Connection:
        if self._keeping is None:
            raise StoreUnavailable("the connection to the process that writes the store is not open")
        try:
            async with asyncio.timeout(self._patience):
                while self._connection is None:
                    await self._connected.wait()
        except TimeoutError:
            raise StoreUnavailable("the process that writes the store does not answer") from None
        return self._connection

    async def _connect(self, path: str) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_unix_connection(lambda: _Connection(self._on_hint), path)
        except OSError as error:
            raise StoreUnavailable(f"the process that writes the store cannot be reached: {error}") from error
        try:
            async with asyncio.timeout(ANSWER):
                version = await connection.call("hello", VERSION)
        except TimeoutError:
            connection.close()
            raise StoreUnavailable(f"the process that writes the store did not answer within {ANSWER:g} s") from None
        except BaseException:
            connection.close()
            raise
        if version != VERSION:
            connection.close()
            raise StoreUnavailable(
                f"expected the process that writes the store to speak version {VERSION}, got {version}; stop the "
                "server and start it again"
            )
        return connection

    async def _keep(self, path: str, connection: _Connection) -> None:
        while True:
            self._connection = connection
            self._on_connected()
            self._connected.set()
            try:
                await connection.over
            finally:
                self._connection = None
                self._connected.clear()
                connection.close()
            connection = await self._reconnect(path)

    async def _reconnect(self, path: str) -> _Connection:
        tries = 0
        while True:
            try:
                return await self._connect(path)
            except StoreUnavailable:
                await asyncio.sleep(RETRY[min(tries, len(RETRY) - 1)])
                tries += 1


def _lost() -> StoreUnavailable:
    return StoreUnavailable("the connection to the process that writes the store was lost")
