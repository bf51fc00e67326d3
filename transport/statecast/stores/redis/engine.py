"""`Engine`: the servers that the store is on, and which of them has what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from statecast.stores.errors import StoreUnavailable

from .address import Address
from .keys import SLOTS
from .node import CONNECT, Host, Node, Reply
from .scripts import Command, with_text

__all__ = ["Confirm", "Engine", "engine_at", "value_of"]

#: Seconds between tries while slots move, or a server becomes a master.
PAUSES: Final = (0.0, 0.02, 0.1)

#: Says what is missing from the replies of the last commands, if they do not confirm what was written before.
Confirm = tuple[Sequence[Command], Callable[[Sequence[Reply]], str | None]]


def value_of(reply: Reply) -> Reply:
    """Return a reply.

    Raises:
        StoreUnavailable: It says that the command was not done, or may not have been.
    """
    if isinstance(reply, StoreUnavailable):
        raise reply
    if isinstance(reply, ResponseError):
        raise StoreUnavailable(f"Redis refused a command: {reply}") from reply
    return reply


class Engine:
    """One server, or whatever takes its place.

    Args:
        address: Where it is.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._node = Node(address, self._find)

    def _begin(self) -> None:
        """Forget what belongs to the event loop that used the engine before."""
        self._node = Node(self.address, self._find)

    @property
    def is_cluster(self) -> bool:
        """Whether the slots are on several servers."""
        return self.address.way == "cluster"

    async def open(self) -> None:
        """Find the servers.

        Raises:
            StoreUnavailable: None of them answers.
        """
        self._begin()
        await self.refresh()
        for replies in await self.everywhere([("PING",)]):
            value_of(replies[0])

    async def aclose(self) -> None:
        """Close all connections."""
        await self._node.aclose()

    @property
    def nodes(self) -> Iterable[Node]:
        """The servers that have data."""
        return (self._node,)

    def node_of(self, slot: int) -> Node:
        """Return the server that has a slot."""
        return self._node

    def host_of(self, slot: int) -> Host | None:
        """Return where the server is that has a slot; None: where `find` says."""
        return None

    async def _find(self) -> Host:
        return self.address.hosts[0]

    async def find(self, host: Host | None) -> Host:
        """Return where a server is that `host_of` returned.

        Raises:
            StoreUnavailable: Nobody knows.
        """
        try:
            return host or await self._find()
        except (RedisError, OSError) as error:
            raise StoreUnavailable(str(error)) from error

    async def refresh(self) -> None:
        """Find out anew where everything is.

        Raises:
            StoreUnavailable: Nobody knows.
        """
        await self._node.reset()

    async def everywhere(self, commands: Sequence[Command]) -> list[Sequence[Reply]]:
        """Send commands to all servers, and return the replies of each.

        Raises:
            StoreUnavailable: One of them does not answer.
        """
        return await asyncio.gather(*(node.exchange(commands) for node in self.nodes))

    async def ask(self, commands: Sequence[tuple[int, Command]]) -> list[Reply]:
        """Send commands that may be done twice, and return their replies.

        Raises:
            StoreUnavailable: One of them was not done, or may not have been.
        """
        replies = await self.run(commands)
        if any(isinstance(reply, StoreUnavailable) for reply in replies):  # most often the connection was an old one
            replies = await self.run(commands)
        return [value_of(reply) for reply in replies]

    async def run(self, commands: Sequence[tuple[int, Command]], confirm: Confirm | None = None) -> list[Reply]:
        """Send commands, each to where its slot is, and return their replies in order; see `Reply`.

        Those that a server did not do for a reason that passes are sent again, a few times.

        Args:
            commands: Slots and commands.
            confirm: Commands to send last on each connection that something was written on, and what checks them.
        """
        replies: list[Reply] = [None] * len(commands)
        left = {index: command for index, (_, command) in enumerate(commands)}
        for pause in PAUSES:
            if pause:
                await asyncio.sleep(pause)
            await self._round(commands, left, replies, confirm)
            again: dict[int, Command] = {}
            moved = False
            for index, command in left.items():
                reply = replies[index]
                if isinstance(reply, NoScriptError):
                    again[index] = with_text(command)
                elif isinstance(reply, MovedError | ReadOnlyError | MasterDownError | ClusterDownError | TryAgainError):
                    again[index] = command
                    moved = True
                elif isinstance(reply, AskError):
                    replies[index] = await self._ask_there(reply, command, confirm)
            if moved:
                try:
                    await self.refresh()
                except StoreUnavailable:
                    break  # the replies say it
            left = again
            if not left:
                break
        return replies

    async def _round(
        self,
        commands: Sequence[tuple[int, Command]],
        left: dict[int, Command],
        replies: list[Reply],
        confirm: Confirm | None,
    ) -> None:
        """Send commands once, and put down their replies."""
        parts: dict[Node, list[int]] = {}
        for index in left:
            try:
                parts.setdefault(self.node_of(commands[index][0]), []).append(index)
            except LookupError:
                replies[index] = ClusterDownError("no node serves the slot")
        sent = [_sent(node, [left[index] for index in part], confirm) for node, part in parts.items()]
        answers = [await sent[0]] if len(sent) == 1 else await asyncio.gather(*sent)
        for part, found in zip(parts.values(), answers, strict=True):
            for index, reply in zip(part, found, strict=True):
                replies[index] = reply

    async def _ask_there(self, error: AskError, command: Command, confirm: Confirm | None) -> Reply:
        """Send a command to where its slot is moving."""
        there = Node(self.address, partial(self.find, (error.host, error.port)))
        try:
            replies = await _sent(there, [("ASKING",), command], confirm)
            if isinstance(replies[1], NoScriptError):
                replies = await _sent(there, [("ASKING",), with_text(command)], confirm)
        finally:
            await there.aclose()
        return replies[1]


class _Watched(Engine):
    """The master of a service that Sentinels watch."""

    async def _find(self) -> Host:
        address = self.address
        asked: dict[str, Any] = {
            "ssl": address.tls,
            "socket_timeout": CONNECT,
            "socket_connect_timeout": CONNECT,
            "retry": Retry(NoBackoff(), 0),  # the next Sentinel is asked instead
            "protocol": 2,
        }
        sentinels = Sentinel(address.hosts, sentinel_kwargs=asked)  # type: ignore[no-untyped-call]  # redis-py's
        try:
            host, port = await sentinels.discover_master(address.service)
        finally:
            for sentinel in sentinels.sentinels:  # `Sentinel.aclose` is newer than redis-py 8.0
                await sentinel.aclose()
        return str(host), int(port)


class _Cluster(Engine):
    """The masters of a cluster."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._masters: dict[Host, Node] = {}
        self._hosts: list[Host | None] = [None] * SLOTS
        self._refreshing: asyncio.Future[None] | None = None

    def _begin(self) -> None:
        self._masters, self._refreshing = {}, None

    async def aclose(self) -> None:
        for node in self._masters.values():
            await node.aclose()
        self._masters = {}

    @property
    def nodes(self) -> Iterable[Node]:
        return self._masters.values()

    def node_of(self, slot: int) -> Node:
        host = self._hosts[slot]
        if host is None:
            raise LookupError(slot)
        return self._masters[host]

    def host_of(self, slot: int) -> Host | None:
        return self._hosts[slot]

    async def refresh(self) -> None:
        """Ask the nodes for the slots, once for all who want to know now."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.ensure_future(self._refresh())
        await asyncio.shield(self._refreshing)

    async def _refresh(self) -> None:
        error: StoreUnavailable | None = None
        for host in dict.fromkeys([*self._masters, *self.address.hosts]):
            node = Node(self.address, partial(self.find, host))
            try:
                (ranges,) = await node.exchange([("CLUSTER", "SLOTS")])
                await self._take(value_of(ranges), host)
            except StoreUnavailable as failed:
                error = failed
            else:
                return
            finally:
                await node.aclose()
        raise error or StoreUnavailable("no node of the cluster answers")

    async def _take(self, ranges: Reply, asked: Host) -> None:
        hosts: list[Host | None] = [None] * SLOTS
        for first, last, master, *_ in ranges:
            host = (master[0].decode() or asked[0], int(master[1]))
            hosts[first : last + 1] = [host] * (last + 1 - first)
        if all(host is None for host in hosts):
            raise StoreUnavailable("the cluster serves no slots")
        self._hosts = hosts
        gone = set(self._masters) - set(hosts)
        for host in gone:
            await self._masters.pop(host).aclose()
        for master in set(hosts) - {None}:
            if master is not None and master not in self._masters:
                self._masters[master] = Node(self.address, partial(self.find, master))

    async def run(self, commands: Sequence[tuple[int, Command]], confirm: Confirm | None = None) -> list[Reply]:
        """Send commands; where a node does not answer, another one may serve its slots next time."""
        replies = await super().run(commands, confirm)
        if any(isinstance(reply, StoreUnavailable | ClusterDownError) for reply in replies):
            try:
                await self.refresh()
            except StoreUnavailable:
                pass  # the replies say it
        return replies


async def _sent(node: Node, commands: Sequence[Command], confirm: Confirm | None) -> Sequence[Reply]:
    """Return the replies of a server; if it did not answer, or not confirm, as many errors."""
    last, missing = confirm or ((), lambda replies: None)
    try:
        replies = await node.exchange([*commands, *last])
    except StoreUnavailable as error:
        return [error] * len(commands)
    wrong = missing(replies[len(commands) :])
    if wrong is None:
        return replies[: len(commands)]
    unconfirmed = StoreUnavailable(wrong)
    return [reply if isinstance(reply, ResponseError) else unconfirmed for reply in replies[: len(commands)]]


def engine_at(address: Address) -> Engine:
    """Return the engine of an address."""
    return {"server": Engine, "sentinel": _Watched, "cluster": _Cluster}[address.way](address)
