"""Message parts that a run emits outside the state, from any thread, on their way to the log."""

from __future__ import annotations

from collections import deque

from statecast.threads.log.logged_state import LoggedState
from statecast_agents import RunEnded
from statecast_agents.chunks import Chunk

__all__ = ["Emitter"]


class Emitter:
    """The chunks of one run, in order.

    Args:
        run_id: The run.
        thread: The log, and the state that is the run's until it has ended.
    """

    __slots__ = ("_document", "_run_id", "_thread", "_waiting")

    def __init__(self, run_id: str, thread: LoggedState) -> None:
        self._run_id = run_id
        self._thread = thread
        self._document = thread.document
        self._waiting: deque[Chunk] | None = None  #: emitted in worker threads, and yet to reach the log

    def emit(self, chunk: Chunk) -> None:
        """Take a chunk, from any thread.

        Raises:
            RunEnded: The run has ended; as for a mutation of the state.
        """
        with self._document.lock:
            if self._document.ended:  # while this waited for the lock
                raise RunEnded(self._run_id)
            if self._thread.here:
                self.flush()  # what came before
                self._thread.emit(self._run_id, chunk)
                return
            if self._waiting is None:
                self._waiting = deque()
            self._waiting.append(chunk)
            self._thread.loop.call_soon_threadsafe(self.flush)

    def move(self, thread: LoggedState) -> None:
        """Append to another log from here on."""
        self._thread = thread

    def flush(self) -> None:
        """Append what has come to the log."""
        while self._waiting:
            self._thread.emit(self._run_id, self._waiting.popleft())
