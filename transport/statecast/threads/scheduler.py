"""Scheduler: the runs that are queued or under way, one at a time on each thread, and their tasks.

Rule: which run of a thread is active, and which wait behind it, changes here and nowhere else.

Tasks belong to the scheduler, so that no run ends with the request that began it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextvars import Context
from functools import partial
from typing import Any, TypeVar

import msgspec

from statecast import stores
from statecast.protocol import RunError, RunState
from statecast.stores import Key
from statecast_agents import Agent, CommandError
from statecast_agents.pending import Pending

from .errors import ServerStopping
from .limits import Limits
from .log.logged_state import LoggedState
from .observer import Observer, Observers
from .recording import keep_batch, keep_record
from .rules import remember
from .runs.batch import Batch
from .runs.capacity import Capacity
from .runs.deliveries import Delivery
from .runs.execution import INTERRUPTED, Execution
from .runs.failures import explain
from .runs.hook_calls import HookCalls, InThread
from .runs.lifecycle import advance
from .runs.workers import Workers
from .thread import Thread

__all__ = ["Scheduler"]

_T = TypeVar("_T")


class Scheduler:
    """Schedule the runs of a server.

    Args:
        limits: How long each may take.
        debug: Whether errors of an agent's code are shown to clients.
        clock: A monotonic clock, in seconds.
        observer: Learns of the runs.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        debug: bool,
        clock: Callable[[], float] = time.monotonic,
        observer: Observer | None = None,
    ) -> None:
        self.supervisor: asyncio.Task[None] | None = None  #: who waits for their end; None: nobody, so none begins
        self.stopping = False  #: whether none is to begin any more
        self.idle = asyncio.Event()  #: set while no run is queued or under way
        self.idle.set()
        self.room = Capacity(limits)
        self.workers = Workers(limits.threads)  #: for plain functions of agents
        self._limits = limits
        self._debug = debug
        self._clock = clock
        self._observer = observer or Observers()
        self._live: dict[str, Execution] = {}
        self._leaving: set[Execution] = set()  #: those of lost threads whose agents have not stopped yet
        self.hooks: set[HookCalls[Any]] = set()  #: those at work
        #: queued runs that were cancelled, whose entries follow when the active run has ended
        self._cancelled: list[Execution] = []
        self._awaited: dict[str, asyncio.Event] = {}  #: by run, what is set when it has ended

    def __len__(self) -> int:
        return len(self._live) + len(self.hooks)

    def __iter__(self) -> Iterator[Execution]:
        return iter(list(self._live.values()))

    def get(self, run_id: str) -> Execution | None:
        """Return a run that is queued or under way."""
        return self._live.get(run_id)

    def restart(self) -> None:
        """Reset for another event loop: what ran on an earlier one ended with it."""
        self._live.clear()
        self._leaving.clear()
        self.hooks.clear()
        self._cancelled.clear()
        self._awaited.clear()
        self.stopping = False
        self.room = Capacity(self._limits)
        self.workers = Workers(self._limits.threads)
        self.idle = asyncio.Event()
        self.idle.set()

    def stop(self) -> None:
        """Begin nothing any more, and wait for no client."""
        self.stopping = True
        for run in self:
            if not run.begun:
                self.remove(run)  # it stays in its thread's inbox, so that its stream is not over
                run.leave()
                self._observer.run_left(run.observed)
            elif run.waits_since is not None:
                run.cancel("interrupted", INTERRUPTED)  # nobody can answer it any more

    def interrupt(self) -> None:
        """End what is still under way."""
        for run in self:
            run.cancel("interrupted", INTERRUPTED, hurry=True)
        for call in list(self.hooks):
            call.close(hurry=True)

    def check_time(self, now: float) -> None:
        """Stop what has taken too long; `now` is the clock's."""
        for run in self:
            run.check_time(now)
        for call in list(self.hooks):
            call.check_time(now)

    def abandon(self, thread: Thread, run: Execution) -> None:
        """Stop a run that no stream here waits for any more, where its client wants that, and no other process does."""
        if run.batch.on_disconnect == "cancel" and run.followed.leave(self._clock()):
            if run is thread.active:
                run.cancel()
            elif run in thread.inbox:
                self.cancel_queued(thread, run)

    def new(
        self, thread: Thread, batch: Batch, *, agrees: bool, id: str | None = None, context: Context | None = None
    ) -> Execution:
        """Create a run without queueing it; `context` has the variables of its request."""
        run = Execution(
            thread,
            batch,
            agrees=agrees,
            limits=self._limits,
            workers=self.workers,
            room=self.room,
            debug=self._debug,
            clock=self._clock,
            id=id,
            context=context,
        )
        self._observer.run_accepted(run.observed)
        return run

    def ask(
        self, agent: Agent, key: Key, what: str, pieces: Callable[[InThread], AsyncGenerator[_T, None]]
    ) -> HookCalls[_T]:
        """Call a hook of an agent.

        Args:
            agent: The agent.
            key: The thread, and who asks.
            what: What it makes, for the log: `a title`.
            pieces: The hook.

        Raises:
            RequestError: `server_stopping` or `server_full`; `too_many_runs`.
        """
        if self.stopping:
            raise ServerStopping()
        self.room.check(key.owner)
        self.room.enter(key.owner)

        def ended(call: HookCalls[Any]) -> None:
            self.room.leave(key.owner)
            self.hooks.discard(call)
            self._check_idle()

        call = HookCalls(
            pieces,
            agent,
            what,
            key.thread_id,
            workers=self.workers,
            seconds=self._limits.run_seconds,
            ended=ended,
            clock=self._clock,
        )
        self.hooks.add(call)
        self.idle.clear()
        return call

    def queue(self, thread: Thread, run: Execution, *, stored: bool = True) -> None:
        """Put a run into its thread's inbox: at the end, or at the front after a run that starts again.

        Args:
            thread: The thread.
            run: The run.
            stored: Whether the store has it; else it begins only after `store`.
        """
        self._add(run)
        inbox, latest = thread.inbox, thread.last_run
        begins_again = bool(inbox) and latest is not None and latest.id == inbox[0].id
        thread.queue.put(int(begins_again) if run.batch.next_up else len(inbox), run, stored=stored)

    def store(self, thread: Thread, run: Execution) -> None:
        """Let a run begin when its turn comes: the store has it."""
        thread.queue.store(run)
        self.start_next(thread)
        if thread.inbox:
            thread.queue.turn()

    def withdraw(self, thread: Thread, run: Execution) -> None:
        """Remove a queued run that the store refused."""
        if run in thread.inbox:
            thread.queue.remove(run)
            self.remove(run)
            self._observer.run_left(run.observed)

    def restore_inbox(self, thread: Thread, inbox: Sequence[tuple[str, bytes]]) -> None:
        """Mark the interrupted run or restart it, and queue the stored batches.

        Nothing is done if a batch cannot be read.
        """
        batches = [(run_id, _decoded(data, thread)) for run_id, data in inbox]
        cut_off = thread.last_run if thread.last_run is not None and not thread.last_run.ended else None
        if cut_off is not None and cut_off.id not in dict(inbox):
            thread.record(advance(cut_off, "interrupted", INTERRUPTED))
        for run_id, batch in batches:
            if isinstance(batch, RunError):
                thread.record(advance(RunState(run_id, "queued"), "failed", batch))
                thread.journal.add(stores.BatchSettled(thread.key, run_id))
                continue
            again = thread.last_run is not None and thread.last_run.id == run_id
            batch = msgspec.structs.replace(
                batch,
                applied=batch.applied or again,  # a crash cut it off, and its commands are in the messages
                tries=max(batch.tries, int(again)) + 1,
            )
            self.queue(thread, self.new(thread, batch, agrees=False, id=run_id))
        self.start_next(thread)

    def start_next(self, thread: Thread) -> None:
        """Start a thread's next run, if the thread is free and the batch is stored."""
        if thread.gone:
            for run in thread.inbox.copy():
                self.withdraw(thread, run)
            return
        if thread.active is None and self._cancelled:
            self._end_cancelled(thread)
        following = thread.queue.next
        if following is not None and self.supervisor is not None and not self.stopping:
            # It begins a turn later, once whoever answers the request has said that it was accepted.
            thread.queue.remove(following)
            thread.queue.active = following
            thread.queue.turn()
            following.execute(
                begun=partial(self._begun, thread),
                ended=partial(self._ended, thread),
                left=self._left,
                dying=self._dying,
            )

    def lose(self, thread: Thread, nowhere: LoggedState) -> None:
        """Stop the runs of a thread that another process has claimed; its queue is left as it is.

        Args:
            thread: The thread.
            nowhere: What their agents change instead until they have stopped.
        """
        self._cancelled = [run for run in self._cancelled if run.thread is not thread]
        for run in thread.queue.live:
            if run is thread.active:
                self._leaving.add(run)
            run.lose(nowhere)
            self.remove(run)
            self._observer.run_left(run.observed)
            if run.id in self._awaited:
                self._awaited.pop(run.id).set()

    def _left(self, execution: Execution) -> None:
        self._leaving.discard(execution)
        self._check_idle()

    def _begun(self, thread: Thread, execution: Execution) -> None:
        self._observer.run_begun(execution.observed)
        if not thread.agent.restartable:
            thread.journal.add(stores.BatchSettled(thread.key, execution.id))
        keep_batch(thread, execution)

    def _ended(self, thread: Thread, execution: Execution) -> None:
        runs_again = self.stopping and execution.state.status == "interrupted"
        removed = execution.begun and not thread.agent.restartable  # see `_begun`
        if not runs_again and not removed:
            thread.journal.add(stores.BatchSettled(thread.key, execution.id))
        elif runs_again and thread.agent.restartable and execution.batch.tries:
            batch = msgspec.structs.replace(execution.batch, tries=0)  # it has not ended the process
            thread.journal.add(stores.BatchChanged(thread.key, execution.id, batch.encode()))
        self._observer.run_ended(execution.observe_end())
        keep_record(thread, execution)
        thread.queue.active = None
        thread.touch()
        self.remove(execution)
        if execution.id in self._awaited:
            self._awaited.pop(execution.id).set()
        if not self.stopping and not thread.gone:
            self._queue_undelivered(thread, execution.undelivered())
        self.start_next(thread)
        thread.log.wake()

    def _queue_undelivered(self, thread: Thread, deliveries: Sequence[Delivery]) -> None:
        """Run next what was delivered to a run that ended without taking it."""
        for delivery in reversed(deliveries):
            run = self.new(thread, delivery.batch, agrees=False, id=delivery.run_id, context=delivery.context)
            (command,) = run.batch.commands
            remember(thread, command, run.id)
            if not run.batch.applied:
                thread.journal.add(stores.BatchChanged(thread.key, run.id, run.batch.encode()))
            self._add(run)
            thread.queue.put(0, run)

    def _dying(self) -> bool:
        """Return whether the event loop is ending all tasks, the supervisor's included."""
        return self.supervisor is None or self.supervisor.done() or self.supervisor.cancelling() > 0

    async def ended(self, run: Execution) -> None:
        """Wait until an active run has ended."""
        await self._awaited.setdefault(run.id, asyncio.Event()).wait()

    def dismiss(self, thread: Thread) -> None:
        """Dismiss the questions of a thread that waits for their answers, without a run."""
        assert thread.last_run is not None, "it asks"
        messages = thread.document.list_at(thread.agent.messages)
        thread.answers.add(Pending(thread.document, thread.agent.pending).dismiss(messages))
        thread.record(advance(thread.last_run, "cancelled"))
        self.start_next(thread)
        thread.log.wake()

    def cancel_queued(self, thread: Thread, *runs: Execution) -> None:
        """Cancel queued runs. Their entries follow when the active run has ended.

        Until then the log's latest run is the active one.
        """
        for run in runs:
            thread.queue.remove(run)
            thread.journal.add(stores.BatchSettled(thread.key, run.id))
            self._cancelled.append(run)
            self.remove(run)
        self.start_next(thread)
        thread.queue.turn()

    def _end_cancelled(self, thread: Thread) -> None:
        asked = thread.last_run if thread.asks else None
        ended = [run for run in self._cancelled if run.thread is thread]
        for run in ended:
            self._cancelled.remove(run)
            run.cancel_queued()
            self._observer.run_ended(run.observe_end())
            keep_record(thread, run)
        if asked is not None and ended:
            thread.record(asked)  # the thread waits as before

    def _add(self, run: Execution) -> None:
        self._live[run.id] = run
        self.idle.clear()
        self.room.enter(run.thread.owner)

    def remove(self, execution: Execution) -> None:
        """Remove a run that has ended, or never begins."""
        if self._live.pop(execution.id, None) is not None:
            self.room.leave(execution.thread.owner)
        self._check_idle()

    def _check_idle(self) -> None:
        if not self._live and not self._leaving and not self.hooks:
            self.idle.set()


def _decoded(data: bytes, thread: Thread) -> Batch | RunError:
    """Return a stored batch; an error if the agent no longer knows its commands, or fails on one."""
    try:
        return Batch.decode(data, thread.agent.commands)
    except CommandError as error:
        return RunError(error.code, str(error))
    except Exception:  # damaged data
        raise
    except BaseException as failure:
        return explain(failure, f"reading the inbox of thread {thread.id}", debug=False)
