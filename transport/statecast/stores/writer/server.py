"""`Writer`: serves a store to the processes that connect, in the one process that has it open."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from statecast.stores.key import Key
from statecast.stores.shared import Held, SharedStore
from statecast.stores.wake import WORK, topic_of

from .calls import VERSION, Written, decode_call, encode, problem_of, unpacked
from .frames import Frames
from .uploads import IncomingFile

__all__ = ["Writer"]

_log: Final = logging.getLogger("statecast")


class Writer:
    """Serves a store.

    Args:
        store: The store, which is open.
    """

    def __init__(self, store: SharedStore) -> None:
        self._store = store
        self._visitors: set[_Visitor] = set()
        self.claims: dict[Key, tuple[_Visitor, int]] = {}  #: the token of each claim, and whose it is
        self._tasks: set[asyncio.Task[None]] = set()
        self._deserted = asyncio.Event()  #: set while nobody is connected
        self._deserted.set()

    async def serve(self, listening: socket.socket, stop: asyncio.Event) -> None:
        """Serve until asked to stop, and then until nobody is connected any more.

        Args:
            listening: Where processes connect.
            stop: Set to ask.
        """
        stays: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}  # for the next writer
        server = await asyncio.get_running_loop().create_unix_server(self._visitor, sock=listening, **stays)
        try:
            await stop.wait()
            await self._deserted.wait()
        finally:
            server.close()
            for visitor in self._visitors:
                visitor.close()
            if self._tasks:
                await asyncio.wait(self._tasks)

    def start(self, work: Any) -> None:
        """Start what belongs to nobody but this server."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _visitor(self) -> _Visitor:
        visitor = _Visitor(self, self._store)
        self._visitors.add(visitor)
        self._deserted.clear()
        return visitor

    def leave(self, visitor: _Visitor) -> None:
        """Note that a process is not connected any more, and give up its claims."""
        visitor.left = True
        self._visitors.discard(visitor)
        tokens = {key: token for key, (holder, token) in self.claims.items() if holder is visitor}
        for key in tokens:
            del self.claims[key]
        self.start(self.end_claims(tokens))
        if not self._visitors:
            self._deserted.set()

    async def end_claims(self, tokens: Mapping[Key, int]) -> None:
        """Give up claims, and have others go on with their threads at once."""
        await self._store.release(tokens)
        for visitor in self._visitors:
            visitor.hint([WORK, *map(topic_of, tokens)])


class _Visitor(Frames):
    """A process that is connected.

    When its connection ends, its claims do too, because most likely the process has ended. If it has not, it connects
    again and renews those that nobody else has claimed.
    """

    def __init__(self, writer: Writer, store: SharedStore) -> None:
        super().__init__()
        self._writer = writer
        self._store = store
        self._wake = store.wake()
        self._files: dict[int, IncomingFile] = {}
        self._numbers = itertools.count(1)
        self.left = False  #: whether it is not connected any more

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to pass on hints."""
        super().connection_made(transport)
        self._writer.start(self._wake.open(self.hint, lambda: None))

    def receive(self, frame: bytes) -> None:
        """Receive a call."""
        try:
            number, method, arguments = decode_call(frame)
        except msgspec.DecodeError as error:
            _log.error("a process that sends what is no call is disconnected: %s", error)
            self.close()
            return
        if number:
            self._writer.start(self._answer(number, method, arguments))
        elif method == "hints":
            self._wake.send(*arguments)
        elif method == "drop_file":
            self._file(*arguments).drop()
        else:
            follow = self._wake.follow if method == "follow" else self._wake.unfollow
            for topic in arguments[0]:
                follow(topic)

    def lost(self) -> None:
        """End what the process has begun and cannot finish."""
        self._writer.leave(self)
        for file in self._files.values():
            file.drop()
        self._writer.start(self._wake.aclose())

    def hints(self, topics: Collection[str]) -> bytes:
        """Return hints as a process expects them."""
        return encode((0, None, list(topics)))

    async def _answer(self, number: int, method: str, arguments: Sequence[Any]) -> None:
        try:
            reply = encode((number, None, await self._call(method, arguments)))
        except Exception as error:  # whatever it is, it is an answer
            problem = problem_of(error)
            if problem[0] == "failed":
                _log.exception("the store failed")
            reply = encode((number, problem, None))
        self.send(reply)

    async def _call(self, method: str, arguments: Sequence[Any]) -> Any:
        store = self._store
        match method, arguments:
            case "hello", _:
                return VERSION
            case "commit", [Written() as written]:
                await store.commit(unpacked(written)[0])  # type: ignore[arg-type]  # none of them answers a call
            case "write", [Written() as written]:
                failed = await store.write(*unpacked(written))
                return [(key, problem_of(error)) for key, error in failed.items()]
            case "claim", [key, process, seconds]:
                return await self._claim(key, process, seconds)
            case "renew", [tokens, seconds]:
                return await self._renew(dict(tokens), seconds)
            case "release", [tokens]:
                await self._release(dict(tokens))
            case "tails", [places]:
                return await store.tails(dict(places))
            case "idle_for", [seconds, lasting]:
                return await store.idle_for(seconds, lasting=lasting)
            case "summaries", [owner, archived, before, limit]:
                return await store.summaries(owner, archived=archived, before=before, limit=limit)
            case "begin_file", [name, type, owner]:
                number = next(self._numbers)
                self._files[number] = IncomingFile(partial(store.write_file, name, type, owner))
                return number
            case "add_piece", [number, piece]:
                await self._files[number].add(piece)
            case "finish_file", [number]:
                return await self._file(number).finish()
            case _:
                return await getattr(store, method)(*arguments)
        return None

    async def _claim(self, key: Key, process: str, seconds: float) -> tuple[int, str | None, int] | str:
        claimed = await self._store.claim(key, process, seconds)
        if isinstance(claimed, Held):
            return claimed.process
        if self.left:  # meanwhile
            await self._writer.end_claims({key: claimed.token})
        else:
            self._writer.claims[key] = self, claimed.token
        return claimed.token, claimed.epoch, claimed.revision

    async def _renew(self, tokens: Mapping[Key, int], seconds: float) -> Collection[Key]:
        lost = await self._store.renew(tokens, seconds)
        self._writer.claims.update({key: (self, token) for key, token in tokens.items() if key not in lost})
        return lost

    async def _release(self, tokens: Mapping[Key, int]) -> None:
        await self._store.release(tokens)
        for key, token in tokens.items():
            if self._writer.claims.get(key) == (self, token):
                del self._writer.claims[key]

    def _file(self, number: int) -> IncomingFile:
        return self._files.pop(number)
