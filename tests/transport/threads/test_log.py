"""The log tells whether the state has changed since a revision."""

from __future__ import annotations

from statecast.protocol import ChunkEntry, OperationsEntry, RunEntry, RunState
from statecast.threads.log.log import Log
from statecast.threads.log.turn import Turn
from statecast_agents.chunks import PartFinished

SET = b'[{"type":"set","path":["a"],"value":1}]'


def test_only_operations_change_the_state() -> None:
    log = Log(keep_entries=10, keep_bytes=1_000, turn=Turn(lambda: None))
    log.append(OperationsEntry(1, SET), 10)
    log.append(RunEntry(2, RunState("r", "running")), 10)
    log.append(ChunkEntry(3, "r", PartFinished(part=0)), 10)

    assert [log.changed_after(revision) for revision in (0, 1, 2, 3)] == [True, False, False, False]

    log.append(OperationsEntry(4, SET), 10)
    assert [log.changed_after(revision) for revision in (1, 3, 4)] == [True, True, False]


def test_what_the_log_has_forgotten_may_have_changed_the_state() -> None:
    log = Log(keep_entries=1, keep_bytes=1_000, turn=Turn(lambda: None))
    for revision in (1, 2, 3):
        log.append(RunEntry(revision, RunState("r", "running")), 10)

    assert log.start == 2
    assert [log.changed_after(revision) for revision in (1, 2, 3)] == [True, False, False]
