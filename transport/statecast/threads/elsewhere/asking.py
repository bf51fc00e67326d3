"""Asking the process that holds a thread to perform a call, and answering what others ask this one.

A call is in the store until it is performed: by the process that holds the thread, or by the next one that does. That
may be the one that asks, which tries to claim the thread from time to time. What a call does is stored together with
the fact that it is taken, so it is performed once, whoever dies meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from functools import partial
from typing import Final

import msgspec

from statecast.protocol.errors import InternalError, RequestError
from statecast.stores import Key, Post, PostTaken, StoreUnavailable
from statecast.threads.calls.performing import Performer
from statecast.threads.calls.replies import Refused, Reply, decode_reply, encode_reply
from statecast.threads.calls.requests import Call, decode_call, encode_call
from statecast.threads.errors import LeaseLost, ServerStopping
from statecast.threads.ownership.leases import HeldElsewhere
from statecast.threads.ownership.registry import SharedRegistry
from statecast_agents import new_id

from .mirrors import pause_of

__all__ = ["Asking"]

#: Seconds that a process which holds a thread may take to perform a call.
PATIENCE: Final = 30.0

_log: Final = logging.getLogger("statecast")


class Asking:
    """Calls between processes.

    Args:
        registry: The threads.
        performer: Performs the calls of others.
    """

    def __init__(self, registry: SharedRegistry, performer: Performer) -> None:
        self._registry = registry
        self._performer = performer
        self._waiting: dict[str, asyncio.Future[Reply]] = {}  #: who waits for a reply, by the call's id
        self._performing: dict[str, asyncio.Task[None]] = {}  #: by the call's id
        self._reading = asyncio.Lock()  #: replies
        self._performed: dict[str, float] = {}  #: when calls were performed, for as long as a read may still have them

    async def ask(self, key: Key, process: str, call: Call) -> Reply | None:
        """Ask a process to perform a call, and return its reply.

        None: the thread was deleted, and the call with it; it was not performed.

        Raises:
            RequestError: `store_unavailable`; also if no process has performed it in time, though one still may, and
                if one has and its reply was lost.
        """
        registry, id = self._registry, new_id("call")
        waiting: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[id] = waiting
        registry.observer.called_elsewhere()
        try:
            async with asyncio.timeout(PATIENCE):
                await registry.shared.post(Post(key, id, registry.leases.process, encode_call(call)))
                while True:
                    registry.hints.send([_calls_of(process)])
                    await asyncio.wait({waiting}, timeout=pause_of(registry.hints))
                    if waiting.done():
                        return waiting.result()
                    with contextlib.suppress(StoreUnavailable, LeaseLost):  # it is in the store, and may be performed
                        try:
                            thread = await registry.own(key)
                        except HeldElsewhere as held:
                            process = held.process
                            continue
                        if not await self._perform_all([key], wanted=id):
                            await self._read_replies()
                            if not waiting.done() and thread is None:
                                return None
                            if not waiting.done():
                                waiting.set_exception(StoreUnavailable("the reply of another process was lost"))
        except TimeoutError:
            raise StoreUnavailable(f"the process that holds {key.thread_id!r} does not answer") from None
        finally:
            del self._waiting[id]

    async def run(self) -> None:
        """Answer what other processes ask, and hear their replies, until cancelled."""
        hints, process = self._registry.hints, self._registry.leases.process
        asked, replied = asyncio.Event(), asyncio.Event()
        hints.follow(_calls_of(process), asked.set)
        hints.follow(_replies_to(process), replied.set)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._look(asked, self._answer))
                tasks.create_task(self._look(replied, self._read_replies))
        finally:
            for task in self._performing.values():
                task.cancel()

    async def _look(self, hinted: asyncio.Event, work: Callable[[], Awaitable[None]]) -> None:
        """Do some work whenever there is a hint, and from time to time."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_of(self._registry.hints)):
                    await hinted.wait()
            hinted.clear()
            try:
                await work()
            except StoreUnavailable:
                continue  # what is there will be there next time
            except Exception:  # one error is not to end all calls
                _log.exception("calls between processes could not be read")

    async def _answer(self) -> None:
        """Begin to perform what was asked of the threads that this process holds."""
        held = list(self._registry.leases)
        if held:
            await self._perform_all(held)

    async def _perform_all(self, keys: Collection[Key], *, wanted: str | None = None) -> bool:
        """Begin to perform the calls of threads; return whether one of them is the wanted one.

        What is read may be older than what has happened since: a call is performed only once here, and only under the
        claim that the thread had before the calls were read, so that nobody else has performed it in between.
        """
        registry = self._registry
        tokens = {key: registry.leases.token_of(key) for key in keys}
        posts = await registry.shared.posts(keys)
        self._forget_performed()
        for post in posts:
            token = tokens[post.key]
            if token is not None and post.id not in self._performing and post.id not in self._performed:
                self._begin(post.id, self._perform(post, token))
        return any(post.id == wanted for post in posts)

    def _begin(self, id: str, work: Coroutine[None, None, None]) -> None:
        task = self._performing[id] = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(lambda task: self._performing.pop(id))

    def _forget_performed(self) -> None:
        before = self._registry.clock() - PATIENCE
        while self._performed and (oldest := next(iter(self._performed.items())))[1] < before:
            del self._performed[oldest[0]]

    async def _perform(self, post: Post, token: int) -> None:
        """Perform a call, and reply; if this process cannot, the call stays for the next one.

        Args:
            post: The call.
            token: Of the claim under which it was read.
        """
        if self._registry.leases.token_of(post.key) != token:
            return
        try:
            reply = await self._reply_to(post)
        except (HeldElsewhere, LeaseLost, StoreUnavailable, ServerStopping):
            return
        self._performed[post.id] = self._registry.clock()
        waiting = self._waiting.get(post.id)
        if waiting is None:
            self._registry.hints.send([_replies_to(post.process)])
        elif not waiting.done():
            waiting.set_result(reply)

    async def _reply_to(self, post: Post) -> Reply:
        taken = partial(_taken, post)
        try:
            call = decode_call(post.data)
            return await self._performer.perform(post.key, call, taken)
        except (LeaseLost, StoreUnavailable, ServerStopping):
            raise
        except RequestError as error:
            reply = Refused.of(error)
        except msgspec.DecodeError as error:
            reply = Refused.of(InternalError(f"another process asks for what this one does not know: {error}"))
        except HeldElsewhere:
            raise
        except Exception as error:
            _log.exception("a call of another process failed on the thread %r", post.key.thread_id)
            reply = Refused.of(InternalError(repr(error)))
        self._registry.journal.add(*taken(reply))
        await self._registry.wait_stored_through_outages(post.key)
        return reply

    async def _read_replies(self) -> None:
        """Hand the replies that have come to who waits for them."""
        async with self._reading:  # what another read has taken is here when it has ended
            if not self._waiting:
                return
            for id, data in (await self._registry.shared.replies(self._registry.leases.process)).items():
                waiting = self._waiting.get(id)
                if waiting is not None and not waiting.done():
                    try:
                        waiting.set_result(decode_reply(data))
                    except RequestError as error:
                        waiting.set_exception(error)


def _taken(post: Post, reply: Reply) -> Sequence[PostTaken]:
    return [PostTaken(post.key, post.id, post.process, encode_reply(reply))]


def _calls_of(process: str) -> str:
    """Return the topic of calls to a process."""
    return f"calls:{process}"


def _replies_to(process: str) -> str:
    """Return the topic of replies to a process."""
    return f"replies:{process}"
