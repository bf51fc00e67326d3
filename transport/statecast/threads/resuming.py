"""Resuming: where a client that lost its stream continues, and the resume point that it got before."""

from __future__ import annotations

import msgspec

from statecast.protocol import Cursor

from .admission import AnyRun, Submission
from .claims import Claim, agrees
from .errors import ResumeMismatch, RunMismatch
from .resume_point import ResumePoint
from .thread import Thread

__all__ = ["check_run", "resume", "resume_point"]


async def resume(thread: Thread, claim: Claim, run_id: str | None) -> Submission:
    """Return where a client continues; everything of the thread is stored by now.

    Args:
        thread: The thread.
        claim: The state as the client has it.
        run_id: The run that is meant, or what `resume_point` named it; None: whichever is active.

    Raises:
        RequestError: `run_mismatch` when another run than `run_id` is active.
    """
    thread.flush()
    active, latest = thread.active, thread.run
    if active is not None:
        check_run(active.id, run_id, mismatch=ResumeMismatch)
    last = None if latest is None else latest.id
    handed = None if run_id is None or claim is not msgspec.UNSET else ResumePoint.parse(run_id).place_in(thread)
    if handed is not None:
        return Submission(thread=thread, run=active, run_id=last, revision=handed, snapshot=False, handed=True)
    placed = last is not None and run_id is not None and ResumePoint.parse(run_id).is_place_in(last)
    if active is None and placed and claim is msgspec.UNSET:
        # That place is not in the log any more: besides the state, the client hears how its run has ended.
        return Submission(thread=thread, run=None, run_id=last, revision=thread.log.before_the_end, snapshot=True)
    if active is None:
        revision = thread.log.revision
        snapshot = not await agrees(claim, thread) or thread.log.revision != revision
        return Submission(thread=thread, run=None, run_id=last, revision=revision, snapshot=snapshot)
    return Submission(thread=thread, run=active, run_id=last, revision=active.start, snapshot=True)


def resume_point(thread: Thread, run: AnyRun, revision: int) -> str:
    """Return what `resume` is to be given to go on with a run from a revision."""
    return str(ResumePoint(run.id, Cursor(thread.epoch, revision)))


def check_run(active: str, run_id: str | None, *, mismatch: type[RunMismatch] = RunMismatch) -> None:
    """Check that a client means the run that is active.

    Raises:
        RequestError: `run_mismatch`.
    """
    if run_id is not None and ResumePoint.parse(run_id).run_id != active:
        message = f'expected the id of the active run, "{active}", got "{run_id}"'
        raise mismatch(message, run_id=active)
