"""`ShutdownTimer`: ends a process that was asked to stop, in time, whatever blocks it.

A thread watches the clock, because the event loop may be blocked, and because the interpreter waits for blocked threads
without a limit. What the store has by then is safe, as after any crash.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import sys
import threading
import time
from typing import Final

__all__ = ["ShutdownTimer"]

#: Seconds that tasks and threads which nobody needs any more may delay the exit.
LAST: Final = 2.0

#: Seconds between two looks whether only threads are left.
LOOK: Final = 0.1

#: Seconds that writing the last output may take.
FLUSHING: Final = 0.5

_log: Final = logging.getLogger("statecast")


class ShutdownTimer:
    """Ends the process if it has not ended by itself in time.

    Args:
        seconds: How long a shutdown may take.
    """

    def __init__(self, seconds: float) -> None:
        self.started = False  #: whether the process was asked to stop
        self._seconds = seconds
        #: seconds until the process ends, and its exit status; signal handlers may put to it
        self._deadlines: queue.SimpleQueue[tuple[float, int] | None] = queue.SimpleQueue()
        threading.Thread(target=self._watch, name="statecast shutdown", daemon=True).start()

    def start(self) -> None:
        """Start the clock: the process was asked to stop."""
        if not self.started:
            self.started = True
            self._deadlines.put((self._seconds, 1))

    def exit_now(self, status: int) -> None:
        """End the process with an exit status."""
        self._deadlines.put((0.0, status))

    def drained(self) -> None:
        """Shorten the time that is left: everything is stored, and every stream has ended."""
        if self.started:
            self._deadlines.put((LAST, 0))

    def stop(self) -> None:
        """Stop the clock: the server's code has returned, and the caller's may take as long as it likes."""
        self._deadlines.put(None)

    def _watch(self) -> None:
        deadline = self._deadlines.get()
        while deadline is not None:
            seconds, status = deadline
            try:
                deadline = self._deadlines.get(timeout=seconds)
            except queue.Empty:
                if status == 1:
                    _log.error("the server did not stop within %g seconds, and is ended", seconds)
                _end_process(status)
        if self.started:
            while not _main_thread_waits():
                time.sleep(LOOK)
            if not _others_end():
                _end_process(0)


def _end_process(status: int) -> None:
    flushing = threading.Thread(target=_flush, daemon=True)
    flushing.start()
    flushing.join(FLUSHING)
    os._exit(status)


def _flush() -> None:
    with contextlib.suppress(OSError, ValueError):  # closed, or nobody reads any more
        sys.stdout.flush()
        sys.stderr.flush()


def _main_thread_waits() -> bool:
    """Return whether the main thread is done, and the interpreter waits for the other threads."""
    main = threading.main_thread()
    frame = sys._current_frames().get(main.ident or 0)
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return not main.is_alive() or (frame is not None and frame.f_code.co_filename == threading.__file__)


def _others_end() -> bool:
    """Wait a little for the threads that the interpreter waits for; return whether they have ended."""
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread() and not thread.daemon]
    for thread in others:
        thread.join(LAST / len(others))
    return not any(thread.is_alive() for thread in others)
