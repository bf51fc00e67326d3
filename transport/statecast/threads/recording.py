"""What is stored of a run beside the log: its times, what it has cost, and its batch, with which it may run again.

The batch is stored when the run begins, and erased when it completes. The rest is stored when it ends. So a run that
has only a batch, and is not under way, was cut off by the end of its process.
"""

from __future__ import annotations

import time
from typing import Final

import msgspec

from statecast.protocol import RunState, Status
from statecast.stores import RecordErased, RecordWritten
from statecast_agents.chunks import Usage

from .runs.execution import Execution
from .thread import Thread

__all__ = [
    "AGAIN",
    "BATCH",
    "RUN",
    "TOO_LARGE",
    "KeptBatch",
    "RunFailure",
    "RunRecord",
    "keep_batch",
    "keep_record",
    "record_of",
]

#: The kinds of records.
RUN: Final = "run"
BATCH: Final = "run-batch"

#: Bytes of a batch that is stored; a run with a larger one cannot run again.
MAX_BATCH: Final = 2**18

#: Stands for a batch that was larger.
TOO_LARGE: Final = msgspec.Raw(b"null")

#: Runs that ended so may run again.
AGAIN: Final[frozenset[Status]] = frozenset({"failed", "cancelled", "interrupted"})

_encode: Final = msgspec.json.Encoder().encode

#: What begins the text of an error that has the traceback of an agent's exception, see `explain`.
_TRACEBACK: Final = "Traceback (most recent call last):"


class RunFailure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a run failed."""

    code: str
    message: str
    traceback: str | None = None  #: of the agent's exception, where clients may see it


class RunRecord(msgspec.Struct, kw_only=True, rename="camel"):
    """A run of a thread. Times are milliseconds since 1970; null: it has not come to that, or it is not known."""

    id: str
    agent: str
    status: Status
    queued_at: int | None = None
    started_at: int | None = None
    first_at: int | None = None  #: when its agent had made its first change
    ended_at: int | None = None
    operations: int = 0  #: batches of operations that it appended to the log
    bytes: int = 0  #: of them, as JSON
    steps: int = 0  #: model calls that the agent has reported
    usage: Usage | None = None  #: of them
    cost: float | None = None  #: of them, where the agent gives one: `cost` in the metadata of its messages
    error: RunFailure | None = None


class KeptBatch(msgspec.Struct, kw_only=True):
    """The batch of a run that has not completed, with what was known of the run when it began."""

    run: RunRecord
    begun: bool  #: whether its commands are in the messages already
    messages: int  #: how many there were then; the last ones are its own
    batch: msgspec.Raw = TOO_LARGE


def record_of(run: Execution) -> RunRecord:
    """Return what is known of a run by now."""
    observed = run.observe()
    answer, began = observed.answer(), _began(run)
    return RunRecord(
        id=run.id,
        agent=observed.agent,
        status=run.state.status,
        queued_at=_at(began, observed.accepted),
        started_at=_at(began, observed.begun),
        first_at=_at(began, observed.answered),
        ended_at=_at(began, observed.ended),
        operations=observed.operations,
        bytes=observed.bytes,
        steps=answer.steps,
        usage=answer.usage,
        cost=answer.cost,
        error=_failure(run.state),
    )


def keep_batch(thread: Thread, run: Execution) -> None:
    """Store the batch of a run that begins, or that was cancelled before."""
    if thread.gone or not thread.lasting:
        return
    observed, began, encoded = run.observed, _began(run), run.batch.encode()
    record = RunRecord(
        id=run.id,
        agent=observed.agent,
        status=run.state.status,
        queued_at=_at(began, observed.accepted),
        started_at=_at(began, observed.begun),
    )
    kept = KeptBatch(
        run=record,
        begun=run.begun,
        messages=run.place.messages,
        batch=msgspec.Raw(encoded) if len(encoded) <= MAX_BATCH else TOO_LARGE,
    )
    thread.journal.add(RecordWritten(thread.key, BATCH, run.id, _encode(kept)))


def keep_record(thread: Thread, run: Execution) -> None:
    """Store what a run was that has ended; its batch stays only if it may run again."""
    if thread.gone or not thread.lasting:  # no client can ask for its runs
        return
    thread.runs_ended += 1
    written = RecordWritten(thread.key, RUN, run.id, _encode(record_of(run)))
    if run.begun and run.state.status not in AGAIN:
        thread.journal.add(written, RecordErased(thread.key, BATCH, run.id))
        return
    thread.journal.add(written)
    if not run.begun:
        keep_batch(thread, run)


def _began(run: Execution) -> float:
    """Return when the clock by which a run is observed was 0, in seconds since 1970."""
    return time.time() - run.now()


def _at(began: float, seconds: float | None) -> int | None:
    return None if seconds is None else round((began + seconds) * 1000)


def _failure(run: RunState) -> RunFailure | None:
    error = run.error
    if error is None:
        return None
    if _TRACEBACK not in error.message:
        return RunFailure(error.code, error.message)
    last = error.message.rstrip().rpartition("\n")[2].strip()
    return RunFailure(error.code, last, error.message)
