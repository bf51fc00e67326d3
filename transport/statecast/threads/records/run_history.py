"""Run history: what the last runs of a thread have been, and the commands of one that is to run again."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Final

import msgspec

from statecast.protocol.messages.state_messages import id_of, parts_of
from statecast.stores import Key, RecordErased
from statecast.threads.errors import RunActive, RunNotRetryable, UnknownRun
from statecast.threads.recording import AGAIN, BATCH, RUN, TOO_LARGE, KeptBatch, RunFailure, RunRecord, record_of
from statecast.threads.registry import Registry
from statecast.threads.runs.batch import Batch
from statecast.threads.runs.execution import INTERRUPTED, Execution
from statecast.threads.runs.run_elsewhere import RunElsewhere
from statecast.threads.thread import ERASED_AFTER, Thread
from statecast_agents import AddMessage, AddToolResult, Answer
from statecast_agents.commands import AnyCommand

from .directory import Directory

__all__ = ["RunHistory", "again", "retry_of"]

#: Runs of a thread that are kept, and batches of those that may run again.
MOST_RUNS: Final = 100
MOST_BATCHES: Final = 20

_decode_run: Final = msgspec.json.Decoder(RunRecord).decode
_decode_batch: Final = msgspec.json.Decoder(KeptBatch).decode


class RunHistory:
    """The runs of all threads, as far as they are kept.

    Args:
        directory: Where the records are.
        registry: The threads.
        debug: Whether clients see the tracebacks of agents.
    """

    def __init__(self, directory: Directory, registry: Registry, *, debug: bool) -> None:
        self._directory = directory
        self._registry = registry
        self._debug = debug

    async def runs(self, thread: Thread) -> list[RunRecord]:
        """Return a thread's runs, the newest first: those that are queued or under way, and the last that ended.

        Raises:
            RequestError: `thread_damaged`; `store_unavailable`.
        """
        while True:
            live = [run.id for run in thread.queue.live]
            kept = dict(await self._directory.read(thread.key, BATCH, _decode_batch))
            ended = dict(await self._directory.read(thread.key, RUN, _decode_run))
            if live == [run.id for run in thread.queue.live]:
                break  # else one has begun or ended while the records were read
        found = ended | {id: _cut_off(batch.run) for id, batch in kept.items() if id not in ended}
        for run in thread.queue.live:
            if isinstance(run, Execution):
                found[run.id] = record_of(run)
            else:
                found[run.id] = _elsewhere(run, thread, kept.get(run.id))
        latest_first = reversed(found.values())  # of those of one millisecond, too
        newest = sorted(latest_first, key=lambda run: -(run.queued_at or math.inf))[:MOST_RUNS]
        return [self._as_shown(run, thread) for run in newest]

    async def kept(self, thread: Thread, run_id: str | None) -> KeptBatch:
        """Return the batch of a run that may run again.

        Args:
            thread: The thread.
            run_id: The run; None: the last one.

        Raises:
            RequestError: `unknown_run`; `run_active`; `run_not_retryable`; `thread_damaged`; `store_unavailable`.
        """
        runs = await self.runs(thread)
        run = next((run for run in runs if run_id in (None, run.id)), None)
        if run is None:
            raise UnknownRun(run_id)
        if thread.busy:
            raise RunActive("a run is active; wait for its end, or cancel it", run_id=runs[0].id)
        if run.status not in AGAIN:
            raise RunNotRetryable(f'expected a run that failed or was stopped, got "{run.id}", which is {run.status}')
        found = dict(await self._directory.read(thread.key, BATCH, _decode_batch)).get(run.id)
        if found is None or bytes(found.batch) == bytes(TOO_LARGE):
            raise RunNotRetryable(f'the commands of the run "{run.id}" are no longer stored')
        return found

    async def erase_old(self) -> None:
        """Erase the records of runs that are too many."""
        for thread in self._registry:
            if thread.runs_ended >= ERASED_AFTER and thread.owned and not thread.gone:
                thread.runs_ended = 0
                await self._erase(thread.key, thread)

    async def _erase(self, key: Key, thread: Thread) -> None:
        live = {run.id for run in thread.queue.live}
        for kind, most in ((RUN, MOST_RUNS), (BATCH, MOST_BATCHES)):
            old = [id for id, _ in await self._registry.store.records(key, kind) if id not in live][:-most]
            if old and not thread.gone:
                self._registry.journal.add(*(RecordErased(key, kind, id) for id in old))

    def _as_shown(self, run: RunRecord, thread: Thread) -> RunRecord:
        last = thread.last_run
        if run.status == "waiting" and run.ended_at is not None and (last is None or last.id != run.id):
            run = msgspec.structs.replace(run, status="completed")  # what it asked is answered, or dismissed
        if run.error is not None and run.error.traceback is not None and not self._debug:
            error = RunFailure(run.error.code, "The agent failed. The reason is in the server's log.")
            run = msgspec.structs.replace(run, error=error)
        return run


def again(kept: KeptBatch, thread: Thread) -> tuple[Batch, bool]:
    """Return the batch that runs again, and whether its commands are in the messages and stay there.

    A message that is still there is said once more, as by an edit: what came after it is dropped. Other built-in
    commands of a run that had begun stay applied.

    Raises:
        CommandError: The agent does not know such commands any more.
    """
    batch = Batch.decode(bytes(kept.batch), thread.agent.commands)
    commands = [msgspec.structs.replace(command, id=None) for command in batch.commands]
    if kept.begun:
        said = [command for command in commands if isinstance(command, AddMessage)]
        has_answers = any(isinstance(command, AddToolResult | Answer) for command in commands)
        ids = [] if has_answers else _ids_of(said, kept.messages, thread)
        if not ids:
            return msgspec.structs.replace(batch, commands=commands), not said or has_answers
        commands = _said_again(commands, ids)
    return msgspec.structs.replace(batch, commands=commands), False


def retry_of(run_id: str) -> str:
    """Return the id of the run that retries a run: the same in every process, so that only one does."""
    return f"run_{hashlib.blake2b(run_id.encode(), digest_size=10).hexdigest()}"


def _ids_of(said: Sequence[AddMessage], until: int, thread: Thread) -> list[str]:
    """Return the ids of messages that were said, the last of so many of the thread; none if they are not there."""
    shown = thread.document.list_at(thread.agent.messages)[max(until - len(said), 0) : until]
    if [command.message.parts for command in said] != [parts_of(message) for message in shown]:
        return []
    ids = [id for message in shown if (id := id_of(message)) is not None]
    return ids if len(ids) == len(said) else []


def _said_again(commands: Sequence[AnyCommand], ids: Sequence[str]) -> list[AnyCommand]:
    """Return commands whose messages replace those of these ids."""
    parent: str | msgspec.UnsetType = msgspec.UNSET  # of the first: where it is
    left, found = list(ids), list[AnyCommand]()
    for command in commands:
        if isinstance(command, AddMessage):
            id = left.pop(0)
            message = msgspec.structs.replace(command.message, id=id)
            command = msgspec.structs.replace(command, message=message, source_id=id, parent_id=parent)
            parent = id
        found.append(command)
    return found


def _elsewhere(run: RunElsewhere, thread: Thread, kept: KeptBatch | None) -> RunRecord:
    """Return a run that another process executes, or has queued."""
    known = RunRecord(id=run.id, agent=thread.agent.name, status="queued") if kept is None else kept.run
    return msgspec.structs.replace(known, status=run.state.status, error=None)


def _cut_off(run: RunRecord) -> RunRecord:
    """Return a run that began, and of whose end nothing is stored."""
    return msgspec.structs.replace(run, status="interrupted", error=RunFailure(INTERRUPTED.code, INTERRUPTED.message))
