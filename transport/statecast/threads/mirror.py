"""Mirrors: threads that another process holds, or nobody, kept up to date from the store.

A mirror is a `Thread` like any other, with the same readers before and after. Nothing writes to its state or its log
but what is here, and its queue has runs that execute elsewhere, see `RunElsewhere`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final, cast

from statecast.protocol import Entry, RunEntry
from statecast.stores import Place, SavedThread, Tail, read_entry
from statecast.threads.log.run_queue import RunQueue
from statecast.threads.runs.run_elsewhere import RunElsewhere
from statecast.threads.thread import Thread
from statecast_agents import Agent

__all__ = ["extend", "lose", "mirror", "place_of", "reload"]

#: The version of an inbox that is not known.
UNKNOWN: Final = -1


def place_of(thread: Thread) -> Place:
    """Return how far a mirror has come."""
    return Place(thread.epoch, thread.log.revision, thread.queue.version)


def mirror(thread: Thread, inbox: Sequence[tuple[str, bytes]]) -> None:
    """Make a thread that was restored from the store a mirror.

    Args:
        thread: The thread.
        inbox: Its batches, as they are stored.
    """
    run = thread.last_run
    active: RunElsewhere | None = None
    if run is not None and not run.ended:
        entries = [entry for entry in thread.log.rest(-1) if isinstance(entry, RunEntry) and entry.run.id == run.id]
        since = entries[-1].revision if entries and run.status == "waiting" else None
        start = max(0, _begin_of(entries) - 1) if entries else thread.log.start
        data = dict(inbox).get(run.id, b"")
        active = RunElsewhere(thread, run.id, data, start=start, state=run, waits_since=since)
    queue = _queue_of(thread)
    queue.version = UNKNOWN
    queue.replace(active, [])
    _follow_inbox(thread, inbox)


def reload(thread: Thread, saved: SavedThread, agent: Agent) -> None:
    """Make a thread in memory a mirror of what is stored, with the same readers. Damage raises any exception."""
    thread.reload(saved, agent)
    mirror(thread, saved.inbox)


def lose(thread: Thread) -> None:
    """Make a thread that another process has claimed a mirror: what is not stored never will be.

    Its readers get nothing more until it is loaded again.
    """
    log = thread.log
    log.cut()
    live = [
        RunElsewhere(
            thread,
            run.id,
            run.batch.encode(),
            start=min(run.start, log.visible),
            state=run.state if run.begun else None,
        )
        for run in thread.queue.live
    ]
    active = live.pop(0) if thread.queue.active is not None else None
    _queue_of(thread).replace(active, live)


def extend(thread: Thread, tail: Tail, agent: Agent) -> bool:
    """Add what is new to a mirror; return whether that suffices, else the thread must be loaded.

    Damage raises any exception.
    """
    if tail.truncated or tail.ahead or tail.epoch != thread.epoch:
        return False
    entries = [read_entry(*entry) for entry in tail.entries if entry[0] > thread.log.revision]
    if entries and entries[0].revision != thread.log.revision + 1:
        return False
    thread.agent = agent
    for entry in entries:
        _follow_entry(thread, entry)
    if not tail.more and tail.version != thread.queue.version:
        _follow_inbox(thread, tail.inbox)
        thread.queue.version = tail.version
    if entries:
        thread.log.show(thread.log.revision)
    return True


def _follow_entry(thread: Thread, entry: Entry) -> None:
    """Add an entry to a mirror's log, and follow the run that it is about."""
    if not isinstance(entry, RunEntry):
        thread.learn(entry)
        return
    run, queue = entry.run, _queue_of(thread)
    active = queue.active
    if run.ended:
        if active is not None and active.id == run.id:
            queue.active = None
    elif active is None or active.id != run.id or active.state.status == run.status == "running":
        thread.log.discard_parts()
        queued = next((one for one in queue.inbox if one.id == run.id), None)
        if queued is not None:
            queue.remove(queued)
        active = queue.active = queued or RunElsewhere(thread, run.id, start=entry.revision - 1)
        active.begin(entry.revision - 1, run)
    else:
        active.state = run
        active.waits_since = entry.revision if run.status == "waiting" else None
    thread.learn(entry)
    queue.asks_since = entry.revision if run.asks else None
    queue.turn()


def _follow_inbox(thread: Thread, inbox: Sequence[tuple[str, bytes]]) -> None:
    """Make a mirror's queue that of the store, in the order in which its runs will begin."""
    queue = _queue_of(thread)
    active = queue.active
    known = {run.id: run for run in queue.live}
    waiting: list[RunElsewhere] = []
    for run_id, data in inbox:
        run = known.get(run_id)
        if run is None or run is not active:
            run = (
                run
                if run is not None and run.data == data
                else RunElsewhere(thread, run_id, data, start=thread.log.revision)
            )
            if active is None or not run.batch.applied:  # else the active run has it already
                waiting.insert(0 if run.batch.next_up else len(waiting), run)
    if waiting != queue.inbox:
        queue.replace(active, waiting)


def _begin_of(entries: Sequence[RunEntry]) -> int:
    """Return the revision at which a run began, or began again, of its entries."""
    begin = entries[0].revision
    for before, entry in itertools.pairwise(entries):
        if before.run.status == entry.run.status == "running":
            begin = entry.revision
    return begin


def _queue_of(thread: Thread) -> RunQueue[RunElsewhere]:
    """Return a mirror's queue as what it is. Readers ask its runs for no more than `QueuedRun` has."""
    return cast("RunQueue[RunElsewhere]", thread.queue)
