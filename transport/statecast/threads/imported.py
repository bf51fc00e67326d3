"""What the history and the runs of a document become in the thread that is made of it. Everything here is pure.

Rule 1: nobody has asked its questions here, neither now nor earlier: they are left out of the state at each revision,
so that no fork and no rewind can ask them either.
Rule 2: its runs are new ones, which have ended: they get new ids, and one that was under way is interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from statecast.protocol import ChunkEntry, Entry, OperationsEntry, RunEntry, RunState
from statecast.protocol.errors import InvalidRequest
from statecast.protocol.json_compare import same_text
from statecast.protocol.messages.state_messages import items_in
from statecast.protocol.thread_events.decoder import read_history
from statecast.stores import write_entry
from statecast_agents import Json, OperationError, StatecastError, new_id, operations
from statecast_agents.operations import Operation, Set

from .log.restore import replay
from .log.stretch import Stretch
from .recording import RunFailure, RunRecord
from .records.run_history import MOST_RUNS
from .runs.execution import INTERRUPTED

__all__ = ["NewIds", "runs_of", "stretch_of", "without_questions"]

#: Times of runs, in milliseconds since 1970.
TIMES: Final = ("queued_at", "started_at", "first_at", "ended_at")


class NewIds:
    """The ids that the runs of a document get."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def of(self, id: str) -> str:
        """Return the new id of a run."""
        return self._ids.setdefault(id, new_id("run"))


def without_questions(state: Json, pending: Sequence[str] | None) -> Json:
    """Return a state with an empty list in place of one with questions."""
    if not pending or not items_in(state, pending):
        return state
    return _emptied(state, pending)


def stretch_of(
    frames: Sequence[msgspec.Raw], state: bytes, pending: Sequence[str] | None, ids: NewIds, now: float
) -> Stretch:
    """Return a history that leads to a state, as a thread keeps it. O(the history).

    Args:
        frames: The history, as `GET /threads/{id}/events?cursor=start` has it.
        state: The state, as JSON, without questions.
        pending: Where a state has its questions.
        ids: Of the runs.
        now: Seconds since 1970.

    Raises:
        RequestError: `invalid_request`.
    """
    snapshot, found = read_history(frames)
    entries = [_imported(entry, pending, ids, round(now * 1000)) for entry in found]
    first = None if snapshot.run is None else _run(snapshot.run, ids)
    last = next((entry.run for entry in reversed(entries) if isinstance(entry, RunEntry)), first)
    if last is not None and not last.ended:
        end = snapshot.revision + len(entries) + 1
        entries.append(RunEntry(end, RunState(last.id, "interrupted", INTERRUPTED), round(now * 1000)))
    begin = msgspec.json.encode(without_questions(msgspec.json.decode(snapshot.state), pending))
    stretch = Stretch(
        snapshot.revision,
        begin,
        msgspec.json.encode(first),
        [(entry.revision, *write_entry(entry)) for entry in entries],
    )
    try:
        leads_to = replay(begin, stretch.entries).encode()
    except (StatecastError, TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"expected a history whose operations fit one another: {error}") from None
    if not same_text(leads_to, state):
        raise InvalidRequest("expected a history that leads to the state; without `history`, the state alone is taken")
    return stretch


def runs_of(runs: Sequence[RunRecord], ids: NewIds, now: float) -> list[RunRecord]:
    """Return the runs of a document, the newest first, as those of a thread, the oldest first.

    Args:
        runs: The runs.
        ids: Their new ids.
        now: Seconds since 1970; no run is of the future, or it would come before whatever runs next.

    Raises:
        RequestError: `invalid_request`.
    """
    if len(runs) > MOST_RUNS or len({run.id for run in runs}) < len(runs):
        raise InvalidRequest(f"expected at most {MOST_RUNS} runs with an id each, got {len(runs)}")
    latest = round(now * 1000)
    made: list[RunRecord] = []
    for run in reversed(runs):
        times = {name: min(max(at, 0), latest) for name in TIMES if (at := getattr(run, name)) is not None}
        made.append(msgspec.structs.replace(_ended(run), id=ids.of(run.id), **times))
    return made


def _ended(run: RunRecord) -> RunRecord:
    if run.status in ("completed", "failed", "cancelled", "interrupted"):
        return run
    if run.status == "waiting" and run.ended_at is not None:
        return msgspec.structs.replace(run, status="completed")
    return msgspec.structs.replace(run, status="interrupted", error=RunFailure(INTERRUPTED.code, INTERRUPTED.message))


def _imported(entry: Entry, pending: Sequence[str] | None, ids: NewIds, now: int) -> Entry:
    if isinstance(entry, RunEntry):
        return RunEntry(entry.revision, _run(entry.run, ids), min(max(entry.at, 0), now))
    if isinstance(entry, ChunkEntry):
        return ChunkEntry(entry.revision, ids.of(entry.run_id), entry.chunk)
    try:
        before = operations.decode(entry.operations)
    except OperationError as error:
        raise InvalidRequest(f"expected a history of operations at revision {entry.revision}: {error}") from None
    after = [left for operation in before for left in _unasked(operation, pending)]
    return OperationsEntry(entry.revision, operations.encode(after))


def _run(run: RunState, ids: NewIds) -> RunState:
    if run.asks:  # what it asks is left out
        return RunState(ids.of(run.id), "completed")
    return msgspec.structs.replace(run, id=ids.of(run.id))


def _unasked(operation: Operation, pending: Sequence[str] | None) -> list[Operation]:
    """Return what is left of an operation without questions."""
    if not pending:
        return [operation]
    path = operation.path
    if len(path) > len(pending) and path[: len(pending)] == tuple(pending) and path[len(pending)].isdigit():
        return []  # it is about one of them
    if isinstance(operation, Set) and tuple(pending[: len(path)]) == path:
        return [Set(path, _emptied(operation.value, pending[len(path) :]))]
    return [operation]


def _emptied(value: Json, path: Sequence[str]) -> Json:
    """Return a value with an empty list at a path, if it has a list there."""
    if not path:
        return [] if isinstance(value, list) else value
    if not isinstance(value, dict) or path[0] not in value:
        return value
    return {**value, path[0]: _emptied(value[path[0]], path[1:])}
